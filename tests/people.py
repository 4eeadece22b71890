"""What people add to runs, as the client, the index and the command journal have it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from store import database
from tests.support import PastRun

if TYPE_CHECKING:
    from tests.support import Home


def with_ended_runs(home: Home) -> Home:
    """The home with three runs that have ended."""
    for no in (1, 2, 3):
        home.write_run(PastRun(no=no, name=f"train{no}.py"))
    for no in (1, 2, 3):
        home.wait_ended(f"r{no}")
    return home


def commands(home: Home) -> list[dict[str, Any]]:
    """What the command journal holds."""
    with open(f"{home.path}/commands.jsonl", "rb") as file:
        return [json.loads(line[9:]) for line in file]


def texts(home: Home, reference: str) -> list[str]:
    """The texts of a run's notes."""
    return [note.text for note in home.client().run(reference).notes]


def index_tables(home: Home) -> list[list[tuple[Any, ...]]]:
    """Notes, tags and pins as the index of a home without a daemon has them."""
    opened = database.open_database(f"{home.path}/index.duckdb")
    try:
        with opened.reading() as cursor:
            queries = ("from note order by all", "from tag order by all", "select no, pinned from run order by no")
            return [cursor.execute(query).fetchall() for query in queries]
    finally:
        opened.close()
