"""Several titled lists with one cursor through all of them; only what differs on a line is sent to the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from rich.segment import Segment
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from console.tui.actions import bindings
from console.tui.sections import heading, lines_of
from console.tui.text_format import centred
from console.tui.theme import theme_style

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.style import Style
    from textual import events
    from textual.binding import BindingType

    from console.tui.sections import Section, Shown

DOUBLE_CLICK: Final = 2


class SectionList(Widget, can_focus=True):
    """The cursor follows its row by key; where that is gone it stays in its place."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"section-list--cursor", "section-list--glyph"}
    DEFAULT_CSS = """
    SectionList {
        height: 1fr;
        & .section-list--cursor { background: $primary 16%; }
        &:focus .section-list--cursor { background: $primary 30%; }
        & .section-list--glyph { color: $accent; text-style: bold; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("table")
    ALLOW_SELECT = False

    class CursorMoved(Message):
        """The cursor is on another row."""

    def __init__(
        self,
        *,
        open_row: Callable[[], None],
        empty: str = "",
        id: str | None = None,  # noqa: A002 (Textual's name)
    ) -> None:
        """`open_row`: called for enter and for a double click; a message would come behind keys typed after it."""
        super().__init__(id=id)
        self._open_row = open_row
        self.ascii = False
        self._empty = empty
        self._sections: tuple[Section, ...] = ()
        self._cursor_key = ""
        self._cursor_place = 0
        self._offsets: dict[str, int] = {}
        self._shown: list[Shown] = []
        self._drawn: dict[int, Strip] = {}
        self._styles: dict[str, Style] = {}

    @property
    def cursor_key(self) -> str:
        """Key of the row under the cursor; empty where there is none."""
        return self._cursor_key

    @property
    def keys(self) -> tuple[str, ...]:
        """Of all rows, in order."""
        return tuple(row.key for section in self._sections for row in section.rows)

    def show(self, sections: tuple[Section, ...]) -> None:
        """Show other lists."""
        if sections != self._sections:
            self._sections = sections
            self._settle()

    def _settle(self) -> None:
        before, keys = self._cursor_key, self.keys
        if before not in keys:
            self._cursor_key = keys[min(self._cursor_place, len(keys) - 1)] if keys else ""
        if self._cursor_key:
            self._cursor_place = keys.index(self._cursor_key)
        self._lay_out()
        if self._cursor_key != before:
            self.post_message(self.CursorMoved())

    def move_cursor(self, place: int) -> None:
        """Put the cursor on a row by its place among all."""
        keys = self.keys
        if keys:
            self._cursor_key = keys[max(0, min(place, len(keys) - 1))]
            self._settle()
            self.post_message(self.CursorMoved())

    def action_move(self, rows: int) -> None:
        """Down or up."""
        self.move_cursor(self._cursor_place + rows)

    def action_page(self, pages: int) -> None:
        """As many rows as are seen."""
        self.move_cursor(self._cursor_place + pages * max(1, self.size.height - len(self._sections)))

    def action_half_page(self, halves: int) -> None:
        """Half as many."""
        self.move_cursor(self._cursor_place + halves * max(1, (self.size.height - len(self._sections)) // 2))

    def action_move_to(self, row: int) -> None:
        """First or last row."""
        self.move_cursor(row if row >= 0 else len(self.keys) - 1)

    def action_open(self) -> None:
        """Open the row."""
        if self._cursor_key:
            self._open_row()

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor, a second one opens the row."""
        place = event.get_content_offset(self)
        if place is None or place.y >= len(self._shown):
            return
        row = self._shown[place.y].row
        if row is not None:
            event.stop()
            self.move_cursor(self.keys.index(row.key))
            if event.chain == DOUBLE_CLICK:
                self.action_open()

    def on_resize(self) -> None:
        """Other heights."""
        self._lay_out()

    def notify_style_update(self) -> None:
        """Another theme."""
        super().notify_style_update()
        self._styles.clear()
        self._drawn.clear()

    def _lay_out(self) -> None:
        height = self.size.height
        if not height or not self.is_attached:
            return
        self._shown, self._offsets = lines_of(self._sections, height, self._cursor_key, self._offsets)
        regions = []
        for y in range(height):
            span = difference(self._drawn.get(y), self._line(y))
            if span is not None:
                regions.append(Region(span[0], y, span[1], 1))
        if regions:
            self.refresh(*regions)

    def render_line(self, y: int) -> Strip:
        """One line as it is now."""
        strip = self._drawn[y] = self._line(y)
        return strip

    def _line(self, y: int) -> Strip:
        width = self.size.width
        plain = self._plain
        shown = self._shown[y] if y < len(self._shown) else None
        if not self._sections:
            text = centred(self._empty, y, width, self.size.height)
            return Strip([Segment(text, self._style("text-muted"))], width).apply_style(plain)
        if shown is None or shown.section is None:
            return Strip.blank(width, plain)
        if shown.row is None:
            pieces = heading(shown.section, shown.cut_count, width, ascii_only=self.ascii)
            return self._strip(pieces, width, plain)
        at_cursor = shown.row.key == self._cursor_key
        glyph = self.get_component_rich_style("section-list--glyph", partial=True)
        mark = Segment(">" if at_cursor else " ", glyph)
        style = self.get_component_rich_style("section-list--cursor") if at_cursor else plain
        body = [Segment(text, self._style(words)) for text, words in shown.row.pieces]
        return Strip([mark, *body]).adjust_cell_length(width).apply_style(style)

    def _strip(self, pieces: tuple[tuple[str, str], ...], width: int, style: Style) -> Strip:
        segments = [Segment(text, self._style(words)) for text, words in pieces]
        return Strip(segments).adjust_cell_length(width).apply_style(style)

    @property
    def _plain(self) -> Style:
        """The style of the list itself; Textual composes it from all ancestors at every look."""
        if "the list itself" not in self._styles:
            self._styles["the list itself"] = self.rich_style
        return self._styles["the list itself"]

    def _style(self, words: str) -> Style:
        """The style of words, none for none."""
        if words not in self._styles:
            background, foreground = self.background_colors[1], self.colors[3]
            self._styles[words] = theme_style(words, self.app.theme_variables, background, foreground)
        return self._styles[words]


def difference(before: Strip | None, now: Strip) -> tuple[int, int] | None:
    """Where two lines differ, as first cell and number of cells; None where they do not. Pure."""
    if before is None:
        return 0, now.cell_length
    if before == now:
        return None
    old, new = cells_of(before), cells_of(now)
    if len(old) != len(new):
        return 0, now.cell_length
    places = [place for place, (one, other) in enumerate(zip(old, new, strict=True)) if one != other]
    return (places[0], places[-1] - places[0] + 1) if places else None


def cells_of(strip: Strip) -> list[tuple[str, Style | None]]:
    """Character and style of each cell; a wide character stands in both of its cells."""
    found: list[tuple[str, Style | None]] = []
    for segment in strip:
        for character in segment.text:
            cells = 1 if character.isascii() else Segment(character).cell_length
            if cells == 0 and found:
                found[-1] = (found[-1][0] + character, segment.style)
            found += [(character, segment.style)] * cells
    return found
