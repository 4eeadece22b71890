"""A line chart whose rows are drawn when the data change and looked up when the screen asks."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from console.tui.chart_layout import Chart, ChartLine, layout
from console.tui.raster import BAND, NOBODY
from console.tui.theme import theme_colour

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.color import Color

    from console.tui.chart_layout import Role

__all__ = ["Chart", "ChartLine", "ChartWidget", "LineChart"]

BAND_STRENGTH: Final = 0.45
"""How much of the line's colour its min..max band has; the rest is background."""
DIM_STRENGTH: Final = 0.5
"""The same of a line that lies behind another one."""


class ChartWidget(Widget):
    """What draws charts: styles of their parts, and strips of which only those that changed are sent."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "chart--title",
        "chart--muted",
        "chart--axis",
        "chart--cursor",
        "chart--mark",
    }
    DEFAULT_CSS = """
    ChartWidget {
        height: 1fr;
        width: 1fr;
        & .chart--title { text-style: bold; }
        & .chart--muted { color: $foreground 65%; }
        & .chart--axis { color: $foreground 45%; }
        & .chart--cursor { color: $accent; }
        & .chart--mark { color: $error; text-style: bold; }
    }
    """
    ALLOW_SELECT = False

    ascii: bool = False
    """Draw without braille and box characters; set it before the first lines."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._strips: list[Strip] = []

    @abstractmethod  # held by mypy alone: Textual's metaclass is no ABCMeta
    def build(self) -> list[Strip]:
        """All rows of the widget."""

    def redraw(self) -> None:
        """Draw anew; only screen lines that differ from before are sent again."""
        if not self.is_attached or not self.size:
            return
        before, self._strips = self._strips, self.build()
        if len(before) != len(self._strips):
            self.refresh()
            return
        changed = [y for y, (old, new) in enumerate(zip(before, self._strips, strict=True)) if old != new]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def on_resize(self) -> None:
        """Another size is another picture."""
        self._strips = self.build()
        self.refresh()

    def notify_style_update(self) -> None:
        """Colours are in the strips."""
        super().notify_style_update()
        if self._strips:
            self._strips = self.build()

    def render_line(self, y: int) -> Strip:
        """A row as it was drawn."""
        strip = self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width)
        return strip.apply_style(self.rich_style)

    def rows_of(self, chart: Chart, width: int, height: int) -> list[list[Segment]]:
        """A chart of so many cells as segments."""
        styles: dict[Role, Style] = {NOBODY: Style.null()}

        def style(role: Role) -> Style:
            if role not in styles:
                styles[role] = self._style_of(chart, role)
            return styles[role]

        rows = layout(chart, width, height, ascii_only=self.ascii)
        return [[Segment(piece.text, style(piece.role)) for piece in row if piece.text] for row in rows]

    def _style_of(self, chart: Chart, role: Role) -> Style:
        if isinstance(role, str):
            return self.get_component_rich_style(f"chart--{role}")
        if role == BAND:
            line, strength = chart.lines[chart.focus], BAND_STRENGTH
        else:
            line = chart.lines[role]
            strength = DIM_STRENGTH if line.dim else 1.0
        colour = self._colour(line.colour)
        if strength < 1:
            colour = self.background_colors[1].blend(colour, strength)
        return Style.from_color(colour.rich_color)

    def _colour(self, name: str) -> Color:
        background, foreground = self.background_colors[1], self.colors[3]
        return theme_colour(name, self.app.theme_variables, background, foreground)


class LineChart(ChartWidget):
    """Lines over steps with a legend above; the focused one lies on top and shows its min..max band."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._chart = Chart()

    def set_lines(
        self,
        lines: Sequence[ChartLine],
        *,
        focus: int = 0,
        title: str = "",
        note: str = "",
        empty: str = "no metric yet",
    ) -> None:
        """Show `lines`."""
        self.show(Chart(tuple(lines), focus, title, note, empty))

    def show(self, chart: Chart) -> None:
        """Show another chart."""
        self._chart = chart
        self.redraw()

    def build(self) -> list[Strip]:
        """The one chart."""
        width, height = self.size
        return [Strip(row).adjust_cell_length(width) for row in self.rows_of(self._chart, width, height)]
