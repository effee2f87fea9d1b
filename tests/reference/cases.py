"""The reference cases: data with posteriors by independent software, and the rule by which a fit of ours is right."""

import csv
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arviz_stats.base.array import array_stats as az

from model.frame.table import Table
from model.priors import PriorStatement
from model.results.posterior import Posterior
from model.results.summary import scalars
from model.spec import FitSpec, SamplerSettings

ROOT = Path(__file__).parent.parent.parent
FOLDER = Path(os.environ.get("REFERENCE_DIR") or ROOT.parent / "shared" / "reference")
MAX_SD_RATIO = 0.07


@dataclass(frozen=True)
class Case:
    """One data set with its model and its reference posterior."""

    name: str
    facts: dict[str, Any]
    columns: dict[str, list[Any]]

    @property
    def priors(self) -> tuple[PriorStatement, ...]:
        """The priors of the reference, in our words."""
        return tuple(
            _statement(row["param"], f"{row['dist']}({', '.join(map(str, row['args']))})")
            for row in self.facts["priors"]
        )

    @property
    def center(self) -> bool:
        """Whether the prior on the intercept is at the means of the predictors."""
        return bool(self.facts["intercept_prior_kind"] == "centred")

    def spec(self, method: str = "auto", draws: int = 2000) -> FitSpec:
        """The fit that the reference describes, with as many draws as the rule asks for."""
        return FitSpec(
            self.facts["formula"],
            Table.from_columns(self.columns),
            family=self.facts["family"],
            link=self.facts["link"],
            priors=self.priors,
            center=self.center,
            sampler=SamplerSettings(method=method, draws=draws, seed=20261123),  # type: ignore[arg-type]
        )

    def request(self, draws: int = 2000) -> dict[str, Any]:
        """The same as a body for `POST /v1/fits`."""
        priors = [
            {"class": row.class_, "coef": row.coef, "group": row.group, "prior": row.prior}
            for row in self.priors
        ]
        return {
            "formula": self.facts["formula"],
            "family": {"name": self.facts["family"], "link": self.facts["link"]},
            "data": {"columns": self.columns},
            "priors": [{key: value for key, value in row.items() if value is not None} for row in priors],
            "center": self.center,
            "sampler": {"draws": draws, "seed": 20261123},
        }


def load(name: str) -> Case:
    """Read a case; skips the test where the folder of references is not at hand."""
    folder = FOLDER / name
    if not folder.is_dir():
        pytest.skip(f"no reference data at {folder}; REFERENCE_DIR names their folder")
    facts = json.loads((folder / "case.json").read_text())
    with (folder / "data.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {}
    for column in rows[0]:
        categorical = "categorical" in facts["column_types"].get(column, "")
        columns[column] = [row[column] if categorical else _number(row[column]) for row in rows]
    return Case(name, facts, columns)


def wrong_parameters(posterior: Posterior, case: Case) -> list[str]:
    """What the rule calls wrong: |mean - reference| <= 4 sqrt(mcse^2 + mcse_ref^2) + 0.01 sd, and the sd within 7%."""
    found = []
    for name, draws in scalars(posterior).items():
        reference = case.facts["reference"]["parameters"][name]
        found += compare(name, draws, reference)
    return found


def compare(name: str, draws: np.ndarray[Any, Any], reference: dict[str, float]) -> list[str]:
    """Hold the draws (chain, draw) of one quantity against its reference."""
    mean, sd = float(draws.mean()), float(draws.std(ddof=1))
    ess = float(az.ess((draws - mean) / sd, chain_axis=0, draw_axis=1, method="mean"))
    return compare_moments(name, mean, sd, sd / ess**0.5, reference)


def compare_moments(name: str, mean: float, sd: float, mcse: float, reference: dict[str, float]) -> list[str]:
    """Hold a mean, an sd and a Monte Carlo error against a reference."""
    found = []
    tolerance = 4 * float(np.hypot(mcse, reference["mcse_mean"])) + 0.01 * reference["sd"]
    if not abs(mean - reference["mean"]) <= tolerance:
        found.append(f"{name}: mean {mean:.5g}, reference {reference['mean']:.5g}, tolerance {tolerance:.2g}")
    if not abs(sd / reference["sd"] - 1) <= MAX_SD_RATIO:
        found.append(f"{name}: sd {sd:.5g}, reference {reference['sd']:.5g}")
    return found


def _statement(parameter: str, prior: str) -> PriorStatement:
    match = re.fullmatch(r"(\w+)(?:\[(.*?)\])?(?:\[(.*)\])?", parameter)
    assert match
    kind, first, second = match.groups()
    if kind == "b":
        return (
            PriorStatement(prior, "Intercept") if first == "Intercept" else PriorStatement(prior, "b", first)
        )
    if kind == "sd":
        return PriorStatement(prior, "sd", second, first)
    return PriorStatement(prior, kind, None, first)


def _number(text: str) -> float | int | None:
    if text == "":
        return None
    return int(text) if re.fullmatch(r"-?\d+", text) else float(text)
