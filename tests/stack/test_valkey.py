"""The embedded server: where it is found, who may reach it, and how it ends."""

import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import redis

from stack.valkey import Server, ServerError, find_binary, running
from tests.system.conftest import ROOT, eventually


def test_it_is_private_durable_and_evicts_nothing(tmp_path: Path) -> None:
    server = Server.of(tmp_path / "data", max_memory="50mb")
    with running(server), redis.Redis.from_url(server.url) as client:
        settings = client.config_get("*")
        assert settings["maxmemory-policy"] == "noeviction"
        assert settings["appendonly"] == "yes"
        assert settings["appendfsync"] == "everysec"
        assert settings["maxmemory"] == str(50 << 20)
        assert settings["port"] == "0"
        assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
        assert stat.S_IMODE(server.socket.stat().st_mode) == 0o700
        client.set("key", "value")
    assert not server.socket.exists()
    with running(server), redis.Redis.from_url(server.url) as client:
        assert client.get("key") == b"value"


def test_its_folder_is_for_one_server(tmp_path: Path) -> None:
    server = Server.of(tmp_path / "data")
    with running(server), pytest.raises(ServerError, match="another one runs"), running(server):
        pass


def test_a_folder_with_a_long_name_has_its_socket_elsewhere(tmp_path: Path) -> None:
    server = Server.of(tmp_path / ("long" * 30))
    assert len(str(server.socket)) < 100
    assert Server.of(tmp_path / ("long" * 30)).url == server.url
    with running(server), redis.Redis.from_url(server.url) as client:
        assert client.ping()
        assert stat.S_IMODE(server.socket.parent.stat().st_mode) == 0o700
    assert not server.socket.parent.exists()


def test_it_dies_with_whoever_started_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "stack.embedded", str(tmp_path / "data")]
    parent = subprocess.Popen(command, cwd=ROOT)
    server = Server.of(tmp_path / "data")
    server.wait()
    (child,) = psutil.Process(parent.pid).children()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 2.0)
    with running(server):  # what it left behind is in nobody's way
        pass


def test_a_binary_that_the_user_names_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = find_binary()
    named = shutil.copy(ours, tmp_path / "my-valkey")
    monkeypatch.setenv("RANEF_VALKEY", str(named))
    assert find_binary() == named
    monkeypatch.setenv("RANEF_VALKEY", str(tmp_path / "absent"))
    with pytest.raises(ServerError, match="RANEF_VALKEY"):
        find_binary()


def test_one_on_the_path_comes_before_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = shutil.copy(find_binary(), tmp_path / "redis-server")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_binary() == found
    found.unlink()
    assert find_binary().name == "valkey-server"


def test_a_server_that_cannot_start_says_so_at_once(tmp_path: Path) -> None:
    server = Server(Path("/bin/false"), tmp_path, tmp_path / "valkey.sock")
    with pytest.raises(ServerError, match="does not answer"), running(server):
        pass
