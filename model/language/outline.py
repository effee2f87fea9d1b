"""What a formula says by itself, before there are data: its terms, its grouping factors, the columns that it needs.

Coefficients are not known yet: how many a term has depends on the data.
"""

from typing import Any

from model.language.formula import parse
from model.language.terms import Terms


def outline(text: str) -> dict[str, Any]:
    """The canonical text, the response, the terms of the population and of each factor; raises FormulaError."""
    formula = parse(text)
    structure = formula.structure
    return {
        "formula": str(formula),
        "columns": sorted(formula.names),
        "response": str(formula.response.value),
        "population": _terms(structure.population),
        "groups": [
            {
                "factor": grouping.name,
                "coefficients": [name for bar in grouping.bars for name in _terms(bar.terms)],
                "correlated": any(bar.correlated and len(_terms(bar.terms)) > 1 for bar in grouping.bars),
            }
            for grouping in structure.groupings
        ],
        "warnings": structure.notices,
    }


def _terms(terms: Terms) -> list[str]:
    return [*(["Intercept"] if terms.intercept else []), *(str(term) for term in terms.terms)]
