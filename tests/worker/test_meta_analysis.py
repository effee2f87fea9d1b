"""Known standard errors: a meta-analysis, and new studies of a known size."""

import numpy as np
import pytest

from model.errors import InvalidModel
from model.frame.table import Table
from model.predictions.predict import predict
from model.results.posterior import Posterior
from model.spec import FitSpec, SamplerSettings, prepare
from tests.worker.silent import Silent
from worker.fitting import fit

EIGHT = {
    "y": [28.0, 8.2, -3.1, 6.5, -0.6, 1.2, 18.9, 12.0],
    "s": [15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0],
    "study": [f"s{i}" for i in range(8)],
}
NEW = {"study": ["s0", "s0", "new"], "s": [1.0, 30.0, 5.0]}


@pytest.fixture(scope="module")
def posterior() -> Posterior:
    sampler = SamplerSettings(draws=4000, seed=3)
    plan = prepare(FitSpec("y | se(s) ~ 1 + (1 | study)", Table.from_columns(EIGHT), sampler=sampler))
    assert not plan.warnings
    return fit(plan, Silent()).posterior


def test_new_responses_scatter_by_their_standard_errors(posterior: Posterior) -> None:
    table = Table.from_columns(NEW)
    expected = predict(posterior, table, kind="epred", new_levels="sample")
    new = predict(posterior, table, kind="predict", new_levels="sample")
    np.testing.assert_allclose(new["sd"], np.hypot(expected["sd"], NEW["s"]), rtol=0.05)
    np.testing.assert_allclose(new["mean"], expected["mean"], atol=1.0)


def test_expected_values_need_none(posterior: Posterior) -> None:
    table = Table.from_columns({"study": ["s0"]})
    assert np.isfinite(predict(posterior, table)["mean"]).all()


def test_new_responses_without_standard_errors_are_refused_by_the_column_s_name(posterior: Posterior) -> None:
    with pytest.raises(InvalidModel) as error:
        predict(posterior, Table.from_columns({"study": ["s0"]}), kind="predict")
    (issue,) = error.value.issues
    assert "se(s)" in issue.message
    assert "need 's' too" in issue.message


def test_a_standard_error_of_zero_is_refused(posterior: Posterior) -> None:
    with pytest.raises(InvalidModel) as error:
        predict(posterior, Table.from_columns({"study": ["s0"], "s": [0.0]}), kind="predict")
    assert error.value.issues[0].column == "s"
