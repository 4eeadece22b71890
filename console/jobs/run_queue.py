"""Which run starts next: priorities, what runs wait for, what they share. Pure: no files, no clock, no threads.

The order: higher priority first, then the rank (the number of the run, unless somebody moved it). A run may start
before another one that stands in front of it only when that one lacks something that it does not need itself: a slot,
devices, a mutex group. So nothing that is wanted is taken from the one who has waited longer for it.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from console.jobs.queueing import SATISFIED_BY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from console.jobs.queueing import Condition, Outcome, Queueing

Place: TypeAlias = tuple[int, float, int, str]
"""Sorts as the runs start: minus the priority, the rank, the number, the id."""
SHOWN_RUNS: Final = 3


class Standing(NamedTuple):
    """Where a waiting run stands."""

    state: str
    """blocked, held or queued."""
    reason: str


@dataclass(slots=True)
class Waiting:
    """A run that has not started."""

    id: str
    no: int
    wants: Queueing
    priority: int
    rank: float
    attempt: int = 1
    due_at_s: float = 0.0
    """Unix time before which a further attempt does not start."""
    note: str = ""
    """What is said of it while nothing else is, such as how its last attempt ended."""
    hold: str = ""
    """Why it may not start whatever is free; empty when it may."""
    unmet: dict[str, Condition] = field(default_factory=dict)
    """What it still waits for, by run id."""
    awaited: dict[str, int] = field(default_factory=dict)
    """The numbers of those runs."""

    @property
    def place(self) -> Place:
        """Where it stands."""
        return -self.priority, self.rank, self.no, self.id


@dataclass(slots=True)
class Free:
    """What there is for runs to take; None for no limit."""

    slots: int | None
    devices: int
    declared_devices: int
    mutexes_taken: set[str]
    busy_scouts: dict[str, int]
    """Sweeps whose first run is being waited for, with its number; 0 when none runs: then one may start."""


class RunQueue:
    """The runs that wait. Not safe between threads."""

    def __init__(self) -> None:
        self.waiting: dict[str, Waiting] = {}
        self.pauses: dict[str, str] = {}
        """By scope: `all`, `project:NAME` or `sweep:LABEL`; why."""
        self.doomed: dict[str, str] = {}
        """Runs that will never start, and why; whoever ends them calls `remove`."""
        self._dependents: dict[str, set[str]] = {}
        self._ready: tuple[list[Place], list[Place]] = ([], [])
        """Places of runs that wait for no other run: those that need no slot, those that need one."""
        self._projects: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.waiting)

    def add(self, new: Waiting, project: str) -> None:
        """Take a run in; `unmet` must hold what is still to be waited for."""
        self.waiting[new.id] = new
        self._projects[new.id] = project
        for run_id in new.unmet:
            self._dependents.setdefault(run_id, set()).add(new.id)
        if not new.unmet:
            self._insert(new)

    def remove(self, run_id: str) -> Waiting | None:
        """Let go of a run that starts or ends; None when it does not wait."""
        gone = self.waiting.pop(run_id, None)
        self.doomed.pop(run_id, None)
        self._projects.pop(run_id, None)
        if gone is not None:
            for dependency in gone.unmet:
                self._forget_dependent(dependency, run_id)
            self._take_out(gone)
        return gone

    def settle(self, run_id: str, outcome: Outcome) -> list[str]:
        """A run has ended: returns those whose standing changes by it; some of them are `doomed` now."""
        changed = []
        for dependent_id in sorted(self._dependents.pop(run_id, ())):
            dependent = self.waiting[dependent_id]
            condition = dependent.unmet.pop(run_id)
            changed.append(dependent_id)
            if outcome not in SATISFIED_BY[condition]:
                number = dependent.awaited.get(run_id)
                named = f"r{number}" if number else f"run {run_id}"
                self.doomed.setdefault(dependent_id, refusal(named, condition, outcome))
            elif not dependent.unmet and dependent_id not in self.doomed:
                self._insert(dependent)
        return changed

    def move(self, run_id: str, priority: int, rank: float) -> None:
        """Give a waiting run another place."""
        moved = self.waiting[run_id]
        ready = self._take_out(moved)
        moved.priority, moved.rank = priority, rank
        if ready:
            self._insert(moved)

    def put_before(self, run_ids: Sequence[str], before: str) -> list[str]:
        """Put waiting runs in front of another one, or of all (`before` empty); returns those whose place changed."""
        order = [each for each in self.in_order() if each.id not in run_ids]
        at = next((index for index, each in enumerate(order) if each.id == before), 0)
        if not order:
            return []
        following, count_ = order[at], len(run_ids)
        upper = following.rank
        alike = at > 0 and order[at - 1].priority == following.priority
        lower = order[at - 1].rank if alike else upper - count_ - 1
        ranks = [lower + (upper - lower) * (index + 1) / (count_ + 1) for index in range(count_)]
        moved = list(run_ids)
        if not all(low < high for low, high in pairwise([lower, *ranks, upper])):
            # There is no number left between the two: all get new ones.
            for index, each in enumerate(order):
                self.move(each.id, each.priority, float((index + 1) * (count_ + 1)))
            ranks = [following.rank - count_ + index for index in range(count_)]
            moved += [each.id for each in order]
        for run_id, rank in zip(run_ids, ranks, strict=True):
            self.move(run_id, following.priority, rank)
        return moved

    def in_order(self) -> list[Waiting]:
        """All of them, as they would start if nothing held any of them up."""
        return sorted(self.waiting.values(), key=lambda each: each.place)

    def paused_by(self, run_id: str) -> str:
        """Why the queue of a run is paused; empty when it is not."""
        if not self.pauses:
            return ""
        scopes = ("all", f"project:{self._projects.get(run_id, '')}", f"sweep:{self.waiting[run_id].wants.sweep}")
        return next((self.pauses[scope] for scope in scopes if scope in self.pauses), "")

    def standing(self, run_id: str) -> Standing:
        """The state of a waiting run and why it is in it, as far as that does not depend on what is free."""
        found = self.waiting[run_id]
        if run_id in self.doomed:
            return Standing("blocked", self.doomed[run_id])
        if found.hold:
            return Standing("held", found.hold)
        if found.unmet:
            return Standing("blocked", after_words(found))
        paused = self.paused_by(run_id)
        return Standing("held", paused) if paused else Standing("queued", found.note)

    def admit(self, free: Free, now_s: float, waits: Collection[str] = ()) -> list[Waiting]:
        """The runs to start now, in order; `free` is what is left afterwards. They stay until `remove`.

        `waits`: runs that are passed over this time, without anybody waiting for them.
        """
        return list(self.review(free, now_s, waits))

    def review(
        self, free: Free, now_s: float, waits: Collection[str] = (), *, why: dict[str, str] | None = None
    ) -> Iterator[Waiting]:
        """Go through the runs in order; yields those that start. `why` collects what the others lack."""
        short: set[str] = set()
        owners: dict[str, int] = {}
        scouts = dict(free.busy_scouts)
        for place in self._in_turn(free, short, everything=why is not None):
            each = self.waiting[place[3]]
            lacks = self._lacks(each, free, now_s, waits, short, owners, scouts)
            if lacks:
                if why is not None:
                    why[each.id] = lacks
                continue
            if each.wants.takes_slot and free.slots is not None:
                free.slots -= 1
            free.devices -= each.wants.devices
            free.mutexes_taken.update(each.wants.mutex)
            if each.wants.sweep in scouts:
                scouts[each.wants.sweep] = each.no
            yield each

    def _in_turn(self, free: Free, short: set[str], *, everything: bool) -> Iterator[Place]:
        """Both lists of ready runs as one; without slots the second is left out, as all of it lacks one."""
        quick, slow = map(list, self._ready) if everything else self._ready
        at_quick = at_slow = 0
        while True:
            slots_out = not everything and ("slot" in short or (free.slots is not None and free.slots <= 0))
            has_slow = at_slow < len(slow) and not slots_out
            if at_quick < len(quick) and (not has_slow or quick[at_quick] < slow[at_slow]):
                yield quick[at_quick]
                at_quick += 1
            elif has_slow:
                yield slow[at_slow]
                at_slow += 1
            else:
                return

    def _lacks(
        self,
        each: Waiting,
        free: Free,
        now_s: float,
        waits: Collection[str],
        short: set[str],
        owners: dict[str, int],
        scouts: dict[str, int],
    ) -> str:
        """What keeps a run that waits for no other one from starting; what it stands in line for counts as `short`."""
        wants = each.wants
        if each.hold or self.paused_by(each.id):
            return each.hold or self.paused_by(each.id)
        if now_s < each.due_at_s:
            return f"its next attempt starts in {each.due_at_s - now_s:.0f} s"
        if each.id in waits:
            return "it is being looked at whether its manifest is trusted"
        if scouts.get(wants.sweep):
            return f"waits until r{scouts[wants.sweep]}, the first run of {wants.sweep}, has shown that it works"
        if wants.devices > free.declared_devices:
            return f"wants {count(wants.devices, 'device')}, {free.declared_devices} declared: it can never start"
        needs = {f"mutex:{name}" for name in wants.mutex}
        needs |= {"slot"} if wants.takes_slot else set()
        needs |= {"devices"} if wants.devices else set()
        lacking = ""
        for need in sorted(needs):
            said = ""
            if need == "slot" and (need in short or (free.slots is not None and free.slots <= 0)):
                said = "all slots are taken"
            elif need in short:
                said = f"r{owners[need]} in front of it waits for the same: {need_words(need)}"
            elif need == "devices" and wants.devices > free.devices:
                said = f"wants {count(wants.devices, 'device')}, {max(0, free.devices)} free"
            elif need.startswith("mutex:") and need.removeprefix("mutex:") in free.mutexes_taken:
                said = f"another run has the {need_words(need)}"
            if said:
                lacking = lacking or said
                short.add(need)
                owners.setdefault(need, each.no)
        return lacking

    def _insert(self, each: Waiting) -> None:
        bisect.insort(self._ready[each.wants.takes_slot], each.place)

    def _take_out(self, each: Waiting) -> bool:
        places = self._ready[each.wants.takes_slot]
        at = bisect.bisect_left(places, each.place)
        if at < len(places) and places[at] == each.place:
            del places[at]
            return True
        return False

    def _forget_dependent(self, dependency: str, run_id: str) -> None:
        dependents = self._dependents.get(dependency)
        if dependents is not None:
            dependents.discard(run_id)
            if not dependents:
                del self._dependents[dependency]


def refusal(named: str, condition: Condition, outcome: Outcome) -> str:
    """Why a run that waited for another one will never start."""
    became = {"ok": "finished", "not-ok": "did not finish well", "skipped": "was skipped", "gone": "is gone"}[outcome]
    wanted = {"ok": "to finish well", "not-ok": "not to finish well", "any": "to end"}[condition]
    return f"it waited for {named} {wanted}, which {became}"


def after_words(each: Waiting) -> str:
    """What a blocked run waits for."""
    numbers = sorted(each.awaited.get(run_id, 0) for run_id in each.unmet)
    shown = [f"r{number}" if number else "a run" for number in numbers[:SHOWN_RUNS]]
    more = f" and {len(numbers) - SHOWN_RUNS} more" if len(numbers) > SHOWN_RUNS else ""
    return f"after {', '.join(shown)}{more}"


def need_words(need: str) -> str:
    """A thing that runs share, for people."""
    return f"mutex {need.removeprefix('mutex:')}" if need.startswith("mutex:") else need


def count(number: int, what: str) -> str:
    """`1 device`, `2 devices`."""
    return f"{number} {what}{'' if number == 1 else 's'}"
