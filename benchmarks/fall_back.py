"""Where the independence sampler fails: NUTS on the hyperparameters against NUTS on the whole model, as ratios.

Run it with `python -m benchmarks.fall_back [LEVELS:DRAWS …]`. The model has an intercept and five slopes, correlated,
and nothing of them is in the data. Seconds are those of the worker, from the checked request to the summary, compiling
apart; those of the hyperparameters have the walk that failed in them.
"""

import sys
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from benchmarks.peers.ours import Unheard
from benchmarks.peers.turns import conditions
from model.frame.table import Table
from model.spec import FitSpec, SamplerSettings, prepare
from worker.fitting import fit

SLOPES = [f"x{number}" for number in range(1, 6)]
FORMULA = f"y ~ {' + '.join(SLOPES)} + (1 + {' + '.join(SLOPES)} | g)"
ROWS_A_LEVEL = 10
DEFAULT = ("60:1000", "240:200")


@dataclass(frozen=True, slots=True)
class Side:
    """What one side took and gave."""

    method: str
    seconds: float
    compile_seconds: float
    diagnostics: dict[str, Any]

    @property
    def ess_a_second(self) -> float:
        """Least bulk ESS per second."""
        return float(self.diagnostics["ess_bulk_min"]) / self.seconds

    def row(self, levels: int, draws: int) -> str:
        """A row of the table."""
        of = self.diagnostics
        return (
            f"| {levels:,} | 4 x {draws:,} | {self.method} | {self.compile_seconds:.1f} | {self.seconds:.2f} "
            f"| {of['ess_bulk_min']:.0f} | {self.ess_a_second:.3g} | {of['r_hat_max']:.3f} "
            f"| {of['divergences']} | {of['leapfrog_steps'] / (4 * draws):.0f} |"
        )


def simulated(levels: int) -> Table:
    """Responses and predictors of pure noise."""
    source = np.random.default_rng(0)
    rows = levels * ROWS_A_LEVEL
    columns = {name: source.standard_normal(rows) for name in SLOPES}
    return Table.from_columns(columns | {"y": source.standard_normal(rows), "g": np.arange(rows) % levels})


def side(table: Table, method: Literal["collapsed", "nuts"], draws: int) -> Side:
    """Fit once; what compiling took is told apart."""
    plan = prepare(FitSpec(FORMULA, table, sampler=SamplerSettings(method=method, draws=draws, seed=1)))
    result = fit(plan, Unheard())
    compiled = result.timing["compile"]
    seconds = sum(result.timing.values()) - compiled
    if result.method != method or (method == "collapsed" and "NUTS" not in result.method_reason):
        raise RuntimeError(f"this benchmark is of the fall-back, but: {result.method_reason}")
    return Side(method, seconds, compiled, dict(result.summary["diagnostics"]))


def main() -> None:
    """Measure and print."""
    conditions()
    print(f"{FORMULA}, {ROWS_A_LEVEL} rows a level, default priors")
    print(
        "| levels | draws | method | compile, s | fit, s | least bulk ESS | ESS a second | r_hat | divergences "
        "| leapfrog steps a draw |\n|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|"
    )
    for size in sys.argv[1:] or DEFAULT:
        levels, draws = (int(number) for number in size.split(":"))
        table = simulated(levels)
        theta, whole = side(table, "collapsed", draws), side(table, "nuts", draws)
        print(theta.row(levels, draws))
        print(whole.row(levels, draws))
        print(f"ESS a second: {theta.ess_a_second / whole.ess_a_second:.2g} times as much", flush=True)


if __name__ == "__main__":
    main()
