"""The columns of variables as covariates of equations: what they look like, and which are the same."""

from model.equations.expressions import Coded, Covariate, Datum, Index
from model.frame.levels import coefficient_label
from model.frame.matrix import Piece
from model.frame.variables import Variables
from model.language.syntax import label

Identity = tuple[str, bool, int]
"""A variable, whether an indicator of a level is meant, and which; else the number of a contrast or of a basis."""


def identity(piece: Piece, variables: Variables) -> Identity:
    """Equal for equal columns: a level's indicator is the same in full coding and in treatment contrasts."""
    text = str(piece.variable)
    known = variables.categoricals.get(text)
    if known is None or (known.contrast != "treatment" and not piece.full):
        return text, False, piece.place
    skipped = not piece.full and piece.place >= known.baseline
    return text, True, piece.place + skipped


def covariate(piece: Piece, variables: Variables, index: Index) -> Covariate:
    """How a column looks: one that codes a factor by its name in coefficients, all else by its expression."""
    node = piece.variable
    if known := variables.categoricals.get(str(node)):
        _, of_level, place = identity(piece, variables)
        if of_level:
            return Coded(label(node) + coefficient_label(known.levels[place]), index)
        return Coded(variables.names(node, piece.full)[place], index)
    if variables.width(node, piece.full) == 1:
        return Datum(node, index)
    return Datum(node, index, piece.place + 1)
