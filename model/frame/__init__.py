"""Data and what is learnt from them: columns, levels, encodings, designs."""
