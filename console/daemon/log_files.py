"""Reading a run's output by byte offsets: whole lines forward and backward, raw bytes, search. No state.

A hole, as the log limit leaves it, counts as one line that says so; its bytes are never read.
"""

from __future__ import annotations

import os
from typing import Final, NamedTuple

from console.daemon.log_holes import Holes
from console.protocol import Hit, LogLine, LogPage
from store.run_files import open_regular

LINE_MAX_CHARACTERS: Final = 8192
PAGE_MAX_BYTES: Final = 1 << 20
SEARCH_MAX_BYTES: Final = 64 << 20
"""How much one search call looks at; the client goes on from there."""
BLOCK_BYTES: Final = 4 << 20
PROGRESS_MAX_BYTES: Final = 65536
"""Of the end of a line, in which the last state of a progress bar is looked for."""


class RawPiece(NamedTuple):
    """Bytes of a log as the command wrote them, or in place of a hole the line that stands for it."""

    data: bytes
    end_bytes: int
    """Where to read on."""
    at_end: bool
    """There was no more at that time."""


def read_page(path: str, *, start: int | None, before: int | None, max_bytes: int, ended: bool) -> LogPage:
    """Lines from `start`, or those that end at `before`, or with neither the last ones.

    A line that is not ended yet counts as one. Offsets inside a line move to its start. A line longer than the page is
    shown cut: pages always move on.
    """
    max_bytes = max(1, min(max_bytes, PAGE_MAX_BYTES))
    try:
        descriptor = open_regular(path)
    except FileNotFoundError:
        return LogPage(0, 0, 0, ended, ())
    try:
        size = os.fstat(descriptor).st_size
        holes = Holes(descriptor, size)
        if start is not None:
            first = line_start(descriptor, min(start, size), holes)
            end = line_end(descriptor, min(first + max_bytes, size), size, holes)
        else:
            end = size if before is None else line_start(descriptor, min(before, size), holes)
            first = line_start(descriptor, max(0, end - max_bytes), holes)
        return LogPage(first, end, size, ended, tuple(lines_and_holes(descriptor, first, end, holes)))
    finally:
        os.close(descriptor)


def lines_and_holes(descriptor: int, first: int, end: int, holes: Holes) -> list[LogLine]:
    """The lines of a stretch that starts at a line and ends after one, with a line for each hole."""
    lines: list[LogLine] = []
    position = first
    while position < end:
        if hole := holes.at(position):
            lines.append(LogLine(hole.start, hole.text, 0))
            position = hole.end
        else:
            ceiling = holes.ceiling(position, end)
            lines += lines_between(descriptor, position, ceiling, holes)
            position = ceiling
    return lines


def lines_between(descriptor: int, first: int, end: int, holes: Holes) -> list[LogLine]:
    """The lines of a stretch without holes; of a huge line only the head is read."""
    lines: list[LogLine] = []
    position = first
    pending = b""
    while position + len(pending) < end:
        more = os.pread(descriptor, min(BLOCK_BYTES, end - position - len(pending)), position + len(pending))
        if not more:
            break
        *whole, pending = (pending + more).split(b"\n")
        for raw in whole:
            lines.append(log_line(position, raw))
            position += len(raw) + 1
        if len(pending) > BLOCK_BYTES:
            following = line_end(descriptor, position + len(pending), end, holes)
            size = following - position - (following > position and os.pread(descriptor, 1, following - 1) == b"\n")
            last = os.pread(descriptor, min(size, PROGRESS_MAX_BYTES), position + size - min(size, PROGRESS_MAX_BYTES))
            lines.append(progress_line(position, last) or log_line(position, pending, size))
            position, pending = following, b""
    if pending:
        lines.append(log_line(position, pending))
    return lines


def log_line(offset: int, raw: bytes, size: int | None = None) -> LogLine:
    """One line of `size` bytes, of which `raw` holds the head."""
    size = len(raw) if size is None else size
    if size <= LINE_MAX_CHARACTERS:  # a character takes a byte at least
        return LogLine(offset, raw.decode("utf-8", "replace"), 0)
    if len(raw) == size and (progress := progress_line(offset, raw[-PROGRESS_MAX_BYTES:])):
        return progress
    # With an escape for each byte that is not UTF-8, what is shown can be counted in bytes of the log.
    head = raw[: 4 * LINE_MAX_CHARACTERS].decode("utf-8", "surrogateescape")[:LINE_MAX_CHARACTERS]
    shown = head.encode("utf-8", "surrogateescape")
    return LogLine(offset, shown.decode("utf-8", "replace"), size - len(shown))


def progress_line(offset: int, last: bytes) -> LogLine | None:
    """A long line, given its last bytes, of which carriage returns leave a short one, as of a progress bar; else None.

    What was overwritten does not count as left out: a terminal would not show it either.
    """
    end = len(last.rstrip(b"\r"))
    start = last.rfind(b"\r", 0, end) + 1
    if not start or end - start > LINE_MAX_CHARACTERS:
        return None
    return LogLine(offset, last[start:end].decode("utf-8", "replace"), 0)


def line_start(descriptor: int, offset: int, holes: Holes) -> int:
    """The start of the line that holds `offset`; an offset right after a LF or a hole is a start."""
    if hole := holes.at(offset):
        return hole.start
    floor = holes.floor(offset)
    while offset > floor:
        block_start = max(floor, offset - 65536)
        found = os.pread(descriptor, offset - block_start, block_start).rfind(b"\n")
        if found >= 0:
            return block_start + found + 1
        offset = block_start
    return floor


def line_end(descriptor: int, offset: int, size: int, holes: Holes) -> int:
    """The offset after the line that holds the byte before `offset`, at most `size`."""
    position = max(0, offset - 1)
    if hole := holes.at(position):
        return min(hole.end, size)
    ceiling = holes.ceiling(position, size)
    while position < ceiling:
        found = (block := os.pread(descriptor, min(65536, ceiling - position), position)).find(b"\n")
        if found >= 0:
            return position + found + 1
        if not block:
            return position
        position += len(block)
    return ceiling


def read_raw(path: str, start: int, max_bytes: int) -> RawPiece:
    """Bytes as the command wrote them, at most up to the next hole; nothing where there is no log."""
    try:
        descriptor = open_regular(path)
    except FileNotFoundError:
        return RawPiece(b"", start, at_end=True)
    try:
        size = os.fstat(descriptor).st_size
        holes = Holes(descriptor, size)
        if hole := holes.at(start):
            return RawPiece(hole.text.encode() + b"\n", hole.end, hole.end >= size)
        ceiling = holes.ceiling(start, size)
        data = os.pread(descriptor, max_bytes if ceiling == size else min(max_bytes, ceiling - start), start)
        return RawPiece(data, start + len(data), len(data) < max_bytes and ceiling == size)
    finally:
        os.close(descriptor)


def search(path: str, text: str, *, start: int, backward: bool) -> Hit:
    """The first line at or after `start` (or the last one that begins before it) that holds `text`, ignoring case.

    Case is ignored as ASCII does; other letters must match as they are.
    """
    needle = text.encode("utf-8", "surrogateescape").lower()
    if not needle:
        return Hit(None, start, exhausted=True)
    try:
        descriptor = open_regular(path)
    except FileNotFoundError:
        return Hit(None, 0, exhausted=True)
    try:
        size = os.fstat(descriptor).st_size
        walk = search_backward if backward else search_forward
        return walk(descriptor, needle, min(start, size), size, Holes(descriptor, size))
    finally:
        os.close(descriptor)


def search_forward(descriptor: int, needle: bytes, start: int, size: int, holes: Holes) -> Hit:
    """Blocks overlap by the needle, so that a match across a border is found."""
    position, looked = start, 0
    while position < size and looked < SEARCH_MAX_BYTES:
        if hole := holes.at(position):
            position = hole.end
            continue
        length = min(BLOCK_BYTES + len(needle) - 1, holes.ceiling(position, size) - position)
        found = os.pread(descriptor, length, position).lower().find(needle)
        if found >= 0:
            return Hit(line_start(descriptor, position + found, holes), position + found, exhausted=False)
        position += min(BLOCK_BYTES, length)
        looked += BLOCK_BYTES
    return Hit(None, position, exhausted=position >= size)


def search_backward(descriptor: int, needle: bytes, start: int, size: int, holes: Holes) -> Hit:
    """As forward, from the end; only matches that begin before `start` count."""
    position, looked = start, 0
    while position > 0 and looked < SEARCH_MAX_BYTES:
        if hole := holes.at(position - 1):
            position = hole.start
            continue
        block_start = max(holes.floor(position), position - BLOCK_BYTES)
        length = min(position + len(needle) - 1, holes.ceiling(position - 1, size)) - block_start
        found = os.pread(descriptor, length, block_start).lower().rfind(needle)
        if found >= 0:
            return Hit(line_start(descriptor, block_start + found, holes), block_start + found, exhausted=False)
        position = block_start
        looked += BLOCK_BYTES
    return Hit(None, position, exhausted=position == 0)
