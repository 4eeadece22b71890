"""Runs as people name them: r12, 12, an id or its start."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from console.daemon.http import RefusedError
from store.queries import run_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from store.database import Cursor
    from store.queries.run_table import NamedRun, RunEntry

LIST_HINT: Final = "`footplate runs` lists them"


def run_named(cursor: Cursor, reference: str, hint: str = LIST_HINT) -> RunEntry:
    """The run that a reference means. Raises RefusedError when it means none, or several."""
    with _one_meaning():
        found = run_table.find_run(cursor, reference)
    if found is None:
        raise RefusedError(404, f"no run {reference!r}", hint)
    return found


def runs_named(cursor: Cursor, references: Sequence[str]) -> tuple[list[NamedRun], list[str]]:
    """The runs that references mean, and the references that mean none. Raises RefusedError when one means several."""
    with _one_meaning():
        return run_table.find_runs(cursor, references)


@contextmanager
def _one_meaning() -> Iterator[None]:
    try:
        yield
    except LookupError as error:
        raise RefusedError(409, str(error), "give more characters, or the rN number") from error
