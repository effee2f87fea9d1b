"""`python -m stack.demo`: start the whole service, fit the classroom model over HTTP, show what came of it, and stop.

It is an HTTP client like any other: everything below the start-up can be done from any language.
"""

import csv
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from stack.child import die_with_parent
from stack.waiting import Start, look

ROOT = Path(__file__).parent.parent
FORMULA = "student_reading_score ~ student_age_s + (1 + student_age_s | teacher_id)"
PRIORS = [
    {"class": "Intercept", "prior": "normal(500, 100)"},
    {"class": "b", "prior": "normal(0, 20)"},
    {"class": "sd", "prior": "uniform(0, 100)"},
    {"class": "cor", "prior": "lkj(2)"},
    {"class": "sigma", "prior": "uniform(0, 100)"},
]
NEW_ROWS: dict[str, list[Any]] = {
    "student_age_s": [0.0, 1.0, 0.0, 1.0],
    "teacher_id": ["T01", "T01", "a new teacher", "a new teacher"],
}
START_PATIENCE = 60.0
WARM_PATIENCE = 120.0
SILENCE = 5.0
"""Seconds after which it is said that something still goes on."""
FIT_PATIENCE = 120.0


def main() -> None:
    """Run the demonstration; exits with 1 when the service does not come up or the fit fails."""
    started = time.monotonic()
    # The environment may name a proxy, which knows nothing of this machine's own addresses.
    with running_stack() as url, httpx.Client(base_url=url, timeout=30.0, trust_env=False) as client:
        _say(f"The service answers at {url}; all is ready after {time.monotonic() - started:.1f} s.")
        fit = _submit(client)
        _show_fit(fit)
        _show_summary(client.get(f"/v1/fits/{fit['id']}/summary").raise_for_status().json())
        _show_classrooms(client, fit["id"])
        _show_predictions(client, fit["id"])
    _say(
        f"Stopped cleanly after {time.monotonic() - started:.1f} s. `make up` runs the same service until Ctrl-C;"
    )
    _say("its documentation is then at http://127.0.0.1:8000/docs (PORT=… for another port).")


@contextmanager
def running_stack() -> Iterator[str]:
    """Run the stack in a process of its own while the block runs; gives the address that it answers at."""
    port = os.environ.get("PORT") or str(_free_port())
    folder = Path(os.environ.get("RANEF_DATA") or ROOT / ".ranef").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    _say("Starting a Valkey server, a worker and the HTTP service …")
    parent = os.getpid()
    with (folder / "demo.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "stack.up"],
            cwd=ROOT,
            env={**os.environ, "PORT": port, "RANEF_DATA": str(folder)},
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: die_with_parent(parent),  # no threads run here
        )
        try:
            _await_service(int(port), process, folder / "demo.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)


def _await_service(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once the worker is warm, or the service has answered for long enough; say meanwhile what is waited for."""
    began, silence = time.monotonic(), Silence()
    start = Start()
    while process.poll() is None:
        start, passed = look("127.0.0.1", port), time.monotonic() - began
        if not start.awaited or (start.answers and passed > WARM_PATIENCE):
            return
        if not start.answers and passed > START_PATIENCE:
            break
        silence.break_with(f"  {start.awaited} …")
        time.sleep(0.25)
    last = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
    raise SystemExit(f"The service did not come up; {log} says why. Its last lines:\n{last}")


class Silence:
    """Says what is waited for when that changes, and how long it has been every few seconds."""

    def __init__(self) -> None:
        self._began = self._told_at = time.monotonic()
        self._told = ""

    def break_with(self, text: str, more: str = "") -> None:
        """Say a text that is new; one that is not only after a while, with `more` of it."""
        now = time.monotonic()
        if text != self._told:
            self._told, self._told_at = text, now
            _say(text)
        elif now - self._told_at >= SILENCE:
            self._told_at = now
            _say(f"    {now - self._began:.0f} s so far{more}")


def classroom() -> dict[str, list[Any]]:
    """The columns of the classroom data."""
    with (ROOT / "examples" / "classroom.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        "student_reading_score": [float(row["student_reading_score"]) for row in rows],
        "student_age_s": [float(row["student_age_s"]) for row in rows],
        "teacher_id": [row["teacher_id"] for row in rows],
    }


def _submit(client: httpx.Client) -> dict[str, Any]:
    columns = classroom()
    _say(f"POST /v1/fits: {FORMULA}")
    _say(f"               {len(columns['teacher_id'])} students, {len(set(columns['teacher_id']))} teachers")
    body = {"formula": FORMULA, "data": {"columns": columns}, "priors": PRIORS, "center": False}
    answer = client.post("/v1/fits", json=body)
    if answer.is_error:
        raise SystemExit(f"The fit was refused: {answer.text}")
    return _follow(client, answer.json())


def _follow(client: httpx.Client, fit: dict[str, Any]) -> dict[str, Any]:
    """Show the progress of a fit, one line for each phase, until it ends."""
    silence = Silence()
    give_up = time.monotonic() + FIT_PATIENCE
    while fit["status"] in ("queued", "running") and time.monotonic() < give_up:
        progress = fit.get("progress") or {}
        phase = fit["status"] if fit["status"] == "queued" else progress.get("phase", "running")
        note = " (the worker is busy with its first programs)" if phase == "queued" else ""
        left = progress.get("eta_seconds")
        silence.break_with(f"  {phase}{note} …", "" if left is None else f", about {left:.0f} s left")
        time.sleep(0.05)
        fit = client.get(f"/v1/fits/{fit['id']}").raise_for_status().json()
    if fit["status"] != "succeeded":
        raise SystemExit(f"The fit ended as {fit['status']}: {fit.get('failure')}")
    return fit


def _show_fit(fit: dict[str, Any]) -> None:
    timing = fit["timing"]
    parts = ", ".join(
        f"{name} {timing[name]:.3f} s" for name in ("prepare", "compile", "sample", "summarize")
    )
    _say(f"  succeeded by the {fit['method']} method ({fit['method_reason']})")
    _say(f"  {parts}")


def _show_summary(summary: dict[str, Any]) -> None:
    _say("\nPopulation-level coefficients (mean, sd, 95% interval)")
    for row in summary["population"]:
        _say(f"  {row['name']:<24}{_figures(row)}")
    for name, group in summary["groups"].items():
        _say(f"\nPhi, the covariance of the coefficients of {group['levels']} levels of {name}")
        names = group["coefficients"]
        covariance = {tuple(row["names"]): row["mean"] for row in group["covariance"]}
        for a in names:
            cells = [covariance.get((a, b), covariance.get((b, a), 0.0)) for b in names]
            _say(f"  {a:<24}" + "".join(f"{value:9.2f}" for value in cells))
    for row in summary["family_parameters"]:
        _say(f"\n  {row['name']:<24}{_figures(row)}")
    worst = summary["diagnostics"]
    _say(
        f"  worst r_hat {worst['r_hat_max']:.4f}, smallest effective sample size {worst['ess_bulk_min']:.0f}"
    )


def _show_classrooms(client: httpx.Client, fit_id: str) -> None:
    page = client.get(f"/v1/fits/{fit_id}/groups/teacher_id", params={"limit": 6}).raise_for_status().json()
    _say("\nCoefficients of single classrooms (population + deviation)")
    for item in page["items"]:
        _say(f"  {item['level']:<5}{item['coefficient']:<19}{_figures(item['value'])}")


def _show_predictions(client: httpx.Client, fit_id: str) -> None:
    body = {"data": {"columns": NEW_ROWS}, "kind": "epred", "new_levels": "sample", "prob": 0.95}
    answer = client.post(f"/v1/fits/{fit_id}/predictions", json=body).raise_for_status().json()
    _say("\nExpected scores of new students")
    for i, teacher in enumerate(NEW_ROWS["teacher_id"]):
        row = {name: answer[name][i] for name in ("mean", "sd", "lower", "upper")}
        _say(f"  age {NEW_ROWS['student_age_s'][i]:+.1f}, {teacher!s:<15}{_figures(row)}")
    _say("")


def _figures(row: dict[str, Any]) -> str:
    return f"{row['mean']:9.2f}{row['sd']:8.2f}   [{row['lower']:.2f}, {row['upper']:.2f}]"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
