"""An index with something in it, made without a daemon."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from store import database, paths
from store.ingest import TABLES_BY_RUN_NO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from store.database import Cursor, Database

ID = "01K7000000000000000000000A"


@contextmanager
def new_index(folder: Path) -> Iterator[Cursor]:
    """A cursor of an empty index in a folder."""
    with closing(database.open_database(str(folder / "index.duckdb"))) as opened, closing(opened.cursor()) as cursor:
        yield cursor


def empty(cursor: Cursor) -> None:
    """Take all runs with their points out of an index."""
    for table in (*TABLES_BY_RUN_NO, "metric_key", "journal_cursor", "run"):
        cursor.execute(f"delete from {table}")


def fill(opened: Database, *, run_count: int = 3, points_each: int = 20_000, first_no: int = 1) -> None:
    """Runs with points of one metric each, in one transaction."""
    cursor = opened.cursor()
    cursor.execute("begin")
    cursor.execute("insert into metric_key values (1, 'loss') on conflict do nothing")
    for no in range(first_no, first_no + run_count):
        cursor.execute(
            "insert into run (id, no, name, project, state, command, argv, working_dir, host, params, created_at_s, "
            "search_text) values (?, ?, 'train.py', 'demo', 'finished', 'true', '[]', '/', 'gpu-03', '{}', 1.0, 'r')",
            [f"{ID[:20]}{no:06d}", no],
        )
        cursor.execute(
            "insert into metric (run_no, key_id, step, at_us, value, source) "
            "select ?, 1, step, step, random(), 0 from range(?) steps(step)",
            [no, points_each],
        )
        cursor.execute(
            "insert into metric_latest (run_no, key_id, step, at_us, value, point_count, source) "
            "values (?, 1, ?, 0, 0.5, ?, 0)",
            [no, points_each - 1, points_each],
        )
    cursor.execute("commit")
    cursor.close()


def make_index(home: str, **changes: int) -> str:
    """A closed index with content, as `fill` makes it, in a state directory; returns its path."""
    paths.ensure_state_dir(home)
    path = paths.database_path(home)
    opened = database.open_database(path)
    fill(opened, **changes)
    opened.close()
    return path


def counts(opened: Database) -> tuple[int, int]:
    """Runs and points."""
    with opened.reading() as cursor:
        found = cursor.execute("select (select count(*) from run), (select count(*) from metric)").fetchone()
    return (found[0], found[1]) if found else (0, 0)
