"""The embedded server: where it is found, who may reach it, and how it ends."""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
import redis

from stack.provenance import Version, writer
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


@pytest.mark.parametrize("name", ["a#b", "a?b", "a;b", "a%41b", "a b", "é", "a&b=c", "a'b\"c", "a$b"])
def test_a_folder_whose_name_means_something_in_an_address_has_its_socket_elsewhere(
    tmp_path: Path, name: str
) -> None:
    server = Server.of(tmp_path / name)
    assert re.fullmatch(r"unix:///[A-Za-z0-9/._-]+\?db=0", server.url)
    with running(server), redis.Redis.from_url(server.url) as client:
        assert client.config_get("dir")["dir"] == str(tmp_path / name)


def test_a_temporary_folder_with_a_long_name_holds_no_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert len(os.fsencode(Server.of(long / "data").socket)) <= 103


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


def test_the_wheel_comes_before_what_is_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = find_binary()
    for name in ("valkey-server", "redis-server"):
        shutil.copy(ours, tmp_path / name)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_binary() == ours


def impostor(file: Path, says: str) -> Path:
    """Our server under another version."""
    file.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "{says}" && exit\nexec {find_binary()} "$@"\n')
    file.chmod(0o755)
    return file


REDIS_7_0 = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=d0a98dbbd6ee1da4"
VALKEY_8_1 = "Valkey server v=8.1.3 sha=00000000:1 malloc=libc bits=64 build=1536df31c0395150"
VALKEY_9_2 = "Valkey server v=9.2.0 sha=00000000:1 malloc=libc bits=64 build=1536df31c0395150"


@pytest.mark.parametrize("says", [REDIS_7_0, VALKEY_8_1, "something else"])
@pytest.mark.parametrize("recorded", [True, False])
def test_a_server_that_cannot_open_the_data_is_not_started_on_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, recorded: bool
) -> None:
    with (
        running(Server.of(tmp_path / "data")) as _,
        redis.Redis.from_url(Server.of(tmp_path / "data").url) as client,
    ):
        client.set("key", "value")
    if not recorded:
        (tmp_path / "data" / "written-by.json").unlink()
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "data" / "appendonlydir").iterdir()}
    monkeypatch.setenv("RANEF_VALKEY", str(impostor(tmp_path / "redis-server", says)))
    with pytest.raises(ServerError) as refused, running(Server.of(tmp_path / "data")):
        pass
    text = str(refused.value)
    assert "written by Valkey 9." in text
    assert "RANEF_VALKEY" in text
    assert "They were not touched" in text
    assert "--fix" not in text
    assert before == {file: file.stat().st_mtime_ns for file in before}
    monkeypatch.delenv("RANEF_VALKEY")
    server = Server.of(tmp_path / "data")
    with running(server), redis.Redis.from_url(server.url) as client:
        assert client.get("key") == b"value"


def test_a_newer_server_opens_the_data_and_then_an_older_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(Server.of(tmp_path / "data")):
        pass
    monkeypatch.setenv("RANEF_VALKEY", str(impostor(tmp_path / "newer", VALKEY_9_2)))
    with running(Server.of(tmp_path / "data")):
        pass
    monkeypatch.delenv("RANEF_VALKEY")
    with (
        pytest.raises(ServerError, match=r"written by Valkey 9\.2\.0"),
        running(Server.of(tmp_path / "data")),
    ):
        pass


@pytest.mark.parametrize(
    ("ours", "theirs", "opens"),
    [
        ("valkey v=9.1.2", "valkey v=9.1.3", True),
        ("valkey v=9.1.2", "valkey v=9.2.0", False),
        ("valkey v=10.0.0", "valkey v=9.2.0", True),
        ("valkey v=9.1.2", "redis v=7.2.4", True),
        ("valkey v=9.1.2", "redis v=6.0.16", True),
        ("valkey v=9.1.2", "redis v=7.4.0", False),
        ("valkey v=9.1.2", "redis v=8.0.0", False),
        ("redis v=8.0.0", "valkey v=7.2.5", False),
        ("redis v=8.0.0", "redis v=7.0.15", True),
        ("redis v=7.0.15", "redis v=7.2.0", False),
    ],
)
def test_which_server_opens_what(ours: str, theirs: str, opens: bool) -> None:
    one, other = Version.read(ours), Version.read(theirs)
    assert one is not None
    assert other is not None
    assert one.opens(other) is opens


@pytest.mark.parametrize(
    ("head", "written_by"),
    [
        (b"VALKEY080", "Valkey 9.0"),
        (b"REDIS0010", "Redis 7.0"),
        (b"REDIS0011", "Redis 7.2"),
        (b"REDIS0012", "Redis 7.4"),
    ],
)
def test_data_of_which_nothing_is_recorded_show_what_wrote_them(
    tmp_path: Path, head: bytes, written_by: str
) -> None:
    assert writer(tmp_path) is None
    (tmp_path / "appendonlydir").mkdir()
    (tmp_path / "appendonlydir" / "appendonly.aof.1.base.rdb").write_bytes(head + b"\xfa\x09redis-ver")
    assert str(writer(tmp_path)) == written_by


def test_a_server_that_cannot_start_says_so_at_once(tmp_path: Path) -> None:
    server = Server(Path("/bin/false"), tmp_path, tmp_path / "valkey.sock")
    with pytest.raises(ServerError, match="does not answer"), running(server):
        pass
