"""A chart as rows of text whose pieces say what they are: the same for the screens and for the command line. Pure.

A cell has one colour, so a piece belongs to one line, to the band of the focused one, to an axis or to a mark.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from console.tui.chart_axes import LINEAR, Axes, axis_ticks, place, scaled
from console.tui.raster import ASCII_MARKS, NOBODY, Raster, Scale, Tick, Trace, fraction, rasterise, scale_of
from console.tui.text_format import cell_width, centred, fit, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

MIN_PLOT_COLUMNS: Final = 4
ROWS_PER_Y_TICK: Final = 3
COLUMNS_PER_X_TICK: Final = 12
MAX_LABEL_CELLS: Final = 24
MIN_LABEL_CELLS: Final = 4
AXIS_ROWS_FROM: Final = 6
"""With fewer rows than this a chart has no x axis."""

Role: TypeAlias = int | str
"""Index of a line, BAND or NOBODY; or `title`, `muted`, `axis`, `cursor`, `mark`."""


@dataclass(frozen=True)
class ChartLine:
    """One series, reduced to at most a few hundred bins, in order of x."""

    label: str
    colour: str
    """Name of a theme colour such as "primary", or a colour such as "#56B4E9"."""
    xs: Sequence[float]
    means: Sequence[float]
    minimums: Sequence[float]
    maximums: Sequence[float]
    dim: bool = False
    """Drawn faintly, as what lies behind another line; without a label it is in no legend."""


class Mark(NamedTuple):
    """A place where a value was no number."""

    x: float
    kind: str
    """`nan`, `inf` or `-inf`."""


@dataclass(frozen=True)
class Chart:
    """Everything that one chart shows."""

    lines: tuple[ChartLine, ...] = ()
    focus: int = 0
    """The line that lies on top and shows its band."""
    title: str = ""
    note: str = ""
    empty: str = "no metric yet"
    axes: Axes = LINEAR
    x_range: tuple[float, float] | None = None
    """The stretch that is looked at; None: all that the lines span."""
    cursor: float | None = None
    """The x that a vertical line marks."""
    marks: tuple[Mark, ...] = ()
    active: bool = True
    """The title is bright: of several charts, this one is chosen."""


class Piece(NamedTuple):
    """Some cells of a row that have one style."""

    text: str
    role: Role


Row: TypeAlias = list[Piece]


def layout(chart: Chart, width: int, height: int, *, ascii_only: bool = False) -> list[Row]:
    """`height` rows of `width` cells, the first one maybe shorter: title and legend, the plot, the x axis."""
    if width < 1 or height < 1:
        return [[] for _ in range(height)]
    top = top_row(chart, width, ascii_only=ascii_only)
    axes = chart.axes
    traces = [
        Trace(
            scaled(line.xs, log=axes.log_x),
            *(scaled(each, log=axes.log_y) for each in (line.means, line.minimums, line.maximums)),
        )
        for line in chart.lines
    ]
    scale = scale_of(traces, chart.focus)
    if scale is None:
        return [top, *middle(chart.empty, width, height - 1)]
    scale = windowed(scale, chart)
    axis_rows = 2 if height >= AXIS_ROWS_FROM else 0
    rows = height - 1 - axis_rows
    if rows < 1:
        return [top]
    y_ticks = axis_ticks(scale.y_low, scale.y_high, max(2, rows // ROWS_PER_Y_TICK), log=axes.log_y)
    gutter = max((len(tick.label) for tick in y_ticks), default=0) + 2
    columns = width - gutter
    if columns < MIN_PLOT_COLUMNS:
        return [top, *middle("too narrow", width, height - 1)]
    raster = rasterise(traces, scale, columns, rows, focus=chart.focus, ascii_only=ascii_only)
    plot = plot_rows(chart, raster, scale, y_ticks, gutter, ascii_only=ascii_only)
    return [top, *plot, *(x_axis(chart.axes, scale, columns, gutter, ascii_only=ascii_only) if axis_rows else ())]


def windowed(scale: Scale, chart: Chart) -> Scale:
    """The scale with the stretch that is looked at in place of what the lines span."""
    if chart.x_range is None:
        return scale
    low, high = (place(x, log=chart.axes.log_x) for x in chart.x_range)
    if not math.isfinite(low):
        low = scale.x_low
    return scale._replace(x_low=low, x_high=high) if low < high else scale


def plot_rows(
    chart: Chart, raster: Raster, scale: Scale, y_ticks: list[Tick], gutter: int, *, ascii_only: bool
) -> list[Row]:
    """The plot with the y axis at its left."""
    count = len(raster.rows)
    places = {round((1 - fraction(tick.value, scale.y_low, scale.y_high)) * (count - 1)): tick for tick in y_ticks}
    bar, tick_bar = ("|", "+") if ascii_only else ("│", "┤")
    over = overlay(chart, scale, len(raster.rows[0]), count, ascii_only=ascii_only)
    rows: list[Row] = []
    for number, (text, owners) in enumerate(zip(raster.rows, raster.owners, strict=True)):
        tick = places.get(number)
        pieces = [
            Piece(fit(f"{tick.label} " if tick else "", gutter - 1, align="right"), "muted"),
            Piece(tick_bar if tick else bar, "axis"),
        ]
        cells: list[tuple[str, Role]] = list(zip(text, owners, strict=True))
        for column, (glyph, role) in over.get(number, {}).items():
            if role == "mark" or cells[column][1] == NOBODY:
                cells[column] = (glyph, role)
        for role, run in groupby(cells, key=lambda cell: cell[1]):
            pieces.append(Piece("".join(glyph for glyph, _ in run), role))
        rows.append(pieces)
    return rows


def overlay(
    chart: Chart, scale: Scale, columns: int, rows: int, *, ascii_only: bool
) -> dict[int, dict[int, tuple[str, Role]]]:
    """What lies over the plot, by row and column: the cursor, and marks where values were no numbers."""
    found: dict[int, dict[int, tuple[str, Role]]] = {}

    def column_of(x: float) -> int | None:
        at = place(x, log=chart.axes.log_x)
        if not scale.x_low <= at <= scale.x_high:
            return None
        return round(fraction(at, scale.x_low, scale.x_high) * (columns - 1))

    if chart.cursor is not None and (column := column_of(chart.cursor)) is not None:
        for row in range(rows):
            found.setdefault(row, {})[column] = (":" if ascii_only else "┊", "cursor")
    glyphs = {"nan": "x", "inf": "^", "-inf": "v"} if ascii_only else {"nan": "×", "inf": "▲", "-inf": "▼"}
    for mark in chart.marks:
        if (column := column_of(mark.x)) is not None:
            row = 0 if mark.kind == "inf" else rows - 1
            found.setdefault(row, {})[column] = (glyphs.get(mark.kind, glyphs["nan"]), "mark")
    return found


def x_axis(axes: Axes, scale: Scale, columns: int, gutter: int, *, ascii_only: bool) -> tuple[Row, Row]:
    """The line below the plot and the labels below that."""
    corner, line, mark = ("+", "-", "+") if ascii_only else ("└", "─", "┴")
    axis, labels = [line] * columns, [" "] * (gutter + columns)
    free_from = 0
    most = max(2, columns // COLUMNS_PER_X_TICK)
    for tick in axis_ticks(scale.x_low, scale.x_high, most, log=axes.log_x, kind=axes.x_kind):
        column = round(fraction(tick.value, scale.x_low, scale.x_high) * (columns - 1))
        axis[column] = mark
        start = min(max(0, gutter + column - len(tick.label) // 2), len(labels) - len(tick.label))
        if start >= free_from:
            labels[start : start + len(tick.label)] = tick.label
            free_from = start + len(tick.label) + 1
    return [Piece(" " * (gutter - 1) + corner + "".join(axis), "axis")], [Piece("".join(labels), "muted")]


def top_row(chart: Chart, width: int, *, ascii_only: bool) -> Row:
    """Title, legend and note; the labels get what is left, and what does not fit is counted."""
    pieces: Row = []
    ellipsis = "~" if ascii_only else "…"
    title, note = visible(chart.title), visible(chart.note)
    if title:
        title = title if cell_width(title) + 2 <= width else fit(title, max(0, width - 2), ellipsis=ellipsis)
        pieces.append(Piece(f"{title}  "[:width], "title" if chart.active else "muted"))
    note_cells = cell_width(note) + 2 if note else 0
    room = width - cells_of(pieces) - note_cells
    if room < 0:
        room, note_cells = room + note_cells, 0
    pieces += legend(chart, room, ascii_only=ascii_only)
    used = cells_of(pieces)
    if note_cells and used + note_cells <= width:
        pieces.append(Piece(fit(f"{note} ", width - used, align="right"), "muted"))
    return pieces


def cells_of(pieces: Row) -> int:
    """Terminal cells of a row."""
    return sum(cell_width(piece.text) for piece in pieces)


def legend(chart: Chart, room_cells: int, *, ascii_only: bool) -> Row:
    """A mark and the label of every line, the focused one bright; those without room are counted."""
    named = [index for index, line in enumerate(chart.lines) if line.label or not line.dim]
    if not named or room_cells <= 0:
        return []
    labels = {index: visible(chart.lines[index].label) for index in named}
    widths = {index: cell_width(label) for index, label in labels.items()}
    longest = min(MAX_LABEL_CELLS, max(widths.values()))
    each = next(
        (
            cells
            for cells in range(longest, MIN_LABEL_CELLS - 1, -1)
            if sum(min(width, cells) + 4 for width in widths.values()) <= room_cells
        ),
        MIN_LABEL_CELLS,
    )
    shown: set[int] = set()
    used = 0
    for index in sorted(named, key=lambda index: (index != chart.focus, index)):
        cells = min(widths[index], each) + 4
        reserved = 4 if len(shown) + 1 < len(named) else 0
        if used + cells + reserved > room_cells:
            break
        shown.add(index)
        used += cells
    pieces: Row = []
    for index in sorted(shown):
        mark = ASCII_MARKS[index % len(ASCII_MARKS)] if ascii_only else "━"
        label = fit(labels[index], min(widths[index], each), ellipsis="~" if ascii_only else "…")
        bright = index == chart.focus and len(named) > 1
        pieces += [Piece(f"{mark} ", index), Piece(f"{label}  ", "title" if bright else "muted")]
    more = f"+{len(named) - len(shown)} "
    if len(shown) < len(named) and used + len(more) <= room_cells:
        pieces.append(Piece(more, "muted"))
    return pieces


def middle(text: str, width: int, height: int) -> list[Row]:
    """A text in the middle of empty rows."""
    return [[Piece(centred(text, row, width, height), "muted")] for row in range(height)]
