"""The queue of this daemon: takes runs in, says which start now with what, and ends those that never will.

What it knows can be had again from the run directories, `queue.json` and the index. It belongs to the keeper's thread;
other threads may call `views` only.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from console.daemon import awaiting, launch, queue_state
from console.daemon.devices import Devices
from console.daemon.job_activity import JobActivity
from console.daemon.sweep_guard import Live, SweepGuard
from console.daemon.trust_gate import TrustGate
from console.jobs import reconcile
from console.jobs.queueing import outcome_of
from console.jobs.reconcile import Loss
from console.jobs.run_queue import Free, RunQueue, Waiting
from store import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from console.jobs.leases import Lease
    from console.jobs.spec import Spec
    from store.database import Cursor

ENDS_AT_ONCE: Final = 200
"""How many runs that never start are ended in one round."""
LEASE_LOOK_S: Final = 1.0
"""How often devices are looked at again that somebody else has."""
HOLD: Final = "the machine was rebooted since it was enqueued; `footplate release` lets it start"
STARTS_MAX: Final = 64
"""In one round: a thousand interpreters at once would serve nobody."""


class Admission(NamedTuple):
    """A run that starts now."""

    spec: Spec
    attempt: int
    leases: tuple[Lease, ...]


@dataclass(slots=True)
class Round:
    """What one look at the queue came to."""

    starts: list[Admission] = field(default_factory=list)
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What the index should say, by run id."""
    over: list[Spec] = field(default_factory=list)
    """Runs that have ended without ever starting."""
    more: bool = False


class Scheduler:
    """See the head of the module."""

    def __init__(
        self,
        home: str,
        cursor: Callable[[], Cursor],
        report: Callable[[str], None],
        ask_trust: Callable[[str], None],
    ) -> None:
        """`ask_trust` has a manifest's folder looked at; `trust_answered` tells what came of it."""
        self._home = home
        self._cursor = cursor
        self._report = report
        self.state = queue_state.read(home)
        if self.state.problem:
            report(self.state.problem)
        self.queue = RunQueue()
        self.lock = threading.Lock()
        """Held while the queue changes, and by other threads that read it."""
        self.devices = Devices(self.state)
        self.live: dict[str, Live] = {}
        self._specs: dict[str, Spec] = {}
        self._told: dict[str, tuple[str, str]] = {}
        """State and cause that the index has, by run id."""
        self._changed: OrderedDict[str, None] = OrderedDict()
        self._stops: dict[str, str] = {}
        """Runs that somebody stopped before they started, and who."""
        self.activity = JobActivity(self.live)
        self._guard = SweepGuard(cursor)
        self._trust = TrustGate(ask_trust)
        self._polled: set[str] = set()
        """Waiting runs that a device of somebody else, or the time, may let start: nobody tells us of either."""
        self._due = True
        self._look_at_s = 0.0
        self._apply_pauses()

    def __contains__(self, run_id: object) -> bool:
        return run_id in self._specs

    def __len__(self) -> int:
        return len(self._specs)

    def add(self, new: Sequence[Spec], *, attempt: int = 1, note: str = "", states: Mapping[str, str]) -> None:
        """Take runs in that have not started; `states` says where the runs stand that they wait for."""
        with self.lock:
            for each in new:
                self._specs[each.id] = each
                run_dir = paths.run_dir(self._home, each.id)
                priority, rank = self.state.places.get(each.id, (each.queueing.priority, float(each.no)))
                entry = Waiting(each.id, each.no, each.queueing, priority, rank, attempt=attempt, note=note)
                if reconcile.is_held(run_dir, each, attempt):
                    entry.hold = HOLD
                if attempt > 1:
                    entry.due_at_s = launch.due_at_s(run_dir, each, attempt)
                else:
                    entry.unmet = {after.run: after.on for after in each.queueing.after}
                self.queue.add(entry, each.project)
                if each.queueing.devices or attempt > 1:
                    self._polled.add(each.id)
                self._touch(each.id)
            known = {**self._specs, **{run_id: live.spec for run_id, live in self.live.items()}}
            self._guard.meet(new)
            awaiting.settle(self.queue, [each.id for each in new], known, states, self._cursor())
        self._due = True

    def started(self, spec: Spec) -> None:
        """A run counts as live from now on."""
        self.live[spec.id] = Live(spec, time.monotonic())

    def take_out(self, spec: Spec) -> None:
        """A run waits no more: it starts."""
        self._let_go(spec.id)
        self.started(spec)

    def spec_of(self, run_id: str) -> Spec:
        """What was asked of a run that waits."""
        return self._specs[run_id]

    def reason_of(self, run_id: str) -> str:
        """Why a run waits, as far as its own standing says; for any thread. Empty for one that does not wait."""
        with self.lock:
            return self.queue.standing(run_id).reason if run_id in self.queue.waiting else ""

    def why(self, run_id: str) -> str:
        """Why a run waits, what is taken by others included; for any thread."""
        with self.lock:
            if run_id not in self.queue.waiting:
                return ""
            standing = self.queue.standing(run_id)
            why: dict[str, str] = {}
            if standing.state == "queued":
                deque(self.queue.review(self.free(), time.time(), why=why), maxlen=0)
            return "; ".join(filter(None, [standing.reason, why.get(run_id)]))

    def ended(self, spec: Spec, columns: Mapping[str, Any]) -> None:
        """A run has ended, whoever looked after it; `columns` as for the index."""
        state = str(columns.get("state", ""))
        lived = self.live.pop(spec.id, None)
        self.devices.of.pop(spec.id, None)
        if lived is not None:
            self.activity.note_end(lived, columns)
        self._due = True
        with self.lock:
            for run_id in self.queue.settle(spec.id, outcome_of(state)):
                self._touch(run_id)
        if lived is not None and spec.queueing.sweep:
            self._judge_sweep(spec, columns)
        self._forget_sweep(spec.queueing.sweep)

    def requeue(self, spec: Spec, attempt: int, note: str) -> None:
        """Another attempt of a run waits for its turn."""
        self.live.pop(spec.id, None)
        self.add([spec], attempt=attempt, note=note, states={})
        self._told[spec.id] = ("queued", note)

    def stop(self, run_id: str, actor: str) -> bool:
        """End a run that waits; False when it does not."""
        if run_id not in self._specs:
            return False
        self._stops[run_id] = actor
        return True

    def of_sweep(self, label: str) -> list[str]:
        """Ids of the waiting runs of a sweep."""
        return [run_id for run_id, each in self._specs.items() if each.queueing.sweep == label]

    def release(self, run_id: str) -> bool:
        """Let go of the hold that a reboot put on a run; False when there is none."""
        entry = self.queue.waiting.get(run_id)
        if entry is None or entry.hold != HOLD:
            return False
        with self.lock:
            entry.hold = ""
            self._touch(run_id)
        self._due = True
        return True

    def waiting_run(self, manifest_dir: str, job: str) -> int:
        """The number of a run of a job that a manifest wanted by itself and that waits; 0 for none. For any thread."""
        with self.lock:
            found = (each for each in self.queue.waiting.values() if each.wants.origin in ("trigger", "cron"))
            return next(
                (each.no for each in found if (each.wants.manifest_dir, each.wants.job) == (manifest_dir, job)), 0
            )

    def is_held(self, run_id: str) -> bool:
        """Whether a reboot holds a run."""
        entry = self.queue.waiting.get(run_id)
        return entry is not None and entry.hold == HOLD

    def trust_answered(self, folder: str, problem: str) -> None:
        """What looking at a manifest came to; `problem` is why nothing of it may start by itself, or empty."""
        with self.lock:
            for run_id in self._trust.answered(folder, problem, self.queue.waiting.values(), HOLD):
                self._touch(run_id)
        self._due = True

    def pause(self, scope: str, actor: str, reason: str) -> None:
        """Start nothing more of a scope. Raises OSError."""
        said = f"paused by {actor}" + (f": {reason}" if reason else "")
        self.state.pauses[scope] = {"actor": actor, "at_s": time.time(), "reason": reason, "words": said}
        self.state.save()
        self._apply_pauses()

    def resume(self, scope: str) -> bool:
        """Go on with a scope; False when it was not paused. Raises OSError."""
        if self.state.pauses.pop(scope, None) is None:
            return False
        self.state.save()
        self._apply_pauses()
        return True

    def place(self, run_ids: Sequence[str], *, priority: int | None = None, before: str | None = None) -> None:
        """Give waiting runs another priority, or put them in front of `before` (empty: in front of all). OSError."""
        with self.lock:
            if priority is not None:
                for run_id in run_ids:
                    self.queue.move(run_id, priority, self.queue.waiting[run_id].rank)
            else:
                run_ids = self.queue.put_before(run_ids, before or "")
            for run_id in run_ids:
                found = self.queue.waiting[run_id]
                self.state.places[run_id] = (found.priority, found.rank)
        self._due = True
        self.state.save()

    def settle_limits(self, slots: int | None, devices: tuple[str, ...] | None, devices_dir: str) -> None:
        """Another number of slots, other devices; None leaves one as it is. Raises OSError."""
        if slots is not None:
            self.state.slots = slots if slots >= 0 else None
        if devices is not None:
            self.state.declare(devices, devices_dir)
        self.state.save()
        self._due = True

    def round(self) -> Round:
        """Do what is due."""
        found = Round()
        if self._specs or self._stops:
            try:
                self._end_some(found)
            except OSError as error:
                # Such as a full disk: the next rounds try again, and what can start does.
                self._report(f"the end of a waiting run cannot be recorded yet: {error}")
        if self._changed:
            self._tell(found)
        now_s = time.monotonic()
        if not self._specs:
            self._due = False
        elif self._due or ((self._polled or self._guard.watches) and now_s >= self._look_at_s):
            self._look_at_s = now_s + LEASE_LOOK_S
            self._due = False
            self._admit(found, now_s)
        found.more = found.more or self._due
        return found

    def free(self) -> Free:
        """What there is to take now; devices that somebody else has are found out when they are taken."""
        lives = list(self.live.values())
        slots = self.state.slot_count - sum(each.spec.queueing.takes_slot for each in lives)
        taken = {name for each in lives for name in each.spec.queueing.mutex}
        mine = sum(each.spec.queueing.devices for each in lives)
        declared = len(self.state.devices)
        return Free(slots, declared - mine, declared, taken, self._guard.scouts(lives))

    def _admit(self, found: Round, now_s: float) -> None:
        self._guard.look(self.live.values(), now_s)
        room = self.free()
        in_hand = self.devices.take_free() if self._polled else None
        if in_hand is not None:
            room.devices = len(in_hand)
        with self.lock:
            candidates = self.queue.admit(replace(room, mutexes_taken=set(room.mutexes_taken)), time.time())
            waits = self._trust.waits(candidates, now_s)
            chosen = self.queue.admit(room, time.time(), waits) if waits else candidates
        self._trust.use_up(chosen)
        if len(chosen) > STARTS_MAX:
            self._due = True
        for each in chosen[:STARTS_MAX]:
            spec = self._specs[each.id]
            given = self.devices.give(each.id, each.wants.devices, in_hand or [])
            found.starts.append(Admission(spec, each.attempt, given))
            self.take_out(spec)
        for lease in in_hand or []:
            lease.close()

    def _judge_sweep(self, spec: Spec, columns: Mapping[str, Any]) -> None:
        sweep = spec.queueing.sweep
        reason = self._guard.judge(spec, columns)
        if reason and f"sweep:{sweep}" not in self.state.pauses:
            try:
                self.pause(f"sweep:{sweep}", "the startup guard", reason)
            except OSError as error:
                # It is paused in memory all the same; the next daemon would try one run more.
                self._report(f"cannot write down that {sweep} is paused: {error}")
                self._apply_pauses()

    def _forget_sweep(self, sweep: str) -> None:
        """A sweep that is over is not paused any more."""
        scope = f"sweep:{sweep}"
        lives = any(live.spec.queueing.sweep == sweep for live in self.live.values())
        if scope in self.state.pauses and not lives and not self.of_sweep(sweep):
            del self.state.pauses[scope]
            self._apply_pauses()

    def _apply_pauses(self) -> None:
        with self.lock:
            self.queue.pauses = {scope: str(said.get("words", "paused")) for scope, said in self.state.pauses.items()}
            for run_id in self.queue.waiting:
                self._touch(run_id)
        self._due = True

    def _end_some(self, found: Round) -> None:
        """Record the end of runs that were stopped, or that what they waited for has ruled out."""
        ended_count = 0
        while ended_count < ENDS_AT_ONCE:
            ends = [
                (run_id, reconcile.stop_loss(actor)) for run_id, actor in self._stops.items() if run_id in self._specs
            ]
            ends += [
                (run_id, Loss("skipped", "skipped", reason))
                for run_id, reason in self.queue.doomed.items()
                if run_id not in self._stops
            ]
            if not ends:
                return
            for run_id, loss in ends[: ENDS_AT_ONCE - ended_count]:
                self._end(run_id, loss, found)
                ended_count += 1
        found.more = True

    def _end(self, run_id: str, loss: Loss, found: Round) -> None:
        spec, attempt = self._specs[run_id], self.queue.waiting[run_id].attempt
        with contextlib.suppress(FileNotFoundError):  # somebody removed its directory: then there is nothing to note
            launch.record_loss(paths.run_dir(self._home, run_id), attempt, loss, sync=False)
        columns = {"state": loss.state, "cause": loss.cause, "cause_kind": loss.kind, "ended_at_s": time.time()}
        found.columns[run_id] = columns | {"attempt": attempt}
        found.over.append(spec)
        self._let_go(run_id)
        self.ended(spec, columns)

    def _let_go(self, run_id: str) -> None:
        with self.lock:
            self.queue.remove(run_id)
        self._specs.pop(run_id, None)
        self._polled.discard(run_id)
        self._told.pop(run_id, None)
        self._changed.pop(run_id, None)
        self._stops.pop(run_id, None)
        self.state.places.pop(run_id, None)

    def _touch(self, run_id: str) -> None:
        self._changed[run_id] = None

    def _tell(self, found: Round) -> None:
        for run_id in self._changed:
            if run_id not in self._specs or run_id in self.queue.doomed:
                continue
            standing = self.queue.standing(run_id)
            # What a blocked run waits for changes often and is told with the answer to a request.
            said = (standing.state, "" if standing.state == "blocked" else standing.reason)
            if self._told.get(run_id, ("queued", "")) != said:
                found.columns[run_id] = {"state": said[0], "cause": said[1]}
            self._told[run_id] = said
        self._changed.clear()

    def forget_places(self) -> None:
        """Runs that do not wait any more need no place."""
        self.state.places = {run_id: place for run_id, place in self.state.places.items() if run_id in self._specs}

    def retell(self, run_ids: Iterable[str]) -> None:
        """The index did not take what the last round said of these."""
        for run_id in run_ids:
            if run_id in self._specs:
                self._told.pop(run_id, None)
                self._touch(run_id)
