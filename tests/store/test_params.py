"""The rows of params say what the column of the run says, however that came to be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from store import database, imported, recovery, twins
from store.imported_points import insert_finals
from store.ingest import Index
from store.params import put_new_params
from store.run_rows import update_runs
from tests import big_index
from tests.store.samples import new_index
from tests.store.test_schema import ROW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from store.database import Cursor

HOSTILE = {"": "empty", "a b": "'; drop table run; --", 'quote"': '"', "ü\u202e": "🚂", "$ids": "{}", "k" * 5000: "v"}


@pytest.fixture
def cursor(tmp_path: Path) -> Iterator[Cursor]:
    """Of an empty index."""
    with new_index(tmp_path) as cursor:
        yield cursor


def rows_of(cursor: Cursor, no: int = 1) -> dict[str, str]:
    """What the rows say of a run."""
    found = cursor.execute(
        "select name, text from param join param_key key on key.id = key_id where run_no = ?", [no]
    ).fetchall()
    assert len(found) == len(dict(found))
    return dict(found)


def test_rows_follow_the_column_from_the_first_to_the_last(cursor: Cursor) -> None:
    other = {**ROW, "id": "01K7000000000000000000000B", "no": 2, "params": {}}
    Index(cursor).add_runs([{**ROW, "params": HOSTILE}, other])
    assert (rows_of(cursor), rows_of(cursor, 2)) == (HOSTILE, {})
    update_runs(cursor, [(str(ROW["id"]), {"params": json.dumps({"lr": "0.1", "a b": "x"})})])
    assert rows_of(cursor) == {"lr": "0.1", "a b": "x"}
    update_runs(cursor, [(str(ROW["id"]), {"state": "failed"})])
    assert rows_of(cursor) == {"lr": "0.1", "a b": "x"}
    record = {"id": "t", "of": ROW["id"], "place": "p", "key": "k", "tracker": "wandb", "path": "/w"}
    twins.put(cursor, "i", record, {"lr": "other", "depth": "7"})
    assert rows_of(cursor) == {"lr": "0.1", "a b": "x", "depth": "7"}
    names = [name for (name,) in cursor.execute("select name from param_key").fetchall()]
    assert len(names) == len(set(names))


def test_params_at_hand_make_the_same_rows(cursor: Cursor) -> None:
    texts = ["1", " -2.5e-3 ", "+.5", "5.", "1e400", "inf", "-Infinity", "INF", "nan", "1_000", "0x10"]
    texts += ["\t1", "1\n", "", "e5"]
    params = HOSTILE | {f"p{place}": text for place, text in enumerate(texts)}
    Index(cursor).add_runs([{**ROW, "params": params}])
    other = {**ROW, "id": "01K7000000000000000000000B", "no": 2, "params": {}}
    Index(cursor).add_runs([other])
    put_new_params(cursor, [(2, params), (3, {})])
    put_new_params(cursor, [])
    said = "select key_id, text, number from param where run_no = ? order by key_id"
    assert cursor.execute(said, [2]).fetchall() == cursor.execute(said, [1]).fetchall()
    assert cursor.execute("select count(number) from param where run_no = 2").fetchone() != (0,)


def test_of_many_runs_what_a_query_reads_of_one_key_lies_together(cursor: Cursor) -> None:
    rows = [{**ROW, "id": f"01K7{no:022d}", "no": no, "params": {"lr": "1", "seed": str(no)}} for no in (1, 2, 3)]
    index = Index(cursor)
    index.add_runs(rows)
    together = [(key_id, no) for key_id in (1, 2) for no in (1, 2, 3)]
    assert cursor.execute("select key_id, run_no from param order by rowid").fetchall() == together
    put_new_params(cursor, [(no, {"lr": "2", "seed": "3"}) for no in (4, 5)])
    later = cursor.execute("select key_id, run_no from param where run_no > 3 order by rowid").fetchall()
    assert later == [(1, 4), (1, 5), (2, 4), (2, 5)]
    final = (0.5, 1, 0, None, None, 0)
    insert_finals(cursor, index, [(no, {"loss": final, "acc": final}) for no in (1, 2, 3)], "")
    assert cursor.execute("select key_id, run_no from metric_latest order by rowid").fetchall() == together


@pytest.mark.parametrize("forgets", ["recovery", "imported"])
def test_a_run_that_is_gone_leaves_no_params(cursor: Cursor, forgets: str) -> None:
    Index(cursor).add_runs([ROW])
    if forgets == "recovery":
        recovery.forget_run(cursor, str(ROW["id"]), 1)
    else:
        imported.forget(cursor, str(ROW["id"]))
    assert rows_of(cursor) == {}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1e-3", 0.001),
        (" 5 ", 5.0),
        ("-.5", -0.5),
        ("2.", 2.0),
        ("INF", float("inf")),
        ("-infinity", float("-inf")),
        ("nan", None),
        ("1_000", None),
        ("0x10", None),
        ("True", None),
        ("٣", None),
        ("1e", None),
        ("", None),
    ],
)
def test_a_param_is_a_number_when_its_text_is_one(cursor: Cursor, text: str, number: float | None) -> None:
    Index(cursor).add_runs([{**ROW, "params": {"x": text}}])
    assert cursor.execute("select text, number from param").fetchall() == [(text, number)]


def test_the_migration_makes_the_same_rows_as_runs_that_are_added(tmp_path: Path) -> None:
    path = str(tmp_path / "old.duckdb")
    values: dict[str, Any] = {"lr": "1e-3", "opt": "adam", "n": " 7 ", "clip": "inf"}
    old = database.connect(path)
    database.migrate(old, last=6)
    for no, params in ((7, values | HOSTILE), (8, {}), (9, values)):
        old.execute(
            "insert into run (id, no, name, project, state, command, argv, working_dir, host, params, created_at_s, "
            "search_text) values (?, ?, 't', 'p', 'finished', 'true', '[]', '/', 'h', ?, 1.0, 'r')",
            [f"01K700000000000000000000{no:02d}", no, json.dumps(params)],
        )
    old.close()
    opened = database.open_database(path)
    cursor = opened.cursor()
    assert rows_of(cursor, 7) == values | HOSTILE
    migrated = "select run_no, name, text, number from param join param_key key on key.id = key_id order by all"
    before = cursor.execute(migrated).fetchall()
    for no in (7, 8, 9):
        update_runs(
            cursor,
            [(f"01K700000000000000000000{no:02d}", {"params": json.dumps({} if no == 8 else rows_of(cursor, no))})],
        )
    assert cursor.execute(migrated).fetchall() == before
    cursor.close()
    opened.close()


def test_a_big_index_has_all_of_what_it_is_made_for(tmp_path: Path) -> None:
    big_index.fill(str(tmp_path / "big"), 500)
    opened = database.open_database(str(tmp_path / "big" / "index.duckdb"))
    with opened.reading() as cursor:
        counts = [
            cursor.execute(f"select count(*) from {table}").fetchone() for table in ("run", "param", "metric_latest")
        ]
    opened.close()
    assert counts == [(500,), (500 * len(big_index.PARAMS),), (500 * len(big_index.METRICS),)]
    assert (len(big_index.PARAMS), len(big_index.METRICS)) == (20, 20)
