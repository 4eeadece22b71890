"""Lines that are all here already: scrolled, searched, and drawn only as far as they are looked at."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

from rich.segment import Segment
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from console.tui.actions import bindings
from console.tui.text_format import cell_width, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style
    from textual.binding import BindingType

    from console.run_sections import TextLine

PAN_CELLS: Final = 16
TAB_CELLS: Final = 8


class TextPane(ScrollView, can_focus=True, inherit_bindings=False):
    """Styled lines of any number."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *("text-pane--plain", "text-pane--muted", "text-pane--heading", "text-pane--good", "text-pane--bad"),
        *("text-pane--added", "text-pane--removed", "text-pane--hunk", "text-pane--match"),
    }
    DEFAULT_CSS = """
    TextPane {
        height: 1fr;
        padding: 0 1;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        & .text-pane--muted { color: $foreground 60%; }
        & .text-pane--heading { text-style: bold; }
        & .text-pane--good { color: $success; }
        & .text-pane--bad { color: $error; text-style: bold; }
        & .text-pane--added { color: $success; }
        & .text-pane--removed { color: $error; }
        & .text-pane--hunk { color: $secondary; }
        & .text-pane--match { background: $accent; color: $background; text-style: bold; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("log", without=("toggle_follow",))
    ALLOW_SELECT = False

    ascii: bool = False
    """Mark cut lines in ASCII."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._lines: tuple[TextLine, ...] = ()
        self._left_cells = 0
        self._match: re.Pattern[str] | None = None
        self._hit: int | None = None

    @property
    def plain(self) -> str:
        """All lines without their styles."""
        return "\n".join(line.text for line in self._lines)

    def show(self, lines: Sequence[TextLine], *, again: bool) -> None:
        """Show other lines; `again`: the same ones as they are now, so the view stays where it is."""
        if again and tuple(lines) == self._lines:
            return
        self._lines = tuple(lines)
        self.virtual_size = Size(self.size.width, len(self._lines))
        if not again:
            self._left_cells, self._hit = 0, None
            self.scroll_to(y=0, animate=False, force=True)
        self.refresh()

    def look_for(self, text: str) -> None:
        """Mark a text wherever it stands, ignoring case."""
        self._match = re.compile(re.escape(text), re.IGNORECASE) if text else None
        self._hit = None
        self.refresh()

    @property
    def searches(self) -> bool:
        """A text is marked."""
        return self._match is not None

    def next_hit(self, *, backward: bool) -> bool:
        """Bring the next line that matches into view, round the ends; False when none does."""
        match = self._match
        hits = [n for n, line in enumerate(self._lines) if match and match.search(visible_text(line.text))]
        if not hits:
            return False
        here = self._hit if self._hit is not None else self.scroll_offset.y - (0 if backward else 1)
        ahead = [n for n in hits if n < here] if backward else [n for n in hits if n > here]
        self._hit = (ahead or hits)[-1 if backward else 0]
        if not self.scroll_offset.y <= self._hit < self.scroll_offset.y + self.size.height:
            self.scroll_to(y=max(0, self._hit - self.size.height // 3), animate=False, force=True)
        self.refresh()
        return True

    def on_resize(self) -> None:
        """The lines are as many as before."""
        self.virtual_size = Size(self.size.width, len(self._lines))

    def action_move(self, lines: int) -> None:
        """Scroll by lines."""
        self.scroll_to(y=self.scroll_offset.y + lines, animate=False, force=True)

    def action_page(self, pages: int) -> None:
        """Scroll by screenfuls."""
        self.action_move(pages * max(1, self.size.height - 1))

    def action_half_page(self, halves: int) -> None:
        """Scroll by half screenfuls."""
        self.action_move(halves * max(1, self.size.height // 2))

    def action_first(self) -> None:
        """To the first line."""
        self.scroll_to(y=0, animate=False, force=True)

    def action_last(self) -> None:
        """To the last line."""
        self.scroll_to(y=self.max_scroll_y, animate=False, force=True)

    def action_pan(self, direction: int) -> None:
        """Along long lines, or back to their start."""
        widest = max((cell_width(visible_text(line.text)) for line in self._in_view()), default=0)
        most = max(0, widest - self.size.width)
        wanted = self._left_cells + direction * PAN_CELLS if direction else 0
        self._left_cells = min(max(0, wanted), most)
        self.refresh()

    def _in_view(self) -> tuple[TextLine, ...]:
        top = self.scroll_offset.y
        return self._lines[top : top + self.size.height]

    def render_line(self, y: int) -> Strip:
        """One line as it is looked at."""
        width = self.size.width
        number = self.scroll_offset.y + y
        if number >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        line = self._lines[number]
        style = self.get_component_rich_style(f"text-pane--{line.tone}", partial=True)
        strip = Strip(self._segments(visible_text(line.text), style))
        left, cut = self._left_cells, strip.cell_length - self._left_cells > width
        strip = strip.crop_extend(left, left + width - cut, None)
        if cut:
            muted = self.get_component_rich_style("text-pane--muted", partial=True)
            strip = Strip([*strip, Segment(">" if self.ascii else "›", muted)], width)
        return strip.apply_style(self.rich_style)

    def _segments(self, text: str, style: Style) -> list[Segment]:
        if self._match is None:
            return [Segment(text, style)]
        marked = self.get_component_rich_style("text-pane--match")
        segments, end = [], 0
        for match in self._match.finditer(text):
            segments += [Segment(text[end : match.start()], style), Segment(match.group(), marked)]
            end = match.end()
        return [each for each in [*segments, Segment(text[end:], style)] if each.text]


def visible_text(text: str) -> str:
    """A line as it is shown."""
    return visible(text.expandtabs(TAB_CELLS))
