"""The statistical model: formulas, designs, priors, posteriors and what is asked of them.

NumPy and SciPy only; no input or output, no clock, no global random state.
"""
