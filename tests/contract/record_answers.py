"""Records the examples of answers in the OpenAPI document: what a real deployment gives, shortened.

`python -m tests.contract.record_answers` writes service/answers/examples.json; `make openapi` puts it in the document.
"""

import tempfile
from pathlib import Path
from typing import Any

import httpx
import orjson

from service.media_types import CSV, JSON, NDJSON
from service.openapi import EXAMPLES_JSON
from stack.demo import FORMULA, NEW_ROWS, classroom
from tests.contract.conftest import deployed

SHOWN = 3
EVENTS = "text/event-stream"
WAIT = {"Prefer": "wait=30"}
PRIORS = [{"class": "sigma", "prior": "uniform(0, 100)"}, {"class": "b", "prior": "normal(0, 20)"}]


def shortened(value: Any) -> Any:
    """Give the first entries of each list, and of each object that is one by name."""
    if isinstance(value, list):
        return [shortened(entry) for entry in value[:SHOWN]]
    return {name: shortened(entry) for name, entry in value.items()} if isinstance(value, dict) else value


class Recorder:
    """Asks a service, and keeps what it answers."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.examples: dict[str, dict[str, dict[str, Any]]] = {}

    def ask(self, operation: str, method: str, path: str, **options: Any) -> httpx.Response:
        """Keep the answer to a request as an example of an operation's."""
        answer = self.client.request(method, path, **options)
        media_type = answer.headers["Content-Type"].partition(";")[0]
        assert answer.is_success, (operation, answer.text)
        shown = self.examples.setdefault(operation, {}).setdefault(str(answer.status_code), {})
        if media_type == JSON:
            shown[media_type] = shortened(answer.json())
        elif media_type == EVENTS:
            shown[media_type] = "\n\n".join(answer.text.strip().split("\n\n")[-SHOWN:]) + "\n\n"
        else:
            shown[media_type] = (
                "\n".join(answer.text.split("\n")[: 1 if media_type == NDJSON else SHOWN]) + "\n"
            )
        return answer


def record(client: httpx.Client) -> dict[str, Any]:
    """Make each operation answer."""
    recorder = Recorder(client)
    ask = recorder.ask
    data = {"columns": classroom()}
    body = {
        "formula": FORMULA,
        "data": data,
        "priors": PRIORS,
        "sampler": {"seed": 1},
        "metadata": {"study": "2026-a"},
    }
    first = ask("submitFit", "POST", "/v1/fits", json=body)
    fit = first.json()["id"]
    address = f"/v1/fits/{fit}"
    ask("getFit", "GET", address, headers=WAIT)
    ask("submitFit", "POST", "/v1/fits", json=body)
    ask("submitFit", "POST", "/v1/fits", json={**body, "sampler": {"seed": 2}}, headers=WAIT)
    ask("listFits", "GET", "/v1/fits", params={"limit": 1})
    ask("listEvents", "GET", f"{address}/events")
    ask("listEvents", "GET", f"{address}/events", headers={"Accept": EVENTS})
    ask("listFitCallbacks", "GET", f"{address}/callbacks")
    ask("cancelFit", "POST", f"{address}/cancel")
    waiting = client.post(
        "/v1/fits", json={**body, "sampler": {"method": "nuts", "draws": 50_000, "seed": 3}}
    ).json()["id"]
    while client.get(f"/v1/fits/{waiting}").json()["status"] == "queued":
        pass
    ask("cancelFit", "POST", f"/v1/fits/{waiting}/cancel")
    ask("getSummary", "GET", f"{address}/summary")
    ask("getSummary", "GET", f"{address}/summary", headers={"Accept": CSV})
    ask("listGroups", "GET", f"{address}/groups/teacher_id", params={"limit": 1})
    ask("listGroups", "GET", f"{address}/groups/teacher_id", headers={"Accept": CSV})
    ask("getDraws", "GET", f"{address}/draws", params={"parameters": ["b", "sigma"], "thin": 400})
    ask(
        "getDraws",
        "GET",
        f"{address}/draws",
        params={"parameters": "b", "thin": 400},
        headers={"Accept": CSV},
    )
    asked = {
        "data": {"columns": NEW_ROWS},
        "new_levels": "sample",
        "contrasts": [{"name": "1 - 0", "weights": {"1": 1, "0": -1}}],
    }
    ask("predict", "POST", f"{address}/predictions", json=asked)
    ask("predict", "POST", f"{address}/predictions", json={**asked, "contrasts": []}, headers={"Accept": CSV})
    ask("getEffects", "GET", f"{address}/effects", params={"variable": "student_age_s", "points": 3})
    ask(
        "getEffects",
        "GET",
        f"{address}/effects",
        params={"variable": "student_age_s"},
        headers={"Accept": CSV},
    )
    ask("getModel", "GET", f"{address}/model")
    ask("getSchema", "GET", f"{address}/schema")
    ask("listPlots", "GET", f"{address}/plots")
    ask("getChecks", "GET", f"{address}/checks")
    other = client.post(
        "/v1/fits",
        json={**body, "priors": [], "formula": "student_reading_score ~ 1 + (1 | teacher_id)"},
        headers=WAIT,
    )
    ask("compareFits", "POST", "/v1/comparisons", json={"fits": [fit, other.json()["id"]]})
    ask(
        "checkFormula",
        "POST",
        "/v1/formulas/check",
        json={"formula": FORMULA, "data": data, "priors": PRIORS},
    )

    dataset = ask("uploadDataset", "POST", "/v1/datasets", json=data).json()["id"]
    ask("uploadDataset", "POST", "/v1/datasets", json=data)
    ask("listDatasets", "GET", "/v1/datasets")
    ask("getDataset", "GET", f"/v1/datasets/{dataset}")

    template = {"formula": "student_reading_score ~ student_age_s", "dataset": dataset}
    batch = ask(
        "submitBatch", "POST", "/v1/batches", json={"template": template, "split_by": "teacher_id"}
    ).json()["id"]
    client.get(f"/v1/batches/{batch}/results", params={"follow": "1"})
    ask("listBatches", "GET", "/v1/batches")
    ask("getBatch", "GET", f"/v1/batches/{batch}")
    ask("listResults", "GET", f"/v1/batches/{batch}/results")
    ask("listResults", "GET", f"/v1/batches/{batch}/results", headers={"Accept": CSV})
    ask("listBatchCallbacks", "GET", f"/v1/batches/{batch}/callbacks")
    ask("cancelBatch", "POST", f"/v1/batches/{batch}/cancel")
    slow = {**template, "sampler": {"method": "nuts", "draws": 50_000}}
    started = client.post("/v1/batches", json={"fits": [slow]}).json()["id"]
    (member,) = client.get("/v1/fits", params={"limit": 1}).json()["items"]
    while client.get(member["links"]["self"]).json()["status"] == "queued":
        pass
    ask("cancelBatch", "POST", f"/v1/batches/{started}/cancel")

    link = ask(
        "createLink",
        "POST",
        "/v1/links",
        json={"paths": [f"{address}/events", f"{address}/plots/*"], "lifetime": 900},
    )
    ask("listLinks", "GET", "/v1/links")
    ask("getLink", "GET", link.json()["links"]["self"])
    for operation, path in (
        ("getLiveness", "/livez"),
        ("getReadiness", "/readyz"),
        ("getLimits", "/v1/limits"),
        ("getProblemType", "/problems/unknown-column"),
    ):
        ask(operation, "GET", path)
    return recorder.examples


def main() -> None:
    """Write the examples."""
    with (
        tempfile.TemporaryDirectory() as folder,
        deployed(Path(folder)) as deployment,
        deployment.client() as client,
    ):
        EXAMPLES_JSON.write_bytes(
            orjson.dumps(record(client), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        )


if __name__ == "__main__":
    main()
