"""The programs that XLA compiles: the collapsed gaussian model, and the full model of any family."""
