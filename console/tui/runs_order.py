"""The order of the table of runs: which comes next, and which column shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console import run_columns
from console.tui.run_cells import ASCENDING_FIRST, SORT_CYCLE

if TYPE_CHECKING:
    from collections.abc import Sequence


def next_field(field: str, drawn: Sequence[str]) -> str:
    """The field to sort by after `field`: the usual ones, then those of the columns that are drawn."""
    of_columns = (run_columns.sort_field(name) for name in drawn if ":" in name)
    cycle = [*SORT_CYCLE, *filter(None, of_columns)]
    return cycle[(cycle.index(field) + 1) % len(cycle)] if field in cycle else cycle[0]


def clicked(column_key: str, field: str, *, descending: bool) -> tuple[str, bool] | None:
    """Field and direction after a click on a title: another order, or the same turned around; None for no order."""
    wanted = run_columns.sort_field(column_key)
    if not wanted:
        return None
    return wanted, (not descending if wanted == field else wanted not in ASCENDING_FIRST)


def column_with_arrow(field: str, names: Sequence[str]) -> str:
    """The key of the column that says what is sorted by; empty if there is none."""
    shown = next((name for name in names if run_columns.sort_field(name) == field), "")
    return "state" if shown == "glyph" else shown
