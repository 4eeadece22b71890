"""Pages of the run table: runs that lie together and runs that lie far apart come out the same."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from store.queries.run_table import runs_by_id, runs_by_no
from tests.store.query_runs import SampleRun, put_runs

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
