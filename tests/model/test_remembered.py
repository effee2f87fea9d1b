"""Levels that are kept drawn: they are drawn once, and no more of them are kept than the budget allows."""

from collections.abc import Sequence

import numpy as np

from model.frame.design import Float
from model.results.remembered import Remembered

SHAPE = (2, 100)
BYTES = 2 * 100 * 8


class Counted:
    """Deviations that count what they are asked for."""

    def __init__(self) -> None:
        self.drawn: list[int] = []

    def draw(self, levels: Sequence[int]) -> Sequence[Float]:
        self.drawn += list(levels)
        return list(np.stack([np.full(SHAPE, float(level)) for level in levels]))

    def means(self, most: int) -> Float:
        return np.zeros((10, 2))


def values(found: Sequence[Float]) -> list[float]:
    return [float(draws[0, 0]) for draws in found]


def test_a_level_is_drawn_once_and_levels_come_as_they_were_asked_for() -> None:
    of = Counted()
    remembered = Remembered(of, 100 * BYTES)
    assert values(remembered.draw([3, 1, 3])) == [3, 1, 3]
    assert values(remembered.draw([2, 1])) == [2, 1]
    assert of.drawn == [3, 1, 2]


def test_the_levels_asked_for_last_are_kept() -> None:
    of = Counted()
    remembered = Remembered(of, 2 * BYTES)
    remembered.draw([1, 2])
    remembered.draw([1])
    remembered.draw([3])  # 2 goes
    of.drawn.clear()
    remembered.draw([1, 3])
    assert of.drawn == []
    remembered.draw([2])
    assert of.drawn == [2]


def test_more_levels_than_are_kept_are_still_given() -> None:
    of = Counted()
    remembered = Remembered(of, BYTES)
    assert values(remembered.draw(range(5))) == [0, 1, 2, 3, 4]
    assert remembered._bytes <= BYTES


def test_what_is_kept_does_not_keep_what_was_drawn_beside_it() -> None:
    remembered = Remembered(Counted(), 100 * BYTES)
    remembered.draw(range(5))
    (kept,) = remembered.draw([2])
    assert kept.base is None
