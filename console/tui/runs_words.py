"""The line above the table of runs: how many of which, in what order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.content import Content

from console.tui.actions import key_for
from console.tui.styles import MUTED
from console.tui.text_format import visible

if TYPE_CHECKING:
    from console.tui.run_book import RunBook
    from console.views import View

SHOWN_CHARACTERS: Final = 40
"""Of a filter or an order."""


def title_of(book: RunBook, view: View, marked_count: int) -> Content:
    """How many runs there are, of which filter, and how many are marked."""
    parts: list[tuple[str, str]] = [("Runs", "")]
    if book.loaded:
        matched = f" {'…' if book.matched_count is None else book.matched_count}"
        parts.append((f"{matched} of {book.total_count}" if view.filter else matched, MUTED))
    if view.filter:
        parts.append((f"  /{visible(view.filter)[:SHOWN_CHARACTERS]}", "bold $accent"))
    if marked_count:
        parts.append((f"  ● {marked_count} marked", "$accent"))
        if marked_count > 1:
            parts.append((f"  {key_for('runs.beside')} side by side", MUTED))
    return Content.assemble(*parts)


def order_of(view: View) -> str:
    """What the rows are sorted by, and the way out of a filter."""
    order = f"by {visible(view.sort)[:SHOWN_CHARACTERS]} {'▼' if view.descending else '▲'}"
    return f"{order} · {key_for('runs.back')} clears the filter" if view.filter else order


def empty_words(text: str) -> str:
    """What a table without rows says under a filter."""
    return f"no run matches {visible(text)}\n{key_for('runs.back')} clears" if text else ""
