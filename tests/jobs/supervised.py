"""Run directories made by hand and real supervisors on them, without a daemon."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from console.jobs import status_file
from store import identity
from tests.support import CROCKFORD, HIDING_VARIABLES, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from store.identity import ProcessIdentity

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SUPERVISOR = os.path.join(ROOT, "console", "jobs", "supervisor.py")
NO_GROUPS = "from console.jobs import containment\ncontainment.own_groups = lambda: ('', '')\n"
"""For `Runs.start(before=...)`: a machine on which no control group can be made."""


class Runs:
    """A state directory with runs in it; `close` ends whatever is left of them."""

    def __init__(self, path: Path) -> None:
        self.home = str(path)
        self.dirs: list[str] = []
        self.supervisors: list[subprocess.Popen[bytes]] = []
        os.makedirs(f"{self.home}/runs", mode=0o700, exist_ok=True)

    def make(self, *argv: str, **changes: Any) -> str:
        """A run directory as the daemon leaves it to a supervisor; `options` and other fields of spec.json."""
        digits = "".join(CROCKFORD[len(self.dirs) // 32**place % 32] for place in (1, 0))
        # Unlike in every other process of these tests: what is left is found by it.
        run_id = f"01TEST{os.getpid():08d}{time.monotonic_ns() % 10**10:010d}{digits}"
        run_dir = f"{self.home}/runs/{run_id}"
        os.mkdir(run_dir, 0o700)
        environment = {key: value for key, value in os.environ.items() if key not in HIDING_VARIABLES}
        spec = {"format": 1, "id": run_id, "argv": list(argv), "working_dir": "/", "grace_s": 2.0, "options": None}
        context = {"format": 1, "environment": environment, "umask": 0o022, "limits": {}}
        for name, content in (("spec.json", spec | changes), ("environment.json", context)):
            with open(f"{run_dir}/{name}", "w", encoding="utf-8") as file:
                json.dump(content, file)
        self.dirs.append(run_dir)
        return run_dir

    def start(self, run_dir: str, *, before: str = "", root: str = ROOT, attempt: int = 1) -> subprocess.Popen[bytes]:
        """A supervisor for it. `before`: Python that is executed in it ahead of everything else."""
        argv = [f"{root}/console/jobs/supervisor.py", run_dir, str(attempt)]
        if before:
            code = f"import sys\nsys.path.append({root!r})\n{before}\nfrom console.jobs import supervisor\n"
            argv = ["-c", f"{code}supervisor.main()", run_dir, str(attempt)]
        with open(f"{run_dir}/supervisor.log", "ab") as errors:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", *argv],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                cwd="/",
                env=os.environ | {"FOOTPLATE_PROCESS": "daemon"},
                start_new_session=True,
            )
        self.supervisors.append(process)
        return process

    def carry_out(self, *argv: str, before: str = "", **changes: Any) -> dict[str, Any]:
        """Run a command to its end; the final status."""
        run_dir = self.make(*argv, **changes)
        self.wait(self.start(run_dir, before=before), run_dir)
        return final_status(run_dir)

    def python(self, code: str, *arguments: str, **changes: Any) -> str:
        """A run directory for a piece of Python."""
        return self.make(sys.executable, "-c", code, *arguments, **changes)

    def wait(self, process: subprocess.Popen[bytes], run_dir: str) -> None:
        """Until the supervisor is gone, which must have had nothing to say."""
        wait_until(lambda: process.poll() is not None)
        if os.path.isdir(run_dir):
            assert errors_of(run_dir) == ""
        assert process.returncode == 0

    def close(self) -> None:
        """End everything."""
        for process in self.supervisors:
            if process.poll() is None:
                process.kill()
            process.wait()
        for run_dir in self.dirs:
            wait_until(functools.partial(all_killed, run_dir))


def status_of(run_dir: str) -> dict[str, Any]:
    """The status as readers find it; empty while there is none."""
    return status_file.read(run_dir) or {}


def final_status(run_dir: str) -> dict[str, Any]:
    """The status of a run that is over."""
    status = status_of(run_dir)
    assert status["ended_at_s"] is not None
    return status


def wait_state(run_dir: str, state: str) -> dict[str, Any]:
    """The status once it says `state`."""
    wait_until(lambda: status_of(run_dir).get("state") == state)
    return status_of(run_dir)


def wait_log(run_dir: str, text: str) -> None:
    """Until the log holds `text`."""
    wait_until(lambda: text in log_of(run_dir))


def log_of(run_dir: str) -> str:
    """The whole log."""
    try:
        with open(f"{run_dir}/output.log", encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def errors_of(run_dir: str) -> str:
    """What the supervisor had to say."""
    with open(f"{run_dir}/supervisor.log", encoding="utf-8") as file:
        return file.read()


def tagged(run_dir: str) -> list[ProcessIdentity]:
    """Processes that carry the run's tag."""
    return identity.tagged("FOOTPLATE_RUN_ID", os.path.basename(run_dir))


def ask_to_stop(run_dir: str, process: subprocess.Popen[bytes], actor: str = "ana") -> None:
    """As the daemon does it."""
    with open(f"{run_dir}/stop.json", "w", encoding="utf-8") as file:
        json.dump({"format": 1, "actor": actor, "at_s": time.time()}, file)
    process.terminate()


def kill_tagged(run_dir: str) -> list[ProcessIdentity]:
    """KILL to everything that carries the run's tag; what that was."""
    found = tagged(run_dir)
    for process in found:
        identity.send_signal(process, 9)
    return found


def all_killed(run_dir: str) -> bool:
    """Whether nothing that carries the run's tag was left to kill."""
    return not kill_tagged(run_dir)
