"""The run table with chosen columns, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from console import trackers
from console.cli import output
from console.run_columns import parse_column
from console.tui import text_format
from console.tui.text_format import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.protocol import RunRow
    from console.run_columns import TablePage

WIDEST: Final = 40
RIGHT: Final = ("metric", "best", "step", "duration", "started", "age", "attempt", "exit")


def print_table(table: TablePage, names: Sequence[str]) -> None:
    """State, number and name, then the columns."""
    page = table.page
    cells = []
    for place, row in enumerate(page.rows):
        glyph, _ = text_format.state_glyph(row.state, ascii_only=output.ascii_only())
        values = [
            value_words(table.cells[name][place]) if name in table.cells else fact_words(row, name, page.now_s)
            for name in names
        ]
        cells.append([glyph, row.label, visible(row.name), *values])
    titles = ["", "run", "name", *(visible(name.removeprefix("param:").removeprefix("metric:")) for name in names)]
    columns = [
        (title, ">" if is_right(name) else "<", WIDEST)
        for title, name in zip(titles, ("", "", "", *names), strict=True)
    ]
    output.print_table(cells, columns)


def is_right(name: str) -> bool:
    """Numbers and times are read from their right end."""
    return name in RIGHT or name.startswith("metric:")


def value_words(value: str | float | None) -> str:
    """The cell of a param or a metric; a dash where the run has none."""
    if value is None:
        return "-"
    return visible(value) if isinstance(value, str) else text_format.number(value)


def fact_words(row: RunRow, name: str, now_s: float) -> str:
    """The cell of a fact."""
    metric, key = row.metric, parse_column(name).key
    started_at_s = row.started_at_s
    found = {
        "state": row.state,
        "tags": output.tags_text(row),
        "key": output.metric_title(row),
        "metric": text_format.number(metric.last) if metric else "-",
        "best": output.best_words(metric) if metric else "-",
        "step": str(metric.last_step) if metric else "-",
        "duration": text_format.duration(output.duration_s(row, now_s)) or "-",
        "started": text_format.clock(started_at_s or row.created_at_s, now_s),
        "age": text_format.age(now_s - started_at_s) if started_at_s is not None else "-",
        "source": trackers.name_of(row.tracker),
        "outcome": text_format.outcome(row.state, row.cause, row.exit_code, row.signal),
        "attempt": f"{row.attempt}/{row.attempts_max}" if row.attempts_max > 1 else str(row.attempt),
        "exit": row.signal or ("n/a" if row.exit_code is None else str(row.exit_code)),
    }
    return visible(found[key] if key in found else str(getattr(row, key)))
