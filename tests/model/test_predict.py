"""The identities of predictions: what they must equal, whatever the posterior."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from model.encoding import encode
from model.errors import InvalidModel
from model.posterior import Posterior
from model.predict import predict, predicted_draws
from model.summary import explained_variance, groups, scalars, summarize
from model.table import Table
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
    assert plain["mean"] == predict(post, rows(g=["new", None, "newer"]), group_effects="none")["mean"]
    assert plain["mean"] == predict(post, rows(g=["new", "new", "new"]), new_levels="population")["mean"]


def test_one_row_equals_the_same_row_among_others() -> None:
    post = posterior()
    together = predict(post, rows(g=["g1", "new", "g1"]), new_levels="sample")
    alone = predict(post, rows().take(np.array([2])), new_levels="sample")
    assert alone["mean"][0] == pytest.approx(together["mean"][2], rel=1e-12)
    new = Table.from_columns({"x": [1.0], "w": [0.0], "off": [0.0], "g": ["new"]})
    assert predict(post, new, new_levels="sample")["mean"][0] == pytest.approx(together["mean"][1], rel=1e-12)


def test_rows_of_a_new_level_share_its_effects_and_nulls_do_not() -> None:
    post = posterior()
    same = {"x": [1.0, 1.0], "w": [0.0, 0.0], "off": [0.0, 0.0]}
    shared = predict(
        post, Table.from_columns({**same, "g": ["new", "new"]}), new_levels="sample", returns="draws"
    )
    assert shared["draws"][0] == shared["draws"][1]
    apart = predict(
        post, Table.from_columns({**same, "g": ["new", "other"]}), new_levels="sample", returns="draws"
    )
    assert apart["draws"][0] == shared["draws"][0]
    assert apart["draws"][0] != apart["draws"][1]
    one = Table.from_columns(
        {"x": [1.0, 1.0, 1.0], "w": [0.0] * 3, "off": [0.0] * 3, "g": ["g1", None, None]}
    )
    nulls = predict(post, one, new_levels="sample", returns="draws")["draws"]
    assert nulls[1] != nulls[2]


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
    draws = np.array(predict(post, rows(), returns="draws")["draws"])
    answer = predict(post, rows(), prob=0.5)
    inside = (draws >= np.array(answer["lower"])[:, None]) & (draws <= np.array(answer["upper"])[:, None])
    np.testing.assert_allclose(inside.mean(axis=1), 0.5, atol=0.01)
    np.testing.assert_allclose(answer["mean"], draws.mean(axis=1))


def test_storage_keeps_a_posterior_whole() -> None:
    post = posterior()
    again = Posterior.from_parts(*post.to_parts())
    assert predict(again, rows())["mean"] == predict(post, rows())["mean"]
    assert summarize(again, 0.9) == summarize(post, 0.9)
    np.testing.assert_array_equal(again.deviations("g", [3]), post.deviations("g", [3]))


def test_a_page_of_levels_is_part_of_the_whole() -> None:
    post = posterior()
    everything, total = groups(post, "g", limit=100)
    assert total == len(everything) == 12
    page, _ = groups(post, "g", offset=5, limit=3)
    assert page == everything[5:8]
    found, count = groups(post, "g", search="G3", coefficient="x")
    assert (count, found[0]["level"], found[0]["coefficient"]) == (1, "g3", "x")
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
