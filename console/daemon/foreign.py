"""A run of another host in a state directory that hosts share: read, never judged.

Its pids and its boot mean nothing here, and its own daemon writes its journal; so its state is what its files say.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from console.daemon import launch, run_params
from console.daemon.watched import Look, WatchedRun
from console.jobs import launchers, reconcile, spec, status_file
from store import derive, identity, local_home, paths
from store.ingest import read_batch
from store.run_files import size_bytes

if TYPE_CHECKING:
    from console.jobs.spec import Spec
    from store.database import Cursor
    from store.ingest import JournalCursor

RESCAN_S: Final = 30.0
"""How often runs that other hosts have made are looked for."""


@dataclass(slots=True)
class ForeignRun(WatchedRun):
    """Belongs to the keeper's thread; writes nothing."""

    def look(self, cursor: JournalCursor) -> Look:
        """What its files say that the index does not. Raises OSError when they cannot be read."""
        if not os.path.isdir(self.run_dir):
            return Look(columns={"state": "unknown", "cause": "its run directory is gone"}, changed=True, over=True)
        attempt = reconcile.current_attempt(self.run_dir)
        reconciled = reconcile.of_attempt(reconcile.read_ending(f"{self.run_dir}/reconciled.json"), attempt)
        status = reconcile.of_attempt(reconcile.sound_ending(status_file.read(self.run_dir)), attempt)
        generation, metrics_end, log_end = derived_so_far(self.run_dir)
        many = launchers.beneath(self.spec.argv).many_processes
        batch = read_batch(self.spec.id, self.spec.no, self.run_dir, cursor, generation, many_writers=many)
        size = launch.log_size(self.run_dir)
        end = reconciled or status
        caught_up = batch is None and metrics_end >= size_bytes(derive.metrics_path(self.run_dir)) and log_end >= size
        ended = end is not None and end["ended_at_s"] is not None
        found = Look(batch=batch, more=batch is not None and batch.full)
        # As for a run of ours, the end is told when every point before it is in the index.
        if end is not None and end["state"] != self.state and (caught_up or not ended):
            facts = reconcile.Facts(
                status=status,
                reconciled=reconciled,
                supervisor=None,
                survivors=(),
                supervisor_alive=False,
                same_boot=False,
                attempt=attempt,
            )
            found.columns = launch.columns_of(facts, "ended" if ended else "adopt", draining=False)
            found.over = ended
            if ended:
                params = run_params.found_params(self.run_dir, self.spec)
                found.columns |= params.columns
                found.literals = params.literals
        found.changed = bool(found.columns or found.batch or size != self.log_size_bytes)
        self.log_size_bytes = size
        return found

    def start(self, attempt: int = 1) -> None:
        """Never: only its own host may start it."""
        raise RuntimeError(f"r{self.spec.no} belongs to {self.spec.host}, attempt {attempt} is not ours to start")

    def leave(self) -> None:
        """Nothing of it is ours to clear away."""
        self.close()


def derived_so_far(run_dir: str) -> tuple[int, int, int]:
    """By its journal: the generation of the metrics file, and how far that file and the log were read."""
    path = derive.derived_path(run_dir)
    size = size_bytes(path)
    window = derive.TAIL_BYTES
    while True:
        start = max(0, size - window)
        last = derive.last_records(path, start)
        if start == 0 or {"metrics", "log"} <= last.keys():
            break
        window *= 8
    metrics, log = last.get("metrics", {}), last.get("log", {})
    return metrics.get("generation", 0), metrics.get("end", 0), log.get("end", 0)


def is_foreign(found: Spec, *, shared: bool) -> bool:
    """Whether a run is another host's, given whether hosts share the state directory.

    A boot that is ours, or a disk that is this machine's alone, means a host that has changed its name.
    """
    return shared and found.host != os.uname().nodename and found.boot_id != identity.boot_id()


def watch(found: Spec, run_dir: str, state: str, *, shared: bool, **options: Any) -> WatchedRun:
    """What looks after a run, as the run is ours or not."""
    return (ForeignRun if is_foreign(found, shared=shared) else WatchedRun)(found, run_dir, state, **options)


class Neighbours:
    """The runs of other hosts that share the state directory; belongs to the keeper's thread."""

    def __init__(self, home: str) -> None:
        self.shared = local_home.is_shared(home)
        self._home = home
        self._next_look_s = time.monotonic() + RESCAN_S

    def newcomers(self, cursor: Cursor) -> list[Spec]:
        """Runs of other hosts that the index does not know; looked for now and then. Raises OSError, duckdb.Error."""
        if not self.shared or time.monotonic() < self._next_look_s:
            return []
        self._next_look_s = time.monotonic() + RESCAN_S
        known = {run_id for (run_id,) in cursor.execute("select id from run").fetchall()}
        found = []
        for name in sorted(os.listdir(paths.runs_dir(self._home))):
            if name.startswith(".") or name in known:
                continue
            try:
                new = spec.read_spec(paths.run_dir(self._home, name))
            except (OSError, ValueError):
                continue  # not whole yet on a network; what cannot be read for good is told at the daemon's start
            if is_foreign(new, shared=True):
                found.append(new)
        return found
