"""Looking at the content of files that triggers watch: in workers, so that a folder that hangs holds nobody up."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Final

from console.jobs import exit_cause
from console.jobs.process_tree import environment_of_ours

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.project.file_sets import FileSet

WORKERS_MAX: Final = 2
TIMEOUT_S: Final = 3600.0
"""Terabytes are hashed once; later looks read what has changed."""
ANSWER_MAX_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class SetResult:
    """What one trigger's globs match."""

    content_id: str
    words: str
    """What has changed since the last scan, for people."""
    problem: str
    """Why the id means nothing, such as a file that cannot be read; empty when it does."""
    changed_at_s: float | None
    """Unix time of the last change of a file; None when files are gone, or none has changed."""


@dataclass(frozen=True, slots=True)
class ScanResult:
    """One scan of a project."""

    started_s: float
    """Monotonic."""
    sets: Mapping[str, SetResult] = field(default_factory=dict)
    problem: str = ""
    """Why there is none; empty when there is."""


@dataclass(slots=True)
class Worker:
    """One process."""

    root: str
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    errors: IO[bytes]
    started_s: float


class Scans:
    """Belongs to the thread of `Projects`."""

    def __init__(self) -> None:
        self._wanted: dict[str, dict[str, Any]] = {}
        """What is still to be scanned, by root: the latest wish."""
        self._workers: list[Worker] = []

    @property
    def busy(self) -> bool:
        """Whether somebody should ask for what is `finished` soon."""
        return bool(self._wanted or self._workers)

    def want(self, root: str, cache_path: str, sets: Mapping[str, FileSet]) -> None:
        """Have a project scanned for these files."""
        asked = {name: {"globs": files.patterns, "leave_out": files.leave_out} for name, files in sets.items()}
        self._wanted[root] = {"root": root, "cache": cache_path, "sets": asked}
        self._start_next()

    def cancel(self, root: str) -> None:
        """Nobody wants to know any more."""
        self._wanted.pop(root, None)
        for worker in [each for each in self._workers if each.root == root]:
            self._end(worker)

    def finished(self) -> list[tuple[str, ScanResult]]:
        """Scans that are done since the last call, by root."""
        found = []
        for worker in list(self._workers):
            code = worker.process.poll()
            if code is None and time.monotonic() - worker.started_s <= TIMEOUT_S:
                continue
            found.append((worker.root, result_of(worker, code)))
            self._end(worker)
        self._start_next()
        return found

    def close(self) -> None:
        """End the workers."""
        self._wanted.clear()
        for worker in list(self._workers):
            self._end(worker)

    def _start_next(self) -> None:
        at_work = {worker.root for worker in self._workers}
        for root in [root for root in self._wanted if root not in at_work]:
            if len(self._workers) >= WORKERS_MAX:
                return
            asked = self._wanted.pop(root)
            with tempfile.TemporaryFile() as request:
                request.write(json.dumps(asked).encode())
                request.seek(0)
                output, errors = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - the worker's
                process = subprocess.Popen(
                    [sys.executable, "-I", "-m", "console.worker", "fingerprint"],
                    stdin=request,
                    stdout=output,
                    stderr=errors,
                    cwd="/",
                    env=environment_of_ours(os.environ),
                    start_new_session=True,
                )
            self._workers.append(Worker(root, process, output, errors, time.monotonic()))

    def _end(self, worker: Worker) -> None:
        if worker.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.process.pid, signal.SIGKILL)
            # One that hangs in the kernel dies when its server answers; nobody waits for that.
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(1.0)
        worker.output.close()
        worker.errors.close()
        self._workers.remove(worker)


def result_of(worker: Worker, code: int | None) -> ScanResult:
    """What a worker that has ended, or is ended now, has found."""
    if code is None:
        return ScanResult(worker.started_s, problem=f"the files could not be read within {TIMEOUT_S / 60:.0f} minutes")
    if code:
        worker.errors.seek(0)
        said = exit_cause.last_line(worker.errors.read(65536).decode("utf-8", "replace"))
        return ScanResult(worker.started_s, problem=said or f"the scan ended with {code}")
    worker.output.seek(0)
    try:
        sets = json.loads(worker.output.read(ANSWER_MAX_BYTES))["sets"]
        return ScanResult(worker.started_s, {name: set_of(said) for name, said in sets.items()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return ScanResult(worker.started_s, problem=f"the scan gave no answer that can be read: {error}")


def set_of(said: Mapping[str, Any]) -> SetResult:
    """One set of a worker's answer."""
    changed_at_s = said["changed_at_s"]
    return SetResult(
        str(said["id"]),
        str(said["words"]),
        str(said["problem"]),
        float(changed_at_s) if changed_at_s is not None else None,
    )
