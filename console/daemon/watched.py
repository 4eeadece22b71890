"""One run that has not ended, as the daemon looks after it: starts it, passes stops on, reads what it wrote."""

from __future__ import annotations

import os
import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from console.daemon import launch, run_params
from console.jobs import launchers, log_pattern, reconcile, spec
from console.jobs.exit_cause import RETRY_GROUPS
from console.jobs.log_limit import LogLimit
from console.jobs.options import retry_delay_s
from console.jobs.reconcile import Loss
from console.json_files import read_object
from console.project import isolation
from store import derive, identity
from store.ingest import read_batch

if TYPE_CHECKING:
    from subprocess import Popen

    from console.daemon.captures import Captures
    from console.jobs.leases import Lease
    from console.jobs.reconcile import Facts, Judgement
    from console.jobs.spec import Spec
    from store.ingest import Batch, JournalCursor

STARTING_TIMEOUT_S: Final = 30.0
"""How long a supervisor that was started may take to claim its attempt before another one is."""
RELAUNCH_AFTER_S: Final = 1.0
"""How long to wait after a supervisor ended without claiming its attempt."""
LAUNCHES_MAX: Final = 3
QUIET_LOOK_S: Final = 10.0
"""How often a run is looked at closely while none of its files changes and its supervisor seems to live."""
NOBODY: Final = 2**22 + 1
"""A pid that no process has: the kernel's limit is 2^22."""
LATER_S: Final = 5.0
"""A first start within this time after the enqueuing uses what was captured then."""
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
    next_attempt: int = 0
    """The attempt that was decided on, which waits for its turn; 0 when none was."""
    literals: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Of the script of a run that is over."""


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
    quiet_marks: tuple[tuple[int, int, int] | None, ...] | None = None
    """Of the files of a run that did nothing at the last close look; None when it did something."""
    quiet_until_s: float = 0.0
    """Monotonic time of the next close look at a quiet run."""
    supervisor_pid: int = NOBODY
    broken: bool = False
    """What it wrote cannot be read because of a fault of ours; its state is still kept."""
    captures: Captures | None = None
    """Who captures its code; None where nobody does."""
    captured_at_attempt: int = 0
    leases: tuple[Lease, ...] = ()
    """Devices that the next supervisor is given; ours too until it has claimed its attempt."""
    looks_for_params: bool = False
    """A worker is to look for params of the ended run."""

    def look(self, cursor: JournalCursor) -> Look:
        """Do what is due for the run and say what is new. Raises OSError when its files cannot be read or written."""
        # A hundred quiet runs must not cost a core: while no file changes, a close look now and then is enough.
        marks = self._marks()
        if marks == self.quiet_marks and time.monotonic() < self.quiet_until_s and self._has_supervisor():
            return Look()
        found = self._look_closely(cursor)
        is_quiet = self.state == "running" and not (found.columns or found.changed or found.more or found.over)
        self.quiet_marks = marks if is_quiet else None
        self.quiet_until_s = time.monotonic() + QUIET_LOOK_S
        return found

    def _marks(self) -> tuple[tuple[int, int, int] | None, ...]:
        """What changes when anybody writes to the run: its directory's entries, its status, its output, its metrics."""
        folder = self.run_dir
        return (
            mark_of(folder),
            mark_of(f"{folder}/status.json"),
            mark_of(f"{folder}/output.log"),
            mark_of(f"{folder}/metrics.jsonl"),
        )

    def _has_supervisor(self) -> bool:
        """Whether there is a process of the number that the supervisor had at the last close look."""
        if self.process is not None:
            return self.process.poll() is None
        try:
            os.kill(self.supervisor_pid, 0)
        except OSError:
            return False
        return True

    def _look_closely(self, cursor: JournalCursor) -> Look:
        if self.process is not None and self.process.poll() is not None:
            self.process = None
        if not os.path.isdir(self.run_dir):
            gone = {"state": "failed", "cause": "its run directory is gone", "ended_at_s": time.time()}
            return Look(columns=gone, changed=True, over=True)
        facts = reconcile.gather(self.run_dir, self.spec)
        self.supervisor_pid = facts.supervisor.pid if facts.supervisor is not None and facts.same_boot else NOBODY
        judgement = reconcile.judge(facts)
        self._act(facts, judgement)
        ended = judgement in ENDS
        found = self._read(cursor, facts.attempt, final=ended)
        # The final state is told, and another attempt decided on, only when every point before it is in the index.
        drained = not found.more and found.batch is None
        if ended and drained and self.spec.adopted is None:
            # What its supervisor had to leave because we had not read it yet.
            LogLimit(self.run_dir, derive.log_path(self.run_dir), self.spec.options.log_limit_bytes).look()
        if judgement == "ended" and drained and self._try_again(facts):
            following = facts.attempt + 1
            return Look(columns=self._waiting(following), changed=True, more=True, next_attempt=following)
        if facts.taken:
            self._let_leases_go()
        columns = launch.columns_of(facts, judgement, draining=ended and not drained)
        if columns.get("state", self.state) != self.state:
            found.columns = columns
            found.over = ended
            if ended:
                self._read_params(found)
        size = launch.log_size(self.run_dir)
        found.changed = bool(found.columns or found.batch or size != self.log_size_bytes)
        found.more = found.more or (ended and not found.over)
        self.log_size_bytes = size
        return found

    def begin(self, attempt: int) -> None:
        """Its turn has come: start a supervisor, or wait for the copy that it runs in. Raises OSError."""
        self._capture_again(attempt)
        if not self.spec.options.isolate or attempt > 1:
            self.start(attempt)

    def _read_params(self, found: Look) -> None:
        """What workers found in files, as far as they have; the keeper learns of the rest when they are done."""
        params = run_params.found_params(self.run_dir, self.spec)
        found.literals = params.literals
        found.columns |= params.columns
        if self.captures is not None:
            ended_at_s = found.columns.get("ended_at_s")
            self.looks_for_params = run_params.at_the_end(self.run_dir, self.spec, ended_at_s)
            pending = self.looks_for_params or self.captures.is_pending(self.run_dir)
            found.columns["params_pending"] = pending

    def start(self, attempt: int = 1) -> None:
        """Start a supervisor. Raises OSError."""
        if attempt != self.attempt:
            self.attempt, self.launch_count = attempt, 0
        self.launch_count += 1
        self.launched_at_s = time.monotonic()
        self.process = launch.start_supervisor(self.run_dir, attempt, self.leases)

    def retire(self) -> None:
        """Its attempt is over and another one waits for its turn."""
        self.close()
        if self.process is not None and self.process.poll() is None:
            launch.reap_later(self.process)

    def close(self) -> None:
        """Let go of the journal; the supervisor stays."""
        self._let_leases_go()
        if self.derivation is not None:
            self.derivation.close()
            self.derivation = None

    def leave(self) -> None:
        """The run is over: nothing of it is needed any more."""
        self.retire()
        launch.delete_environment(self.run_dir)
        if self.captures is not None and self.looks_for_params:
            self.captures.ask(self.run_dir, "ended")
        if self.captures is not None and self.spec.original_working_dir:
            self.captures.ask(self.run_dir, "forget-copy", copies=True)

    def _read(self, cursor: JournalCursor, attempt: int, *, final: bool) -> Look:
        if self.broken:
            return Look()
        try:
            if self.derivation is None:
                many = launchers.beneath(self.spec.argv).many_processes
                pattern = log_pattern.of_run(self.spec)
                place = (self.spec.id, self.run_dir)
                self.derivation = derive.open_derivation(*place, many_processes=many, pattern=pattern)
            behind = derive.derive(self.derivation, time.time_ns() // 1000, attempt, final=final)
            many, generation = self.derivation.many_processes, self.derivation.generation
            batch = read_batch(self.spec.id, self.spec.no, self.run_dir, cursor, generation, many_writers=many)
        except OSError:
            raise
        except Exception:
            # One run that we cannot read must not keep the others from being read.
            traceback.print_exc()
            self.broken = True
            return Look()
        return Look(batch=batch, more=behind or (batch is not None and batch.full))

    def _act(self, facts: Facts, judgement: Judgement) -> None:
        """Start what nobody took, pass on a stop, record an end that nobody else can record."""
        stop = None if self.stop_signalled else read_object(f"{self.run_dir}/stop.json")
        if judgement in ("start", "held"):
            if stop is not None:
                launch.record_loss(self.run_dir, facts.attempt, reconcile.stop_loss(stop.get("actor")))
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
        if retry is None or end is None or facts.attempt > retry.max or end["state"] not in ("failed", "interrupted"):
            return False
        kind = end.get("cause_kind", "")
        if not any(kind in RETRY_GROUPS[name] for name in retry.on) or os.path.exists(f"{self.run_dir}/stop.json"):
            return False
        launch.set_aside(self.run_dir, facts, retry_delay_s(retry, facts.attempt))
        return True

    def _waiting(self, attempt: int) -> dict[str, Any]:
        """What the index says of a run that waits for a further attempt."""
        before = read_object(reconcile.setaside_path(self.run_dir, attempt - 1)) or {}
        return {
            "state": "queued",
            "cause": launch.attempt_words(self.spec, attempt, before),
            "cause_kind": str(before.get("cause_kind", "")),
            "attempt": attempt,
        }

    def _let_leases_go(self) -> None:
        for lease in self.leases:
            lease.close()
        self.leases = ()

    def _start_again(self, attempt: int) -> None:
        """Nobody has claimed the attempt: start a supervisor unless one is on its way; give up after a few."""
        if self.spec.options.isolate and not self._is_in_copy(attempt):
            return
        self._capture_again(attempt)
        if attempt == self.attempt:
            patience_s = STARTING_TIMEOUT_S if self.process is not None else RELAUNCH_AFTER_S
            if self.launch_count and time.monotonic() - self.launched_at_s < patience_s:
                return
            if self.launch_count >= LAUNCHES_MAX:
                said = launch.last_line(f"{self.run_dir}/supervisor.log")
                loss = Loss("failed", "not_started", f"its supervisor could not start: {said}")
                # One of them may still come, from a file system that hung: it must run nothing then.
                launch.ask_to_end(self.run_dir, "footplate, which had given up waiting for a supervisor")
                launch.record_loss(self.run_dir, attempt, loss)
                return
        self.start(attempt)

    def _is_in_copy(self, attempt: int) -> bool:
        """Whether the copy of the code is there that the run asked for; has it made, or ends the run without one."""
        if self.spec.original_working_dir:
            return True
        note = isolation.read_note(self.run_dir)
        if isinstance(note.get("working_dir"), str):
            self.spec = spec.move_to_copy(self.run_dir, self.spec, note["working_dir"])
            return True
        if note:
            cause = str(note.get("error", "isolate: what code/worktree.json says cannot be read"))
            launch.record_loss(self.run_dir, attempt, Loss("failed", "not_started", launch.readable(cause)))
        elif self.captures is not None and not self.captures.is_pending(self.run_dir):
            self.captures.ask(self.run_dir, "enqueue", copies=True)
        return False

    def _capture_again(self, attempt: int) -> None:
        """A start that is later than the enqueuing uses the files as they are now: note how they differ."""
        later = attempt > 1 or time.time() - self.spec.created_at_s > LATER_S
        if self.captures is None or self.spec.options.isolate or not later or self.captured_at_attempt == attempt:
            return
        self.captured_at_attempt = attempt
        self.captures.ask(self.run_dir, str(attempt))


def mark_of(path: str) -> tuple[int, int, int] | None:
    """What tells a file from what it was; None where there is none."""
    try:
        facts = os.lstat(path)
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size, facts.st_ino
