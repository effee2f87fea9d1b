"""How well a model fits: predictive checks, rows left out, models compared."""
