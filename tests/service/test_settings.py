"""Every setting can be given by the environment, and without any the service keeps to itself."""

import pytest
from pydantic import ValidationError

from service.settings import ServiceSettings


def test_without_settings_it_listens_on_loopback_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORT", raising=False)
    monkeypatch.delenv("RANEF_HOST", raising=False)
    settings = ServiceSettings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.cors_origins == ()


def test_the_environment_sets_port_and_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9001")
    monkeypatch.setenv("RANEF_MAX_ROWS", "5")
    monkeypatch.setenv("RANEF_CORS_ORIGINS", '["https://dashboard.example"]')
    settings = ServiceSettings()
    assert (settings.port, settings.limits.rows) == (9001, 5)
    assert settings.cors_origins == ("https://dashboard.example",)


@pytest.mark.parametrize(
    ("name", "value"), [("RANEF_MAX_ROWS", "0"), ("RANEF_MAX_DRAWS", "10000000"), ("PORT", "x")]
)
def test_a_setting_that_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        ServiceSettings()
