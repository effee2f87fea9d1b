"""Pictures of a finished fit: which there are, what they show, and that no name in them does any harm."""

import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response

from model.results.posterior import Posterior
from model.results.ranks import rank_histogram
from service.answers.common import Problem
from service.answers.plots import Plots
from service.plots import (
    caterpillar,
    effect,
    intervals,
    limits,
    lines,
    predictive,
    prior_posterior,
    rank,
    style,
    trace,
)
from service.plots.sheet import Sheet, Size
from service.plots.subject import Subject
from service.plots.text import legible, legible_all, wrapped
from service.problems import Refusal
from store.memory import MemoryStore
from tests.service.samples import COLUMNS

ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"
ALL = [
    "intervals",
    "caterpillar",
    "group-lines",
    "conditional-effect",
    "prior-posterior",
    "trace",
    "rank",
    "ppc",
]
OF_RESPONSES = ("group-lines", "conditional-effect", "prior-posterior", "ppc")
SIZE = Size(720)


@pytest.fixture
def subject(app: FastAPI, store: MemoryStore, finished: str) -> Subject:
    record = store.get(finished)
    assert record is not None
    return Subject(app.state.services, record)


@pytest.fixture
def fitted(client: TestClient, finish: Callable[..., Posterior]) -> Callable[..., str]:
    """Fit something else."""

    def run(formula: str, columns: dict[str, list[Any]], **rest: Any) -> str:
        body = {"formula": formula, "data": {"columns": columns}, **rest}
        answer = client.post("/v1/fits", json=body)
        assert answer.status_code == 202, answer.text
        finish(answer.json()["id"])
        return str(answer.json()["id"])

    return run


@pytest.fixture
def styled() -> Iterator[None]:
    with style.house_style():
        yield


def texts(answer: Response) -> list[str]:
    """What an SVG says, in elements of text."""
    assert answer.status_code == 200, answer.text
    root = ElementTree.fromstring(answer.content)
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def drawn(sheet: Sheet, gid: str) -> list[Any]:
    """The lines of a picture that are marked so, in order."""
    return [
        line for row in sheet.panels for axes in row for line in axes.get_lines() if line.get_gid() == gid
    ]


def test_a_fit_leads_to_its_plots(client: TestClient, finished: str) -> None:
    address = client.get(f"/v1/fits/{finished}").json()["links"]["plots"]
    listed = Plots.model_validate(client.get(address).json())
    assert [item.name for item in listed.items] == ALL
    assert listed.items[2].choices == {"factor": ["g"], "variable": ["x"]}
    assert listed.items[0].links["png"] == f"/v1/fits/{finished}/plots/intervals.png"


@pytest.mark.parametrize("name", ALL)
def test_an_svg_is_text_that_says_what_it_shows(client: TestClient, finished: str, name: str) -> None:
    answer = client.get(f"/v1/fits/{finished}/plots/{name}.svg")
    assert answer.headers["Content-Type"] == "image/svg+xml"
    root = ElementTree.fromstring(answer.content)
    assert root.get("role") == "img"
    title, description = (root.find(f"{SVG}{tag}") for tag in ("title", "desc"))
    assert title is not None
    assert description is not None
    assert root.get("aria-labelledby", "").split() == [title.get("id"), description.get("id")]
    assert title.text in " ".join(texts(answer))
    assert len(description.text or "") > 40
    assert "y ~ x + (1 + x | g)" in texts(answer)
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    again = client.get(f"/v1/fits/{finished}/plots/{name}.svg")
    assert (again.content, again.headers["ETag"]) == (answer.content, answer.headers["ETag"])


@pytest.mark.parametrize("name", ALL)
def test_a_png_is_the_same_plot_and_is_kept_by_its_tag(client: TestClient, finished: str, name: str) -> None:
    address = f"/v1/fits/{finished}/plots/{name}.png?scale=1"
    first = client.get(address)
    assert first.headers["Content-Type"] == "image/png"
    assert first.content.startswith(b"\x89PNG\r\n\x1a\n")
    kept = client.get(address, headers={"If-None-Match": first.headers["ETag"]})
    assert (kept.status_code, kept.content) == (304, b"")
    assert client.get(address).content == first.content


def test_the_bytes_do_not_depend_on_the_process() -> None:
    code = (
        "import hashlib\n"
        "from service.plots import style\n"
        "from service.plots.files import svg\n"
        "from service.plots.sheet import *\n"
        "with style.house_style():\n"
        "    sheet = Sheet(Size(400), Heading('t', 'f', 'n', 'd'), Grid([80.0], [40.0]), [Mark('a', style.BLUE)])\n"
        "    sheet.panels[0][0].fill_between([1, 2], [3, 4])\n"
        "    print(hashlib.sha256(svg(sheet)).hexdigest())\n"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "SOURCE_DATE_EPOCH": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_many_plots_at_once_are_as_one_after_the_other(client: TestClient, finished: str) -> None:
    addresses = [
        f"/v1/fits/{finished}/plots/{name}" for name in ("trace.svg", "rank.png", "ppc.svg", "intervals.png")
    ]
    alone = [client.get(address).content for address in addresses]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda address: client.get(address).content, addresses))
    assert together == alone


def test_the_service_starts_without_matplotlib() -> None:
    code = "import service.app, sys; print('matplotlib' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("query", "dots"), [("", (1440, None)), ("?width=500&height=900&scale=3", (1500, 2700))]
)
def test_a_png_has_the_dots_that_were_asked_for(
    client: TestClient, finished: str, query: str, dots: tuple[int, int | None]
) -> None:
    content = client.get(f"/v1/fits/{finished}/plots/trace.png{query}").content
    width, height = struct.unpack(">II", content[16:24])
    assert (width, height if dots[1] else None) == dots


def test_every_cap_on_a_plot_is_stated(client: TestClient) -> None:
    stated = client.get("/v1/limits").json()["limits"]
    caps = {name: value for name, value in vars(limits).items() if name.isupper()}
    assert {f"plot_{name.lower()}": value for name, value in caps.items()}.items() <= stated.items()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nonsense.svg", "intervals, caterpillar"),
        ("intervals", "intervals, caterpillar"),
        ("intervals.pdf", ".svg or a .png"),
        ("nonsense.pdf", "intervals, caterpillar"),
    ],
)
def test_an_unknown_plot_is_answered_with_those_there_are(
    client: TestClient, finished: str, path: str, message: str
) -> None:
    answer = client.get(f"/v1/fits/{finished}/plots/{path}")
    problem = Problem.model_validate(answer.json())
    assert (answer.status_code, problem.type) == (404, "/problems/plot-not-found")
    assert message in problem.detail


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("intervals.svg?width=319", "width"),
        ("intervals.svg?width=1e3", "width"),
        ("intervals.svg?height=4001", "height"),
        ("intervals.svg?height=150", "needs at least"),
        ("intervals.svg?scale=1", "scale"),
        ("intervals.png?scale=5", "scale"),
        ("intervals.png?width=2000&height=2001&scale=2", "scale"),
        ("trace.svg?prob=0.9", "prob"),
        ("intervals.svg?prob=1", "prob"),
        ("intervals.svg?width=700&width=800", "width"),
        ("caterpillar.svg?factor=x", "factor"),
        ("caterpillar.svg?coefficient=z", "Intercept, x"),
        ("caterpillar.svg?limit=201", "limit"),
        ("group-lines.svg?variable=z", "variable"),
        ("conditional-effect.svg?variable=g", "no predictor 'g'"),
        ("conditional-effect.svg?by=x", "varies already"),
        ("conditional-effect.svg?at=x", "equals sign"),
        ("conditional-effect.svg?level=g=nobody", "no level 'nobody'"),
        ("ppc.svg?seed=-1", "seed"),
    ],
)
def test_a_wrong_parameter_is_named(client: TestClient, finished: str, path: str, words: str) -> None:
    answer = client.get(f"/v1/fits/{finished}/plots/{path}")
    assert answer.status_code == 422, answer.text
    assert words in answer.text


def test_all_that_is_wrong_is_said_at_once(client: TestClient, finished: str) -> None:
    answer = client.get(f"/v1/fits/{finished}/plots/trace.svg?width=1&height=1&colour=red")
    assert answer.json()["errors_total"] == 3


@pytest.mark.parametrize("name", ["intervals", "prior-posterior", "trace", "rank"])
def test_parameters_are_chosen_by_name_and_unknown_ones_refused(
    client: TestClient, finished: str, name: str
) -> None:
    address = f"/v1/fits/{finished}/plots/{name}.svg"
    said = texts(client.get(address, params={"parameters": ["sd", "sigma"]}))
    assert "sigma" in said
    assert not any("b[" in text for text in said)
    answer = client.get(address, params={"parameters": "sd[h]"})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/unknown-parameter")


def test_levels_can_be_traced_but_not_too_many(client: TestClient, fitted: Callable[..., str]) -> None:
    fit_id = fitted("y ~ x + (1 + x | g)", COLUMNS | {"g": [f"g{i % 13}" for i in range(24)]})
    address = f"/v1/fits/{fit_id}/plots/trace.svg"
    assert "u[g][g3][x]" in texts(client.get(address, params={"parameters": "u[g][g3]"}))
    answer = client.get(address, params={"parameters": "u[g]"})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/limit-exceeded")
    assert "at most 24" in answer.json()["detail"]


def test_a_fit_without_groups_has_no_plots_of_them(client: TestClient, fitted: Callable[..., str]) -> None:
    fit_id = fitted("y ~ x", COLUMNS)
    names = [item["name"] for item in client.get(f"/v1/fits/{fit_id}/plots").json()["items"]]
    assert names == [name for name in ALL if name not in ("caterpillar", "group-lines")]
    assert client.get(f"/v1/fits/{fit_id}/plots/intervals.svg").status_code == 200
    answer = client.get(f"/v1/fits/{fit_id}/plots/caterpillar.svg")
    assert answer.status_code == 404
    assert ", ".join(names) in answer.json()["detail"]


def test_a_fit_without_predictors_has_no_effects(client: TestClient, fitted: Callable[..., str]) -> None:
    fit_id = fitted("y ~ 1 + (1 | g)", COLUMNS)
    names = [item["name"] for item in client.get(f"/v1/fits/{fit_id}/plots").json()["items"]]
    assert names == [name for name in ALL if name not in ("conditional-effect", "group-lines")]


def test_a_cancelled_fit_has_plots_of_its_draws_alone(
    client: TestClient, store: MemoryStore, fit_id: str, finish: Callable[..., Posterior]
) -> None:
    finish(fit_id, publish=store.cancelled)
    names = [item["name"] for item in client.get(f"/v1/fits/{fit_id}/plots").json()["items"]]
    assert names == ["intervals", "caterpillar", "conditional-effect", "trace", "rank"]
    for name in ALL:
        expected = 200 if name in names else 404
        assert client.get(f"/v1/fits/{fit_id}/plots/{name}.svg").status_code == expected


def test_there_is_no_plot_before_the_end(client: TestClient, fit_id: str) -> None:
    for path in ("plots", "plots/intervals.svg", "plots/nonsense.svg"):
        answer = client.get(f"/v1/fits/{fit_id}/{path}")
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/fit-not-finished")


def test_a_client_that_wants_no_picture_gets_none(client: TestClient, finished: str) -> None:
    for accept, path in (("image/png", "intervals.svg"), ("text/html", "rank.png")):
        answer = client.get(f"/v1/fits/{finished}/plots/{path}", headers={"Accept": accept})
        assert answer.status_code == 406


@pytest.mark.usefixtures("styled")
def test_intervals_are_those_of_the_summary(client: TestClient, finished: str, subject: Subject) -> None:
    sheet = intervals.picture(subject, SIZE, parameters=[], prob=0.9)
    summary = client.get(f"/v1/fits/{finished}/summary?prob=0.9").json()
    group = summary["groups"]["g"]
    rows = [*summary["population"], *group["sd"], *group["correlation"], *summary["family_parameters"]]
    means = [x for line in drawn(sheet, "means") for x in line.get_xdata()]
    assert means == [row["mean"] for row in rows]
    segments = [
        segment
        for (axes,) in sheet.panels
        for segment in axes.collections[0].get_segments()  # type: ignore[attr-defined]
    ]
    assert [tuple(segment[:, 0]) for segment in segments] == [(row["lower"], row["upper"]) for row in rows]


@pytest.mark.usefixtures("styled")
def test_a_caterpillar_shows_the_levels_of_the_answer_in_order(
    client: TestClient, finished: str, subject: Subject
) -> None:
    sheet = caterpillar.picture(subject, SIZE, factor="g", coefficient="x", prob=0.8, limit=60)
    query = {"coefficient": "x", "prob": 0.8, "sort": "-deviation"}
    items = client.get(f"/v1/fits/{finished}/groups/g", params=query).json()["items"]
    (line,) = drawn(sheet, "means")
    assert list(line.get_xdata()) == [item["deviation"]["mean"] for item in items]
    labels = [label.get_text() for label in sheet.panels[0][0].get_yticklabels()]
    assert labels == [item["level"] for item in items]


@pytest.mark.usefixtures("styled")
def test_of_many_levels_both_ends_are_shown_and_that_is_said(subject: Subject) -> None:
    whole = caterpillar.picture(subject, SIZE, factor=None, coefficient=None, prob=0.95, limit=60)
    some = caterpillar.picture(subject, SIZE, factor=None, coefficient=None, prob=0.95, limit=3)
    every = list(drawn(whole, "means")[0].get_xdata())
    assert list(drawn(some, "means")[0].get_xdata()) == [*every[:2], every[-1]]
    assert any("3 of 6 levels" in text.get_text() for text in some.figure.texts)


@pytest.mark.usefixtures("styled")
def test_a_conditional_effect_is_that_of_the_answer(
    client: TestClient, finished: str, subject: Subject
) -> None:
    sheet = effect.picture(subject, SIZE, variable=None, by=None, at=[], level=[], prob=0.9)
    answer = client.get(f"/v1/fits/{finished}/effects?variable=x&prob=0.9").json()
    (line,) = drawn(sheet, "mean")
    assert list(line.get_xdata()) == answer["columns"]["x"]
    assert list(line.get_ydata()) == answer["mean"]


def test_the_effects_of_a_level_can_be_added(client: TestClient, finished: str) -> None:
    said = texts(client.get(f"/v1/fits/{finished}/plots/conditional-effect.svg?level=g=g2"))
    assert any("With the group-level effects of g = g2" in text for text in said)


@pytest.mark.parametrize("question", ["variable=place", "variable=x&by=place"])
def test_what_could_not_be_told_apart_is_not_drawn(
    client: TestClient, fitted: Callable[..., str], question: str
) -> None:
    columns = {
        "y": np.random.default_rng(2).normal(size=130).tolist(),
        "x": np.random.default_rng(3).normal(size=130).tolist(),
        "place": [f"p{i % 65}" for i in range(130)],
    }
    fit_id = fitted("y ~ x + place", columns)
    answer = client.get(f"/v1/fits/{fit_id}/plots/conditional-effect.svg?{question}")
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/limit-exceeded")
    assert "place has 65 levels" in answer.json()["detail"]


@pytest.mark.usefixtures("styled")
def test_group_lines_are_predictions(client: TestClient, finished: str, subject: Subject) -> None:
    sheet = lines.picture(subject, SIZE, variable="x", factor="g", prob=0.95, limit=60)
    found = drawn(sheet, "level")
    assert len(found) == 6
    x = [float(v) for v in found[2].get_xdata()]
    own = [COLUMNS["x"][row] for row in range(24) if COLUMNS["g"][row] == "g2"]
    assert (x[0], x[-1]) == (min(own), max(own))
    body = {"data": {"columns": {"x": x, "g": ["g2"] * len(x)}}}
    answer = client.post(f"/v1/fits/{finished}/predictions", json=body).json()
    assert list(found[2].get_ydata()) == pytest.approx(answer["mean"], rel=1e-12)


@pytest.mark.usefixtures("styled")
def test_the_other_pictures_show_the_draws_and_the_rows(subject: Subject) -> None:
    posterior = subject.posterior
    sheet = trace.picture(subject, SIZE, parameters=["sigma"])
    first, second = sheet.panels[0][0].get_lines()
    np.testing.assert_array_equal([first.get_ydata(), second.get_ydata()], posterior.parameters["sigma"])
    sheet = rank.picture(subject, SIZE, parameters=["sigma"])
    bars = [patch.get_data() for patch in sheet.panels[0][0].patches]  # type: ignore[attr-defined]
    heights = np.array([bar.values - bar.baseline for bar in bars])
    np.testing.assert_allclose(heights, rank_histogram(posterior.parameters["sigma"]) / 5 * rank.EXPECTED)
    sheet = prior_posterior.picture(subject, SIZE, parameters=["sigma"])
    density, prior = sheet.panels[0][0].get_lines()
    mean = np.average(np.asarray(density.get_xdata()), weights=np.asarray(density.get_ydata()))
    assert mean == pytest.approx(posterior.parameters["sigma"].mean(), abs=0.02)
    assert np.all(np.asarray(prior.get_ydata()) >= 0)
    sheet = predictive.picture(subject, SIZE, seed=1)
    (observed,) = drawn(sheet, "observed")
    x, y = np.asarray(observed.get_xdata()), np.asarray(observed.get_ydata())
    assert np.average(x, weights=y) == pytest.approx(np.mean(COLUMNS["y"]), abs=0.5)


@pytest.mark.parametrize(
    ("family", "response"),
    [
        ("bernoulli", {"y": [i % 2 for i in range(24)]}),
        ("poisson", {"y": [i % 5 for i in range(24)]}),
        ("student", {}),
    ],
)
def test_every_family_has_its_pictures(
    client: TestClient, fitted: Callable[..., str], family: str, response: dict[str, list[int]]
) -> None:
    fit_id = fitted("y ~ x + (1 | g)", COLUMNS | response, family=family)
    for name in OF_RESPONSES:
        assert client.get(f"/v1/fits/{fit_id}/plots/{name}.svg").status_code == 200


def test_shares_of_trials_and_levels_of_a_predictor_can_be_drawn(
    client: TestClient, fitted: Callable[..., str]
) -> None:
    columns = {
        "s": [i % 4 for i in range(24)],
        "n": [4 + i % 3 for i in range(24)],
        "period": [f"p{i % 3}" for i in range(24)],
        "batch": [f"b{i % 4}" for i in range(24)],
        "cask": [f"c{i % 2}" for i in range(24)],
    }
    fit_id = fitted("s | trials(n) ~ period + (1 | batch/cask)", columns, family="binomial")
    for name in OF_RESPONSES:
        assert client.get(f"/v1/fits/{fit_id}/plots/{name}.svg").status_code == 200
    said = texts(client.get(f"/v1/fits/{fit_id}/plots/group-lines.svg?factor=batch:cask"))
    assert {"p0", "p1", "p2", "s, share of trials"} <= set(said)
    assert any("effects of batch and batch:cask" in text for text in said)


HOSTILE = {
    "<script>alert(1)</script>": [0.5 * i % 3 for i in range(24)],
    '$x_1$ & "y"': [1.5 * i % 2.1 for i in range(24)],
    "年龄": [0.7 * i % 1.9 for i in range(24)],
}


@pytest.mark.filterwarnings("ignore:Glyph:UserWarning")
def test_names_are_text_whatever_they_look_like(client: TestClient, fitted: Callable[..., str]) -> None:
    quoted = [f"`{name}`" for name in HOSTILE]
    levels = [
        ["]]>", "<g onload='x'>", "诊所", "$\\frac{1}{2}$", "bell\u0007\nline"][i % 5] for i in range(24)
    ]
    formula = f"y ~ {' + '.join(quoted)} + (1 | g)"
    fit_id = fitted(formula, {"y": COLUMNS["y"], "g": levels, **HOSTILE})
    for name in ALL:
        for query in ("", "?width=320") if name in ("intervals", "rank") else ("",):
            answer = client.get(f"/v1/fits/{fit_id}/plots/{name}.svg{query}")
            root = ElementTree.fromstring(answer.content)
            tags = {element.tag.removeprefix(SVG) for element in root.iter()}
            assert tags <= {
                "svg",
                "title",
                "desc",
                "defs",
                "style",
                "g",
                "path",
                "text",
                "use",
                "clipPath",
                "rect",
            }
            assert not any(key.lower().startswith("on") for element in root.iter() for key in element.attrib)
    assert client.get(f"/v1/fits/{fit_id}/plots/caterpillar.png").status_code == 200
    said = texts(client.get(f"/v1/fits/{fit_id}/plots/caterpillar.svg"))
    assert {"]]>", "<g onload='x'>", "诊所", "$\\frac{1}{2}$", "bell\ufffd line"} <= set(said)


def test_forty_parameters_with_long_names_can_be_told_apart(
    client: TestClient, fitted: Callable[..., str]
) -> None:
    rng = np.random.default_rng(5)
    names = [f"a_name_that_is_much_longer_than_any_label_{i:02d}_in_millimeters_at_noon" for i in range(40)]
    columns: dict[str, list[Any]] = {name: rng.normal(size=60).tolist() for name in names}
    fit_id = fitted("y ~ " + " + ".join(names), columns | {"y": rng.normal(size=60).tolist()})
    said = texts(client.get(f"/v1/fits/{fit_id}/plots/intervals.svg"))
    labels = [text for text in said if "label" in text and text.startswith("…")]
    assert len(set(labels)) == 40
    said = texts(client.get(f"/v1/fits/{fit_id}/plots/rank.svg"))
    assert len({text for text in said if text.startswith("…")}) == 11
    assert any("The first 12 of 42 parameters" in text for text in said)
    said = texts(client.get(f"/v1/fits/{fit_id}/plots/conditional-effect.svg"))
    assert any("31 more at their means or first levels" in text for text in said)


def test_a_long_text_is_shortened_in_the_middle() -> None:
    assert legible("abcdefghij", 7) == "abc…hij"
    assert legible("a\nb\tc") == "a b c"
    assert legible("a\x00b\ufffe") == "a\ufffdb\ufffd"


def test_labels_differ_where_names_do() -> None:
    names = ["x" * 50 + end + "y" * 50 for end in ("1", "2", "3")]
    assert len(set(legible_all(names, 20))) == 3
    assert legible_all(["a", "b"]) == ["a", "b"]
    assert all(len(label) <= 24 for label in legible_all(names, 20))


def test_lines_break_between_words_and_end_in_an_ellipsis() -> None:
    assert wrapped("one two three", 10, 60) == ["one two", "three"]
    assert len(wrapped("word " * 100, 10, 100, 2)) == 2
    assert wrapped("word " * 100, 10, 100, 2)[1].endswith("…")
    assert all(len(line) < 20 for line in wrapped("x" * 60, 10, 100))


@pytest.mark.usefixtures("styled")
def test_a_height_that_is_too_small_is_refused_with_the_one_that_is_needed(subject: Subject) -> None:
    with pytest.raises(Refusal) as refused:
        intervals.picture(subject, Size(720, 200), parameters=[], prob=0.9)
    needed = int(refused.value.issues[0].message.split("at least ")[1].split()[0])
    assert intervals.picture(subject, Size(720, needed + 1), parameters=[], prob=0.9).height == needed + 1
