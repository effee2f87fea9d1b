"""A model written out as equations, hierarchical and expanded, as text and as LaTeX.

`notations.equations` is the way in.
"""
