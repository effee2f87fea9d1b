"""Nothing that is given as a setting is ignored, and what is wrong with one is said by its name."""

import re
import subprocess
import sys

import pytest
from pydantic_settings import BaseSettings

from service.settings import ServiceSettings
from store.environment import InvalidSettings, hold_to_settings, known_names
from store.settings import StoreSettings
from tests.system.conftest import ROOT
from worker.settings import WorkerSettings

DOCKERFILE = ROOT / "Dockerfile"


def complaints(
    monkeypatch: pytest.MonkeyPatch, settings: type[BaseSettings] = ServiceSettings, **given: str
) -> list[str]:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettings) as wrong:
        hold_to_settings(given, settings)
    return [line.strip() for line in str(wrong.value).splitlines()[1:]]


def test_each_side_knows_the_names_of_the_others() -> None:
    assert known_names() >= {
        "RANEF_DATA",
        "RANEF_HOST",
        "RANEF_MAX_ROWS",
        "RANEF_FIT_TIMEOUT",
        "RANEF_RESULT_TTL",
    }


def test_each_image_has_the_names_of_the_other() -> None:
    images = dict(
        re.findall(r"FROM base AS (service|worker)\n(.*?)(?=\nFROM|\Z)", DOCKERFILE.read_text(), re.S)
    )
    assert "COPY worker/__init__.py worker/settings.py worker/" in images["service"]
    assert "COPY service/__init__.py service/settings.py service/" in images["worker"]


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("RANEF_MAX_ROW", "RANEF_MAX_ROWS"),
        ("RANEF_CORS_ORIGIN", "RANEF_CORS_ORIGINS"),
        ("RANEF_FIT_TIME_OUT", "RANEF_FIT_TIMEOUT"),
        ("RANEF_RESULTS_TTL", "RANEF_RESULT_TTL"),
        ("ranef_max_rwos", "RANEF_MAX_ROWS"),
        ("RANEF_DATA_DIR", "RANEF_DATA"),
        ("RANEF_PORT", "PORT"),
        ("RANEF_REDIS_URL", "REDIS_URL"),
    ],
)
@pytest.mark.parametrize("settings", [ServiceSettings, WorkerSettings])
def test_a_misspelt_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, misspelt: str, meant: str, settings: type[BaseSettings]
) -> None:
    found = complaints(monkeypatch, settings, **{misspelt: "1"})
    assert found == [f"{misspelt} is no setting; did you mean {meant}?"]


def test_what_is_like_no_setting_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert complaints(monkeypatch, RANEF_LIMITS="{}") == ["RANEF_LIMITS is no setting"]


def test_what_kubernetes_sets_is_none_of_ours() -> None:
    given = {
        "RANEF_SERVICE_HOST": "10.0.0.1",
        "RANEF_SERVICE_PORT": "8000",
        "RANEF_SERVICE_PORT_HTTP": "8000",
        "RANEF_PORT": "tcp://10.0.0.1:8000",
        "RANEF_PORT_8000_TCP": "tcp://10.0.0.1:8000",
        "RANEF_PORT_8000_TCP_ADDR": "10.0.0.1",
        "RANEF_VALKEY_SERVICE_HOST": "10.0.0.2",
        "RANEF_VALKEY_PORT_6379_TCP_PROTO": "tcp",
    }
    hold_to_settings(given, ServiceSettings, WorkerSettings)


def test_every_value_that_cannot_be_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = complaints(
        monkeypatch, RANEF_MAX_ROWS="0", RANEF_MAX_CELLS="many", RANEF_MAX_ROW="5", RANEF_LOG_LEVEL="loud"
    )
    assert found == [
        "RANEF_MAX_ROW is no setting; did you mean RANEF_MAX_ROWS?",
        "RANEF_MAX_ROWS='0': should be greater than 0",
        "RANEF_MAX_CELLS='many': should be a valid integer, unable to parse string as an integer",
        "RANEF_LOG_LEVEL='loud': should be 'debug', 'info', 'warning' or 'error'",
    ]


@pytest.mark.parametrize(
    ("settings", "name", "value", "says"),
    [
        (ServiceSettings, "PORT", "http", "PORT='http': should be a valid integer"),
        (ServiceSettings, "RANEF_CORS_ORIGINS", "a.example", "(value 1): an origin is https://host"),
        (ServiceSettings, "RANEF_CORS_ORIGINS", '["https://a.example"', "it begins like JSON, but is none"),
        (ServiceSettings, "RANEF_ROOT_PATH", "stats", "a path such as /stats"),
        (ServiceSettings, "RANEF_ROOT_PATH", "/v1", "cannot begin like an address of the service's own"),
        (WorkerSettings, "RANEF_CALLBACK_NETWORKS", "10.0.0.0/8, x", "(value 2): is not a valid IPv"),
        (WorkerSettings, "RANEF_RESULT_TTL", "7d", "RANEF_RESULT_TTL='7d': should be a valid number"),
        (WorkerSettings, "RANEF_CALLBACK_DELAYS", "5,soon", "(value 2): should be a valid number"),
    ],
)
def test_a_value_that_cannot_be_is_explained(
    monkeypatch: pytest.MonkeyPatch, settings: type[BaseSettings], name: str, value: str, says: str
) -> None:
    found = complaints(monkeypatch, settings, **{name: value})
    assert found
    assert all(line.startswith(name) for line in found)
    assert says in found[0]


def test_values_between_commas_are_taken_like_json(monkeypatch: pytest.MonkeyPatch) -> None:
    for given in (
        "https://a.example, http://localhost:3000/",
        '["https://a.example", "http://localhost:3000"]',
    ):
        monkeypatch.setenv("RANEF_CORS_ORIGINS", given)
        assert ServiceSettings().cors_origins == ("https://a.example", "http://localhost:3000")
    monkeypatch.setenv("RANEF_CORS_ORIGINS", "*")
    assert ServiceSettings().cors_origins == ("*",)
    for given in ("10.0.0.0/8,fd00::/8", '["10.0.0.0/8", "fd00::/8"]'):
        monkeypatch.setenv("RANEF_CALLBACK_NETWORKS", given)
        assert [str(network) for network in StoreSettings().callback_networks] == ["10.0.0.0/8", "fd00::/8"]
    monkeypatch.setenv("RANEF_CALLBACK_DELAYS", "1, 2.5")
    assert WorkerSettings().callback_delays == (1.0, 2.5)


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANEF_MAX_ROWS", "RANEF_KEYS_FILE", "RANEF_CORS_ORIGINS", "PORT"):
        monkeypatch.setenv(name, "")
    settings = ServiceSettings()
    assert (settings.keys_file, settings.cors_origins, settings.port) == (None, (), 8000)


@pytest.mark.parametrize("module", ["service", "worker", "stack.up"])
def test_no_process_starts_with_what_it_would_ignore(module: str) -> None:
    environment = {"PATH": "/usr/bin:/bin", "RANEF_MAX_ROW": "5", "RANEF_RESULT_TTL": "x"}
    ended = subprocess.run(
        [sys.executable, "-m", module], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "ranef: The settings cannot be used:",
        "  RANEF_MAX_ROW is no setting; did you mean RANEF_MAX_ROWS?",
        "  RANEF_RESULT_TTL='x': should be a valid number, unable to parse string as a number",
    ]
