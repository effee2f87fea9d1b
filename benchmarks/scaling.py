"""How the collapsed method grows: with rows, levels, coefficients of a level (k) and columns of X (p).

Run it with `python -m benchmarks.scaling [FOLDER]`; it prints tables with fitted exponents, and draws them there.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.peers.ours import Ours
from benchmarks.peers.process import Columns
from benchmarks.peers.turns import conditions
from model.frame.table import Table
from model.spec import FitSpec, SamplerSettings, prepare
from worker import collapsed
from worker.padding import collapsed_problem

REPEATS = 3


@dataclass(frozen=True, slots=True)
class Point:
    """One size: seconds to compile, of a warm fit (4 x 1000 draws, arrays to summary), of one evaluation; quality."""

    size: int
    compile: float
    fit: float
    evaluation: float
    parameters: int
    pareto_k: float
    least_ess: float


@dataclass(frozen=True, slots=True)
class Axis:
    """What grows, over which sizes, and the model and the data of each."""

    name: str
    fixed: str
    sizes: Sequence[int]
    model: Callable[[int], tuple[str, Columns]]
    fitted_from: int
    """The size from which the exponent is fitted: below it something that does not grow weighs more."""


def simulated(rows: int, levels: int, covariates: int = 1, seed: int = 1) -> Columns:
    """A response with deviations of the intercept and of the first five covariates, all of sd one half."""
    source = np.random.default_rng(seed)
    level = np.arange(rows) % levels
    x = source.normal(size=(rows, covariates))
    varying = np.column_stack([np.ones(rows), x[:, :5]])
    deviation = source.normal(0, 0.5, (levels, varying.shape[1]))
    y = 1 + x.sum(axis=1) / 2 + np.sum(varying * deviation[level], axis=1) + source.normal(size=rows)
    return {"y": y, "g": level} | {f"x{i + 1}": x[:, i] for i in range(covariates)}


def _slopes(k: int) -> tuple[str, Columns]:
    names = [f"x{i + 1}" for i in range(k - 1)]
    return f"y ~ {' + '.join(['1', *names])} + ({' + '.join(['1', *names])} | g)", simulated(
        6000, 300, max(1, k - 1)
    )


def _covariates(p: int) -> tuple[str, Columns]:
    names = [f"x{i + 1}" for i in range(p - 1)]
    return f"y ~ {' + '.join(['1', *names])} + (1 | g)", simulated(6000, 600, max(1, p - 1))


SLOPE = "y ~ x1 + (1 + x1 | g)"
AXES = (
    Axis(
        "rows",
        f"{SLOPE}, 500 levels",
        (1_000, 10_000, 100_000, 1_000_000),
        lambda rows: (SLOPE, simulated(rows, 500)),
        10_000,
    ),
    Axis(
        "levels",
        f"{SLOPE}, 10 rows a level",
        (20, 200, 2_000, 20_000, 100_000),
        lambda levels: (SLOPE, simulated(10 * levels, levels)),
        2_000,
    ),
    Axis("k", "6,000 rows, 300 levels, the same terms in X", (1, 2, 3, 4, 5, 6), _slopes, 2),
    Axis("p", "6,000 rows, 600 levels, (1 | g)", (1, 2, 4, 8, 16, 30), _covariates, 4),
)


def measure(size: int, formula: str, columns: Columns) -> Point:
    """Compile, then fit a few times and evaluate a few batches; the shortest of each counts."""
    plan = prepare(FitSpec(formula, Table.from_columns(columns), sampler=SamplerSettings(seed=1)))
    problem = collapsed_problem(plan, plan.design())
    start = time.perf_counter()
    evaluate = collapsed.executable(problem.shape, problem.data)
    compile_seconds = time.perf_counter() - start
    ours = Ours(formula, columns)
    fits = [ours() for _ in range(REPEATS)]
    batch = problem.shape.batch
    spread = np.random.default_rng(1).normal(0, 0.05, (len(problem.start), batch))
    theta, noise = problem.start[:, None] + spread, np.zeros((problem.shape.carried, batch))
    evaluations = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        np.asarray(evaluate(theta, noise, np.array(batch), problem.data)[0])
        evaluations.append((time.perf_counter() - start) / batch)
    worst = max(float(result.posterior.statistics["pareto_k"] or 0.0) for result in ours.results)
    parameters = int(problem.active.sum())
    return Point(size, compile_seconds, min(fits), min(evaluations), parameters, worst, min(ours.least_ess()))


def exponent(points: Sequence[Point], seconds: Callable[[Point], float]) -> float:
    """The slope of log seconds on log size, by least squares."""
    return float(np.polyfit(np.log([p.size for p in points]), np.log([seconds(p) for p in points]), 1)[0])


def table(axis: Axis, points: Sequence[Point]) -> str:
    """A Markdown table of an axis, and its exponents."""
    lines = [
        f"### {axis.name} ({axis.fixed})",
        "",
        f"| {axis.name} | hyperparameters | compile, s | fit, s | one evaluation, us | Pareto k-hat | least bulk ESS |",
        "|---:|---:|---:|---:|---:|---:|---:|",
        *(
            f"| {p.size:,} | {p.parameters} | {_or_shared(p.compile)} | {p.fit:.3f} | {1e6 * p.evaluation:.1f} "
            f"| {p.pareto_k:.2f} | {p.least_ess:.0f} |"
            for p in points
        ),
        "",
    ]
    large = [point for point in points if point.size >= axis.fitted_from]
    grown = ", ".join(
        f"{name} grows as {axis.name}^{exponent(large, seconds):.2f}"
        for name, seconds in (("a fit", _fit), ("an evaluation", _evaluation))
    )
    return "\n".join([*lines, f"From {axis.fitted_from:,} on {grown}.", ""])


def _or_shared(compiling: float) -> str:
    """Seconds, or a dash where the program was there already: another size of the same bucket has compiled it."""
    return f"{compiling:.2f}" if compiling > 1e-3 else "—"


def draw(axis: Axis, points: Sequence[Point], folder: Path) -> None:
    """Write the plot of an axis as SVG, both axes logarithmic."""
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = axis.name  # the same figures give the same file
    figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
    sizes = [point.size for point in points]
    for name, seconds in (("fit, 4 x 1000 draws", _fit), ("one evaluation", _evaluation)):
        axes.plot(sizes, [seconds(point) for point in points], marker="o", label=name)
    compiled = [point for point in points if point.compile > 1e-3]
    if len(compiled) > 1:
        axes.plot([p.size for p in compiled], [p.compile for p in compiled], marker="o", label="compiling")
    axes.set(xscale="log", yscale="log", xlabel=axis.name, ylabel="seconds", title=axis.fixed)
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes], minor=False)
    axes.set_xticks([], minor=True)
    axes.legend(frameon=False)
    figure.savefig(folder / f"scaling-{axis.name}.svg", metadata={"Date": None})
    plt.close(figure)


def _fit(point: Point) -> float:
    return point.fit


def _evaluation(point: Point) -> float:
    return point.evaluation


def main(folder: Path | None) -> None:
    """Measure, print and draw."""
    conditions()
    for axis in AXES:
        points = [measure(size, *axis.model(size)) for size in axis.sizes]
        print(table(axis, points))
        if folder is not None:
            draw(axis, points, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
