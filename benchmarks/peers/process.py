"""A peer: another program's fit of the same data, in a process of its own that stays warm between fits.

The process reads its data once, then fits as often as it is told, and times only the fit itself.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
MIXEDLM_PYTHON = "MIXEDLM_PYTHON"
"""The environment variable that names a Python interpreter whose environment has mixedlm and pandas."""

Columns = Mapping[str, NDArray[np.float64] | NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Answer:
    """One fit of a peer: what it took, what its summary took beyond that (where it has one), and what it says."""

    seconds: float
    summary_seconds: float | None
    estimates: Mapping[str, float]


class Peer:
    """A running peer with its data and its formula; use it in a `with` statement."""

    def __init__(self, name: str, command: Sequence[str], formula: str, columns: Columns) -> None:
        self._folder = tempfile.TemporaryDirectory()
        for column, values in columns.items():
            # Eight bytes a number, whole numbers as such: both languages read them without parsing.
            kind = "i4" if values.dtype.kind == "i" else "f8"
            values.astype(f"<{kind}").tofile(Path(self._folder.name) / f"{column}.{kind}")
        self._process = subprocess.Popen(
            [*command, self._folder.name, formula], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.name = f"{name} {self._read()['version']}"

    def fit(self) -> Answer:
        """Fit once, from the data in the peer's memory to its estimates; seconds by the peer's own clock."""
        assert self._process.stdin is not None
        self._process.stdin.write("fit\n")
        self._process.stdin.flush()
        answer = self._read()
        return Answer(answer["seconds"], answer.get("summary_seconds"), answer["estimates"])

    def seconds(self) -> float:
        """Fit once; seconds by the peer's own clock."""
        return self.fit().seconds

    def seconds_with_summary(self) -> float:
        """Fit once and summarize; seconds by the peer's own clock."""
        answer = self.fit()
        return answer.seconds + (answer.summary_seconds or 0.0)

    @property
    def peak_gib(self) -> float:
        """The most memory that the process has held, GiB."""
        return peak_gib(self._process.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._folder.cleanup()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the peer has ended without an answer")
        return json.loads(line)


def lme4(formula: str, columns: Columns) -> Peer | None:
    """A warm R with lme4, or None (and a line that says so) where there is none."""
    rscript = shutil.which("Rscript")
    check = [rscript, "-e", "quit(status = !requireNamespace('lme4', quietly = TRUE))"] if rscript else None
    if check is None or subprocess.run(check, check=False, capture_output=True).returncode:
        print("lme4: not here (R with the package lme4 is needed)")
        return None
    return Peer("lme4", [str(rscript), str(HERE / "lme4.R")], formula, columns)


def mixedlm(formula: str, columns: Columns) -> Peer | None:
    """A warm Python with mixedlm, or None (and a line that says so) where there is none."""
    python = os.environ.get(MIXEDLM_PYTHON)
    if python is None:
        print(f"mixedlm: not here ({MIXEDLM_PYTHON} names a Python that has mixedlm and pandas)")
        return None
    return Peer("mixedlm", [python, str(HERE / "fit_mixedlm.py")], formula, columns)


def peak_gib(process: int) -> float:
    """The most memory that a process has held at once (VmHWM), GiB; not a number where /proc has no such file."""
    status = Path(f"/proc/{process}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 2**20 for line in lines if line.startswith("VmHWM")), float("nan"))
