"""Imported runs on their way into the index: what is journalled, what is passing, and what people added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from store import import_journal, imported, journal_json, local_home, paths
from store.ingest import Index
from store.points import FOREIGN_SOURCE, HAND_SOURCE
from store.readers.foreign import ForeignRun, MetricFinal
from tests.store.samples import new_index

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from store.database import Cursor

IMPORT = "01K70000000000000000000000"


@pytest.fixture
def cursor(tmp_path: Path) -> Iterator[Cursor]:
    """A new index."""
    with new_index(tmp_path) as cursor:
        yield cursor


def record(no: int, loss: float, step: int, state: str = "running", **facts: Any) -> dict[str, Any]:
    """What a tracker says of a run."""
    run = ForeignRun(
        f"key-{no}", "mlflow", "/mlflow.db", f"signature-{step}", name=f"run-{no}", written_at_s=float(step)
    )
    run.metrics = {"val/loss": MetricFinal(loss, step, step * 1_000_000, None, None, 0)}
    for name, value in facts.items():
        setattr(run, name, value)
    about = {"kind": "run", "id": f"id-{no}", "no": no, "place": "mlflow_sqlite /mlflow.db", "project": "churn"}
    return about | {"state": state, "cause": "", "facts": import_journal.facts_of(run)}


def metrics(cursor: Cursor) -> list[tuple[Any, ...]]:
    """Number, key, value, step and source of everything that stands."""
    return cursor.execute(
        "select run_no, name, value, step, source from metric_latest join metric_key on id = key_id order by all"
    ).fetchall()


def test_what_is_passing_is_newer_than_what_is_journalled(cursor: Cursor) -> None:
    index = Index(cursor)
    imported.put(cursor, index, IMPORT, [record(1, 0.5, 1)], 100, [record(1, 0.25, 2), record(1, 0.125, 3)])
    assert metrics(cursor) == [(1, "val/loss", 0.125, 3, FOREIGN_SOURCE)]
    assert cursor.execute("select no, written_at_s from run").fetchall() == [(1, 3.0)]
    imported.put(cursor, index, IMPORT, [], 0, [record(1, 0.0625, 4)])
    assert metrics(cursor) == [(1, "val/loss", 0.0625, 4, FOREIGN_SOURCE)]
    assert imported.offset_of(cursor, IMPORT) == 100, "what passes is not in the journal"
    imported.put(cursor, index, IMPORT, [record(2, 1.0, 1)], 200)
    assert imported.offset_of(cursor, IMPORT) == 200


def test_what_a_person_added_stays(cursor: Cursor) -> None:
    index = Index(cursor)
    imported.put(cursor, index, IMPORT, [record(1, 0.5, 1, tags={"best": ""})], 100)
    (key_id,) = index.ids_of(["val/loss"])
    cursor.execute("update metric_latest set source = ?, value = 9 where key_id = ?", [HAND_SOURCE, key_id])
    cursor.execute("update tag set actor = 'ana'")
    imported.put(cursor, index, IMPORT, [], 0, [record(1, 0.25, 2)])
    assert metrics(cursor) == [(1, "val/loss", 9.0, 1, HAND_SOURCE)]
    imported.put(cursor, index, IMPORT, [record(1, 0.125, 3, tags={"best": ""}, note="again")], 200)
    assert metrics(cursor) == [(1, "val/loss", 9.0, 1, HAND_SOURCE)]
    assert cursor.execute("select name, actor from tag").fetchall() == [("best", "ana")]
    assert cursor.execute("select text from note").fetchall() == [("again",)]


def test_a_metric_that_is_told_no_more_goes_with_the_next_entry(cursor: Cursor) -> None:
    index = Index(cursor)
    imported.put(cursor, index, IMPORT, [record(1, 0.5, 1)], 100)
    other = {"train/loss": MetricFinal(float("nan"), 2, 0, None, None, 0)}
    imported.put(cursor, index, IMPORT, [record(1, 0.5, 2, metrics=other)], 200)
    ((no, key, value, step, _),) = metrics(cursor)
    assert (no, key, step) == (1, "train/loss", 2)
    assert value != value, "NaN is a value"


def test_facts_of_an_older_version_are_completed() -> None:
    facts = record(1, 0.5, 1)["facts"]
    assert import_journal.checked_facts(facts) is facts
    older = {name: value for name, value in facts.items() if name not in ("pid", "note")}
    assert import_journal.checked_facts(older) == facts
    for wrong in ({}, facts | {"key": 7}, {"key": "a", "metrics": {"loss": 3}}):
        with pytest.raises((TypeError, ValueError, KeyError)):
            import_journal.checked_facts(wrong)


def test_a_line_is_written_whatever_its_texts_and_numbers_are() -> None:
    for value in ("é\n\x7f", "\udcff", 2**70, [0.1, 1e300], {"a": None}):
        line = journal_json.encoded({"kind": "run", "value": value})
        assert line.count(b"\n") == 1
        found = journal_json.decoded(line[:-1])
        assert value in ("\udcff", 2**70) or found == {"kind": "run", "value": value}


def test_numbers_are_claimed_together(tmp_path: Path) -> None:
    home = str(tmp_path)
    assert local_home.claim_numbers(home, 5, 3) == [5, 6, 7]
    paths.ensure_state_dir(home)
    local_home.remember(home, str(tmp_path / "local"))
    assert local_home.claim_number(home, 6) == 6
    assert local_home.claim_numbers(home, 5, 3) == [5, 7, 8]
