"""Charts side by side and below each other, as many as there is room for; one of them is the chosen one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.segment import Segment
from textual.strip import Strip

from console.tui.widgets.line_chart import ChartWidget

if TYPE_CHECKING:
    from console.tui.chart_layout import Chart

CELL_MIN_COLUMNS: Final = 36
CELL_MIN_ROWS: Final = 7
GAP_COLUMNS: Final = 2
CHARTS_MAX: Final = 24


class ChartGrid(ChartWidget):
    """Draws the charts it is given into cells of one size."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._charts: tuple[Chart, ...] = ()
        self._single = True

    def show(self, charts: tuple[Chart, ...], *, single: bool) -> None:
        """Show these; `single`: the first one alone."""
        self._charts, self._single = charts, single
        self.redraw()

    @property
    def room(self) -> tuple[int, int]:
        """Charts side by side, and below each other, that fit."""
        return fitting(*self.size)

    def cell_columns(self, *, single: bool) -> int:
        """How wide one chart is."""
        across = 1 if single else self.room[0]
        return max(1, (self.size.width - GAP_COLUMNS * (across - 1)) // across)

    def build(self) -> list[Strip]:
        """All rows, joined from those of the charts."""
        width, height = self.size
        if not self._charts:
            return [Strip.blank(width) for _ in range(height)]
        if self._single:
            return [Strip(row).adjust_cell_length(width) for row in self.rows_of(self._charts[0], width, height)]
        across, down = shape(len(self._charts), *fitting(width, height))
        columns = (width - GAP_COLUMNS * (across - 1)) // across
        strips: list[Strip] = []
        for band in range(down):
            rows = height // down + (1 if band < height % down else 0)
            drawn = [
                [Strip(row).adjust_cell_length(columns) for row in self.rows_of(chart, columns, rows)]
                for chart in self._charts[band * across : (band + 1) * across]
            ]
            gap = Strip([Segment(" " * GAP_COLUMNS)], GAP_COLUMNS)
            for y in range(rows):
                parts = [part for cell in drawn for part in (cell[y], gap)]
                strips.append(Strip.join(parts).adjust_cell_length(width) if parts else Strip.blank(width))
        return strips


def fitting(width: int, height: int) -> tuple[int, int]:
    """Charts side by side, and below each other, that fit so many cells."""
    across = max(1, (width + GAP_COLUMNS) // (CELL_MIN_COLUMNS + GAP_COLUMNS))
    down = max(1, height // CELL_MIN_ROWS)
    while across * down > CHARTS_MAX:
        across, down = (across, down - 1) if down > across else (across - 1, down)
    return across, down


def shape(count: int, across: int, down: int) -> tuple[int, int]:
    """Columns and rows for `count` charts where at most `across` by `down` fit: as few rows as do, no empty column."""
    down = min(down, -(-count // across)) or 1
    return max(1, min(across, -(-count // down))), max(1, down)
