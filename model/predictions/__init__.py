"""Predictions of new rows, and the effects that are made of them."""
