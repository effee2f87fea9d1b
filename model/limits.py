"""The limits of the formula language and of a design, in one place.

They bound time and memory before either is spent; every refusal names the limit that it met.
"""

FORMULA_CHARACTERS = 4_000
FORMULA_ISSUES = 50
"""Issues after which the reading of a formula ends."""
NESTING_DEPTH = 30
TERMS = 500
"""Terms of one right-hand side after expansion."""
TERM_VARIABLES = 7
"""Variables that one interaction may join."""
EXPANSION_STEPS = 5_000
"""Pairs of terms that the expansion of a formula may form on its way."""
BARS = 50
GROUP_COLUMNS = 8
"""Columns whose cells make one grouping factor."""
POWER = 20
POLY_DEGREE = 20
SPLINE_DEGREE = 10
SPLINE_DF = 50
COLUMNS = 2_000
"""Columns of X."""
FACTOR_COEFFICIENTS = 50
"""Coefficients of one grouping factor."""
DESIGN_CELLS = 50_000_000
"""Rows times columns, of X and of the z of all factors together: 400 MB."""
DESIGN_WORK = 25_000_000_000
"""Rows times the square of the columns of X: what it takes to find the aliased columns, a second or two."""
ISSUES = 100
"""Issues of one kind after which the others are only counted, or not looked for."""
SUGGESTIONS = 10
"""Unknown names of one request for which a name like theirs is looked for."""
