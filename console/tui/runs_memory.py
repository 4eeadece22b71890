"""What is kept of the table of runs, and how it comes back: the view at once, cursor and marks with the first page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console import asked_of_runs
from console.run_columns import COLUMNS_MAX, ColumnError, parse_column
from console.tui import memory
from console.tui.messages import MarksRecalled
from console.views import View

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.client import Client
    from console.protocol import Json
    from console.tui.courier import Call
    from console.tui.widgets.virtual_table import VirtualTable


def content_of(view: View, table: VirtualTable) -> dict[str, Json]:
    """Filter, order, columns, marks, and where the cursor is."""
    return {
        "filter": view.filter[: memory.TEXT_MAX_CHARACTERS],
        "sort": view.sort,
        "descending": view.descending,
        "columns": None if view.columns is None else list(view.columns),
        "marks": list(table.marked[: memory.MARKS_MAX]),
        "cursor": table.cursor_key or "",
        "row": table.cursor_row,
    }


def view_of(kept: Mapping[str, Any]) -> View:
    """The view that was kept, without what is no view."""
    columns = tuple(filter(is_column, memory.texts(kept, "columns")))[:COLUMNS_MAX]
    return View(
        "",
        memory.text(kept, "filter"),
        memory.text(kept, "sort") or "started",
        kept.get("descending") is not False,
        columns or None,
    )


def is_column(name: str) -> bool:
    """Whether a text names a column."""
    try:
        parse_column(name)
    except ColumnError:
        return False
    return True


def recall_cursor(table: VirtualTable, kept: Mapping[str, Any]) -> None:
    """Put the cursor where it was."""
    if key := memory.text(kept, "cursor"):
        table.recall_cursor(memory.number(kept, "row"), key)


def asking_for_marks(kept: Mapping[str, Any]) -> Call | None:
    """What asks for the runs that were marked; None when there were none."""
    marks = memory.texts(kept, "marks")

    def fetch(client: Client) -> MarksRecalled:
        return MarksRecalled(asked_of_runs.rows_that_are_there(client, marks))

    return fetch if marks else None
