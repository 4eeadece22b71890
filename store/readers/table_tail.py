"""The rows of a CSV or TSV table that another process writes, from where the last look ended.

A row is one line that ends in LF: what comes after the last LF is still being written. A line whose number of cells
is not that of the header, or that has an odd number of quotes, is no row. Nothing longer than `LINE_MAX_BYTES` is
held in memory. Standard library only.
"""

from __future__ import annotations

import csv
import os
from typing import TYPE_CHECKING, Final

from store.journal import whole_lines
from store.readers.foreign import signature_of
from store.run_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator

WINDOW_BYTES: Final = 1 << 18
LINE_MAX_BYTES: Final = 4 << 20
MARK_BYTES: Final = 64
"""So much of what was read last is looked at again: a folder that was deleted and made anew can get the same inode."""


class TableTail:
    """One table and how far it has been read. Not for several threads."""

    def __init__(self, path: str, delimiter: str) -> None:
        self.path = path
        self._delimiter = delimiter
        self.restart()

    def restart(self) -> None:
        """Read from the start at the next call of `rows`."""
        self.header: list[str] = []
        """Names of the columns; empty until a whole first line is there."""
        self.trouble = ""
        """Why nothing is read from the table, when that is so."""
        self.bad_line_count = 0
        self.row_count = 0
        """Rows that were handed on, those of the newest block included."""
        self.seen_at_s = 0.0
        """When the table was last written before its newest rows were seen."""
        self.signature = ""
        self._offset = 0
        self._inode = 0
        self._first_line = b""
        self._mark = b""
        self._is_void = False
        self._is_inside_line = False

    def glance(self) -> tuple[bool, os.stat_result]:
        """Whether what was read still stands in the file, and the facts about the file; raises OSError."""
        descriptor = open_regular(self.path)
        try:
            facts = os.fstat(descriptor)
            is_same = not self._offset or (facts.st_ino == self._inode and self._holds(descriptor))
            return is_same and not self._is_void, facts
        finally:
            os.close(descriptor)

    def rows(self) -> Iterator[list[list[str]]]:
        """What has been added, in blocks of rows; raises OSError.

        When the file is written anew meanwhile, that is the end, and `glance` says so.
        """
        descriptor = open_regular(self.path)
        try:
            facts = os.fstat(descriptor)
            if self._offset and facts.st_ino != self._inode:
                self._is_void = True
                return
            self._inode, self.seen_at_s, self.signature = facts.st_ino, facts.st_mtime, signature_of(facts)
            window = WINDOW_BYTES
            while not self.trouble:
                data = os.pread(descriptor, window, self._offset)
                # A file is made empty before it is written anew, so bytes read before this are of the old one.
                if not self._holds(descriptor):
                    self._is_void = True
                    return
                lines, length = whole_lines(data)
                if length:
                    window = WINDOW_BYTES
                    self._passed(data, length)
                    if block := self._rows_of(lines):
                        self.row_count += len(block)
                        yield block
                elif len(data) < window:
                    return
                elif window < LINE_MAX_BYTES and not self._is_inside_line:
                    window *= 2
                elif self._first_line:
                    self._passed(data, len(data))
                    self._is_inside_line = True
                else:
                    self.trouble = f"its first line has more than {LINE_MAX_BYTES >> 20} MiB; expected names of columns"
        finally:
            os.close(descriptor)

    def _passed(self, data: bytes, length: int) -> None:
        self._offset += length
        self._mark = (self._mark + data[max(0, length - MARK_BYTES) : length])[-MARK_BYTES:]

    def _holds(self, descriptor: int) -> bool:
        start = self._offset - len(self._mark)
        return (
            os.pread(descriptor, len(self._first_line), 0) == self._first_line
            and os.pread(descriptor, len(self._mark), start) == self._mark
        )

    def _rows_of(self, lines: list[bytes]) -> list[list[str]]:
        if self._is_inside_line:
            self._is_inside_line = False
            self.bad_line_count += 1
            del lines[0]
        if not self._first_line and lines:
            self._first_line = lines[0] + b"\n"
            header = self._cells(lines.pop(0))
            if header is None:
                self.trouble = "a name in its first line goes on in the next; expected names of columns in one line"
                return []
            self.header = header
        rows: list[list[str]] = []
        for line in lines:
            cells = self._cells(line)
            if cells is not None and len(cells) == len(self.header):
                rows.append(cells)
            elif line.strip():
                self.bad_line_count += 1
        return rows

    def _cells(self, line: bytes) -> list[str] | None:
        text = line.decode("utf-8", "replace").removesuffix("\r")
        if '"' not in text:
            return text.split(self._delimiter)
        if text.count('"') % 2:
            return None
        try:
            return next(csv.reader([text], delimiter=self._delimiter), None)
        except csv.Error:
            return None


def number(cell: str) -> float | None:
    """The number that a cell holds; None for an empty one and for a text."""
    if not cell or "_" in cell or not cell.isascii():
        return None
    try:
        return float(cell)
    except ValueError:
        return None


def whole_number(cell: str) -> int | None:
    """The whole number that a cell holds, within 64 bits; `3` and `3.0` are the same."""
    if cell.isascii() and cell.isdigit() and len(cell) < 19:
        return int(cell)
    value = number(cell)
    return int(value) if value is not None and value.is_integer() and abs(value) < 2.0**63 else None
