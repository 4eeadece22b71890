"""Pages of the run table: runs that lie together and runs that lie far apart come out the same."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from store.queries.run_page import run_page
from store.queries.run_table import runs_by_id, runs_by_no
from tests.store.query_runs import NOW_S, SampleRun, put_runs

if TYPE_CHECKING:
    from store.database import Cursor


def test_runs_far_apart_come_out_as_those_together(cursor: Cursor) -> None:
    runs = [
        SampleRun(1, tags=("b", "a"), params={"lr": "0.1"}, metrics={"val/acc": (0.5, 0.1, 0.9)}, primary="val/acc"),
        SampleRun(2, metrics={"loss": (1.0, 1.0, 1.0)}),
        SampleRun(900, metrics={"loss": (math.inf, None, None)}, primary="loss", pinned=True),
        SampleRun(5000, state="queued", started_at_s=None, ended_at_s=None, exit_code=None),
    ]
    put_runs(cursor, runs)
    fold = "insert into metric_fold select run_no, key_id, $fold, step, value, 0.2, 0.3, 5 from metric_latest"
    for number in (2, 1):
        cursor.execute(f"{fold} where run_no = 1", {"fold": number})
    expected = {entry.no: entry for entry in runs_by_id(cursor, [run.id for run in runs])}
    assert expected[1].tags == ("a", "b")
    assert expected[1].metric is not None
    assert len(expected[1].metric.folds) == 2
    assert runs_by_no(cursor, [5000, 1, 7, 900, 2]) == [expected[no] for no in (5000, 1, 900, 2)]
    assert runs_by_no(cursor, [2, 1, 3]) == [expected[2], expected[1]]
    assert runs_by_no(cursor, [*range(1, 200), 900, 5000]) == [expected[no] for no in (1, 2, 900, 5000)]
    assert runs_by_no(cursor, [*range(1, 600), 900, 5000]) == [expected[no] for no in (1, 2, 900, 5000)]
    assert runs_by_no(cursor, [*range(1, 2000), 5000]) == [expected[no] for no in (1, 2, 900, 5000)]
    assert runs_by_no(cursor, [70_000, 7]) == []
    assert runs_by_no(cursor, []) == []


def page(cursor: Cursor, sort: str, *, text: str = "", offset: int = 0, descending: bool = True) -> list[int]:
    """Five numbers."""
    found = run_page(
        cursor, text=text, states=[], sort=sort, descending=descending, offset=offset, limit=5, now_s=NOW_S
    )
    return [entry.no for entry in found.entries]


@pytest.mark.parametrize("text", ["", "project:demo"])
def test_a_page_by_time_holds_runs_with_low_numbers_too(cursor: Cursor, text: str) -> None:
    old = [SampleRun(no, started_at_s=NOW_S + no, ended_at_s=NOW_S + no) for no in range(1, 9)]
    new = [SampleRun(no, started_at_s=NOW_S - no % 3, ended_at_s=NOW_S) for no in range(9001, 9021)]
    put_runs(cursor, [*old, *new])
    assert page(cursor, "started", text=text) == [8, 7, 6, 5, 4]
    assert page(cursor, "started", text=text, offset=5) == [3, 2, 1, 9018, 9015]
    assert page(cursor, "no", text=text) == [9020, 9019, 9018, 9017, 9016]
    assert page(cursor, "ended", text=text, offset=6) == [2, 1, 9020, 9019, 9018]
    cursor.execute("update run set ended_at_s = null where no > 9003 or no = 2")
    assert page(cursor, "ended", text=text, offset=5) == [3, 1, 9003, 9002, 9001]
    assert page(cursor, "ended", text=text, offset=10) == [9020, 9019, 9018, 9017, 9016]


def test_what_is_not_a_number_comes_between_numbers_and_runs_without_the_metric(cursor: Cursor) -> None:
    lasts = enumerate((math.nan, math.inf, -0.0, -math.inf, 0.0, math.nan), start=1)
    runs = [SampleRun(no, metrics={"acc": (last, None, None)}, primary="acc") for no, last in lasts]
    put_runs(cursor, [*runs, SampleRun(7)])
    for sort in ("last(metric)", "acc"):
        assert page(cursor, sort) == [2, 5, 3, 4, 6]
        assert page(cursor, sort, offset=5) == [1, 7]
        assert page(cursor, sort, descending=False) == [4, 5, 3, 2, 6]
        assert page(cursor, sort, descending=False, offset=5) == [1, 7]
    assert page(cursor, "step") == [6, 5, 4, 3, 2]


def test_the_best_is_of_the_goal_of_each_run_and_of_the_folds_that_there_are(cursor: Cursor) -> None:
    metrics: dict[str, tuple[float, float | None, float | None]] = {"acc": (0.5, 0.1, 0.9), "err": (0.5, 0.2, 0.8)}
    put_runs(cursor, [SampleRun(1, metrics=metrics, primary="acc"), SampleRun(2, metrics=metrics, primary="acc")])
    cursor.execute("update metric_latest set maximum = 0.7 where run_no = 2")
    assert page(cursor, "metric") == [1, 2]
    assert page(cursor, "no", text="metric > 0.8") == [1]
    cursor.execute("update run set primary_goal = 'minimize'")
    cursor.execute("update metric_latest set minimum = 0.3 where run_no = 2")
    assert page(cursor, "metric") == [2, 1]
    cursor.execute("update run set primary_goal = 'maximize' where no = 1")
    assert page(cursor, "metric") == [1, 2]
    assert page(cursor, "no", text="metric > 0.8") == [1]
    fold = "insert into metric_fold select run_no, key_id, 1, 9, 0, 0, 0.25, 3 from metric_latest where run_no = 1"
    cursor.execute(fold)
    assert page(cursor, "metric") == [2, 1]
    assert page(cursor, "no", text="metric > 0.26") == [2]
    put_runs(cursor, [SampleRun(3, metrics={"err": (0.5, 0.1, 0.6)}, primary="err")])
    assert page(cursor, "metric") == [3, 2, 1]


def test_a_metric_that_does_not_stand_for_its_run_gives_it_no_place(cursor: Cursor) -> None:
    runs = [SampleRun(no, metrics={"acc": (0.1 * no, 0.1, 0.1 * no)}, primary="acc") for no in range(1, 8)]
    put_runs(cursor, [*runs, SampleRun(8, metrics={"acc": (0.9, 0.1, 0.9)}), SampleRun(9)])
    assert page(cursor, "acc") == [8, 7, 6, 5, 4]
    assert page(cursor, "metric") == [7, 6, 5, 4, 3]
    assert page(cursor, "metric", descending=False, offset=1) == [2, 3, 4, 5, 6]
    assert page(cursor, "metric", offset=5) == [2, 1, 9, 8]
    cursor.execute("delete from run where no = 7")
    assert page(cursor, "acc", offset=1) == [6, 5, 4, 3, 2]
    assert page(cursor, "step") == [6, 5, 4, 3, 2]
    assert page(cursor, "acc", offset=9) == []
