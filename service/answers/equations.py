"""A model as equations."""

from pydantic import Field

from service.answers.common import Answer


class Notation(Answer):
    """A whole model in one notation, priors included."""

    text: list[str]
    """The model as plain text: a line for each statement."""
    latex: str
    """The model as LaTeX: an `aligned` environment, for the math mode of LaTeX with amsmath or of KaTeX."""


class ParameterSymbol(Answer):
    """What a parameter is called in the equations; class, coef and group are those of its prior."""

    symbol: str
    """The symbol of the parameter in plain text."""
    latex: str
    """The symbol of the parameter in LaTeX."""
    class_: str = Field(alias="class")
    """The class of the parameters, as brms names it: `b`, `Intercept`, `sd`, `cor`, `sigma`, or another
    parameter of the family."""
    coef: str | None
    """The coefficient that the parameter belongs to; null if it belongs to none."""
    group: str | None
    """The grouping factor that the parameter belongs to; null if it belongs to none."""


class ModelEquations(Answer):
    """A model written out: with equations of the coefficients that vary between levels, and with these substituted."""

    hierarchical: Notation
    """The model with an equation of its own for each coefficient that varies between levels."""
    expanded: Notation
    """The model with those equations substituted into the one of the rows."""
    symbols: list[ParameterSymbol]
    """What each parameter is called in the equations."""
