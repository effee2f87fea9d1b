"""Which models are calibrated by which method, with how many simulations; `make slow` runs them all.

`python -m tests.calibration.campaigns NAME` runs one campaign and prints its table in Markdown.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version

from tests.calibration.models import COLLAPSED, FAR, MANY_LEVELS, NUTS
from tests.calibration.sbc import Model, Ranks, calibrate


@dataclass(frozen=True, slots=True)
class Campaign:
    """The models that a method is calibrated on."""

    method: str
    models: Mapping[str, Model]
    simulations: int
    seed: int

    def run(self, name: str) -> Ranks:
        """Calibrate the method on one of the models."""
        return calibrate(self.models[name], self.method, self.simulations, self.seed)


CAMPAIGNS = {
    "collapsed": Campaign("collapsed", COLLAPSED, simulations=1000, seed=2018),
    "far": Campaign("collapsed", FAR, simulations=300, seed=2026),
    "levels": Campaign("collapsed", MANY_LEVELS, simulations=300, seed=2018),
    "nuts": Campaign("nuts", NUTS, simulations=200, seed=2024),
}


def table(which: str) -> str:
    """Run a campaign; a Markdown table with the p-value of every quantity of every model."""
    campaign = CAMPAIGNS[which]
    packages = ", ".join(f"{package} {version(package)}" for package in ("numpy", "scipy", "jax"))
    lines = [
        f"Method `{campaign.method}`, {campaign.simulations} simulations of each model, seed {campaign.seed}; "
        f"{packages}; {time.strftime('%Y-%m-%d', time.gmtime())}.",
        "",
        "| model | formula | priors | chi-square p-values of the ranks | left to NUTS | interpolated | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    every: list[float] = []
    for name, model in campaign.models.items():
        started = time.perf_counter()
        ranks = campaign.run(name)
        p_values = ranks.p_values()
        every += p_values.values()
        priors = ", ".join(f"{on} {prior}" for on, prior in model.priors.items())
        listed = ", ".join(f"{quantity} {p:.3f}" for quantity, p in p_values.items())
        formula = model.formula.replace("|", "\\|")
        seconds = time.perf_counter() - started
        lines.append(
            f"| {name} | `{formula}` | {priors} | {listed} | {ranks.fallbacks} | {ranks.interpolated} | {seconds:.0f} |"
        )
        sys.stderr.write(lines[-1] + "\n")
    below = sum(p < 0.05 for p in every)
    lines += ["", f"Of {len(every)} p-values the smallest is {min(every):.4f}; {below} are below 0.05."]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(table(sys.argv[1]) + "\n")
