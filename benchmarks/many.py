"""Many small data sets of one shape: one after the other, and as one vectorized call (a prototype).

Run it with `python -m benchmarks.many`; it prints what a fit's phases cost alone, and what sharing calls would save.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.ours import Unheard
from benchmarks.peers.turns import conditions, report, take_turns
from benchmarks.sleepstudy_like import FORMULA, simulated
from model.frame.design import Float
from model.frame.table import Table
from model.spec import FitPlan, FitSpec, SamplerSettings, prepare
from worker import collapsed
from worker.fitting import fit
from worker.padding import CollapsedProblem, collapsed_problem
from worker.programs import collapsed as program
from worker.shape import CollapsedShape

COUNT, TURNS = 64, 3


@dataclass(frozen=True, slots=True)
class Batch:
    """Data sets of one shape side by side: `data` holds every array of theirs with one more axis in front."""

    problems: tuple[CollapsedProblem, ...]
    data: dict[str, Any]

    @classmethod
    def of(cls, problems: tuple[CollapsedProblem, ...]) -> "Batch":
        """Stack problems; they must have one shape."""
        assert len({problem.shape for problem in problems}) == 1
        stacked = jax.tree.map(lambda *arrays: jnp.asarray(np.stack(arrays)), *(p.data for p in problems))
        return cls(problems, stacked)


def plans(count: int) -> list[FitPlan]:
    """Plans of simulated data sets of one shape."""
    return [
        prepare(FitSpec(FORMULA, Table.from_columns(simulated(seed)), sampler=SamplerSettings(seed=seed)))
        for seed in range(count)
    ]


def together(shape: CollapsedShape) -> Callable[..., Any]:
    """One program that evaluates hyperparameter vectors of several data sets, (data set, hyper, vector)."""

    def evaluate(theta: jax.Array, data: program.Data) -> tuple[jax.Array, jax.Array]:
        # The prototype reaches into the program for what one chunk does; an adopted one would have a door there.
        return program._density(shape, theta, jnp.zeros((shape.carried, theta.shape[1])), data)

    return jax.jit(jax.vmap(evaluate))


def points_of(problem: CollapsedProblem, count: int, seed: int) -> NDArray[np.float64]:
    """Hyperparameters around the start: what is evaluated matters not, only how many."""
    spread = np.random.default_rng(seed).normal(0, 0.05, (count, len(problem.start)))
    return np.asarray(problem.start + spread * problem.active)


def evaluations() -> None:
    """One evaluation of every data set: small calls, as of the mode search, and large ones, as of the chains."""
    problems = tuple(collapsed_problem(plan, plan.design()) for plan in plans(COUNT))
    batch, shape = Batch.of(problems), problems[0].shape
    alone = collapsed.executable(shape, problems[0].data)
    for points in (16, 1024):
        theta = np.stack([points_of(problem, points, i).T for i, problem in enumerate(problems)])
        padded = np.zeros((COUNT, shape.dimension, shape.batch))
        padded[:, :, :points] = theta
        noise = np.zeros((shape.carried, shape.batch))
        shared = together(shape)

        def one_by_one(padded: Float = padded, noise: Float = noise, points: int = points) -> float:
            start = time.perf_counter()
            for own, problem in zip(padded, problems, strict=True):
                np.asarray(alone(own, noise, np.array(points), problem.data)[0])
            return time.perf_counter() - start

        def at_once(theta: Float = theta, shared: Any = shared) -> float:
            start = time.perf_counter()
            np.asarray(shared(theta, batch.data)[0])
            return time.perf_counter() - start

        print(f"{points} points of each of {COUNT} data sets")
        report(take_turns({"one call": at_once, "a call each": one_by_one}, 7), "one call")
        difference = np.abs(
            np.asarray(shared(theta, batch.data)[0])[0]
            - np.asarray(alone(padded[0], noise, np.array(points), problems[0].data)[0])[:points]
        ).max()
        print(f"  largest difference of a log density: {difference:.1e}")


def phases() -> None:
    """Milliseconds of each phase of one fit, median over the data sets."""
    every = plans(COUNT)
    fit(every[0], Unheard())
    timings = [fit(plan, Unheard()).timing for plan in every]
    start = time.perf_counter()
    plans(COUNT)
    checked = (time.perf_counter() - start) / COUNT
    medians = {name: 1e3 * float(np.median([t[name] for t in timings])) for name in timings[0]}
    print(f"one fit of {FORMULA}, 180 rows, 4 x 1000 draws, ms (median of {COUNT})")
    print(
        f"  check of the request {1e3 * checked:.1f},", ", ".join(f"{n} {v:.1f}" for n, v in medians.items())
    )
    few = [replace(plan, sampler=replace(plan.sampler, draws=250)) for plan in every]
    fit(few[0], Unheard())
    taken = []
    for plan in few:
        start = time.perf_counter()
        fit(plan, Unheard())
        taken.append(time.perf_counter() - start)
    print(f"  with 4 x 250 draws the whole fit takes {1e3 * float(np.median(taken)):.1f}")


def main() -> None:
    """Measure and print."""
    conditions()
    phases()
    evaluations()


if __name__ == "__main__":
    main()
