"""What the service answers, as models for the documentation; the answers themselves are written as bytes.

The tests hold every answer against these.
"""
