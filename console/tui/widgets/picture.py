"""A picture in half blocks, in the middle of what room there is."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from console.tui import half_blocks

if TYPE_CHECKING:
    from console.artifact_preview import Preview
    from console.tui.half_blocks import Run


class Picture(Widget):
    """Shows pixels that fit, two in each cell; nothing of it is ever sent raw."""

    DEFAULT_CSS = """
    Picture {
        width: 1fr;
        height: 1fr;
    }
    """
    ALLOW_SELECT = False

    ascii: bool = False
    """Draw brightness in ASCII, for terminals without colours or glyphs."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id, classes=classes)
        self._strips: list[Strip] = []

    def show(self, preview: Preview) -> None:
        """Draw another picture."""
        shape = preview.pixels, preview.width, preview.height
        if self.ascii:
            self._strips = [Strip([Segment(line)], preview.width) for line in half_blocks.ascii_lines(*shape)]
        else:
            self._strips = [Strip(list(map(segment, line)), preview.width) for line in half_blocks.rows(*shape)]
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """A line of the picture, or of the room around it."""
        width, height = self.size
        ground = self.rich_style
        place = y - max(0, (height - len(self._strips)) // 2)
        if not 0 <= place < len(self._strips):
            return Strip.blank(width, ground)
        strip = self._strips[place]
        left = max(0, (width - strip.cell_length) // 2)
        line = Strip([Segment(" " * left), *strip], left + strip.cell_length)
        return line.adjust_cell_length(width).apply_style(ground)


def segment(run: Run) -> Segment:
    """Cells of the same two colours."""
    return Segment(half_blocks.UPPER_HALF * run.cells, style_of(run.upper, run.lower))


@lru_cache(maxsize=4096)
def style_of(upper: half_blocks.Rgb, lower: half_blocks.Rgb | None) -> Style:
    """The colours of a cell; below the last line of pixels the ground shows."""
    ground = None if lower is None else Color.from_rgb(*lower)
    return Style(color=Color.from_rgb(*upper), bgcolor=ground)
