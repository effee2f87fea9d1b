"""Aliased columns: which they are and of what, for many designs, and that finding them costs little."""

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from model.errors import InvalidModel
from model.frame import rank
from model.frame.encoding import learn
from model.frame.rank import TOLERANCE, aliased
from model.frame.table import Table
from model.language.formula import parse

Float = NDArray[np.float64]


def one_by_one(x: Float, intercept: bool) -> list[tuple[int, tuple[int, ...]]]:
    """Every column against those kept before it, by a least squares of its own."""
    columns = x - x.mean(axis=0) if intercept else x
    sizes = np.linalg.norm(columns, axis=0)
    columns = np.where(sizes > 1e-9, columns / np.maximum(sizes, 1e-9), 0.0)
    found: list[tuple[int, tuple[int, ...]]] = []
    kept: list[int] = []
    for column in range(int(intercept), x.shape[1]):
        part = columns[:, column]
        weights = np.linalg.lstsq(columns[:, kept], part, rcond=None)[0] if kept else np.zeros(0)
        if np.linalg.norm(part - columns[:, kept] @ weights) > TOLERANCE:
            kept.append(column)
        else:
            found.append((column, tuple(np.array(kept, int)[np.abs(weights) > 1e-6].tolist())))
    return found


def some_design(source: np.random.Generator) -> Float:
    rows, width = int(source.integers(3, 40)), int(source.integers(1, 14))
    x = source.normal(size=(rows, width)) * 10.0 ** source.integers(-1, 2, size=width)
    if source.random() < 0.3:
        x = source.integers(0, 2, size=(rows, width)).astype(float)
    x[:, 0] = 1.0
    for column in range(1, width):
        if source.random() < 0.3:
            x[:, column] = x[:, :column] @ (source.normal(size=column) * source.integers(0, 2, size=column))
    return x


@pytest.mark.parametrize("panel", [1, 3, 48])
def test_columns_are_aliased_as_one_by_one(panel: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank, "_PANEL", panel)
    monkeypatch.setattr(rank, "_BLOCK_CELLS", 30 * panel)
    source = np.random.default_rng(panel)
    for _ in range(150):
        x, intercept = some_design(source), bool(source.random() < 0.7)
        assert [(alias.column, alias.of) for alias in aliased(x, intercept)] == one_by_one(x, intercept)


def test_a_column_that_differs_by_more_than_rounding_is_kept() -> None:
    source = np.random.default_rng(1)
    x = source.normal([0.0, 1e5, 0.0], size=(500, 3))
    x[:, 2] = x[:, 1] + 1e-5 * source.normal(size=500)
    assert aliased(x, False) != ()
    x[:, 1:] -= 1e5
    assert aliased(x, False) == ()
    x[:, 2] = x[:, 1] * (1 + 1e-9 * source.normal(size=500))
    assert [alias.column for alias in aliased(x, False)] == [2]


@pytest.mark.parametrize("lost", [0, 1, 600])
def test_thousands_of_columns_take_seconds(lost: int) -> None:
    source = np.random.default_rng(2)
    x = source.normal(size=(1_500, 1_200))
    kept = 1_200 - lost
    x[:, kept:] = x[:, :kept] @ source.normal(size=(kept, lost))
    before = time.process_time()
    found = aliased(x, False)
    # A least squares for each aliased column, and a copy of the basis for each kept one, took a minute and more.
    assert time.process_time() - before < 6
    assert [alias.column for alias in found] == list(range(kept, 1_200))


def test_work_is_refused_before_it_is_done() -> None:
    source = np.random.default_rng(3)
    columns = {name: source.normal(size=20_000) for name in "yabc"}
    before = time.process_time()
    with pytest.raises(InvalidModel) as caught:
        learn(parse("y ~ poly(a, 12):poly(b, 12):poly(c, 12)"), Table.from_columns(columns))
    assert time.process_time() - before < 5
    (issue,) = caught.value.issues
    assert (issue.code, issue.pointer) == ("design-too-large", "/formula")
    assert "20000 rows and 1729 columns" in issue.message
