"""Workers that capture code: started by the keeper, at most four at once, reaped, killed when they take too long."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final, NamedTuple

from console.daemon.catching_up import has_recorded_end
from console.jobs import exit_cause, spec
from console.jobs.process_tree import environment_of_ours
from console.project import isolation
from store import paths

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

WORKERS_MAX: Final = 4
BATCH_MAX: Final = 8
"""Runs that one worker captures, one after the other: a sweep of a thousand runs needs no thousand interpreters."""
TIMEOUT_S: Final = 30.0
READS_PARAMS: Final = ("enqueue", "ended")
"""Stages that read params from files."""
COPY_TIMEOUT_S: Final = 120.0
"""For a worker that makes or takes away a copy of a folder."""


SHARED_FILES: Final = ("diff.patch", "capture.json")
"""Of what is captured, what is the same for runs that are enqueued together; the record comes last."""


class Task(NamedTuple):
    """What is to be done for one run."""

    run_dir: str
    stage: str
    """`enqueue`, the number of an attempt, `ended`, or `forget-copy`."""
    copies: bool
    """It makes or removes a copy, which may take long: it gets a worker of its own."""


@dataclass(slots=True)
class Worker:
    """One process and what it is at."""

    process: subprocess.Popen[bytes]
    tasks: list[Task]
    started_at_s: float
    errors: IO[bytes]


class Captures:
    """Belongs to the keeper's thread; only `is_pending` may be called from any."""

    def __init__(self, home: str) -> None:
        self._home = home
        self._waiting: list[Task] = []
        self._workers: list[Worker] = []
        self._pending: set[str] = set()
        self._alike: dict[str, tuple[str, ...]] = {}
        """Runs that get what is captured for another one, by the directory of that one."""
        self._done: list[str] = []

    @property
    def busy(self) -> bool:
        """Whether somebody should `look` soon."""
        return bool(self._waiting or self._workers)

    def is_pending(self, run_dir: str) -> bool:
        """Whether a task for this run waits or is under way."""
        return run_dir in self._pending

    def take_done(self) -> list[str]:
        """Run directories in which a worker has written something since the last call."""
        done, self._done = self._done, []
        return done

    def ask(self, run_dir: str, stage: str, *, copies: bool = False) -> None:
        """Have something captured, soon."""
        self._waiting.append(Task(run_dir, stage, copies))
        self._pending.add(run_dir)
        self.look()

    def ask_all(self, run_dirs: Sequence[str]) -> None:
        """Have the code captured of runs that were enqueued together: once, for all of them run the same."""
        for first in run_dirs[:1]:
            self._alike[first] = tuple(run_dirs[1:])
            self.ask(first, "enqueue")
            self._pending.update(run_dirs)

    def sweep(self, live_runs: Container[str]) -> None:
        """Have copies taken away whose runs are over: a daemon was killed before it could."""
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(os.path.join(self._home, "worktrees")):
                run_dir = paths.run_dir(self._home, name)
                if name not in live_runs and (not os.path.isdir(run_dir) or is_over_here(run_dir)):
                    self.ask(run_dir, "forget-copy", copies=True)

    def look(self) -> None:
        """Reap workers that have ended, end those that take too long, start the next."""
        for worker in list(self._workers):
            limit_s = COPY_TIMEOUT_S if worker.tasks[0].copies else TIMEOUT_S
            reason = ""
            if worker.process.poll() is None:
                if time.monotonic() - worker.started_at_s <= limit_s:
                    continue
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(worker.process.pid, signal.SIGKILL)
                worker.process.wait()
                reason = f"it took longer than {limit_s:.0f} s"
            elif worker.process.returncode:
                worker.errors.seek(0)
                said = exit_cause.last_line(worker.errors.read(65536).decode("utf-8", "replace"))
                reason = said or f"the worker ended with {worker.process.returncode}"
            self._workers.remove(worker)
            worker.errors.close()
            for task in worker.tasks:
                self._settle(task, reason)
        self._pending.update(task.run_dir for task in self._waiting)
        while self._waiting and len(self._workers) < WORKERS_MAX:
            self._start_next()

    def _start_next(self) -> None:
        first = self._waiting[0]
        batch = [first] if first.copies else [task for task in self._waiting if not task.copies][:BATCH_MAX]
        self._waiting = [task for task in self._waiting if task not in batch]
        if first.stage == "forget-copy":
            arguments = ["forget-copy", first.run_dir]
        else:
            arguments = ["capture", *(word for task in batch for word in (task.run_dir, task.stage))]
        errors: IO[bytes] | None = None
        try:
            errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
            process = subprocess.Popen(
                [sys.executable, "-I", "-m", "console.worker", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                cwd="/",
                env=environment_of_ours(os.environ),
                start_new_session=True,
            )
        except OSError as error:
            if errors is not None:
                errors.close()
            for task in batch:
                self._settle(task, f"no worker could be started: {error.strerror}")
            return
        self._workers.append(Worker(process, batch, time.monotonic(), errors))

    def _settle(self, task: Task, reason: str) -> None:
        """A task is done, or could not be."""
        record_failure(task, reason)
        self._pending.discard(task.run_dir)
        if task.stage in READS_PARAMS:
            self._done.append(task.run_dir)
        if task.stage == "enqueue":
            for other in self._alike.pop(task.run_dir, ()):
                share_capture(task.run_dir, other)
                self._pending.discard(other)
                self._done.append(other)


def share_capture(run_dir: str, other: str) -> None:
    """Give one run what was captured for another one; the files are never changed, so a link will do."""
    for name in SHARED_FILES:
        # Deleted meanwhile, or nothing of the kind was captured. On a full disk the view says "interrupted".
        with contextlib.suppress(OSError):
            os.link(f"{run_dir}/code/{name}", f"{other}/code/{name}")


def is_over_here(run_dir: str) -> bool:
    """Whether a run has ended that ran on this host: another host that shares the home looks after its own."""
    try:
        return has_recorded_end(run_dir) and spec.read_spec(run_dir).host == os.uname().nodename
    except (OSError, ValueError):
        return False


def record_failure(task: Task, reason: str) -> None:
    """Say in place of what a worker did not write why it is missing; without a reason for what it did write."""
    if task.stage in ("forget-copy", "ended") or not os.path.isdir(f"{task.run_dir}/code"):
        return
    reason = reason or "the worker wrote nothing"
    name = "capture.json" if task.stage == "enqueue" else f"capture-{task.stage}.json"
    # On a full disk the view says "interrupted" instead.
    with contextlib.suppress(OSError):
        if not os.path.exists(f"{task.run_dir}/code/{name}"):
            record = {"format": 1, "state": f"n/a: {reason}", "at_s": time.time()}
            paths.write_atomically(f"{task.run_dir}/code/{name}", json.dumps(record).encode())
        if task.copies and not os.path.exists(isolation.note_path(task.run_dir)):
            isolation.write_note(task.run_dir, error=f"isolate: no copy of the code could be made: {reason}")
