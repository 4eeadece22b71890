"""One run that has not ended, as the daemon looks after it: starts it, passes stops on, reads what it wrote."""

from __future__ import annotations

import os
import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from console.daemon import launch
from console.jobs import reconcile
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
        facts = reconcile.gather(self.run_dir)
        judgement = reconcile.judge(facts)
        self._act(facts, judgement)
        ended = judgement in ENDS
        found = self._read(cursor, final=ended)
        # The final state is told only when every point before it is in the index.
        drained = not found.more and found.batch is None
        columns = launch.columns_of(facts, judgement, draining=ended and not drained)
        if columns.get("state", self.state) != self.state:
            found.columns = columns
            found.over = ended
        size = launch.log_size(self.run_dir)
        found.changed = bool(found.columns or found.batch or size != self.log_size_bytes)
        found.more = found.more or (ended and not found.over)
        self.log_size_bytes = size
        return found

    def start(self) -> None:
        """Start a supervisor. Raises OSError."""
        self.launch_count += 1
        self.launched_at_s = time.monotonic()
        self.process = launch.start_supervisor(self.run_dir)

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

    def _read(self, cursor: JournalCursor, *, final: bool) -> Look:
        if self.broken:
            return Look()
        try:
            if self.derivation is None:
                self.derivation = derive.open_derivation(self.spec.id, self.run_dir)
            behind = derive.derive(self.derivation, time.time_ns() // 1000, final=final)
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
        if judgement == "start":
            if stop is not None:
                launch.record_loss(self.run_dir, "stopped", f"stopped by {stop.get('actor')} before it started")
            else:
                self._start_again()
        elif judgement in reconcile.STATES_AFTER_LOSS:
            state, cause = reconcile.STATES_AFTER_LOSS[judgement]
            if stop is not None:
                state, cause = "stopped", f"stopped by {stop.get('actor')}; its supervisor was lost before"
            launch.record_loss(self.run_dir, state, cause)
        elif stop is not None:
            if judgement == "adopt" and facts.supervisor is not None:
                self.stop_signalled = identity.send_signal(facts.supervisor, 15)
            elif judgement == "unattended" and facts.command is not None:
                launch.stop_unattended(facts.command, stop, self.spec.grace_s)

    def _start_again(self) -> None:
        """Nobody has claimed the attempt: start a supervisor unless one is on its way; give up after a few."""
        patience_s = STARTING_TIMEOUT_S if self.process is not None else RELAUNCH_AFTER_S
        if self.launch_count and time.monotonic() - self.launched_at_s < patience_s:
            return
        if self.launch_count >= LAUNCHES_MAX:
            said = launch.last_line(f"{self.run_dir}/supervisor.log")
            launch.record_loss(self.run_dir, "failed", f"its supervisor could not start: {said}")
            return
        self.start()
