"""How fast designs are made: a million rows and one row, beside NumPy doing the bare arithmetic.

Run it with `python -m benchmarks.encoding`; it prints seconds (the best of a few) and the ratio to NumPy.
"""

import json
import time
from collections.abc import Callable

import numpy as np

from model.frame.encoding import Encoding, encode, learn
from model.frame.table import Table
from model.language.formula import parse

ROWS, LEVELS = 1_000_000, 20_000
FORMULA = "y ~ f * x + (1 + x | g)"


def best(task: Callable[[], object], repeats: int) -> float:
    """The shortest of some runs, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        task()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Measure and print."""
    rng = np.random.default_rng(1)
    subject = rng.integers(0, LEVELS, ROWS)
    codes = rng.integers(0, 4, ROWS)
    x, y = rng.normal(size=ROWS), rng.normal(size=ROWS)
    labels = np.array([f"subject {level}" for level in range(LEVELS)])
    columns = {"y": y, "x": x, "f": np.array(list("abcd"))[codes].tolist(), "g": labels[subject].tolist()}

    def bare() -> None:
        dummies = np.eye(4)[codes][:, 1:]
        np.column_stack([np.ones(ROWS), dummies, x, dummies * x[:, None]])
        np.column_stack([np.ones(ROWS), x])
        np.arange(LEVELS)[subject]

    numpy_seconds = best(bare, 5)
    table = Table.from_columns(columns)
    formula = parse(FORMULA)
    encoding, _ = learn(formula, table)
    print(f"{FORMULA}: {ROWS:,} rows, {LEVELS:,} levels; bare NumPy {numpy_seconds:.3f} s")
    for name, task, repeats in (
        ("Table.from_columns", lambda: Table.from_columns(columns), 3),
        ("learn", lambda: learn(formula, table), 3),
        ("encode", lambda: encode(encoding, table), 5),
    ):
        seconds = best(task, repeats)
        print(f"  {name:<20} {seconds:8.3f} s   {seconds / numpy_seconds:6.1f} x NumPy")
    remembered = Encoding.from_json(json.loads(json.dumps(encoding.to_json())))
    one = Table.from_columns({"x": [0.5], "f": ["b"], "g": ["subject 7"]})
    encode(remembered, one, response=False)
    seconds = best(lambda: encode(remembered, one, response=False), 200)
    print(f"  {'encode one row':<20} {seconds * 1e6:8.1f} us")


if __name__ == "__main__":
    main()
