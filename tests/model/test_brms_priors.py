"""Default priors against those of brms, recorded by `brms_priors/make.R` for data that it simulates."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from model.frame.table import Table
from model.spec import FitSpec, prepare

FOLDER = Path(__file__).parent / "brms_priors"
RECORDED = json.loads((FOLDER / "priors.json").read_text())
# Version 2.19 changed this default and no other; ours are those of 2.23.
CHANGED_SINCE = {("2.18.0", "shape"): "inv_gamma(0.4, 0.3)"}
TEXT = ("g", "h")


def table() -> Table:
    with (FOLDER / "data.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return Table.from_columns(
        {name: [row[name] if name in TEXT else float(row[name]) for row in rows] for name in rows[0]}
    )


def expected(model: dict[str, Any], class_: str) -> str:
    if change := CHANGED_SINCE.get((RECORDED["versions"]["brms"], class_)):
        return change
    stated = {row["class"]: row["prior"] for row in model["priors"]}
    return str(stated.get(class_, ""))


@pytest.mark.parametrize(
    "model", RECORDED["models"], ids=lambda m: f"{m['family']}-{m['link']} {m['formula']}"
)
def test_defaults_are_those_of_brms(model: dict[str, Any]) -> None:
    plan = prepare(FitSpec(model["formula"], table(), family=model["family"], link=model["link"]))
    assert sorted({row.class_ for row in plan.priors}) == sorted(model["classes"])
    ours = {(row.class_, row.coef, row.group): row.prior for row in plan.priors}
    assert ours == {key: expected(model, key[0]) for key in ours}


def test_brms_states_every_prior_for_a_whole_class() -> None:
    stated = [row for model in RECORDED["models"] for row in model["priors"]]
    assert {(row["coef"], row["group"]) for row in stated} == {("", "")}
    assert len(RECORDED["models"]) >= 15
