"""A table that keeps in memory only the pages of rows that are looked at, with a cursor that follows its row."""

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from console.tui.actions import bindings
from console.tui.messages import News
from console.tui.table_layout import Cell, Row, TableColumn, TableRow
from console.tui.table_pages import PAGE_ROWS, TablePages
from console.tui.widgets.drawn_lines import DrawnLines
from console.tui.widgets.table_painter import TablePainter, slot_at

__all__ = ["Cell", "TableColumn", "TableRow", "VirtualTable"]

MARK_CELL = 1
ALL_LINES = range(1024)
"""More than any terminal has."""


class VirtualTable(ScrollView, can_focus=True, inherit_bindings=False):
    """Rows that exist only when they are looked at; one carries the cursor, any number a mark."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "virtual-table--header",
        "virtual-table--cursor",
        "virtual-table--glyph",
    }
    DEFAULT_CSS = """
    VirtualTable {
        height: 1fr;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        & .virtual-table--header { color: $foreground 60%; text-style: bold; }
        & .virtual-table--cursor { background: $primary 16%; }
        &:focus .virtual-table--cursor { background: $primary 30%; }
        & .virtual-table--glyph { color: $accent; text-style: bold; }
        /* The sixteen colours of a terminal cannot be mixed: the row under the cursor is turned round instead. */
        &:ansi .virtual-table--cursor { background: ansi_default; text-style: reverse; }
        &:ansi:focus .virtual-table--cursor { background: ansi_default; text-style: bold reverse; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("table")
    ALLOW_SELECT = False

    ascii: bool = False
    """Draw marks and arrows in ASCII."""

    class PageWanted(News):
        """Rows that are looked at are not in memory; answer with `put_page`."""

        offset: int
        limit: int

    class CursorMoved(News):
        """The cursor is on another row; None when it is on no row that is known."""

        key: str | None

    class RowOpened(News):
        """Enter or a double click."""

        key: str

    class MarksChanged(News):
        """Keys of the marked rows in the order in which they were marked."""

        marked: tuple[str, ...]

    class SortWanted(News):
        """A click on the title of a sortable column."""

        column_key: str

    def __init__(
        self,
        columns: Sequence[TableColumn] = (),
        *,
        empty: str = "",
        open_row: Callable[[], None] | None = None,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        """`open_row`: called in place of `RowOpened`, which comes behind keys that were typed meanwhile."""
        super().__init__(id=id, classes=classes)
        self._empty = empty
        self._open_row = open_row
        self._painter = TablePainter(self)
        self._painter.columns = tuple(columns)
        self._skipped = 0
        self._laid_out_cells = 0
        self._pages = TablePages()
        self._cursor_row = 0
        self._followed_key: str | None = None
        self._announced_key: str | None = None
        self._marked: dict[str, None] = {}
        self._sort: tuple[str, bool] = ("", False)
        self._lines = DrawnLines()
        self._suspects: set[int] = set()

    @property
    def empty(self) -> str:
        """What a table without rows says; may have several lines."""
        return self._empty

    @empty.setter
    def empty(self, text: str) -> None:
        if text != self._empty:
            self._empty = text
            self._refresh_changed()

    @property
    def row_count(self) -> int:
        """Rows of the whole table."""
        return self._pages.row_count

    @property
    def cursor_row(self) -> int:
        """Index of the row that is highlighted."""
        return self._cursor_row

    @property
    def cursor_key(self) -> str | None:
        """Key of the row that is highlighted, exactly as it is on the screen; None while it is a placeholder."""
        row = self._pages.row(self._cursor_row) if self._pages.row_count else None
        return row.key if row else None

    @property
    def marked(self) -> tuple[str, ...]:
        """Keys of the marked rows in the order in which they were marked."""
        return tuple(self._marked)

    @property
    def hidden_columns(self) -> tuple[int, int]:
        """How many columns are off to the left and to the right."""
        return self._painter.layout.hidden_left, self._painter.layout.hidden_right

    @property
    def drawn_columns(self) -> tuple[TableColumn, ...]:
        """The columns that have room."""
        return tuple(self._painter.columns[slot.column] for slot in self._painter.layout.slots)

    def set_columns(self, columns: Sequence[TableColumn]) -> None:
        """Replace the columns; rows that are in memory must already match them or be replaced next."""
        if self._painter.columns != tuple(columns):
            self._painter.columns = tuple(columns)
            self._lay_out()
            self._refresh_changed()

    def set_sort(self, key: str, descending: bool) -> None:
        """Show the sort arrow in the column `key`."""
        self._sort = (key, descending)
        self._refresh_changed()

    def set_row_count(self, row_count: int) -> None:
        """There are `row_count` rows now; pages that lack some of theirs are asked for again."""
        if row_count == self._pages.row_count:
            return
        self._pages.resize(row_count)
        self._cursor_row = max(0, min(self._cursor_row, row_count - 1))
        self._size_content()
        self._settle_cursor()
        self._refresh_changed()
        self.call_after_refresh(self._request_pages)  # what is there is painted before more is read

    def put_page(self, offset: int, rows: Sequence[Row]) -> None:
        """The answer to `PageWanted`; also any rows that are to replace those from `offset` on."""
        # To compare rows costs far less than to draw them, and mostly they are the same again; unseen ones may be lazy.
        first = max(offset, self.scroll_offset.y)
        seen = range(first, min(offset + len(rows), first + self._visible_rows + 1))
        changed = [index for index in seen if not rows[index - offset].looks_like(self._pages.row(index))]
        self._pages.put(offset, rows)
        self._settle_cursor()
        self._refresh_rows(*changed)
        self.call_after_refresh(self._request_pages)

    def invalidate(self) -> None:
        """The data changed: ask again for what is looked at, and draw the old rows until the answers come."""
        self._pages.expire()
        self._request_pages()

    def begin_anew(self) -> None:
        """The question changed: whoever says so puts the first rows; until then the old ones are drawn."""
        self._pages.begin_anew()

    def move_cursor(self, row: int) -> None:
        """Put the cursor on the row with this index, or on the nearest there is."""
        before = self._cursor_row
        self._cursor_row = max(0, min(row, self._pages.row_count - 1))
        self._followed_key = self.cursor_key
        self._scroll_to_cursor()
        self._refresh_rows(before, self._cursor_row)
        self._request_pages()
        self._announce()

    def recall_cursor(self, row: int, key: str) -> None:
        """Put the cursor on the row with `key`, or in its place when it is not there any more."""
        self.move_cursor(row)
        self._followed_key = key
        self._settle_cursor()

    def toggle_mark(self, *, advance: bool = True) -> None:
        """Mark or unmark the row under the cursor and, so that marking a few is one key each, go to the next."""
        key = self.cursor_key
        if key is None:
            return
        if key in self._marked:
            del self._marked[key]
        else:
            self._marked[key] = None
        self._refresh_rows(self._cursor_row)
        self.post_message(self.MarksChanged(self.marked))
        if advance:
            self.move_cursor(self._cursor_row + 1)

    def set_marks(self, keys: Sequence[str]) -> None:
        """Mark exactly these rows."""
        if tuple(keys) != self.marked:
            self._marked = dict.fromkeys(keys)
            self._refresh_changed()
            self.post_message(self.MarksChanged(self.marked))

    def action_move(self, rows: int) -> None:
        self.move_cursor(self._cursor_row + rows)

    def action_page(self, pages: int) -> None:
        self.move_cursor(self._cursor_row + pages * self._visible_rows)

    def action_half_page(self, halves: int) -> None:
        self.move_cursor(self._cursor_row + halves * max(1, self._visible_rows // 2))

    def action_move_to(self, row: int) -> None:
        self.move_cursor(row if row >= 0 else self._pages.row_count - 1)

    def action_pan(self, columns: int) -> None:
        """Scroll the columns that are not pinned."""
        layout = self._painter.layout
        if columns < 0 or layout.hidden_right:
            self._skipped = max(0, layout.hidden_left + columns)
            self._lay_out()
            self._refresh_changed()

    def action_open(self) -> None:
        if self._open_row is not None:
            self._open_row()
        elif (key := self.cursor_key) is not None:
            self.post_message(self.RowOpened(key))

    def on_click(self, event: events.Click) -> None:
        place = event.get_content_offset(self)
        if place is None:
            return
        event.stop()
        if place.y == 0:
            self._want_sort_at(place.x)
            return
        row = self.scroll_offset.y + place.y - 1
        if row >= self._pages.row_count:
            return
        self.move_cursor(row)
        if place.x == MARK_CELL:
            self.toggle_mark(advance=False)
        elif event.chain == 2:
            self.action_open()

    def on_resize(self) -> None:
        self._size_content()
        self._scroll_to_cursor()
        self._request_pages()
        self._refresh_changed()  # what stands in the middle of an empty table

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._painter.forget_styles()
        self._lines.forget()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.position = new_value
        if round(old_value) != round(new_value):
            self._refresh_changed()
            self._request_pages()

    def render_line(self, y: int) -> Strip:
        return self._lines.take(y, lambda: self._line(y, self._content_size))

    def render_lines(self, crop: Region) -> list[Strip]:
        if self._laid_out_cells != self._content_size.width:
            # A scroll bar that goes makes room without a resize.
            self._lay_out()
            self._lines.forget()
        # Textual's way goes line by line through borders and paddings that a table does not have.
        if self.styles.gutter:
            return super().render_lines(crop)
        strips = [self._lines.standing(y) or self.render_line(y) for y in crop.line_range]
        for line_filter in self.get_line_filters():
            strips = [strip.apply_filter(line_filter, self.background_colors[1]) for strip in strips]
        if crop.column_span != (0, self.size.width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips

    @property
    def _content_size(self) -> Size:
        return self.scrollable_content_region.size

    @property
    def _visible_rows(self) -> int:
        return max(1, self._content_size.height - 1)

    def _lay_out(self) -> None:
        self._laid_out_cells = self._content_size.width
        self._painter.lay_out(self._laid_out_cells, self._skipped)
        self._lines.forget_next()

    def _size_content(self) -> None:
        """Tell the scroll bar how much there is, without the repaint that assigning `virtual_size` brings."""
        if not self.is_attached:
            return
        size = Size(self._content_size.width, self._pages.row_count + 1)
        self.set_reactive(Widget.virtual_size, size)
        self._scroll_update(size)

    def _want_sort_at(self, x: int) -> None:
        column = slot_at(self._painter.layout, self._painter.columns, x)
        if column is not None and column.sortable:
            self.post_message(self.SortWanted(column.key))

    def _request_pages(self) -> None:
        if not (self.is_attached and self._pages.row_count):
            return
        first = self.scroll_offset.y
        last = min(self._pages.row_count, first + self._visible_rows) - 1
        for page in self._pages.ask(self._pages.around(first, last, self._cursor_row)):
            self.post_message(self.PageWanted(page * PAGE_ROWS, PAGE_ROWS))

    def _settle_cursor(self) -> None:
        """After new data: follow the row that had the cursor or, when it is gone, take the one in its place."""
        if self._followed_key is not None and self.cursor_key == self._followed_key == self._announced_key:
            return
        before, last_top = self._cursor_row, max(0, self._pages.row_count - self._visible_rows)
        in_view = range(top := min(self.scroll_offset.y, last_top), top + self._visible_rows)
        self._cursor_row, self._followed_key = self._pages.settle(before, self._followed_key, in_view)
        if self._cursor_row != before:
            if self.scroll_offset.y:
                self.scroll_to(y=self.scroll_offset.y + self._cursor_row - before, animate=False, force=True)
            self._scroll_to_cursor()
            self._refresh_rows(before, self._cursor_row)
        self._announce()

    def _announce(self) -> None:
        if self.cursor_key != self._announced_key:
            self._announced_key = self.cursor_key
            self.post_message(self.CursorMoved(self._announced_key))

    def _scroll_to_cursor(self) -> None:
        first, row = self.scroll_offset.y, self._cursor_row
        target = min(max(first, row - self._visible_rows + 1), row)
        if target != first:
            self.scroll_to(y=target, animate=False, force=True)

    def _refresh_rows(self, *rows: int) -> None:
        self._refresh_changed(y for row in rows if (y := row - self.scroll_offset.y + 1) >= 1)

    def _refresh_changed(self, lines: Iterable[int] = ALL_LINES) -> None:
        """Have screen lines compared with what stands there, each once for all that happens at the same moment."""
        if not self.is_attached:
            return
        if not self._suspects:
            self.call_next(self._compare)
        self._suspects.update(lines)

    def _compare(self) -> None:
        """Send again the lines that look different now."""
        size, suspects, self._suspects = self._content_size, self._suspects, set()
        changed = [y for y in range(size.height) if y in suspects and self._lines.differs(y, self._line(y, size))]
        if changed:
            self.refresh(*(Region(0, y, size.width, 1) for y in changed))

    def _line(self, y: int, size: Size) -> Strip:
        width, height = size
        if y == 0:
            return self._painter.header(self._sort, width, ascii_only=self.ascii)
        if self._pages.row_count == 0:
            return self._painter.empty(self._empty, y - 1, width, height - 1)
        index = self.scroll_offset.y + y - 1
        if index >= self._pages.row_count:
            return self._painter.blank(width)
        row = self._pages.row(index)
        marked = row is not None and row.key in self._marked
        return self._painter.row(row, width, at_cursor=index == self._cursor_row, marked=marked, ascii_only=self.ascii)
