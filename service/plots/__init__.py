"""Pictures of a fit, one file each; matplotlib is loaded with the first of them.

Everything is drawn through `Sheet`, from numbers that the model has computed.
"""
