"""Which metric stands for a run: a person's word before the manifest's before the guess, whatever came first."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from store import additions, database, derive, metric_pins
from store.additions import Changes
from store.ingest import Batch, Index, JournalCursor
from store.points import FILE_SOURCE
from store.readers.carry import Carry

if TYPE_CHECKING:
    from pathlib import Path

    from store.database import Cursor

RUN = {"state": "running", "command": "x", "argv": ["x"], "working_dir": "/", "host": "h", "created_at_s": 1.0}
RUN |= {"params": {}, "search_text": ""}


def primaries(cursor: Cursor) -> dict[str, tuple[str, str, str]]:
    rows = cursor.execute(
        "select run.id, k.name, primary_goal, primary_source from run join metric_key k on k.id = primary_key_id"
    ).fetchall()
    return {run_id: (key, goal, source) for run_id, key, goal, source in rows}


def pin(cursor: Cursor, key: str) -> None:
    record = {"action": "metric-pin", "project": "p", "key": key, "goal": "minimize", "actor": "ana", "at_s": 1.0}
    changes = Changes()
    changes.add(record)
    additions.write(cursor, changes, None, 0)


@pytest.mark.parametrize("order", list(permutations(["points", "person", "manifest"])), ids=" ".join)
def test_the_order_does_not_matter(tmp_path: Path, order: tuple[str, ...]) -> None:
    opened = database.open_database(str(tmp_path / "index.duckdb"))
    cursor = opened.cursor()
    index = Index(cursor)
    for no, (name, project) in enumerate((("both", "p"), ("one", "p"), ("none", "p"), ("other", "q"))):
        index.add_runs([{**RUN, "id": name, "no": no, "name": name, "project": project}])
    for what in order:
        if what == "points":
            for no, (name, keys) in enumerate({"both": "abc", "one": "bc", "none": "c", "other": "abc"}.items()):
                batch = Batch(name, no, JournalCursor())
                batch.points.add(1, 0, dict.fromkeys((f"{key}_acc" for key in keys), 1.0), FILE_SOURCE, 1)
                index.commit([batch], {})
        elif what == "person":
            pin(cursor, "b_acc")
            pin(cursor, "a_acc")
        else:
            metric_pins.set_by_manifest(cursor, "p", "b_acc", None, 1.0)
    assert primaries(cursor) == {
        "both": ("a_acc", "minimize", "pinned"),
        "one": ("b_acc", "maximize", "manifest"),
        "none": ("c_acc", "maximize", "guessed"),
        "other": ("a_acc", "maximize", "guessed"),
    }
    metric_pins.set_by_manifest(cursor, "p", None, None, 2.0)
    changes = Changes()
    changes.add({"action": "metric-unpin", "project": "p"})
    additions.write(cursor, changes, None, 0)
    assert set(primaries(cursor).values()) == {
        ("a_acc", "maximize", "guessed"),
        ("b_acc", "maximize", "guessed"),
        ("c_acc", "maximize", "guessed"),
    }
    cursor.close()
    opened.close()


@pytest.mark.parametrize(
    "record",
    [
        {"action": "metric-pin", "project": "p", "key": "a", "goal": "more", "actor": "a", "at_s": 1},
        {"action": "metric-pin", "project": 3, "key": "a", "goal": "minimize", "actor": "a", "at_s": 1},
        {"action": "metric", "run": "a", "actor": "a", "at_s": 1, "request": "r", "values": {"a": [1, "x"]}},
        {"action": "metric", "run": "a", "actor": "a", "at_s": 1, "request": "r", "values": {"a": [1.5, 2]}},
        {"action": "metric", "run": "a", "actor": "a", "at_s": 1, "request": "r", "values": {"a": [1, float("nan")]}},
        {"action": "metric", "run": "a", "actor": "a", "at_s": 1, "request": "r", "values": [1]},
    ],
)
def test_records_that_lack_what_they_need_are_passed_over(record: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"is no|is neither"):
        Changes().add(record)


def test_of_ranks_the_first_is_read(tmp_path: Path) -> None:
    lines = ["[rank0]: step=1 loss=1", "[rank1]: step=1 loss=2", "[default1]:step=1 acc=2", "1: step=1 f1=2"]
    lines += ["[1,2]<stdout>: step=1 auc=2", "0: step=2 loss=3", "step=3 loss=4", "12:30:00 step=4 loss=5"]
    (tmp_path / "output.log").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = {}
    for many in (False, True):
        points = derive.log_points(str(tmp_path / "output.log"), 0, Carry(), final=True, many_processes=many)[1]
        found[many] = [(point["step"], *point["values"]) for point in points]
    assert found[True] == [(1, "loss"), (2, "loss"), (3, "loss"), (4, "loss")]
    assert len(found[False]) > 4
