"""The pure parts of triage: what counts as progress, how needs are ordered, who was away, when a disk is full."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from console.daemon import needs
from console.daemon.disk_watch import Sample, full_in_s
from console.daemon.gaps import gap_of
from console.daemon.live_progress import put_mark
from console.daemon.needs import Disk
from console.daemon.paced import Paced
from console.daemon.presence import AWAY_AFTER_S, LOOK_BACK_S, Presence, absence_of, pressed
from console.daemon.progress import Mark, progress_of, time_left
from console.triage import Need

HOUR_S = 3600.0
NOW_S = 1_760_000_000.0


@pytest.mark.parametrize(
    ("tail", "done", "total", "unit"),
    [
        ("step 41k/90k loss 0.31\n", 41_000, 90_000, "step"),
        ("Epoch 3/10\n", 3, 10, "epoch"),
        ("epoch [3/10] lr 1e-3\n", 3, 10, "epoch"),
        ("Epoch: 3 of 10, loss: 0.5\n", 3, 10, "epoch"),
        ("iter 1,200/40,000: loss 2.1\n", 1200, 40_000, "iter"),
        (" 45%|████▌     | 41/90 [00:12<00:15,  3.27it/s]", 41, 90, ""),
        ("  0%|          | 0/90 [00:00<?, ?it/s]\r 45%|████▌     | 41/90 [00:12<00:15,  3.27it/s]\r", 41, 90, ""),
        ("Epoch 3/4\n120/240 ━━━━━━━━━━ 1s 8ms/step - loss: 0.3", 2.5, 4, "epoch"),
        ("fold 2/5\n[100] valid_0's auc: 0.81\n", 2, 5, "fold"),
        ("trial 7/50 finished\nsome other words\n", 7, 50, "trial"),
        ("Epoch 3/10\nEpoch 4/10\n", 4, 10, "epoch"),
        ("\x1b[32mstep\x1b[0m 12/40\n", 12, 40, ""),
    ],
)
def test_a_total_in_the_output_is_progress(tail: str, done: float, total: float, unit: str) -> None:
    found = progress_of(tail.encode())
    assert found is not None
    assert (found.done, found.total, found.unit) == (done, total, unit)


@pytest.mark.parametrize(
    "tail",
    [
        "",
        "loss 0.3 acc 0.9\n",
        "2025/10/09 11:23:20 started\n",
        "reading /data/1/2/part-3/4\n",
        "accuracy 9/3\n",
        "ratio 1/2\n",
        "step 5\n",
        "see https://example.org/12/400\n",
        "\x00\xff" * 200,
        "epoch 12/0\n",
        "9" * 400 + "/" + "9" * 400,
        f"step {'9' * 310}/{'9' * 320}\n",
        # A pattern that shares out the blanks in every way takes seconds over each of these lines.
        ("epoch" + " " * 395 + "x\n") * 40,
    ],
)
def test_what_is_no_total_is_no_progress(tail: str) -> None:
    assert progress_of(tail.encode("utf-8", "replace")) is None


def test_time_left_goes_by_the_pace_of_late_then_by_the_average_then_by_runs_of_the_name() -> None:
    marks = [Mark(0.0, 0.0), Mark(1000.0, 0.5), Mark(1100.0, 0.6)]
    recent, average = time_left(marks, 1100.0, 50.0), time_left([Mark(1000.0, 0.5)], 1000.0, 50.0)
    assert recent.seconds == pytest.approx(400.0)
    assert recent.method == "at its pace of the last minutes"
    assert average.seconds == pytest.approx(1000.0)
    assert average.method == "at its average pace"
    assert time_left([], 20.0, 50.0)[0] == 30.0
    seconds, why = time_left([], 60.0, 50.0)
    assert seconds is None
    assert why.startswith("n/a: it takes longer")
    assert time_left([], 60.0, None) == (None, "n/a: it states no total, and no run of its name has finished yet")


def test_marks_begin_anew_when_the_run_or_the_clock_went_back() -> None:
    marks: deque[Mark] = deque([Mark(10_000.0, 0.1), Mark(10_010.0, 0.2)])
    put_mark(marks, Mark(6400.0, 0.3))
    put_mark(marks, Mark(6500.0, 0.5))
    assert list(marks) == [Mark(6400.0, 0.3), Mark(6500.0, 0.5)]
    put_mark(marks, Mark(6600.0, 0.1))
    assert list(marks) == [Mark(6600.0, 0.1)]


def need(kind: str, at_s: float, **changes: Any) -> Need:
    made = Need(f"{kind}:{at_s}", kind, severe=kind in ("failed", "notice"), subject=kind, cause="", at_s=at_s)
    return made._replace(**changes)


def test_the_most_urgent_is_first_and_the_latest_of_its_kind() -> None:
    found = [need("import", 9), need("failed", 1), need("held", 5), need("failed", 2), need("notice", 0)]
    found.append(need("disk", 0, severe=True))
    order = [(each.kind, each.at_s) for each in needs.ranked(found, {})]
    assert order == [("notice", 0), ("disk", 0), ("failed", 2), ("failed", 1), ("held", 5), ("import", 9)]


def test_what_was_seen_is_left_out_unless_it_goes_by_itself() -> None:
    lasting = need("notice", 0, dismissable=False)
    found = needs.ranked([need("failed", 1), lasting], {"failed:1", "notice:0"})
    assert found == [lasting]


def test_one_kind_does_not_fill_the_list() -> None:
    found = needs.shown(needs.ranked([need("failed", number) for number in range(500)] + [need("held", 1)], {}))
    assert len(found) == needs.SHOWN_OF_A_KIND + 1
    assert found[0].at_s == 499


def disk(percent: float, full: float | None = None) -> list[Need]:
    return needs.of_disk(Disk("/scratch", percent, 40 << 30, full, 1800.0))


def test_a_disk_is_told_when_it_is_nearly_full_or_will_be_and_again_when_it_has_filled_further() -> None:
    assert disk(80.0) == []
    assert disk(80.0, 3 * 86_400.0) == []
    (soon,) = disk(80.0, 5 * HOUR_S)
    assert soon.cause == "80% full, 40.0 GiB free, ~full in 5h"
    assert "for the last 30 minutes" in soon.evidence
    (nearly,), (later,), (full,) = disk(91.0), disk(94.0), disk(98.5)
    assert not nearly.severe
    assert full.severe
    assert len({soon.key, nearly.key, later.key, full.key}) == 4
    assert disk(91.2)[0].key == nearly.key
    assert needs.of_disk(None) == []


def test_a_forecast_needs_a_steady_fall() -> None:
    steady = [Sample(60.0 * minute, (1000 - minute) << 20) for minute in range(31)]
    assert full_in_s(steady) == pytest.approx(970 * 60.0)
    assert full_in_s(steady[:8]) is None, "not measured for long enough"
    jump = [Sample(60.0 * minute, 500 if minute > 25 else 1000) for minute in range(31)]
    assert full_in_s(jump) is None, "one large file is no trend"
    assert full_in_s([Sample(60.0 * minute, 1000 + minute) for minute in range(31)]) is None
    assert full_in_s([]) is None


def test_an_absence_begins_with_the_last_key_and_is_listed_until_it_is_cleared() -> None:
    first = pressed(None, NOW_S)
    assert absence_of(first, NOW_S + 1.0) == (NOW_S + 1.0 - LOOK_BACK_S, None)
    busy = pressed(first, NOW_S + 60.0)
    assert absence_of(busy, NOW_S + 61.0)[1] is None
    back = pressed(busy, NOW_S + 60.0 + 11 * HOUR_S)
    assert absence_of(back, back.last_s + 5.0) == (NOW_S + 60.0, 11 * HOUR_S)
    still = pressed(back, back.last_s + 60.0)
    assert absence_of(still, still.last_s)[0] == NOW_S + 60.0
    coffee = pressed(still, still.last_s + AWAY_AFTER_S + 1)
    assert absence_of(coffee, coffee.last_s)[0] == NOW_S + 60.0, "a shorter absence does not hide a longer one"
    night = pressed(coffee, coffee.last_s + 12 * HOUR_S)
    assert absence_of(night, night.last_s) == (coffee.last_s, 12 * HOUR_S)
    cleared = Presence(night.last_s, cleared_s=night.last_s)
    assert absence_of(cleared, night.last_s + 60.0) == (night.last_s, None)


def test_somebody_who_has_not_come_back_is_away_since_the_last_key() -> None:
    assert absence_of(Presence(NOW_S), NOW_S + HOUR_S) == (NOW_S, HOUR_S)
    assert absence_of(None, NOW_S) == (NOW_S - LOOK_BACK_S, None)


def test_a_clock_that_is_set_back_makes_no_absence() -> None:
    assert pressed(Presence(NOW_S), NOW_S - 9500.0) == Presence(NOW_S - 9500.0)


@pytest.mark.parametrize(
    ("mine", "theirs", "maximize", "value", "ahead"),
    [(0.8, 0.7, True, 0.1, True), (0.8, 0.7, False, 0.1, False), (0.2, 0.3, False, -0.1, True), (1, 1, True, 0, None)],
)
def test_ahead_goes_by_the_goal_and_the_sign_by_the_difference(
    mine: float, theirs: float, maximize: bool, value: float, ahead: bool | None
) -> None:
    gap = gap_of(mine, theirs, 7, 100, maximize=maximize)
    assert gap.value == pytest.approx(value)
    assert (gap.ahead, gap.best_no, gap.step) == (ahead, 7, 100)


class Works:
    """Takes a while, in a time that a test moves."""

    def __init__(self, took_s: float) -> None:
        self.now_s = 100.0
        self.version = 1
        self.took_s = took_s
        self.count = 0
        self.told: list[float] = []
        self.paced: Paced[int] = Paced(0.5, lambda: self.version, self.told.append, monotonic=lambda: self.now_s)

    def get(self) -> int:
        def make() -> int:
            self.now_s += self.took_s
            self.count += 1
            return self.count

        return self.paced.get(make)


def test_what_is_dear_rests_and_whoever_got_an_old_value_is_told_when_to_ask_again() -> None:
    works = Works(took_s=0.1)
    assert works.get() == 1
    works.now_s += 1.0
    assert works.get() == 1, "it rests twenty times as long as it took"
    assert works.told == [], "nothing has changed meanwhile"
    works.version = 2
    assert works.get() == 1
    assert works.told == [pytest.approx(1.0)]
    works.now_s += 1.0
    assert works.get() == 2
    works.told.clear()
    assert works.get() == 2
    assert works.told == []
    works.paced.forget()
    assert works.get() == 3


def test_what_is_cheap_is_worked_out_anew_after_half_a_second() -> None:
    works = Works(took_s=0.0)
    works.get()
    works.now_s += 0.4
    assert works.get() == 1
    works.now_s += 0.2
    assert works.get() == 2


def test_a_card_that_is_held_without_work_names_who_and_for_how_long() -> None:
    holder = {"pid": 4411, "user": "bob", "command": "python notebook.py", "run": "", "memory_used_bytes": 38 << 30}
    other = holder | {"pid": 12, "memory_used_bytes": 1}
    held = {"number": 5, "uuid": "GPU-5", "problem": "", "idle_held_s": 3 * HOUR_S + 600, "holders": [other, holder]}
    (need,) = needs.of_cards([held, held | {"idle_held_s": 60.0}, held | {"idle_held_s": None}])
    assert (need.subject, need.act) == ("GPU 5", "copy")
    assert need.cause == "idle-held by bob for 3h10, pid 4411 and 1 more"
    (ours,) = needs.of_cards([held | {"holders": [holder | {"run": "01K7"}]}])
    assert (ours.act, ours.run_id) == ("stop", "01K7")
    (lost,) = needs.of_cards([{"number": 3, "uuid": "GPU-3", "problem": "it fell off the bus"}])
    assert lost.severe
    assert lost.cause == "it fell off the bus"


def test_what_the_queue_cannot_start_says_why_and_what_helps() -> None:
    entry = {"id": "A", "no": 7, "name": "train", "project": "vit", "sweep": "", "state": "queued", "releasable": False}
    never = entry | {"reason": "wants 2 devices, 1 declared: it can never start"}
    held = entry | {"id": "B", "no": 8, "state": "held", "releasable": True, "reason": "held since the reboot"}
    pause = {"scope": "project:vit", "words": "paused by bob", "at_s": 1.0}
    queue = {"entries": [never, held, entry | {"reason": ""}], "pauses": [pause], "slots": 2, "waiting_count": 3}
    found = {need.kind: need for need in needs.of_queue(queue)}
    assert (found["queue"].act, found["queue"].command) == ("stop", "footplate stop r7")
    assert (found["held"].act, found["held"].command) == ("release", "footplate release r8")
    assert (found["paused"].act, found["paused"].command) == ("resume", "footplate resume vit")
    assert found["paused"].cause == "paused by bob; 3 runs wait behind it"
    assert needs.of_queue(queue | {"entries": []}) == [], "a pause that nothing waits behind wants nobody"
    (slots,) = needs.of_queue(queue | {"entries": [entry | {"reason": ""}], "pauses": [], "slots": 0})
    assert slots.subject == "queue"


def test_imports_projects_and_notices_become_needs_that_change_with_their_words() -> None:
    row = {"id": "I", "root": "/data/mlruns", "stopped": "", "problems": ["a/meta.yaml: cut", "b/meta.yaml: cut"]}
    (found,) = needs.of_imports([row, row | {"problems": []}])
    assert (found.subject, found.cause) == ("import mlruns", "a/meta.yaml: cut (and 1 more)")
    (stopped,) = needs.of_imports([row | {"stopped": "the reader died 3 times"}])
    assert stopped.cause == "the reader died 3 times (and 2 more)"
    assert stopped.key != found.key
    wants = {"kind": "changed", "text": "footplate.toml has changed", "command": "footplate trust /vit"}
    project = {"name": "vit", "root": "/vit", "text_hash": "1", "attention": [wants]}
    (first,), (second,) = needs.of_projects([project]), needs.of_projects([project | {"text_hash": "2"}])
    assert (first.act, first.root) == ("trust", "/vit")
    assert first.key != second.key
    blocking, passing = needs.of_notices(["the disk is full", ""], ["the index was replaced"])
    assert (blocking.severe, blocking.dismissable, passing.severe, passing.dismissable) == (True, False, False, True)
