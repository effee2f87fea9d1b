"""Draws chosen by the names of their parameters, each quantity with the labels of its axes.

`b`, `sd[g]`, `cor[g]` and `u[g]` stand for all that begins so; `u[g][t01]` is one level, drawn when it is asked for.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from model.frame.design import Float
from model.frame.learnt import Encoding
from model.results.factor_levels import label
from model.results.posterior import Posterior
from model.results.summary import scalars
from service.problems import Refusal


@dataclass(frozen=True, slots=True)
class Quantity:
    """Draws (chain, draw, *axes) of one quantity; `names` are its elements' in row-major order."""

    name: str
    axes: Mapping[str, tuple[str, ...]]
    names: tuple[str, ...]
    values: Float


def select(
    posterior: Posterior,
    parameters: Sequence[str],
    *,
    chains: Sequence[int],
    thin: int,
    most_values: int,
) -> list[Quantity]:
    """Give what the names select, everything but the levels' deviations if there are none.

    Raises Refusal for names and chains that the fit does not have, and for more than `most_values` numbers.
    """
    if wrong := [chain for chain in chains if not 0 <= chain < posterior.chains]:
        raise Refusal(
            "invalid-parameter", f"There is no chain {wrong[0]}; there are 0 to {posterior.chains - 1}."
        )
    kept = sorted(set(chains)) or list(range(posterior.chains))
    draws = scalars(posterior)
    chosen: dict[str, None] = {}
    levels: dict[str, set[int]] = {}
    unknown = []
    for asked in parameters:
        found = [name for name in draws if name == asked or name.startswith(f"{asked}[")]
        chosen |= dict.fromkeys(found)
        if not found and not _note_levels(posterior.encoding, asked, levels):
            unknown.append(asked)
    if unknown:
        known = ", ".join(dict.fromkeys(name.partition("[")[0] for name in draws))
        shown = ", ".join(name[:200] for name in unknown[:10])
        raise Refusal(
            "unknown-parameter", f"The fit has no {shown}; it has {known}, and u[factor][level] for levels."
        )
    names = [name for name in draws if name in chosen or not parameters]
    widths = {factor.name: len(factor.coefficients) for factor in posterior.encoding.factors}
    count = len(names) + sum(len(numbers) * widths[factor] for factor, numbers in levels.items())
    values = count * len(kept) * -(-posterior.draws // thin)
    if values > most_values:
        raise Refusal(
            "limit-exceeded",
            f"These are {values:,} numbers, where at most {most_values:,} are given at once; "
            "choose fewer parameters, levels or chains, or a larger `thin`.",
        )
    quantities = [*_scalars(draws, names), *_deviations(posterior, levels)]
    return [replace(quantity, values=quantity.values[kept][:, ::thin]) for quantity in quantities]


def _note_levels(encoding: Encoding, asked: str, levels: dict[str, set[int]]) -> bool:
    """Add the levels that a name selects; False if it selects none."""
    hit = False
    for factor in encoding.factors:
        whole = f"u[{factor.name}]"
        if not whole.startswith(asked + "[") and not asked.startswith(whole):
            continue
        numbers = {
            number
            for number, level in enumerate(factor.levels)
            if asked in ("u", whole, f"{whole}[{label(level)}]")
        }
        if numbers:
            levels.setdefault(factor.name, set()).update(numbers)
            hit = True
    return hit


def _scalars(draws: Mapping[str, Float], names: Sequence[str]) -> Iterator[Quantity]:
    """Scalars of the same beginning are one quantity: `sd[g][x]` and `sd[g][Intercept]` are `sd[g]`."""
    together: dict[str, list[str]] = {}
    for name in names:
        together.setdefault(_stem(name), []).append(name)
    for stem, members in together.items():
        if members == [stem]:
            yield Quantity(stem, {}, (stem,), draws[stem])
        else:
            axis = tuple(name[len(stem) + 1 : -1] for name in members)
            values = np.stack([draws[name] for name in members], axis=-1)
            yield Quantity(stem, {_axis(stem): axis}, tuple(members), values)


def _stem(name: str) -> str:
    if name.startswith("b["):
        return "b"
    if name.startswith(("sd[", "cor[")):
        # The last bracket that opens at the outermost depth begins the coefficient.
        depth, start = 0, 0
        for place, character in enumerate(name):
            depth += (character == "[") - (character == "]")
            if character == "[" and depth == 1:
                start = place
        return name[:start]
    return name


def _axis(stem: str) -> str:
    if stem == "b":
        return "coefficient"
    kind, _, rest = stem.partition("[")
    return f"{rest[:-1]}_{'pair' if kind == 'cor' else 'coefficient'}"


def _deviations(posterior: Posterior, levels: Mapping[str, set[int]]) -> Iterator[Quantity]:
    for factor in posterior.encoding.factors:
        if not (numbers := sorted(levels.get(factor.name, ()))):
            continue
        labels = tuple(label(factor.levels[number]) for number in numbers)
        yield Quantity(
            f"u[{factor.name}]",
            {f"{factor.name}_level": labels, f"{factor.name}_coefficient": tuple(factor.coefficients)},
            tuple(f"u[{factor.name}][{level}][{name}]" for level in labels for name in factor.coefficients),
            posterior.deviations(factor.name, numbers),
        )
