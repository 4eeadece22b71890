"""Fresh schema = migrated schema = SQLModel metadata, whatever version a file was made with."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import pytest

from store import backup, database, records, recovery
from store.run_rows import insert_runs
from tests.store.samples import ID

if TYPE_CHECKING:
    from pathlib import Path

    from store.database import Database

LATEST = database.migrations()[-1][0]
SCHEMA = """
    select table_name, column_name, data_type, is_nullable, coalesce(column_default, '')
    from information_schema.columns order by table_name, column_name
"""
KEYS = """
    select table_name, constraint_type, constraint_column_names from duckdb_constraints()
    where constraint_type in ('PRIMARY KEY', 'UNIQUE', 'FOREIGN KEY', 'CHECK') order by all
"""
SQL_NAMES = {"FLOAT": "DOUBLE"}
"""Where SQLAlchemy has another name for a type than DuckDB."""


def schema_of(opened: Database) -> tuple[list[Any], list[Any]]:
    """Columns and constraints."""
    with opened.reading() as cursor:
        return cursor.execute(SCHEMA).fetchall(), cursor.execute(KEYS).fetchall()


def make_old(path: str, version: int) -> None:
    """A file as a footplate with `version` migrations left it, with a run and its points."""
    connection = database.connect(path)
    database.migrate(connection, last=version)
    connection.execute(
        "insert into run (id, no, name, project, state, command, argv, working_dir, host, params, created_at_s, "
        "search_text) values (?, 7, 'train.py', 'demo', 'finished', 'true', '[]', '/', 'gpu-03', '{}', 1.0, 'r7')",
        [ID],
    )
    connection.execute("insert into metric_key values (1, 'loss')")
    connection.execute("insert into metric (run_no, key_id, step, at_us, value, source) values (7, 1, 3, 4, 0.5, 0)")
    if version >= 2:
        connection.execute("insert into note values ('n', ?, 1.0, 'ana', 'kept')", [ID])
        connection.execute("update run set pinned = true, attempt = 2")
    connection.close()


@pytest.mark.parametrize("version", range(1, LATEST))
def test_an_old_file_becomes_what_a_fresh_one_is_and_keeps_its_rows(tmp_path: Path, version: int) -> None:
    make_old(str(tmp_path / "old.duckdb"), version)
    fresh, migrated = (database.open_database(str(tmp_path / name)) for name in ("fresh.duckdb", "old.duckdb"))
    assert schema_of(migrated) == schema_of(fresh)
    with migrated.reading() as cursor:
        assert cursor.execute("select version from schema_version order by 1").fetchall() == [
            (number,) for number, _ in database.migrations()
        ]
        assert cursor.execute("select step, value, attempt from metric").fetchall() == [(3, 0.5, 1)]
        assert cursor.execute("select no, pinned, attempt, search_text from run").fetchall() == [
            (7, version >= 2, 2 if version >= 2 else 1, "r7")
        ]
    fresh.close()
    migrated.close()


@pytest.mark.parametrize("table", ["run", "note", "tag"])
def test_the_schema_is_that_of_the_records(tmp_path: Path, table: str) -> None:
    opened = database.open_database(str(tmp_path / "index.duckdb"))
    columns, keys = schema_of(opened)
    opened.close()
    migrated = {name: (kind, nullable == "YES") for of, name, kind, nullable, _ in columns if of == table}
    declared_table = records.RunRecord.metadata.tables[table]
    declared = {
        column.name: (SQL_NAMES.get(str(column.type), str(column.type)), bool(column.nullable))
        for column in declared_table.columns
    }
    assert migrated == declared
    primary = next(names for of, kind, names in keys if of == table and kind == "PRIMARY KEY")
    assert list(primary) == [column.name for column in declared_table.primary_key.columns]


def test_what_words_are_looked_for_in_lies_as_it_is_in_the_file_and_in_a_copy(tmp_path: Path) -> None:
    home = str(tmp_path)
    opened = database.open_database(f"{home}/index.duckdb")
    row: dict[str, Any] = {
        "name": "a",
        "project": "demo",
        "state": "failed",
        "command": "a",
        "argv": [],
        "working_dir": "/",
    }
    row |= {"host": "gpu-03", "params": {}, "created_at_s": 1.0, "search_text": "model=vit-b optimizer=adam " * 10}
    with contextlib.closing(opened):
        insert_runs(opened.cursor(), [row | {"id": f"{no:026d}", "no": no} for no in range(3000)])
        copy = backup.make_backup(opened, home)
    for path in (opened.path, copy.path):
        with contextlib.closing(database.connect(path)) as connection:
            found = connection.execute(
                "select distinct column_name, compression from pragma_storage_info('run')"
                " where column_name in ('search_text', 'id') and segment_type = 'VARCHAR'"
            ).fetchall()
        kinds = dict(found)
        assert kinds["search_text"] == "Uncompressed"
        assert kinds["id"] != "Uncompressed", "the rest is packed"


def test_no_table_has_a_foreign_key_or_a_secondary_index(tmp_path: Path) -> None:
    opened = database.open_database(str(tmp_path / "index.duckdb"))
    _, keys = schema_of(opened)
    with opened.reading() as cursor:
        assert cursor.execute("select count(*) from duckdb_indexes()").fetchone() == (0,)
    opened.close()
    assert {kind for _, kind, _ in keys} == {"PRIMARY KEY"}


def test_an_existing_file_is_backed_up_before_its_schema_changes(tmp_path: Path) -> None:
    home = str(tmp_path)
    path = f"{home}/index.duckdb"
    os.mkdir(f"{home}/runs")
    make_old(path, 1)
    said: list[str] = []
    recovery.open_index(home, said.append).database.close()
    (kept,) = backup.backups(home)
    assert kept.path in said[0]
    connection = database.connect(kept.path)
    assert connection.execute("select max(version) from schema_version").fetchone() == (1,)
    connection.close()
    recovery.open_index(home, said.append).database.close()
    assert backup.backups(home) == [kept]


def test_a_fresh_file_needs_no_backup(tmp_path: Path) -> None:
    os.mkdir(tmp_path / "runs")
    recovery.open_index(str(tmp_path), lambda _: None).database.close()
    assert backup.backups(str(tmp_path)) == []


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "index.duckdb")
    make_old(path, 1)
    steps = [database.migrations()[0], (2, "alter table run add column half varchar; select no_such_column from run")]
    with monkeypatch.context() as patched:
        patched.setattr(database, "migrations", lambda: steps)
        with pytest.raises(database.Error):
            database.open_database(path)
    opened = database.open_database(path)
    columns, _ = schema_of(opened)
    assert "half" not in [name for _, name, *_ in columns]
    opened.close()


def test_a_fresh_file_gets_its_schema_at_once_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "index.duckdb")
    steps = [*database.migrations(), (LATEST + 1, "select no_such_column from run")]
    with monkeypatch.context() as patched:
        patched.setattr(database, "migrations", lambda: steps)
        with pytest.raises(database.Error):
            database.open_database(path)
    connection = database.connect(path)
    assert connection.execute("select table_name from duckdb_tables()").fetchall() == [("schema_version",)]
    assert connection.execute("select count(*) from schema_version").fetchone() == (0,)
    connection.close()
    database.open_database(path).close()


def test_every_migration_has_a_number_of_its_own_in_sequence() -> None:
    assert [number for number, _ in database.migrations()] == list(range(1, LATEST + 1))
