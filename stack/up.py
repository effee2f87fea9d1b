"""`python -m stack.up`: run the whole service on this machine in the foreground, until Ctrl-C.

Honcho supervises the processes of the Procfile: when one ends all end, and none outlives this one.
"""

import multiprocessing
import os
import sys
from pathlib import Path

from honcho.environ import parse_procfile
from honcho.manager import Manager

from service.settings import ServiceSettings
from stack.child import die_with_parent
from stack.valkey import Server, ServerError
from store.environment import start_with
from worker.settings import WorkerSettings

ROOT = Path(__file__).parent.parent


def environment(folder: Path) -> dict[str, str]:
    """Give the processes' environment: what is set already stays, and with REDIS_URL nothing is embedded."""
    defaults = {
        "PORT": "8000",
        "PYTHONUNBUFFERED": "1",
        "JAX_COMPILATION_CACHE_DIR": str(folder / "xla"),
        # Honcho kills what has not ended after 5 s.
        "RANEF_SOFT_SHUTDOWN": "2",
        "REMAP_SIGTERM": "SIGQUIT",
    }
    chosen = defaults | {name: value for name, value in os.environ.items() if value}
    chosen["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{chosen.get('PATH', os.defpath)}"
    chosen["RANEF_DATA"] = str(folder)
    if "REDIS_URL" not in chosen:
        chosen["REDIS_URL"] = Server.of(folder / "valkey").url
    return chosen


def up(folder: Path) -> None:
    """Run the stack with its data in `folder` until a signal; raises SystemExit if a process ends."""
    embeds = not os.environ.get("REDIS_URL")
    chosen = environment(folder)
    processes = parse_procfile((ROOT / "Procfile").read_text()).processes
    # Honcho forks a process that relays the output of each; those must not outlive us either.
    multiprocessing.set_start_method("fork")
    supervisor = os.getpid()
    os.register_at_fork(after_in_child=lambda: die_with_parent(supervisor))
    print(f"ranef starts; its data are in {folder}", flush=True)
    manager = Manager()
    for name, command in processes.items():
        if name != "valkey" or embeds:
            manager.add_process(name, command, env=chosen, cwd=str(ROOT))
    manager.loop()
    if manager.returncode not in (130, 143):
        raise SystemExit("ranef: a process ended by itself (above), so all were stopped")


def main() -> None:
    """Run the stack with its data in RANEF_DATA, or `.ranef` beside the code."""
    start_with(ServiceSettings, WorkerSettings)
    folder = Path(os.environ.get("RANEF_DATA") or ROOT / ".ranef").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        up(folder)
    except ServerError as error:
        raise SystemExit(f"ranef: {error}") from error


if __name__ == "__main__":
    main()
