"""A line chart whose lines are drawn when the data change and looked up when the screen asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from console.tui.raster import (
    ASCII_MARKS,
    BAND,
    NOBODY,
    Raster,
    Scale,
    Tick,
    Trace,
    fraction,
    rasterise,
    scale_of,
    ticks,
)
from console.tui.text_format import cell_width, centred, fit, visible
from console.tui.theme import theme_colour

MIN_PLOT_COLUMNS = 4
ROWS_PER_Y_TICK = 3
COLUMNS_PER_X_TICK = 12
MAX_LABEL_CELLS = 24
MIN_LABEL_CELLS = 4
BAND_STRENGTH = 0.45
"""How much of the line's colour its min..max band has; the rest is background."""


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


class LineChart(Widget):
    """Lines over steps with a legend above; the focused one lies on top and shows its min..max band."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"line-chart--title", "line-chart--muted", "line-chart--axis"}
    DEFAULT_CSS = """
    LineChart {
        height: 1fr;
        width: 1fr;
        & .line-chart--title { text-style: bold; }
        & .line-chart--muted { color: $foreground 65%; }
        & .line-chart--axis { color: $foreground 45%; }
    }
    """
    ALLOW_SELECT = False

    ascii: bool = False
    """Draw without braille and box characters; set it before the first lines."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._lines: tuple[ChartLine, ...] = ()
        self._focus_index = 0
        self._title = self._note = ""
        self._empty = "no metric yet"
        self._strips: list[Strip] = []

    def set_lines(
        self,
        lines: Sequence[ChartLine],
        *,
        focus: int = 0,
        title: str = "",
        note: str = "",
        empty: str = "no metric yet",
    ) -> None:
        """Show `lines`; only screen lines that differ from before are sent again."""
        self._lines, self._focus_index = tuple(lines), focus
        self._title, self._note, self._empty = visible(title), visible(note), empty
        if not self.is_attached or not self.size:
            return
        before, self._strips = self._strips, self._build()
        if len(before) != len(self._strips):
            self.refresh()
            return
        changed = [y for y, (old, new) in enumerate(zip(before, self._strips, strict=True)) if old != new]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def on_resize(self) -> None:
        self._strips = self._build()
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        if self._strips:
            self._strips = self._build()

    def render_line(self, y: int) -> Strip:
        strip = self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width)
        return strip.apply_style(self.rich_style)

    def _build(self) -> list[Strip]:
        width, height = self.size
        traces = [Trace(line.xs, line.means, line.minimums, line.maximums) for line in self._lines]
        scale = scale_of(traces, self._focus_index)
        top = self._top_line(width)
        if scale is None:
            return [top, *self._centred(self._empty, width, height - 1)]
        axis_lines = 2 if height >= 6 else 0
        rows = height - 1 - axis_lines
        if rows < 1:
            return [top]
        y_ticks = ticks(scale.y_low, scale.y_high, max(2, rows // ROWS_PER_Y_TICK))
        gutter = max((len(tick.label) for tick in y_ticks), default=0) + 2
        columns = width - gutter
        if columns < MIN_PLOT_COLUMNS:
            return [top, *self._centred("too narrow", width, height - 1)]
        raster = rasterise(traces, scale, columns, rows, focus=self._focus_index, ascii_only=self.ascii)
        plot = self._plot_lines(raster, scale, y_ticks, gutter)
        return [top, *plot, *(self._x_axis(scale, columns, gutter) if axis_lines else ())]

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"line-chart--{name}")

    def _colour(self, name: str) -> Color:
        background, foreground = self.background_colors[1], self.colors[3]
        return theme_colour(name, self.app.theme_variables, background, foreground)

    def _plot_lines(self, raster: Raster, scale: Scale, y_ticks: list[Tick], gutter: int) -> list[Strip]:
        rows = len(raster.rows)
        places = {round((1 - fraction(tick.value, scale.y_low, scale.y_high)) * (rows - 1)): tick for tick in y_ticks}
        colours = [self._colour(line.colour) for line in self._lines]
        styles = {index: Style.from_color(colour.rich_color) for index, colour in enumerate(colours)}
        if 0 <= self._focus_index < len(colours):
            tint = self.background_colors[1].blend(colours[self._focus_index], BAND_STRENGTH)
            styles[BAND] = Style.from_color(tint.rich_color)
        styles[NOBODY] = Style.null()
        bar, tick_bar = ("|", "+") if self.ascii else ("│", "┤")
        label_style, axis_style = self._style("muted"), self._style("axis")
        strips = []
        for row, (text, owners) in enumerate(zip(raster.rows, raster.owners, strict=True)):
            tick = places.get(row)
            segments = [
                Segment(fit(f"{tick.label} " if tick else "", gutter - 1, align="right"), label_style),
                Segment(tick_bar if tick else bar, axis_style),
            ]
            start = 0
            for owner, run in groupby(owners):
                end = start + len(list(run))
                segments.append(Segment(text[start:end], styles[owner]))
                start = end
            strips.append(Strip(segments, gutter + len(text)))
        return strips

    def _x_axis(self, scale: Scale, columns: int, gutter: int) -> tuple[Strip, Strip]:
        corner, line, mark = ("+", "-", "+") if self.ascii else ("└", "─", "┴")
        axis, labels = [line] * columns, [" "] * (gutter + columns)
        free_from = 0
        for tick in ticks(scale.x_low, scale.x_high, max(2, columns // COLUMNS_PER_X_TICK)):
            column = round(fraction(tick.value, scale.x_low, scale.x_high) * (columns - 1))
            axis[column] = mark
            start = min(max(0, gutter + column - len(tick.label) // 2), len(labels) - len(tick.label))
            if start >= free_from:
                labels[start : start + len(tick.label)] = tick.label
                free_from = start + len(tick.label) + 1
        drawn = " " * (gutter - 1) + corner + "".join(axis)
        return (
            Strip([Segment(drawn, self._style("axis"))], len(labels)),
            Strip([Segment("".join(labels), self._style("muted"))], len(labels)),
        )

    def _top_line(self, width: int) -> Strip:
        """Title, legend and note; the labels get what is left, and what does not fit is counted."""
        segments: list[Segment] = []
        if self._title:
            segments.append(Segment(f"{self._title}  ", self._style("title")))
        note_cells = cell_width(self._note) + 2 if self._note else 0
        room = width - sum(segment.cell_length for segment in segments) - note_cells
        if room < 0:
            room, note_cells = room + note_cells, 0
        segments += self._legend(room)
        used = sum(segment.cell_length for segment in segments)
        if note_cells and used + note_cells <= width:
            segments.append(Segment(fit(f"{self._note} ", width - used, align="right"), self._style("muted")))
        return Strip(segments).adjust_cell_length(width)

    def _legend(self, room_cells: int) -> list[Segment]:
        if not self._lines or room_cells <= 0:
            return []
        labels = [visible(line.label) for line in self._lines]
        longest = min(MAX_LABEL_CELLS, max(map(cell_width, labels)))
        each = next(
            (
                cells
                for cells in range(longest, MIN_LABEL_CELLS - 1, -1)
                if sum(min(cell_width(label), cells) + 4 for label in labels) <= room_cells
            ),
            MIN_LABEL_CELLS,
        )
        order = sorted(range(len(labels)), key=lambda index: (index != self._focus_index, index))
        shown: set[int] = set()
        used = 0
        for index in order:
            cells = min(cell_width(labels[index]), each) + 4
            reserved = 4 if len(shown) + 1 < len(labels) else 0
            if used + cells + reserved > room_cells:
                break
            shown.add(index)
            used += cells
        segments: list[Segment] = []
        for index in sorted(shown):
            mark = ASCII_MARKS[index % len(ASCII_MARKS)] if self.ascii else "━"
            label = fit(labels[index], min(cell_width(labels[index]), each), ellipsis="~" if self.ascii else "…")
            focused = index == self._focus_index and len(labels) > 1
            segments.append(Segment(f"{mark} ", Style.from_color(self._colour(self._lines[index].colour).rich_color)))
            segments.append(Segment(f"{label}  ", self._style("title" if focused else "muted")))
        if hidden := len(labels) - len(shown):
            segments.append(Segment(f"+{hidden} ", self._style("muted")))
        return segments

    def _centred(self, text: str, width: int, height: int) -> list[Strip]:
        style = self._style("muted")
        return [Strip([Segment(centred(text, row, width, height), style)], width) for row in range(height)]
