"""The order in which runs start, against its definition."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from console.jobs.queueing import SATISFIED_BY, After, Queueing
from console.jobs.run_queue import Free, RunQueue, Waiting


def waiting(no: int, *after: int, hold: str = "", **wants: object) -> Waiting:
    """A run named by its number."""
    asked = Queueing(after=tuple(After(str(each)) for each in after), **wants)  # type: ignore[arg-type]
    return Waiting(
        id=str(no),
        no=no,
        wants=asked,
        priority=asked.priority,
        rank=float(no),
        hold=hold,
        unmet={each.run: each.on for each in asked.after},
        awaited={each.run: int(each.run) for each in asked.after},
    )


def free(slots: int | None = None, devices: int = 0, declared: int | None = None, *taken: str) -> Free:
    return Free(slots, devices, devices if declared is None else declared, set(taken), {})


def queue_of(*runs: Waiting, project: str = "p") -> RunQueue:
    made = RunQueue()
    for run in runs:
        made.add(run, project)
    return made


def started(queue: RunQueue, room: Free, now_s: float = 0.0) -> list[int]:
    found = queue.admit(room, now_s)
    for each in found:
        queue.remove(each.id)
    return [each.no for each in found]


def test_priority_then_number_then_as_many_as_there_are_slots() -> None:
    queue = queue_of(*(waiting(no, takes_slot=True, priority=no == 3) for no in (1, 2, 3, 4)))
    assert started(queue, free(2)) == [3, 1]
    assert started(queue, free(0)) == []
    assert started(queue, free(None)) == [2, 4]


def test_a_run_that_needs_no_slot_does_not_stand_in_line_for_one() -> None:
    queue = queue_of(waiting(1, takes_slot=True), waiting(2), waiting(3, takes_slot=True))
    assert started(queue, free(0)) == [2]


def test_who_waits_for_devices_is_overtaken_by_who_needs_none_only() -> None:
    queue = queue_of(
        waiting(1, takes_slot=True, devices=2), waiting(2, takes_slot=True, devices=1), waiting(3, takes_slot=True)
    )
    assert started(queue, free(4, 1, 2)) == [3]
    why: dict[str, str] = {}
    assert list(queue.review(free(4, 1, 2), 0.0, why=why)) == []
    assert why == {"1": "wants 2 devices, 1 free", "2": "r1 in front of it waits for the same: devices"}
    assert started(queue, free(4, 2)) == [1]


def test_more_devices_than_are_declared_hold_nobody_up() -> None:
    queue = queue_of(waiting(1, devices=5), waiting(2, devices=1))
    assert started(queue, free(None, 2)) == [2]
    why: dict[str, str] = {}
    assert not list(queue.review(free(None, 2), 0.0, why=why))
    assert why["1"] == "wants 5 devices, 2 declared: it can never start"


def test_one_run_of_a_mutex_group_at_a_time() -> None:
    queue = queue_of(waiting(1, mutex=("db",)), waiting(2, mutex=("db", "net")), waiting(3, mutex=("net",)))
    assert started(queue, free()) == [1, 3]
    assert started(queue, free(None, 0, 0, "db")) == []
    assert started(queue, free()) == [2]


def test_conditions_on_the_end_of_another_run() -> None:
    def after_nine(on: str) -> Waiting:
        made = waiting(1, 9)
        made.unmet["9"] = on  # type: ignore[assignment]
        return made

    table = {
        ("ok", "ok"): True,
        ("ok", "not-ok"): False,
        ("ok", "skipped"): False,
        ("ok", "gone"): False,
        ("any", "ok"): True,
        ("any", "not-ok"): True,
        ("any", "skipped"): True,
        ("any", "gone"): True,
        ("not-ok", "ok"): False,
        ("not-ok", "not-ok"): True,
        ("not-ok", "skipped"): False,
        ("not-ok", "gone"): False,
    }
    for (on, outcome), starts in table.items():
        queue = queue_of(after_nine(on))
        assert queue.standing("1").state == "blocked"
        assert started(queue, free()) == []
        assert queue.settle("9", outcome) == ["1"]  # type: ignore[arg-type]
        assert (started(queue, free()) == [1], "1" in queue.doomed) == (starts, not starts), (on, outcome)


def test_holds_pauses_and_delays() -> None:
    queue = queue_of(waiting(1, hold="the machine was rebooted"), waiting(2, sweep="s1"), waiting(3))
    queue.waiting["3"].due_at_s = 10.0
    queue.pauses["sweep:s1"] = "by ana"
    assert started(queue, free()) == []
    assert queue.standing("1") == ("held", "the machine was rebooted")
    assert queue.standing("2") == ("held", "by ana")
    assert queue.standing("3").state == "queued"
    del queue.pauses["sweep:s1"]
    queue.pauses["project:other"] = "by ana"
    assert started(queue, free(), 10.0) == [2, 3]


def test_the_first_run_of_a_sweep_goes_alone_until_it_has_shown_that_it_works() -> None:
    queue = queue_of(waiting(1, sweep="s1"), waiting(2, sweep="s1"), waiting(3, sweep="s2"))
    room = free()
    room.busy_scouts = {"s1": 0}
    assert started(queue, room) == [1, 3]
    room.busy_scouts = {"s1": 1}
    assert started(queue, room) == []
    assert started(queue, free()) == [2]


def test_a_run_can_be_moved_and_a_blocked_one_keeps_its_new_place() -> None:
    queue = queue_of(waiting(1), waiting(2, 9), waiting(3))
    queue.move("3", 5, 0.0)
    queue.move("2", 9, 0.0)
    assert [each.no for each in queue.in_order()] == [2, 3, 1]
    assert started(queue, free()) == [3, 1]
    queue.settle("9", "ok")
    assert started(queue, free()) == [2]


@dataclass
class Model:
    """What runs, for the property test."""

    running: dict[str, Waiting] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)


RUNS = st.lists(
    st.tuples(
        st.integers(-2, 2),
        st.integers(0, 3),
        st.lists(st.sampled_from("ab"), max_size=2, unique=True),
        st.lists(st.integers(1, 12), max_size=3, unique=True),
        st.sampled_from(["ok", "any", "not-ok"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=14,
)


@settings(max_examples=300, deadline=None)
@given(RUNS, st.integers(1, 3), st.integers(0, 3), st.randoms(use_true_random=False))
def test_no_order_is_illegal(runs: list[tuple], slots: int, devices: int, chance: object) -> None:  # type: ignore[type-arg]
    queue, model = RunQueue(), Model()
    everyone: dict[str, Waiting] = {}
    for index, (priority, wanted, mutex, after, on, takes_slot) in enumerate(runs):
        no = index + 1
        made = waiting(
            no,
            *(back for each in after if (back := no - each) > 0),
            priority=priority,
            devices=min(wanted, devices),
            mutex=tuple(mutex),
            takes_slot=takes_slot,
        )
        made.unmet = dict.fromkeys(made.unmet, on)
        everyone[made.id] = made
        queue.add(made, "p")
    conditions = {run_id: dict(run.unmet) for run_id, run in everyone.items()}
    for _ in range(100):
        while queue.doomed:
            doomed = next(iter(queue.doomed))
            assert any(model.ended.get(each) for each in conditions[doomed])
            queue.remove(doomed)
            model.ended[doomed] = "skipped"
            queue.settle(doomed, "skipped")
        used_slots = sum(run.wants.takes_slot for run in model.running.values())
        used_devices = sum(run.wants.devices for run in model.running.values())
        taken = {name for run in model.running.values() for name in run.wants.mutex}
        room = Free(slots - used_slots, devices - used_devices, devices, set(taken), {})
        before = [each for each in queue.in_order() if not each.unmet]
        chosen = queue.admit(room, 0.0)
        for each in chosen:
            for dependency, on in conditions[each.id].items():
                assert model.ended.get(dependency) in {"ok": ("ok",), "not-ok": ("not-ok",)}.get(
                    on, ("ok", "not-ok", "skipped")
                )
            overtaken = [other for other in before if other.place < each.place and other not in chosen]
            for other in overtaken:
                alone_lacking = {
                    *({"slot"} if other.wants.takes_slot else set()),
                    *({"devices"} if other.wants.devices else set()),
                    *other.wants.mutex,
                } - {
                    *({"slot"} if each.wants.takes_slot else set()),
                    *({"devices"} if each.wants.devices else set()),
                    *each.wants.mutex,
                }
                assert alone_lacking, (each, other)
            queue.remove(each.id)
            model.running[each.id] = each
        assert sum(run.wants.takes_slot for run in model.running.values()) <= slots
        assert sum(run.wants.devices for run in model.running.values()) <= devices
        groups = [name for run in model.running.values() for name in run.wants.mutex]
        assert len(groups) == len(set(groups))
        if not model.running:
            break
        ended = chance.choice(sorted(model.running))  # type: ignore[attr-defined]
        del model.running[ended]
        model.ended[ended] = chance.choice(["ok", "not-ok"])  # type: ignore[attr-defined]
        queue.settle(ended, model.ended[ended])  # type: ignore[arg-type]
    assert not queue.waiting, "with everything free, everybody has started or was skipped"


def test_ten_thousand_runs_with_random_graphs_start_in_the_order_of_a_plain_model() -> None:
    chance = random.Random(11)
    runs = []
    for no in range(1, 10_001):
        after = {no - back for back in chance.sample(range(1, 200), k=chance.choice([0, 0, 1, 2, 3])) if back < no}
        made = waiting(no, *sorted(after), priority=chance.randint(-3, 3), takes_slot=True)
        made.unmet = {each: chance.choice(["ok", "any", "any", "not-ok"]) for each in made.unmet}
        runs.append(made)
    wanted = {run.id: dict(run.unmet) for run in runs}
    queue = queue_of(*runs)
    dependents: dict[str, list[str]] = {}
    for run_id, conditions in wanted.items():
        for each in conditions:
            dependents.setdefault(each, []).append(run_id)
    ended: dict[str, str] = {}
    running: list[str] = []
    ready = [(-run.priority, run.no, run.id) for run in runs if not run.unmet]
    heapq.heapify(ready)
    left = {run_id: set(conditions) for run_id, conditions in wanted.items()}
    skipped: set[str] = set()

    def end(run_id: str, outcome: str) -> None:
        """In the model, and in the queue with everything that follows from it."""
        ended[run_id] = outcome
        for dependent in dependents.get(run_id, ()):
            left[dependent].discard(run_id)
            fits = outcome in SATISFIED_BY[wanted[dependent][run_id]]
            if not fits and dependent not in skipped:
                skipped.add(dependent)
            elif not left[dependent] and dependent not in skipped:
                run = runs[int(dependent) - 1]
                heapq.heappush(ready, (-run.priority, run.no, run.id))
        queue.settle(run_id, outcome)  # type: ignore[arg-type]

    started_count = 0
    while True:
        for run_id in sorted(queue.doomed, key=int):
            assert run_id in skipped
            queue.remove(run_id)
            end(run_id, "skipped")
        if queue.doomed:
            continue
        found = queue.admit(free(4 - len(running)), 0.0)
        for admitted in found:
            assert admitted.id == heapq.heappop(ready)[2]
            queue.remove(admitted.id)
            running.append(admitted.id)
        started_count += len(found)
        if not running:
            break
        end(running.pop(chance.randrange(len(running))), chance.choice(["ok", "ok", "not-ok"]))
    assert not queue.waiting
    assert len(ended) == 10_000
    assert started_count == 10_000 - len(skipped)
    assert 1000 < len(skipped) < 9000
