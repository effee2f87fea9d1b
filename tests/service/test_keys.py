"""Keys and tenants: what a request may do, and that nothing can be learnt of other tenants' fits, nor timed."""

import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from standardwebhooks import Webhook

from service.answers.common import Problem
from service.app import create_app
from service.keys import InvalidKeys, Key, KeyRing, Scope, main, new_key, refusal_to_listen
from service.openapi import openapi_json
from service.settings import ServiceSettings
from store.memory import MemoryStore
from store.rates import MemoryRates
from store.replies import MemoryReplies
from store.settings import StoreSettings
from store.signing import Secrets
from tests.service.samples import REQUEST

ROOT = Path(__file__).parents[2]
TOKENS: dict[str, str] = {}
RING: list[Key] = []
for _tenant, _scope in (
    ("acme", Scope.READ),
    ("acme", Scope.WRITE),
    ("acme", Scope.ADMIN),
    ("globex", Scope.WRITE),
):
    TOKENS[f"{_tenant} {_scope}"], _key = new_key(_tenant, _scope)
    RING.append(_key)
ABSENT = "fit_" + "a" * 26


@pytest.fixture
def settings() -> ServiceSettings:
    return ServiceSettings(keys=";".join(map(str, RING)), rate_quota=0)


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS[name]}"}


@pytest.fixture
def acme(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, headers=bearer("acme write"), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def globex(app: FastAPI, acme: TestClient) -> TestClient:
    return TestClient(app, headers=bearer("globex write"), raise_server_exceptions=False)


@pytest.fixture
def secret(acme: TestClient, finish: Callable[..., Any]) -> str:
    """A fit of acme's, which has succeeded."""
    fit_id = acme.post("/v1/fits", json=REQUEST).json()["id"]
    finish(fit_id)
    return str(fit_id)


@pytest.mark.parametrize(
    ("header", "code", "challenge"),
    [
        (None, "key-required", 'Bearer realm="ranef"'),
        ("Basic YTpi", "key-required", 'Bearer realm="ranef"'),
        ("Bearer", "key-required", 'Bearer realm="ranef"'),
        ("Bearer ranef_wrong", "key-unknown", 'Bearer realm="ranef", error="invalid_token"'),
    ],
)
def test_without_a_key_of_ours_it_is_401_with_a_challenge(
    client: TestClient, header: str | None, code: str, challenge: str
) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = client.get("/v1/fits", headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (401, f"/problems/{code}")
    assert answer.headers["WWW-Authenticate"] == challenge
    Problem.model_validate(answer.json())


def test_what_is_stored_is_no_key(client: TestClient) -> None:
    for token in (str(RING[0]), RING[0].digest.hex(), "x" * 5000):
        answer = client.get("/v1/fits", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["type"]) == (401, "/problems/key-unknown")


def test_the_scheme_has_no_case_and_two_keys_are_none(client: TestClient) -> None:
    token = TOKENS["acme read"]
    assert client.get("/v1/fits", headers={"Authorization": f"bearer {token}"}).status_code == 200
    twice = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
    assert client.get("/v1/fits", headers=twice).status_code == 401


def test_every_operation_about_fits_or_data_asks_for_a_key(app: FastAPI, client: TestClient) -> None:
    document = orjson.loads(openapi_json(app))
    open_to_all = {
        path
        for path, item in document["paths"].items()
        if any(operation.get("security") == [] for operation in item.values())
    }
    assert open_to_all == {"/livez", "/readyz", "/v1/limits", "/problems/{code}"}
    asked = 0
    for path, item in document["paths"].items():
        for method in item.keys() - {"parameters"} if path not in open_to_all else ():
            headers = {"Accept": "*/*", "Content-Type": "application/json"}
            answer = client.request(method, re.sub(r"{\w+}", ABSENT, path), headers=headers, content=b"{")
            assert answer.status_code == 401, (method, path, answer.text)
            asked += 1
    assert asked >= 10


def test_a_body_is_not_read_for_who_has_no_key(client: TestClient) -> None:
    read = 0

    def body() -> Iterator[bytes]:
        nonlocal read
        for _ in range(3):
            read += 1
            yield b" " * 1_000_000

    answer = client.post("/v1/fits", content=body(), headers={"Content-Type": "application/json"})
    # 413 would say that it was looked at.
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("name", "submit", "predict", "delete"),
    [("acme read", 403, 200, 403), ("acme write", 200, 200, 204), ("acme admin", 200, 200, 204)],
)
def test_scopes(client: TestClient, secret: str, name: str, submit: int, predict: int, delete: int) -> None:
    client.headers.update(bearer(name))
    assert client.get(f"/v1/fits/{secret}/summary").status_code == 200
    assert client.head(f"/v1/fits/{secret}").status_code == 200
    assert client.post("/v1/formulas/check", json={"formula": "y ~ x"}).status_code == 200
    answer = client.post("/v1/fits", json=REQUEST)
    assert answer.status_code == submit
    rows = {"data": {"columns": {"x": [0.0], "g": ["g1"]}}}
    assert client.post(f"/v1/fits/{secret}/predictions", json=rows).status_code == predict
    refused = client.delete(f"/v1/fits/{secret}")
    assert refused.status_code == delete
    if delete == 403:
        assert refused.json()["type"] == "/problems/scope-insufficient"
        assert refused.headers["WWW-Authenticate"].endswith('error="insufficient_scope", scope="write"')


def test_another_tenant_s_fit_is_not_there_whatever_is_asked_of_it(
    app: FastAPI, globex: TestClient, acme: TestClient, secret: str
) -> None:
    document = orjson.loads(openapi_json(app))
    asked = 0
    for path, item in document["paths"].items():
        for method in item.keys() - {"parameters"} if "{fit_id}" in path else ():
            answers = []
            for fit_id in (secret, ABSENT):
                url = re.sub(r"{\w+}", "g", path.replace("{fit_id}", fit_id))
                url += "?variable=x" if path.endswith("/effects") else ""
                body = b'{"data": {"columns": {"x": [0.0], "g": ["g1"]}}}' if method == "post" else None
                headers = {"Content-Type": "application/json", "X-Request-ID": "same"}
                answers.append(globex.request(method, url, content=body, headers=headers))
            theirs, absent = answers
            assert theirs.status_code == 404, (method, path, theirs.text)
            assert theirs.content == absent.content
            assert theirs.headers == absent.headers
            asked += 1
    assert asked >= 7
    assert acme.get(f"/v1/fits/{secret}").json()["status"] == "succeeded"


def test_the_same_request_of_two_tenants_is_two_fits(
    acme: TestClient, globex: TestClient, secret: str, queued: list[tuple[str, str]]
) -> None:
    answer = globex.post("/v1/fits", json=REQUEST)
    # 200 would say that somebody has fitted this before.
    assert answer.status_code == 202
    assert answer.json()["id"] != secret
    assert [item["id"] for item in globex.get("/v1/fits").json()["items"]] == [answer.json()["id"]]
    assert [item["id"] for item in acme.get("/v1/fits").json()["items"]] == [secret]


def test_the_keys_of_one_tenant_see_the_same(client: TestClient, secret: str) -> None:
    for scope in Scope:
        assert client.get(f"/v1/fits/{secret}", headers=bearer(f"acme {scope}")).status_code == 200


def test_a_deleted_fit_is_gone_for_its_tenant_and_was_never_there_for_others(
    acme: TestClient, globex: TestClient, secret: str
) -> None:
    acme.delete(f"/v1/fits/{secret}")
    assert acme.get(f"/v1/fits/{secret}").status_code == 410
    assert globex.get(f"/v1/fits/{secret}").status_code == 404


def test_an_idempotency_key_is_the_tenant_s_own(acme: TestClient, globex: TestClient) -> None:
    headers = {"Idempotency-Key": "one"}
    mine = acme.post("/v1/fits", json=REQUEST, headers=headers)
    other = {**REQUEST, "sampler": {"seed": 7}}
    theirs = globex.post("/v1/fits", json=other, headers=headers)
    assert (mine.status_code, theirs.status_code) == (202, 202)
    assert "Idempotency-Replayed" not in theirs.headers


def test_asking_for_another_tenant_s_fit_drops_nothing_of_it(
    app: FastAPI, acme: TestClient, globex: TestClient, secret: str, store: MemoryStore
) -> None:
    assert acme.get(f"/v1/fits/{secret}/summary").status_code == 200
    assert globex.get(f"/v1/fits/{secret}/summary").status_code == 404
    assert app.state.services.posteriors.record(secret, "acme") is not None


def test_a_refusal_takes_as_long_for_a_fit_that_exists(globex: TestClient, secret: str) -> None:
    times: dict[str, list[float]] = {secret: [], ABSENT: []}
    for _ in range(150):
        for fit_id, seen in times.items():
            started = time.perf_counter()
            globex.get(f"/v1/fits/{fit_id}/summary")
            seen.append(time.perf_counter() - started)
    theirs, absent = (statistics.median(seen[20:]) for seen in times.values())
    assert 0.8 < theirs / absent < 1.25


def test_without_keys_there_is_one_tenant(store: MemoryStore) -> None:
    app = create_app(
        ServiceSettings(), store, lambda fit_id, queue: None, MemoryReplies(), rates=MemoryRates()
    )
    with TestClient(app) as client:
        answer = client.post("/v1/fits", json=REQUEST)
        assert answer.status_code == 202
        record = store.get(answer.json()["id"], "default")
        assert record is not None


def test_only_the_hash_of_a_key_is_kept_and_it_is_not_told_in_errors(tmp_path: Path) -> None:
    token, key = new_key("acme", Scope.READ)
    assert token not in str(key)
    assert len(token) >= 40
    path = tmp_path / "keys"
    path.write_text(f"# ours\n\n{key}  # until May\n")
    assert KeyRing.of(ServiceSettings(keys_file=path)).find(token) == key
    path.write_text(f"acme sudo sha256:{key.digest.hex()}\nacme read {token}\nA:B read x\nacme\n")
    with pytest.raises(InvalidKeys) as wrong:
        KeyRing.of(ServiceSettings(keys_file=path))
    assert [f"line {number}:" in str(wrong.value) for number in range(1, 6)] == [True] * 4 + [False]
    assert token not in str(wrong.value)
    with pytest.raises(InvalidKeys, match="twice"):
        KeyRing.of(ServiceSettings(keys=f"{key};{key}"))
    path.write_text("# none yet\n")
    with pytest.raises(InvalidKeys, match="no keys"):
        KeyRing.of(ServiceSettings(keys_file=path))


def test_the_command_makes_a_key_that_works(capsys: pytest.CaptureFixture[str]) -> None:
    main(["new", "--tenant", "acme", "--scope", "write"])
    shown = capsys.readouterr().out.splitlines()
    token, line = (text.partition(":")[2].strip() for text in shown)
    found = KeyRing.of(ServiceSettings(keys=line)).find(token)
    assert found is not None
    assert (found.tenant, found.scope) == ("acme", Scope.WRITE)
    with pytest.raises(SystemExit):
        main(["new", "--tenant", "a:b", "--scope", "write"])


def test_the_command_makes_a_secret_that_works(capsys: pytest.CaptureFixture[str]) -> None:
    main(["secret", "--tenant", "acme"])
    secret, line = (text.partition(":")[2].strip() for text in capsys.readouterr().out.splitlines())
    signature = Secrets.of(StoreSettings(callback_secrets=line)).sign(
        "acme", "msg_a", int(time.time()), b"{}"
    )
    headers = {
        "webhook-id": "msg_a",
        "webhook-timestamp": str(int(time.time())),
        "webhook-signature": signature,
    }
    assert Webhook(secret).verify(b"{}", headers) == {}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org"])
def test_without_keys_nothing_but_loopback_is_listened_on(host: str) -> None:
    settings = ServiceSettings(host=host)
    assert "RANEF_KEYS" in (refusal_to_listen(settings, KeyRing()) or "")
    assert refusal_to_listen(settings, KeyRing(tuple(RING))) is None
    trusting = ServiceSettings(host=host, trust_everyone_on_this_network=True)
    assert refusal_to_listen(trusting, KeyRing()) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_without_keys_loopback_is_listened_on(host: str) -> None:
    assert refusal_to_listen(ServiceSettings(host=host), KeyRing()) is None


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("RANEF_HOST", "0.0.0.0", "does not start"),
        ("RANEF_KEYS", "acme", "cannot be read"),
        ("RANEF_CALLBACK_SECRETS", "acme", "cannot be read"),
    ],
)
def test_the_process_refuses_to_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    run = subprocess.run(
        [sys.executable, "-m", "service"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 1
    assert said in run.stderr
    assert "Traceback" not in run.stderr
