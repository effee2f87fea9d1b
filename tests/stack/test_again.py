"""A command that wishes to be started anew is, as is one that is cut down; a good end and a signal are the end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COUNT = "import pathlib, sys; p = pathlib.Path(sys.argv[1]); n = len(p.read_text()) if p.exists() else 0; "
COUNT += "p.write_text('x' * (n + 1)); "


def start(code: str, *arguments: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "stack.again", "--", sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, cwd=ROOT, start_new_session=True)


@pytest.mark.parametrize("status", [0, 1, 70])
def test_it_runs_until_it_ends_otherwise(tmp_path: Path, status: int) -> None:
    file = tmp_path / "count"
    again = start(COUNT + f"sys.exit(75 if n < 2 else {status})", str(file))
    assert again.wait(20.0) == status
    assert file.read_text() == "xxx"


def test_one_that_ran_well_and_is_cut_down_is_started_anew(tmp_path: Path) -> None:
    file = tmp_path / "count"
    code = COUNT + "import os; n == 2 or os.kill(os.getpid(), 9)"
    run = f"from stack.again import run; import sys; sys.exit(run({[sys.executable, '-c', code, str(file)]}, 0.0))"
    assert subprocess.run([sys.executable, "-c", run], cwd=ROOT, timeout=20.0, check=False).returncode == 0
    assert file.read_text() == "xxx"


def test_one_that_is_killed_at_once_is_not_started_anew(tmp_path: Path) -> None:
    file = tmp_path / "count"
    again = start(COUNT + "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", str(file))
    assert again.wait(20.0) == 128 + signal.SIGKILL
    assert file.read_text() == "x"


def test_told_to_stop_it_waits_for_the_command_and_starts_none(tmp_path: Path) -> None:
    file = tmp_path / "count"
    code = "import signal, time; signal.signal(15, lambda *_: (time.sleep(0.3), sys.exit(75))); "
    again = start(COUNT.replace("p.write_text", code + "p.write_text") + "time.sleep(30)", str(file))
    give_up = time.monotonic() + 20.0
    while not file.exists() and time.monotonic() < give_up:
        time.sleep(0.02)
    os.killpg(again.pid, signal.SIGTERM)
    assert again.wait(10.0) == 75
    assert file.read_text() == "x"
