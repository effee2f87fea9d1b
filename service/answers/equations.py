"""A model as equations."""

from pydantic import Field

from service.answers.common import Answer


class Notation(Answer):
    """A whole model in one notation, priors included."""

    text: list[str]
    """One line for each statement."""
    latex: str
    """An `aligned` environment, for math mode of LaTeX with amsmath or of KaTeX."""


class ParameterSymbol(Answer):
    """What a parameter is called in the equations; class, coef and group are those of its prior."""

    symbol: str
    latex: str
    class_: str = Field(alias="class")
    coef: str | None
    group: str | None


class ModelEquations(Answer):
    """A model written out: with equations of the coefficients that vary between levels, and with these substituted."""

    hierarchical: Notation
    expanded: Notation
    symbols: list[ParameterSymbol]
