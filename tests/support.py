"""Real parts for tests: a state directory with a daemon of its own, run directories written by hand, user commands."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from console.client import Client
from console.protocol import ENDED_STATES
from store import identity, paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from console.protocol import RunDetail

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
FOOTPLATE = os.path.join(os.path.dirname(sys.executable), "footplate")
WAIT_S = 60.0
"""How long a test waits for something that takes milliseconds on a quiet machine."""
HIDING_VARIABLES = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONPATH", "COLUMNS", "LINES")
"""Set on some build machines and by what spreads tests over cores, where they would hide what users meet."""


@dataclass(frozen=True)
class PastRun:
    """A run that has ended, for `Home.write_run`."""

    no: int
    name: str = "train.py"
    argv: Sequence[str] = ("python", "train.py")
    project: str = "churn"
    state: str = "finished"
    exit_code: int | None = 0
    signal: str = ""
    cause: str = ""
    evidence: str = ""
    started_at_s: float = 1_760_000_000.0
    duration_s: float = 60.0
    params: dict[str, str] = field(default_factory=dict)
    points: Sequence[tuple[int, dict[str, float]]] = ()
    log: bytes = b""
    host: str = "gpu-03"
    working_dir: str = "/home/ana/churn"

    @property
    def id(self) -> str:
        """A ULID that depends on nothing but the number."""
        digits = ""
        rest = self.no
        for _ in range(16):
            digits = CROCKFORD[rest % 32] + digits
            rest //= 32
        return "01K7000000" + digits


class Home:
    """A state directory and the daemon that clients in this process and in child processes start for it."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._client: Client | None = None

    def environment(self, **changes: str) -> dict[str, str]:
        """The environment of a user's shell with this home."""
        kept = {key: value for key, value in os.environ.items() if key not in HIDING_VARIABLES}
        return kept | {"FOOTPLATE_HOME": self.path, "TZ": "UTC"} | changes

    def footplate(self, *arguments: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run the command `footplate` as a user would; `check` raises with its output when it fails."""
        options.setdefault("env", self.environment())
        options.setdefault("timeout", WAIT_S * 3)
        done = subprocess.run(
            [FOOTPLATE, *arguments],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            errors="replace",
            **options,
        )
        if check and done.returncode:
            raise AssertionError(f"footplate {arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def client(self) -> Client:
        """A client of this home; FOOTPLATE_HOME must name it (see `home` in conftest.py)."""
        if self._client is None:
            self._client = Client()
        return self._client

    def submit(self, *argv: str, **changes: Any) -> str:
        """Enqueue a command past the checks of the command line; returns the run's id."""
        request = {
            "argv": list(argv),
            "working_dir": "/",
            "environment": self.environment(),
            "umask": 0o022,
            "limits": {},
            "name": "",
            "project": "test",
            "grace_s": 2.0,
            "actor": "tester",
        }
        return self.client().submit(request | changes).id

    def python(self, code: str, **changes: Any) -> str:
        """Enqueue a piece of Python; returns the run's id."""
        return self.submit(sys.executable, "-c", code, **changes)

    def wait_ended(self, reference: str) -> RunDetail:
        """The run once it has ended."""
        return self.wait_run(reference, lambda detail: detail.row.state in ENDED_STATES)

    def wait_ended_when_there(self, reference: str) -> RunDetail:
        """As `wait_ended`, for a run that somebody else enqueues."""
        number = int(reference[1:])
        wait_until(lambda: any(row.no == number for row in self.client().runs(limit=1000).rows))
        return self.wait_ended(reference)

    def wait_run(self, reference: str, accept: Callable[[RunDetail], bool]) -> RunDetail:
        """The run once it is as wanted."""
        client = self.client()

        def look() -> RunDetail | None:
            detail = client.run(reference)
            return detail if accept(detail) else None

        found: RunDetail = wait_until(look)
        return found

    def run_dir(self, run_id: str) -> str:
        """The directory of a run."""
        return paths.run_dir(self.path, run_id)

    def daemon_pid(self) -> int | None:
        """Who holds the lock, None when nobody does."""
        try:
            with open(paths.lock_path(self.path), encoding="utf-8") as file:
                pid = int(json.load(file)["pid"])
        except (OSError, ValueError):
            return None
        found = identity.stat_fields(pid)
        return pid if found is not None and found[0] not in "ZX" else None

    def is_locked(self) -> bool:
        """Whether a daemon, or what is left of a killed one, holds the lock."""
        try:
            with open(paths.lock_path(self.path), encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
        return False

    def end_daemon(self) -> None:
        """SIGTERM, and wait until it has let go of everything."""
        told: set[int] = set()

        def is_gone() -> bool:
            # One that is starting has the lock before it says who it is.
            pid = self.daemon_pid()
            if pid is not None and pid not in told:
                told.add(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            return not self.is_locked()

        wait_until(is_gone)

    def kill_daemon(self) -> None:
        """kill -9, and wait until it is gone: all its threads, the last of which lets go of its sockets."""
        pid = self.daemon_pid()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                descriptor = os.pidfd_open(pid)
                try:
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                    assert select.select([descriptor], [], [], WAIT_S)[0]
                finally:
                    os.close(descriptor)

    def write_run(self, run: PastRun) -> str:
        """A run directory as a supervisor leaves it; a daemon that starts afterwards indexes it. Returns the id."""
        paths.ensure_state_dir(self.path)
        folder = self.run_dir(run.id)
        os.mkdir(folder, 0o700)
        ended_at_s = run.started_at_s + run.duration_s
        supervisor = {"boot_id": "another-boot", "pid": 1, "start_ticks": 1}
        spec = {
            "format": 1,
            "id": run.id,
            "no": run.no,
            "name": run.name,
            "project": run.project,
            "argv": list(run.argv),
            "working_dir": run.working_dir,
            "grace_s": 10.0,
            "params": run.params,
            "created_at_s": run.started_at_s,
            "host": run.host,
        }
        status = {
            "format": 1,
            "attempt": 1,
            "state": run.state,
            "supervisor": supervisor,
            "command": None,
            "started_at_s": run.started_at_s,
            "ended_at_s": ended_at_s,
            "exit_code": run.exit_code,
            "signal": run.signal,
            "cause": run.cause,
            "evidence": run.evidence,
        }
        lines = [json.dumps({"step": step, **values}) for step, values in run.points]
        for name, text in (
            ("spec.json", json.dumps(spec)),
            ("status.json", json.dumps(status)),
            ("attempt-1.claim", json.dumps(supervisor)),
            ("metrics.jsonl", "".join(f"{line}\n" for line in lines)),
        ):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        with open(os.path.join(folder, "output.log"), "wb") as log:
            log.write(run.log)
        return run.id

    def close(self) -> None:
        """End what still runs, then the daemon."""
        if self._client is not None:
            self._client.close()
        if self.daemon_pid() is None and not os.path.isdir(os.path.join(self.path, "runs")):
            return
        # Or the supervisor of a run that ends now would bring a daemon back, and one with triggers stays.
        with contextlib.suppress(OSError), open(paths.stopped_path(self.path), "w", encoding="utf-8") as note:
            json.dump({"actor": "the end of the test"}, note)
        for name in os.listdir(os.path.join(self.path, "runs")):
            end_run(os.path.join(self.path, "runs", name))
        self.end_daemon()


def end_run(run_dir: str) -> None:
    """Kill command and supervisor of a run, if they live."""
    try:
        with open(os.path.join(run_dir, "status.json"), encoding="utf-8") as file:
            status = json.load(file)
    except (OSError, ValueError):
        return
    for role in ("command", "supervisor"):
        found = identity.from_json(status.get(role))
        if found is not None:
            identity.send_signal(found, 9)


def wait_until(look: Callable[[], Any], timeout_s: float = WAIT_S) -> Any:
    """The first true answer of `look`; fails when there is none in time."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline_s:
            raise AssertionError(f"waited {timeout_s:.0f} s in vain")
        time.sleep(0.02)


@contextlib.contextmanager
def opened_home(path: Path) -> Iterator[Home]:
    """A home whose daemon and runs end with the block; sets FOOTPLATE_HOME for clients in this process."""
    home = Home(path)
    before = os.environ.get("FOOTPLATE_HOME")
    os.environ["FOOTPLATE_HOME"] = home.path
    try:
        yield home
    finally:
        home.close()
        if before is None:
            os.environ.pop("FOOTPLATE_HOME", None)
        else:
            os.environ["FOOTPLATE_HOME"] = before


def run_count(home: Home) -> int:
    """How many runs there are."""
    return home.client().runs().total_count
