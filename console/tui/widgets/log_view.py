"""The output of a run: a window of lines that moves along the log and sticks to its end when asked to."""

import re
from typing import ClassVar

from rich.segment import Segment
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from console.protocol import LogPage
from console.tui.actions import bindings
from console.tui.log_window import LogWindow, shown_text
from console.tui.text_format import cell_width, centred, visible

PAN_CELLS = 16
NEAR_LINES = 100
"""Nearer than this to an edge of the window the next lines are asked for."""
SKIP_BYTES = 262_144
"""When more than this is unread at the end, following jumps there instead of reading through it."""
CACHED_TEXTS = 1000


class LogView(ScrollView, can_focus=True, inherit_bindings=False):
    """Lines of a log by byte offset; asks for more when the view comes near what it does not have."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"log-view--match", "log-view--hit", "log-view--muted"}
    DEFAULT_CSS = """
    LogView {
        height: 1fr;
        overflow-x: hidden;
        scrollbar-size: 0 0;
        & .log-view--match { background: $accent; color: $background; text-style: bold; }
        & .log-view--hit { background: $primary 22%; }
        & .log-view--muted { color: $foreground 60%; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("log")
    ALLOW_SELECT = False

    ascii: bool = False
    """Mark cut lines in ASCII."""
    follow: reactive[bool] = reactive(True, repaint=False, init=False)
    """Stick to the end of the log."""
    highlight: reactive[str] = reactive("", repaint=False, init=False)
    """Text to mark wherever it is seen, ignoring case."""

    class LinesWanted(Message):
        """Answer with `put_page`: lines from `start`, or those that end at `before`, or with neither the last ones."""

        def __init__(self, start: int | None, before: int | None) -> None:
            super().__init__()
            self.start = start
            self.before = before

    class FollowChanged(Message):
        """The view began or ceased to stick to the end."""

        def __init__(self, follow: bool) -> None:
            super().__init__()
            self.follow = follow

    def __init__(
        self,
        *,
        empty: str = "no output yet",
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._empty = empty
        self._window = LogWindow()
        self._left_cells = 0
        self._widest_cells = 0
        self._hit_bytes: int | None = None
        self._target_bytes: int | None = None
        self._jumping = False
        self._adjusting = False
        self._asked: set[tuple[int | None, int | None, int]] = set()
        self._obsolete_edges: set[int] = set()
        self._texts: dict[int, str] = {}
        self._match: re.Pattern[str] | None = None
        self._drawn: dict[int, Strip] = {}

    @property
    def start_bytes(self) -> int:
        """Offset of the first line in memory."""
        return self._window.start_bytes

    @property
    def end_bytes(self) -> int:
        """Offset after the last line in memory: ask for the log from here to read on."""
        return self._window.end_bytes

    @property
    def size_bytes(self) -> int:
        """Of the whole log, as far as is known."""
        return self._window.size_bytes

    @property
    def top_bytes(self) -> int:
        """Offset of the line at the top of the view."""
        lines = self._window.lines
        return lines[min(self.scroll_offset.y, len(lines) - 1)].offset_bytes if lines else 0

    @property
    def empty(self) -> str:
        """What a log without lines says."""
        return self._empty

    @empty.setter
    def empty(self, text: str) -> None:
        self._empty = text
        self._refresh_changed()

    def put_page(self, page: LogPage) -> None:
        """Append, prepend or replace by the offsets of `page`; what is known already changes nothing."""
        window = self._window
        overtaken = page.start_bytes in self._obsolete_edges or page.end_bytes in self._obsolete_edges
        if window.lines and window.is_apart(page) and overtaken:
            return
        last_text = window.lines[-1].offset_bytes if window.lines else 0
        view_line = len(window.lines) if self.follow else self.scroll_offset.y
        merged = window.put(page, view_line)
        if not merged.changed:
            return
        if merged.replaced:
            self._texts.clear()
            self._asked.clear()
        else:
            self._texts.pop(last_text, None)
        at_target = self._target_bytes is not None and window.index_of(self._target_bytes) is not None
        if merged.replaced or at_target or window.end_bytes == window.size_bytes:
            self._jumping = False
        self._place_view(merged.shifted_lines)
        self._refresh_changed()
        if not window.lines and window.size_bytes:
            self._ask(None, None)
        self._ask_near_edges()

    def clear(self) -> None:
        """Forget everything, for another log; `follow` and `highlight` stay."""
        self._window = LogWindow()
        self._texts.clear()
        self._asked.clear()
        self._obsolete_edges.clear()
        self._hit_bytes = self._target_bytes = None
        self._jumping = False
        self._left_cells = self._widest_cells = 0
        self._place_view(0)
        self._refresh_changed()

    def show_line(self, offset_bytes: int) -> None:
        """Bring the line with this byte into view and mark it, after asking for it when it is not in memory."""
        self.follow = False
        self._hit_bytes = offset_bytes
        self._aim(offset_bytes)

    def watch_follow(self, follow: bool) -> None:
        self.post_message(self.FollowChanged(follow))
        if not follow:
            return
        self._target_bytes = None
        unread_bytes = self._window.size_bytes - self._window.end_bytes
        if unread_bytes > SKIP_BYTES:
            self._jump(None)
        self._place_view(0)
        self._refresh_changed()
        self._ask_near_edges()

    def watch_highlight(self, highlight: str) -> None:
        self._match = re.compile(re.escape(visible(highlight)), re.IGNORECASE) if highlight else None
        self._refresh_changed()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        if round(old_value) == round(new_value):
            return
        # A view that got higher is moved up to the last screenful by Textual; that is nobody's wish.
        clamped = new_value < old_value and round(new_value) == self.max_scroll_y
        if not self._adjusting and not clamped:
            self._target_bytes = None
            self._jumping = False
            if new_value < old_value:
                self.follow = False
        self._refresh_changed()
        self._ask_near_edges()

    def action_move(self, lines: int) -> None:
        self._target_bytes = None
        if lines < 0:
            self.follow = False
        self.scroll_to(y=self.scroll_offset.y + lines, animate=False, force=True)

    def action_page(self, pages: int) -> None:
        self.action_move(pages * max(1, self.size.height - 1))

    def action_half_page(self, halves: int) -> None:
        self.action_move(halves * max(1, self.size.height // 2))

    def action_first(self) -> None:
        self.follow = False
        self._aim(0)

    def action_last(self) -> None:
        if self.follow:
            self._place_view(0)
        self.follow = True

    def action_toggle_follow(self) -> None:
        self.follow = not self.follow

    def action_pan(self, steps: int) -> None:
        """Move the text sideways; 0 goes back to the start of the lines."""
        most = max(0, self._widest_cells - self.size.width)
        self._left_cells = min(max(0, self._left_cells + steps * PAN_CELLS), most) if steps else 0
        self._refresh_changed()

    def on_resize(self) -> None:
        self._place_view(0)
        self._ask_near_edges()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._drawn.clear()

    def render_line(self, y: int) -> Strip:
        strip = self._drawn[y] = self._line(y)
        return strip

    def _place_view(self, shifted_lines: int) -> None:
        """Keep in view what was in view: the end when following, a hit that was just jumped to, else the same lines."""
        if not self.is_attached:
            return
        lines, height = len(self._window.lines), self.size.height
        # Assigning virtual_size would repaint everything.
        size = Size(self.size.width, lines)
        self.set_reactive(Widget.virtual_size, size)
        aim = None if self._target_bytes is None else self._window.index_of(self._target_bytes)
        if self.follow:
            target = max(0, lines - height)
        elif aim is not None:
            target = max(0, aim - height // 3)
        else:
            target = self.scroll_offset.y + shifted_lines
        self._adjusting = True
        try:
            self._scroll_update(size)
            self.scroll_to(y=target, animate=False, force=True)
        finally:
            self._adjusting = False

    def _aim(self, offset_bytes: int) -> None:
        """Hold the line with this byte in view until somebody moves, and get it when it is not in memory."""
        self._target_bytes = offset_bytes
        if self._window.size_bytes and self._window.index_of(offset_bytes) is None:
            self._jump(offset_bytes)
        self._place_view(0)
        self._refresh_changed()
        self._ask_near_edges()

    def _jump(self, start: int | None) -> None:
        """Ask for lines elsewhere; answers to what was asked for here are late now."""
        self._obsolete_edges = {edge for asked in self._asked for edge in asked[:2] if edge is not None} - {start}
        self._asked.clear()
        self._ask(start, None)
        self._jumping = True

    def _ask(self, start: int | None, before: int | None) -> None:
        asked = (start, before, self._window.size_bytes if before is None else 0)
        if asked not in self._asked:
            self._asked.add(asked)
            self.post_message(self.LinesWanted(start, before))

    def _ask_near_edges(self) -> None:
        window = self._window
        if self._jumping or not (self.is_attached and window.lines):
            return
        top, height = self.scroll_offset.y, self.size.height
        if window.start_bytes and top < NEAR_LINES:
            self._ask(None, window.start_bytes)
        unread_bytes = window.size_bytes - window.end_bytes
        if self.follow and unread_bytes > SKIP_BYTES:
            self._jump(None)
        elif unread_bytes > 0 and top + height > len(window.lines) - NEAR_LINES:
            self._ask(window.end_bytes, None)

    def _refresh_changed(self) -> None:
        if not self.is_attached:
            return
        width, height = self.size
        changed = [y for y in range(height) if self._drawn.get(y) != self._line(y)]
        if changed:
            self.refresh(*(Region(0, y, width, 1) for y in changed))

    def _text(self, index: int) -> str:
        line = self._window.lines[index]
        text = self._texts.get(line.offset_bytes)
        if text is None:
            if len(self._texts) >= CACHED_TEXTS:
                self._texts.clear()
            text = self._texts[line.offset_bytes] = shown_text(line)
            self._widest_cells = max(self._widest_cells, cell_width(text))
        return text

    def _line(self, y: int) -> Strip:
        width, height = self.size
        lines = self._window.lines
        if not lines:
            text = centred(self._empty, y, width, height)
            return Strip([Segment(text, self.get_component_rich_style("log-view--muted"))], width)
        index = self.scroll_offset.y + y
        if index >= len(lines):
            return Strip.blank(width, self.rich_style)
        text = self._text(index)
        hit = self._hit_bytes is not None and self._window.index_of(self._hit_bytes) == index
        style = self.get_component_rich_style("log-view--hit") if hit else self.rich_style
        strip = Strip(self._segments(text))
        left, cut = self._left_cells, strip.cell_length - self._left_cells > width
        strip = strip.crop_extend(left, left + width - cut, None)
        if cut:
            mark = Segment(">" if self.ascii else "›", self.get_component_rich_style("log-view--muted", partial=True))
            strip = Strip([*strip, mark], width)
        return strip.apply_style(style)

    def _segments(self, text: str) -> list[Segment]:
        if self._match is None:
            return [Segment(text)]
        marked = self.get_component_rich_style("log-view--match")
        segments = []
        end = 0
        for match in self._match.finditer(text):
            segments += [Segment(text[end : match.start()]), Segment(match.group(), marked)]
            end = match.end()
        return [segment for segment in [*segments, Segment(text[end:])] if segment.text]
