"""The dry run tells what a fit would be, and keeps nothing."""

import pytest
from fastapi.testclient import TestClient

from model.spec import ASSUMED_COMPILATION
from service.answers.formulas import CostEstimate, FormulaCheck
from store.memory import MemoryStore
from store.records import WorkerState
from tests.service.samples import REQUEST


def test_a_check_describes_the_fit_and_queues_nothing(
    client: TestClient, queued: list[tuple[str, str]]
) -> None:
    answer = client.post(
        "/v1/formulas/check", json={**REQUEST, "priors": [{"class": "b", "prior": "normal(0, 2)"}]}
    )
    assert answer.status_code == 200, answer.text
    check = FormulaCheck.model_validate(answer.json())
    assert (check.formula, check.response, check.rows) == ("y ~ x + (1 + x | g)", "y", 24)
    assert check.population == ["Intercept", "x"]
    assert check.groups is not None
    assert check.groups[0].model_dump() == {
        "factor": "g",
        "levels": 6,
        "coefficients": ["Intercept", "x"],
        "correlated": True,
    }
    assert check.priors is not None
    assert ("b", "normal(0, 2)", "user") in {(row.class_, row.prior, row.source) for row in check.priors}
    assert check.method == "collapsed"
    assert check.equations is not None
    assert "g10 ~ normal(0, 2)" in check.equations.expanded.text
    assert not queued
    assert client.get("/v1/fits").json()["items"] == []


def test_a_check_tells_sampling_from_compiling(client: TestClient, store: MemoryStore) -> None:
    def estimate() -> CostEstimate:
        found = FormulaCheck.model_validate(client.post("/v1/formulas/check", json=REQUEST).json()).estimate
        assert found is not None
        assert found.seconds == found.sampling_seconds + found.compilation_seconds
        return found

    assumed = estimate()
    assert (assumed.compilation, assumed.compilation_seconds) == ("assumed", ASSUMED_COMPILATION["collapsed"])
    assert assumed.sampling_seconds < 0.1
    # Of this method nothing is measured by one that has only compiled the other.
    store.beat(WorkerState("one", warm=True, busy=False, compile_seconds={"nuts": 20.0}), 60.0)
    assert estimate() == assumed
    for name, seconds in (("two", 3.0), ("three", 8.0)):
        store.beat(WorkerState(name, warm=True, busy=False, compile_seconds={"collapsed": seconds}), 60.0)
    measured = estimate()
    assert (measured.compilation, measured.compilation_seconds) == ("measured", 8.0)


def test_without_data_the_formula_alone_is_read(client: TestClient) -> None:
    answer = client.post("/v1/formulas/check", json={"formula": "y~x+(1|g)"})
    check = FormulaCheck.model_validate(answer.json())
    assert (check.formula, check.columns, check.rows) == ("y ~ x + (1 | g)", ["g", "x", "y"], None)


@pytest.mark.parametrize("formula", ["", "y", "y ~ ", "y ~ x)", "y ~ os.system('id')", "y ~ x > 0", "~ x"])
def test_a_bad_formula_is_shown_where(client: TestClient, formula: str) -> None:
    answer = client.post("/v1/formulas/check", json={"formula": formula})
    assert answer.status_code == 422
    error = answer.json()["errors"][0]
    assert error["pointer"] == "/formula"
    assert isinstance(error["position"], int)


def test_a_check_has_no_metadata(client: TestClient) -> None:
    answer = client.post("/v1/formulas/check", json={**REQUEST, "metadata": {}})
    assert answer.json()["errors"][0]["pointer"] == "/metadata"
