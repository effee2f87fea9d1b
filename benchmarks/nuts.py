"""Generalized linear mixed models by NUTS: least bulk ESS per second against a textbook NumPyro program, as a ratio.

Run it with `python -m benchmarks.nuts [ROUNDS]`. The peer is the same model with the same priors, non-centred, its four
chains vectorized and compiled as one program beforehand; both make 1000 + 1000 transitions per chain, in turn.
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

from model.estimate import estimate
from model.priors import PriorStatement
from model.spec import FitSpec, SamplerSettings, prepare
from model.summary import scalars
from model.table import Table
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


def ours(task: Task, warmup: int) -> Callable[[int], tuple[float, float]]:
    """Seconds of sampling (with the penalized fit, without compilation) and least ESS, by seed."""
    right = "x + (1 + x | g)" if task.slopes else "x + (1 | g)"
    left = "y | trials(n)" if task.family == "binomial" else "y"
    sampler = SamplerSettings(method="nuts", chains=CHAINS, warmup=warmup, draws=DRAWS)
    priors = PRIORS if task.slopes else PRIORS[:-1]
    table = Table.from_columns(task.columns())
    plan = prepare(
        FitSpec(f"{left} ~ {right}", table, task.family, None, priors, center=False, sampler=sampler)
    )

    def run(seed: int) -> tuple[float, float]:
        result = fit(replace(plan, seed=seed), Silent())
        draws = scalars(result.posterior).values()
        return result.timing["prepare"] + result.timing["sample"], min(_ess(values) for values in draws)

    return run


def textbook(task: Task) -> Callable[[int], tuple[float, float]]:
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

    def run(seed: int) -> tuple[float, float]:
        started = time.perf_counter()
        draws = jax.block_until_ready(compiled(jax.random.PRNGKey(seed)))
        seconds = time.perf_counter() - started
        scalar = [draws["b[Intercept]"], draws["b[x]"], *np.moveaxis(np.asarray(draws["sd"]), -1, 0)]
        if task.slopes:
            scalar.append(draws["root"][:, :, 1, 0])
        return seconds, min(_ess(np.asarray(values)) for values in scalar)

    return run


def _ess(draws: Any) -> float:
    return estimate(draws, 0.95).ess_bulk or float("nan")


def main(rounds: int = 3) -> None:
    """Measure and print."""
    print(f"{CHAINS} chains of {WARMUP} + {DRAWS}, JAX {jax.__version__}")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for task in TASKS:
        contenders = {
            "textbook": textbook(task),
            "ranef": ours(task, WARMUP),
            "ranef, warm-up of 300": ours(task, 300),
        }
        rates: dict[str, list[float]] = {name: [] for name in contenders}
        print(task.title)
        for seed in range(rounds + 1):
            for name, run in contenders.items():
                seconds, ess = run(seed)
                if seed:  # the first round compiles
                    rates[name].append(ess / seconds)
                    print(f"  {name}: {seconds:.2f} s, least bulk ESS {ess:.0f}")
        for name in list(contenders)[1:]:
            ratios = np.array(rates[name]) / np.array(rates["textbook"])
            print(f"  {name}: {np.median(rates[name]):.0f} ESS/s, {np.median(ratios):.1f} times the textbook's "
                  f"{np.median(rates['textbook']):.0f} ({ratios.min():.1f} to {ratios.max():.1f})")  # fmt: skip


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
