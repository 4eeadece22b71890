"""One run that has not ended, as the daemon looks after it: starts it, passes stops on, reads what it wrote."""

from __future__ import annotations

import os
import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from console.daemon import launch
from console.jobs import reconcile
from console.jobs.exit_cause import RETRY_GROUPS
from console.jobs.options import retry_delay_s
from console.jobs.reconcile import Loss
from store import derive, identity
from store.ingest import BATCH_POINTS, read_batch

if TYPE_CHECKING:
    from subprocess import Popen

    from console.jobs.reconcile import Facts, Judgement
    from console.jobs.spec import Spec
    from store.ingest import Batch, JournalCursor

STARTING_TIMEOUT_S: Final = 30.0
"""How long a supervisor that was started may take to claim its attempt before another one is."""
RELAUNCH_AFTER_S: Final = 1.0
"""How long to wait after a supervisor ended without claiming its attempt."""
LAUNCHES_MAX: Final = 3
ENDS: Final[frozenset[Judgement]] = frozenset({"ended", "lost", "reboot"})


@dataclass(slots=True)
class Look:
    """What one look at a run found."""

    columns: dict[str, Any] = field(default_factory=dict)
    """What the index should say of the run from now on; empty for no change."""
    batch: Batch | None = None
    """Points that the index lacks."""
    changed: bool = False
    """Whether a view of this run shows something else."""
    over: bool = False
    """The run has ended and everything it wrote is in the index, or will be with this batch's commit."""
    more: bool = False
    """There is more to read at once."""


@dataclass(slots=True)
class WatchedRun:
    """Belongs to the keeper's thread."""

    spec: Spec
    run_dir: str
    state: str
    """As the index has it."""
    derivation: derive.Derivation | None = None
    process: Popen[bytes] | None = None
    """Its supervisor, when we started it: ours to reap."""
    launched_at_s: float = 0.0
    """Monotonic time of the last start of a supervisor."""
    launch_count: int = 0
    """Of the present attempt."""
    attempt: int = 1
    stop_signalled: bool = False
    log_size_bytes: int = 0
    broken: bool = False
    """What it wrote cannot be read because of a fault of ours; its state is still kept."""

    def look(self, cursor: JournalCursor) -> Look:
        """Do what is due for the run and say what is new. Raises OSError when its files cannot be read or written."""
        if self.process is not None and self.process.poll() is not None:
            self.process = None
        if not os.path.isdir(self.run_dir):
            gone = {"state": "failed", "cause": "its run directory is gone", "ended_at_s": time.time()}
            return Look(columns=gone, changed=True, over=True)
        facts = reconcile.gather(self.run_dir, self.spec)
        judgement = reconcile.judge(facts)
        self._act(facts, judgement)
        ended = judgement in ENDS
        found = self._read(cursor, facts.attempt, final=ended)
        # The final state is told, and another attempt decided on, only when every point before it is in the index.
        drained = not found.more and found.batch is None
        if judgement == "ended" and drained and self._try_again(facts):
            return Look(columns=self._waiting(facts.attempt + 1), changed=True, more=True)
        if judgement == "start" and facts.attempt > 1:
            columns = self._waiting(facts.attempt)
        else:
            columns = launch.columns_of(facts, judgement, draining=ended and not drained)
        if columns.get("state", self.state) != self.state:
            found.columns = columns
            found.over = ended
        size = launch.log_size(self.run_dir)
        found.changed = bool(found.columns or found.batch or size != self.log_size_bytes)
        found.more = found.more or (ended and not found.over)
        self.log_size_bytes = size
        return found

    def start(self, attempt: int = 1) -> None:
        """Start a supervisor. Raises OSError."""
        if attempt != self.attempt:
            self.attempt, self.launch_count = attempt, 0
        self.launch_count += 1
        self.launched_at_s = time.monotonic()
        self.process = launch.start_supervisor(self.run_dir, attempt)

    def close(self) -> None:
        """Let go of the journal; the supervisor stays."""
        if self.derivation is not None:
            self.derivation.close()
            self.derivation = None

    def leave(self) -> None:
        """The run is over: nothing of it is needed any more."""
        self.close()
        if self.process is not None and self.process.poll() is None:
            launch.reap_later(self.process)
        launch.delete_environment(self.run_dir)

    def _read(self, cursor: JournalCursor, attempt: int, *, final: bool) -> Look:
        if self.broken:
            return Look()
        try:
            if self.derivation is None:
                self.derivation = derive.open_derivation(self.spec.id, self.run_dir)
            behind = derive.derive(self.derivation, time.time_ns() // 1000, attempt, final=final)
            generation = self.derivation.generation
            batch = read_batch(self.spec.id, self.spec.no, self.run_dir, cursor, generation)
        except OSError:
            raise
        except Exception:
            # One run that we cannot read must not keep the others from being read.
            traceback.print_exc()
            self.broken = True
            return Look()
        return Look(batch=batch, more=behind or (batch is not None and len(batch.values) > BATCH_POINTS))

    def _act(self, facts: Facts, judgement: Judgement) -> None:
        """Start what nobody took, pass on a stop, record an end that nobody else can record."""
        stop = None if self.stop_signalled else reconcile.read_object(f"{self.run_dir}/stop.json")
        if judgement in ("start", "held"):
            if stop is not None:
                loss = Loss("stopped", "stopped", f"stopped by {stop.get('actor')} before it started")
                launch.record_loss(self.run_dir, facts.attempt, loss)
            elif judgement == "start":
                self._start_again(facts.attempt)
        elif judgement in reconcile.LOSSES:
            loss = reconcile.LOSSES[judgement]
            if stop is not None:
                loss = Loss("stopped", "stopped", f"stopped by {stop.get('actor')}; its supervisor was lost before")
            launch.record_loss(self.run_dir, facts.attempt, loss)
        elif stop is not None:
            if judgement == "adopt" and facts.supervisor is not None:
                self.stop_signalled = identity.send_signal(facts.supervisor, 15)
            elif judgement == "unattended":
                launch.stop_unattended(facts.survivors, stop, self.spec.grace_s)

    def _try_again(self, facts: Facts) -> bool:
        """Whether the end of this attempt makes room for another one, which is then decided on. Raises OSError."""
        end = facts.reconciled if facts.reconciled is not None else facts.status
        retry = self.spec.options.retry
        if retry is None or end is None or facts.attempt > retry.max:
            return False
        kind = end.get("cause_kind", "")
        if not any(kind in RETRY_GROUPS[name] for name in retry.on) or os.path.exists(f"{self.run_dir}/stop.json"):
            return False
        launch.set_aside(self.run_dir, facts, retry_delay_s(retry, facts.attempt))
        return True

    def _waiting(self, attempt: int) -> dict[str, Any]:
        """What the index says of a run that waits for a further attempt."""
        before = reconcile.read_object(reconcile.setaside_path(self.run_dir, attempt - 1)) or {}
        most = 1 + (self.spec.options.retry.max if self.spec.options.retry is not None else 0)
        return {
            "state": "queued",
            "cause": launch.readable(f"attempt {attempt - 1} of {most}: {before.get('cause') or 'ended'}"),
            "cause_kind": str(before.get("cause_kind", "")),
            "attempt": attempt,
        }

    def _start_again(self, attempt: int) -> None:
        """Nobody has claimed the attempt: start a supervisor unless one is on its way; give up after a few."""
        if attempt > 1:
            before = reconcile.read_object(reconcile.setaside_path(self.run_dir, attempt - 1)) or {}
            # A clock that was set back must not make the wait longer than it was meant to be.
            left_s = launch.number(before.get("next_at_s")) or 0.0
            retry = self.spec.options.retry
            if 0 < left_s - time.time() <= (retry_delay_s(retry, attempt - 1) if retry is not None else 0.0):
                return
        if attempt == self.attempt:
            patience_s = STARTING_TIMEOUT_S if self.process is not None else RELAUNCH_AFTER_S
            if self.launch_count and time.monotonic() - self.launched_at_s < patience_s:
                return
            if self.launch_count >= LAUNCHES_MAX:
                said = launch.last_line(f"{self.run_dir}/supervisor.log")
                loss = Loss("failed", "not_started", f"its supervisor could not start: {said}")
                launch.record_loss(self.run_dir, attempt, loss)
                return
        self.start(attempt)
