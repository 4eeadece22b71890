"""The schema has two definitions, migrations and SQLModel records: they must say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from store import database, records
from store.ingest import Index

if TYPE_CHECKING:
    from pathlib import Path

ROW = {
    "id": "01K7000000000000000000000A",
    "no": 1,
    "name": "train.py",
    "project": "demo",
    "state": "queued",
    "command": "python train.py",
    "argv": ["python", "train.py"],
    "working_dir": "/",
    "host": "gpu-03",
    "params": {"lr": "0.1"},
    "created_at_s": 1.0,
    "search_text": "r1 train.py",
}


def test_migrations_and_records_have_the_same_columns(tmp_path: Path) -> None:
    opened = database.open_database(str(tmp_path / "index.duckdb"))
    with opened.reading() as cursor:
        rows = cursor.execute(
            "select column_name, is_nullable from information_schema.columns where table_name = 'run'"
        ).fetchall()
    migrated = {name: nullable == "YES" for name, nullable in rows}
    declared = {column.name: bool(column.nullable) for column in records.RunRecord.metadata.tables["run"].columns}
    opened.close()
    assert migrated == declared


def test_a_run_that_was_added_is_a_record_of_its_project(tmp_path: Path) -> None:
    opened = database.open_database(str(tmp_path / "index.duckdb"))
    index = Index(opened.cursor())
    index.add_runs([ROW])
    (found,) = records.runs_in_project(opened, "demo")
    assert (found.no, found.argv, found.params, found.cause) == (1, ROW["argv"], ROW["params"], "")
    assert records.runs_in_project(opened, "other") == []
    opened.close()


def test_of_runs_that_cannot_all_be_added_none_is(tmp_path: Path) -> None:
    opened = database.open_database(str(tmp_path / "index.duckdb"))
    index = Index(opened.cursor())
    with pytest.raises(database.Error):
        index.add_runs([ROW, ROW])
    assert records.runs_in_project(opened, "demo") == []
    opened.close()
