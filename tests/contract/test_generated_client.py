"""A client that openapi-python-client generates from the committed document does the main job.

Nothing of ours is imported by it: what it knows of the service is what the document says.
"""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import orjson
import pytest

from service.openapi import OPENAPI_JSON
from stack.demo import FORMULA, NEW_ROWS, classroom
from tests.contract.conftest import Deployment

PACKAGE = "generated_ranef"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a client that was generated just now."""
    folder = tmp_path_factory.mktemp("client") / PACKAGE
    command = [str(Path(sys.executable).with_name("openapi-python-client")), "generate"]
    config = OPENAPI_JSON.with_name("python-client.yaml")
    options = [
        "--path",
        str(OPENAPI_JSON),
        "--config",
        str(config),
        "--meta",
        "none",
        "--output-path",
        str(folder),
    ]
    # It formats with the ruff that it finds on its way.
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    done = subprocess.run([*command, *options], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder.parent))
        yield folder


def module(name: str) -> ModuleType:
    return importlib.import_module(f"{PACKAGE}.{name}")


def test_it_submits_waits_reads_a_summary_and_predicts(generated: Path, deployment: Deployment) -> None:
    models = module("models")
    client = module("client").AuthenticatedClient(base_url=deployment.url, token=deployment.token)

    def data(columns: dict[str, list[object]]) -> object:
        return models.Data(columns=models.DataColumnsType0.from_dict(columns))

    request = models.FitRequest(formula=FORMULA, data=data(classroom()), sampler=models.Sampler(seed=7))
    submitted = module("api.fits.submit_fit").sync(client=client, body=request)
    assert isinstance(submitted, models.Fit), submitted
    fit = module("api.fits.get_fit").sync(submitted.id, client=client, prefer="wait=30")
    assert fit.status is models.FitStatus.SUCCEEDED
    assert (fit.formula, fit.rows) == (FORMULA, len(classroom()["teacher_id"]))

    summary = module("api.results.get_summary").sync(fit.id, client=client)
    assert [row.name for row in summary.population] == ["Intercept", "student_age_s"]
    assert all(row.lower < row.mean < row.upper for row in summary.population)
    assert summary.groups["teacher_id"].levels == len(set(classroom()["teacher_id"]))

    asked = models.PredictionRequest(data=data(NEW_ROWS), new_levels=models.PredictionRequestNewLevels.SAMPLE)
    predicted = module("api.results.predict").sync(fit.id, client=client, body=asked)
    assert isinstance(predicted, models.Predictions), predicted
    assert len(predicted.mean) == 4
    # Two new rows of one known level, then of one that no data tell of.
    assert predicted.sd[2] > predicted.sd[0]


def test_plots_and_csv_are_within_its_reach(generated: Path, deployment: Deployment) -> None:
    models = module("models")
    client = module("client").AuthenticatedClient(base_url=deployment.url, token=deployment.token)
    data = models.Data(columns=models.DataColumnsType0.from_dict(classroom()))
    request = models.FitRequest(formula=FORMULA, data=data, sampler=models.Sampler(seed=7))
    fit = module("api.fits.submit_fit").sync(client=client, body=request, prefer="wait=30")

    extension = module("models.plot_intervals_extension").PlotIntervalsExtension
    svg = module("api.plots.plot_intervals").sync(fit.id, extension.SVG, client=client)
    assert "<svg" in svg[:1000]
    png = module("api.plots.plot_intervals").sync_detailed(fit.id, extension.PNG, client=client)
    assert png.content.startswith(b"\x89PNG")
    # What it takes for JSON it cannot read in another format; its HTTP client, with the key in it, can.
    csv = client.get_httpx_client().get(f"/v1/fits/{fit.id}/summary", headers={"Accept": "text/csv"})
    assert csv.text.startswith('"parameter","mean"')
    lines = module("api.batches.list_results")
    assert lines.sync_detailed("bat_" + "a" * 26, client=client).status_code == 404


def test_its_errors_are_problems(generated: Path, deployment: Deployment) -> None:
    models = module("models")
    client = module("client").AuthenticatedClient(base_url=deployment.url, token=deployment.token)
    problem = module("api.results.get_summary").sync("fit_" + "a" * 26, client=client)
    assert isinstance(problem, models.Problem)
    assert (problem.status, problem.type_.rpartition("/")[2]) == (404, "fit-not-found")


def test_it_has_every_operation_of_the_document(generated: Path) -> None:
    document = orjson.loads(OPENAPI_JSON.read_bytes())
    named = {operation["operationId"] for path in document["paths"].values() for operation in path.values()}
    functions = {path.stem.replace("_", "") for path in generated.glob("api/*/*.py")}
    assert {name.lower() for name in named} <= functions
