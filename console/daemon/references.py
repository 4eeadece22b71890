"""Runs as people name them: r12, 12, an id or its start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from console.daemon.http import RefusedError
from store.queries import run_table

if TYPE_CHECKING:
    from store.database import Cursor
    from store.queries.run_table import RunEntry

LIST_HINT: Final = "`footplate runs` lists them"


def run_named(cursor: Cursor, reference: str, hint: str = LIST_HINT) -> RunEntry:
    """The run that a reference means. Raises RefusedError when it means none, or several."""
    try:
        found = run_table.find_run(cursor, reference)
    except LookupError as error:
        raise RefusedError(409, str(error), "give more characters, or the rN number") from error
    if found is None:
        raise RefusedError(404, f"no run {reference!r}", hint)
    return found
