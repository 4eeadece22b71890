"""The stretch of a log that is in memory, and its lines as they are shown."""

import re
from bisect import bisect_right
from typing import Final, NamedTuple

from console.protocol import LogLine, LogPage
from console.tui.text_format import bytes_size, visible

MAX_LINES: Final = 4000
TAB_CELLS: Final = 8
ESCAPES: Final = re.compile(
    r"(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x1b\x9c]*(?:\x1b\\|\x9c)"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|\x1b[ -/]*[0-~]"
)
"""Whole escape sequences: operating system commands, strings, colours and cursor moves, the rest."""


class Merged(NamedTuple):
    """What putting a page did."""

    changed: bool
    replaced: bool
    """The window is another one; places in it mean nothing any more."""
    shifted_lines: int
    """By how many lines what stayed moved down; negative after the front was dropped."""


NOTHING: Final = Merged(changed=False, replaced=False, shifted_lines=0)


def shown_text(line: LogLine) -> str:
    """One line as a terminal would leave it: what the last carriage return did not overwrite, without escapes."""
    text = line.text
    if not (text.isascii() and text.isprintable()):
        text = text.rstrip("\r").rpartition("\r")[2]
        text = visible(ESCAPES.sub("", text).expandtabs(TAB_CELLS))
    return f"{text} ‹+{bytes_size(line.cut_bytes)}›" if line.cut_bytes else text


class LogWindow:
    """Neighbouring lines of a log, 4,000 at most; all offsets are bytes."""

    def __init__(self) -> None:
        self.lines: list[LogLine] = []
        self.start_bytes = 0
        self.end_bytes = 0
        self.size_bytes = 0
        """Of the whole log, as far as is known."""

    def put(self, page: LogPage, view_line: int) -> Merged:
        """Merge `page`; when there are too many lines then, drop those that are far from `view_line`."""
        if page.size_bytes < self.end_bytes:
            # An answer that was overtaken by a newer one says nothing new; anything else means a shorter log.
            return NOTHING if page.lines and self._has(page) else self._replace(page)
        grown = page.size_bytes > self.size_bytes
        self.size_bytes = max(self.size_bytes, page.size_bytes)
        if not self.lines or self.is_apart(page):
            return self._replace(page) if page.lines else Merged(grown, replaced=False, shifted_lines=0)
        if page.start_bytes >= self.start_bytes and page.end_bytes <= self.end_bytes:
            return Merged(grown, replaced=False, shifted_lines=0)
        before = [line for line in self.lines if line.offset_bytes < page.start_bytes]
        after = [line for line in self.lines if line.offset_bytes >= page.end_bytes]
        shifted = sum(line.offset_bytes < self.start_bytes for line in page.lines)
        self.lines = [*before, *page.lines, *after]
        self.start_bytes = min(self.start_bytes, page.start_bytes)
        self.end_bytes = max(self.end_bytes, page.end_bytes)
        return Merged(changed=True, replaced=False, shifted_lines=shifted - self._trim(view_line + shifted))

    def is_apart(self, page: LogPage) -> bool:
        """Whether there is a gap between the page and the window."""
        return page.end_bytes < self.start_bytes or page.start_bytes > self.end_bytes

    def index_of(self, offset_bytes: int) -> int | None:
        """Which line holds this byte."""
        if not self.start_bytes <= offset_bytes < self.end_bytes or not self.lines:
            return None
        return max(0, bisect_right(self.lines, offset_bytes, key=lambda line: line.offset_bytes) - 1)

    def _has(self, page: LogPage) -> bool:
        known = {line.offset_bytes: line for line in self.lines}
        return all(known.get(line.offset_bytes) == line for line in page.lines)

    def _replace(self, page: LogPage) -> Merged:
        self.lines = list(page.lines)
        self.start_bytes, self.end_bytes, self.size_bytes = page.start_bytes, page.end_bytes, page.size_bytes
        self._trim(len(self.lines))
        return Merged(changed=True, replaced=True, shifted_lines=0)

    def _trim(self, view_line: int) -> int:
        """Drop what is too much from the end that is farther from the view; how many lines went at the front."""
        too_many = len(self.lines) - MAX_LINES
        if too_many <= 0:
            return 0
        if view_line > len(self.lines) // 2:
            del self.lines[:too_many]
            self.start_bytes = self.lines[0].offset_bytes
            return too_many
        self.end_bytes = self.lines[MAX_LINES].offset_bytes
        del self.lines[MAX_LINES:]
        return 0
