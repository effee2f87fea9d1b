"""The formula language: from text to a resolved structure."""
