"""Generalized linear mixed models by NUTS: least bulk ESS per second against a textbook NumPyro program, as a ratio.

Run it with `python -m benchmarks.nuts [ROUNDS] [FAMILY …]`. The peer is the same model with the same priors, without
centering, its chains vectorized and compiled as one program beforehand; both are asked for 1000 + 1000
transitions a chain.
Seconds are of the wall and of the processor, which a busy machine stretches less; ours have the summary in them.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import MCMC, NUTS

from model.frame.table import Table
from model.priors import PriorStatement
from model.results.estimate import estimate
from model.results.summary import scalars
from model.spec import FitPlan, FitSpec, SamplerSettings, prepare
from tests.worker.silent import Silent
from worker.fitting import fit

CHAINS = 4
WARMUP, DRAWS = 1000, 1000
PRIORS = (
    PriorStatement("normal(0, 2.5)", "Intercept"),
    PriorStatement("normal(0, 2.5)", "b"),
    PriorStatement("normal(0, 2.5)", "sd"),
    PriorStatement("lkj(1)", "cor"),
)


@dataclass(frozen=True)
class Task:
    """One model of simulated data."""

    title: str
    family: str
    rows: int
    levels: int
    slopes: bool
    trials: int = 1

    def columns(self) -> dict[str, Any]:
        """The data: like Bangladesh's contraception, cattle's pneumonia, or counts of ticks."""
        source = np.random.default_rng(7)
        group = np.sort(source.integers(0, self.levels, self.rows))
        x = source.standard_normal(self.rows)
        u = source.normal(0, [0.7, 0.4 * self.slopes], (self.levels, 2))
        eta = -0.5 + 0.6 * x + u[group, 0] + u[group, 1] * x
        n = np.full(self.rows, self.trials)
        y = (
            source.poisson(np.exp(eta))
            if self.family == "poisson"
            else source.binomial(n, 1 / (1 + np.exp(-eta)))
        )
        return {"y": y.astype(float), "x": x, "g": group, "n": n.astype(float)}


TASKS = (
    Task("bernoulli, 1,934 rows, (1 + x | 60 levels)", "bernoulli", 1934, 60, True),
    Task("binomial, 56 rows of 10 trials, (1 | 15 levels)", "binomial", 56, 15, False, 10),
    Task("poisson, 403 rows, (1 | 118 levels)", "poisson", 403, 118, False),
)


Run = Callable[[int], list[Any]]
"""Draws (chain, draw) of every scalar, by seed."""


def plan_of(task: Task) -> FitPlan:
    """The plan of a task's fit."""
    right = "x + (1 + x | g)" if task.slopes else "x + (1 | g)"
    left = "y | trials(n)" if task.family == "binomial" else "y"
    sampler = SamplerSettings(method="nuts", chains=CHAINS, warmup=WARMUP, draws=DRAWS)
    priors = PRIORS if task.slopes else PRIORS[:-1]
    table = Table.from_columns(task.columns())
    return prepare(
        FitSpec(f"{left} ~ {right}", table, task.family, None, priors, center=False, sampler=sampler)
    )


def ours(task: Task) -> Run:
    """A whole fit, from the plan to the summary."""
    plan = plan_of(task)

    def run(seed: int) -> list[Any]:
        return list(scalars(fit(replace(plan, seed=seed), Silent()).posterior).values())

    return run


def textbook(task: Task) -> Run:
    """The same of the program that a textbook has."""
    data = {name: jnp.asarray(values) for name, values in task.columns().items()}

    def model() -> None:
        intercept = numpyro.sample("b[Intercept]", dist.Normal(0, 2.5))
        slope = numpyro.sample("b[x]", dist.Normal(0, 2.5))
        k = 1 + task.slopes
        sd = numpyro.sample("sd", dist.HalfNormal(2.5).expand([k]))
        root = sd[:, None] * (numpyro.sample("root", dist.LKJCholesky(k, 1.0)) if task.slopes else jnp.eye(1))
        white = numpyro.sample("white", dist.Normal(0, 1).expand([task.levels, k]).to_event(2))
        u = (white @ root.T)[data["g"]]
        eta = intercept + slope * data["x"] + u[:, 0] + (u[:, 1] * data["x"] if task.slopes else 0.0)
        response = (
            dist.Poisson(jnp.exp(eta)) if task.family == "poisson" else dist.Binomial(data["n"], logits=eta)
        )
        numpyro.sample("y", response, obs=data["y"])

    def sampled(key: Any) -> Any:
        mcmc = MCMC(
            NUTS(model),
            num_warmup=WARMUP,
            num_samples=DRAWS,
            num_chains=CHAINS,
            chain_method="vectorized",
            progress_bar=False,
        )
        mcmc.run(key)
        return mcmc.get_samples(group_by_chain=True)

    compiled = jax.jit(sampled).lower(jax.random.PRNGKey(0)).compile()

    def run(seed: int) -> list[Any]:
        draws = jax.block_until_ready(compiled(jax.random.PRNGKey(seed)))
        found = [draws["b[Intercept]"], draws["b[x]"], *np.moveaxis(np.asarray(draws["sd"]), -1, 0)]
        return [*found, draws["root"][:, :, 1, 0]] if task.slopes else found

    return run


def rates(title: str, run: Run, seed: int) -> tuple[float, float]:
    """Least bulk ESS of the scalars per second of the wall and of the processor."""
    wall, processor = time.perf_counter(), time.process_time()
    draws = run(seed)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    ess = min(estimate(np.asarray(values), 0.95).ess_bulk or float("nan") for values in draws)
    print(f"  {title}: {wall:.2f} s, {processor:.2f} of the processor, least bulk ESS {ess:.0f}", flush=True)
    return ess / wall, ess / processor


def main(rounds: int, families: list[str]) -> None:
    """Measure and print."""
    print(f"{CHAINS} chains of {WARMUP} + {DRAWS}, JAX {jax.__version__}, {os.cpu_count()} cores")
    for task in TASKS:
        if families and task.family not in families:
            continue
        peer, own = textbook(task), ours(task)
        print(f"{task.title}, load {os.getloadavg()[0]:.1f}", flush=True)
        peer(0), own(0)  # these compile
        measured = np.array(
            [[rates("textbook", peer, seed), rates("ranef", own, seed)] for seed in range(1, rounds + 1)]
        )
        for which, clock in enumerate(("wall", "processor")):
            ratios = measured[:, 1, which] / measured[:, 0, which]
            theirs, our = np.median(measured[:, :, which], axis=0)
            print(f"  by the {clock}: {our:.0f} ESS/s, {np.median(ratios):.1f} times the textbook's {theirs:.0f}"
                  f" ({ratios.min():.1f} to {ratios.max():.1f})", flush=True)  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3, sys.argv[2:])
