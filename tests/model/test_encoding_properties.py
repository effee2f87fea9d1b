"""Laws of encoding: what must not change a design, and what must change it in a known way."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import InvalidModel
from model.frame.encoding import Encoding, encode, learn
from model.frame.table import Table
from model.language.formula import parse

FORMULAS = [
    "y ~ x + z + (1 + x | g)",
    "y ~ f * x + (f || g) + (1 | g:h)",
    "y ~ 0 + f:x + d + (1 | g/h) + (0 + z | g)",
    "y ~ poly(scale(x), 2) * d + ns(z, df = 3) + (log(z) | h)",
    "y ~ bs(z, df = 5) + C(f, sum) + C(f, helmert):x + offset(log(z)) + (d | h)",
    "log(y) | weights(z) ~ center(x):d + I(x^2/3) + factor(k) + (1 | k)",
    "cbind(s, 9 - s) ~ (f + d + x)^2 + (1 | b) + (x | g:b)",
]
NUMERIC = {"y", "x", "z", "s"}


def sample(seed: int, rows: int = 60) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "y": rng.uniform(1, 9, rows).tolist(),
        "x": rng.normal(size=rows).tolist(),
        "z": rng.uniform(0.5, 4, rows).tolist(),
        "k": rng.integers(0, 4, rows).tolist(),
        "s": rng.integers(0, 10, rows).tolist(),
        "f": [["lo", "mid", "hi"][i] for i in rng.permutation(rows) % 3],
        "d": [["off", "on"][i] for i in rng.permutation(rows) % 2],
        "b": [bool(i % 2) for i in rng.permutation(rows)],
        "g": [f"g{i % 6}" for i in rng.permutation(rows)],
        "h": (rng.permutation(rows) % 4).tolist(),
    }


def same(one: Any, other: Any, rows: Any = slice(None)) -> None:
    """The same design, where `rows` of the first are all of the second."""
    close = {"rtol": 1e-9, "atol": 1e-11}
    np.testing.assert_allclose(one.x[rows], other.x, **close)
    np.testing.assert_allclose(one.offset[rows], other.offset, **close)
    assert one.coefficients == other.coefficients
    for ours, theirs in zip(one.factors, other.factors, strict=True):
        np.testing.assert_allclose(ours.z[rows], theirs.z, **close)
        np.testing.assert_array_equal(ours.index[rows], theirs.index)
        assert (ours.levels, ours.coefficients, ours.blocks) == (
            theirs.levels,
            theirs.coefficients,
            theirs.blocks,
        )


samples = st.tuples(st.sampled_from(FORMULAS), st.integers(0, 10_000))


@given(samples, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_rows_and_columns_does_not_matter(drawn: tuple[str, int], random: Any) -> None:
    text, seed = drawn
    data = sample(seed)
    order = list(range(60))
    random.shuffle(order)
    names = list(data)
    random.shuffle(names)
    shuffled = {name: [data[name][row] for row in order] for name in names}
    table, other = Table.from_columns(data), Table.from_columns(shuffled)
    one, two = learn(parse(text), table)[0], learn(parse(text), other)[0]
    same(encode(one, table), encode(two, other), order)
    np.testing.assert_allclose(one.x_means, two.x_means, rtol=1e-9, atol=1e-11)


@given(samples)
@settings(max_examples=60, deadline=None)
def test_names_of_levels_do_not_matter_where_their_order_is_kept(drawn: tuple[str, int]) -> None:
    text, seed = drawn
    data = sample(seed)
    renamed = {
        **data,
        "g": [f"other {name[1:]}é" for name in data["g"]],
        "h": [10 * h - 7 for h in data["h"]],
    }
    one, two = (encode(learn(parse(text), t)[0], t) for t in map(Table.from_columns, (data, renamed)))
    np.testing.assert_array_equal(one.x, two.x)
    for ours, theirs in zip(one.factors, two.factors, strict=True):
        np.testing.assert_array_equal(ours.index, theirs.index)
        np.testing.assert_array_equal(ours.z, theirs.z)


@given(samples, st.lists(st.integers(0, 59), min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_new_rows_are_encoded_as_if_among_the_training_rows(drawn: tuple[str, int], rows: list[int]) -> None:
    text, seed = drawn
    data = sample(seed)
    table = Table.from_columns(data)
    encoding = learn(parse(text), table)[0]
    remembered = Encoding.from_json(json.loads(json.dumps(encoding.to_json())))
    part = Table.from_columns(
        {name: [data[name][row] for row in rows] for name in data if name not in ("y", "s")}
    )
    same(encode(encoding, table), encode(remembered, part, response=False), rows)


@given(samples, st.lists(st.integers(0, 59), min_size=1, max_size=5, unique=True))
@settings(max_examples=60, deadline=None)
def test_dropping_rows_is_the_same_as_not_having_them(drawn: tuple[str, int], gone: list[int]) -> None:
    text, seed = drawn
    data = sample(seed)
    holes = {name: list(values) for name, values in data.items()}
    used = sorted(parse(text).names)
    for number, row in enumerate(gone):
        holes[used[number % len(used)]][row] = None
    kept = [row for row in range(60) if row not in gone]
    table, other = (
        Table.from_columns(holes),
        Table.from_columns({name: [data[name][row] for row in kept] for name in data}),
    )
    one, two = learn(parse(text), table, missing="drop")[0], learn(parse(text), other)[0]
    assert one.dropped == tuple(sorted(gone))
    same(encode(one, table), encode(two, other))
    with pytest.raises(InvalidModel) as caught:
        learn(parse(text), table)
    assert {issue.code for issue in caught.value.issues} >= {"missing-values"}


@given(st.integers(0, 10_000), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_polynomials_are_orthonormal_and_span_the_powers(seed: int, degree: int) -> None:
    table = Table.from_columns(sample(seed))
    basis = encode(learn(parse(f"y ~ poly(x, {degree})"), table)[0], table).x
    np.testing.assert_allclose(basis[:, 1:].T @ basis[:, 1:], np.eye(degree), atol=1e-10)
    np.testing.assert_allclose(basis[:, 1:].sum(axis=0), 0.0, atol=1e-10)
    powers = table["x"].values[:, None] ** np.arange(degree + 1)
    fitted = basis @ np.linalg.lstsq(basis, powers, rcond=None)[0]
    np.testing.assert_allclose(fitted, powers, atol=1e-8)


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_every_coding_of_a_factor_spans_the_same_space(seed: int) -> None:
    table = Table.from_columns(sample(seed))

    def projection(text: str) -> Any:
        q, _ = np.linalg.qr(encode(learn(parse(text), table)[0], table).x)
        return q @ q.T

    reference = projection("y ~ f * d")
    for text in ("y ~ 0 + f:d", "y ~ C(f, sum) * C(d, helmert)", "y ~ f/d", "y ~ 0 + d + C(f, poly) %in% d"):
        np.testing.assert_allclose(projection(text), reference, atol=1e-10)
