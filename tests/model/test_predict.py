"""The identities of predictions: what they must equal, whatever the posterior."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from model.errors import InvalidModel
from model.frame.design import Float
from model.frame.encoding import encode
from model.frame.table import Table
from model.predictions.predict import predict, predicted_draws
from model.results.pages import estimate_entries, find_entries
from model.results.posterior import Posterior
from model.results.summary import explained_variance, scalars, summarize
from tests.worker.models import plan
from tests.worker.silent import Silent
from worker.fitting import fit

FORMULA = "y ~ x + w + offset(off) + (1 + x | g)"


@cache
def posterior() -> Posterior:
    return fit(plan(FORMULA, sampler={"draws": 500}), Silent()).posterior


def rows(**changes: Any) -> Table:
    data: dict[str, Any] = {
        "x": [0.5, 1.0, 0.5],
        "w": [0.0, 0.0, 1.0],
        "off": [0.0, 0.0, 2.0],
        "g": ["g1", "g2", "g1"],
    }
    return Table.from_columns(data | changes)


def draws_of(table: Table, **options: Any) -> Float:
    """Draws (chain, draw, row)."""
    post = posterior()
    return predicted_draws(post, encode(post.encoding, table, response=False), **options)


def test_the_training_rows_are_x_beta_plus_z_u() -> None:
    post, made = posterior(), plan(FORMULA)
    design = made.design()
    draws = predicted_draws(post, encode(post.encoding, made.table, response=False), kind="linpred")
    u = post.deviations("g", range(6))
    factor = design.factors[0]
    expected = post.population @ design.x.T + design.offset
    expected = expected + np.einsum("cdrk,rk->cdr", u[:, :, factor.index], factor.z)
    np.testing.assert_allclose(draws, expected, rtol=1e-10)


def test_responses_scatter_around_the_expected_value_by_sigma() -> None:
    post = posterior()
    design = encode(post.encoding, rows(), response=False)
    expected, drawn = (predicted_draws(post, design, kind=kind) for kind in ("epred", "predict"))  # type: ignore[arg-type]
    noise = (drawn - expected) / post.parameters["sigma"][:, :, None]
    assert abs(noise.mean()) < 4 / np.sqrt(noise.size)
    assert noise.std() == pytest.approx(1.0, abs=0.05)


def test_without_group_effects_the_group_does_not_matter() -> None:
    post = posterior()
    plain = predict(post, rows(), group_effects="none")
    for other in (
        predict(post, rows(g=["new", None, "newer"]), group_effects="none"),
        predict(post, rows(g=["new", "new", "new"]), new_levels="population"),
    ):
        np.testing.assert_array_equal(plain["mean"], other["mean"])


def test_one_row_equals_the_same_row_among_others() -> None:
    post = posterior()
    together = predict(post, rows(g=["g1", "new", "g1"]), new_levels="sample")
    alone = predict(post, rows().take(np.array([2])), new_levels="sample")
    assert alone["mean"][0] == pytest.approx(together["mean"][2], rel=1e-12)
    new = Table.from_columns({"x": [1.0], "w": [0.0], "off": [0.0], "g": ["new"]})
    assert predict(post, new, new_levels="sample")["mean"][0] == pytest.approx(together["mean"][1], rel=1e-12)


def test_rows_of_a_new_level_share_its_effects_and_nulls_do_not() -> None:
    same = {"x": [1.0, 1.0], "w": [0.0, 0.0], "off": [0.0, 0.0]}
    shared = draws_of(Table.from_columns({**same, "g": ["new", "new"]}), new_levels="sample")
    np.testing.assert_array_equal(shared[:, :, 0], shared[:, :, 1])
    apart = draws_of(Table.from_columns({**same, "g": ["new", "other"]}), new_levels="sample")
    np.testing.assert_array_equal(apart[:, :, 0], shared[:, :, 0])
    assert not np.allclose(apart[:, :, 0], apart[:, :, 1])
    one = {"x": [1.0, 1.0, 1.0], "w": [0.0] * 3, "off": [0.0] * 3, "g": ["g1", None, None]}
    nulls = draws_of(Table.from_columns(one), new_levels="sample")
    assert not np.allclose(nulls[:, :, 1], nulls[:, :, 2])


def test_an_unseen_level_is_refused_with_its_name() -> None:
    with pytest.raises(InvalidModel) as error:
        predict(posterior(), rows(g=["g1", "surprise", None]))
    (issue,) = error.value.issues
    assert (issue.code, issue.column) == ("unknown-level", "g")
    assert "surprise" in issue.message
    assert "null" in issue.message


def test_an_unknown_term_is_refused() -> None:
    with pytest.raises(InvalidModel, match="no group-level effects of h"):
        predict(posterior(), rows(), group_effects=["h"])


def test_intervals_hold_their_share_of_the_draws() -> None:
    post = posterior()
    draws = draws_of(rows()).reshape(-1, 3).T
    answer = predict(post, rows(), prob=0.5)
    inside = (draws >= np.array(answer["lower"])[:, None]) & (draws <= np.array(answer["upper"])[:, None])
    np.testing.assert_allclose(inside.mean(axis=1), 0.5, atol=0.01)
    np.testing.assert_allclose(answer["mean"], draws.mean(axis=1))


def test_storage_keeps_a_posterior_whole() -> None:
    post = posterior()
    again = Posterior.from_parts(*post.to_parts())
    np.testing.assert_allclose(predict(again, rows())["mean"], predict(post, rows())["mean"], rtol=1e-12)
    assert summarize(again, 0.9) == summarize(post, 0.9)
    np.testing.assert_allclose(again.deviations("g", [3]), post.deviations("g", [3]), rtol=1e-9)


def test_a_page_of_levels_is_part_of_the_whole() -> None:
    post = posterior()
    entries = find_entries(post, "g")
    everything = estimate_entries(post, entries, 0, 100, 0.95)
    assert len(entries) == len(everything) == 12
    assert estimate_entries(post, entries, 5, 3, 0.95) == everything[5:8]
    found = estimate_entries(post, find_entries(post, "g", search="G3", coefficient="x"), 0, 100, 0.95)
    assert [(item["level"], item["coefficient"]) for item in found] == [("g3", "x")]
    item = next(row for row in everything if row["level"] == "g3" and row["coefficient"] == "x")
    b = post.population[:, :, post.encoding.coefficients.index("x")].mean()
    assert item["value"]["mean"] == pytest.approx(item["deviation"]["mean"] + b)


def test_explained_variance_of_known_parts() -> None:
    post = posterior()
    zero = replace(post, population=np.zeros_like(post.population))
    explained = explained_variance(zero)
    assert explained is not None
    marginal, conditional, icc = explained
    assert np.all(marginal == 0)
    np.testing.assert_allclose(conditional, icc["g"])
    design = plan(FORMULA).design()
    phi = post.factors["g"].covariance[0, 0]
    share = np.mean([z @ phi @ z for z in design.factors[0].z])
    assert icc["g"][0, 0] == pytest.approx(share / (share + post.parameters["sigma"][0, 0] ** 2))


def test_the_names_of_all_scalars() -> None:
    assert list(scalars(posterior())) == [
        "b[Intercept]", "b[x]", "b[w]", "sd[g][Intercept]", "sd[g][x]", "cor[g][Intercept,x]", "sigma",
    ]  # fmt: skip
