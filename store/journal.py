"""Append-only journals of CRC'd JSON lines: the append side, and the rule that tells a whole line from a torn one.

    line = CRC-32 of the JSON as 8 hex digits, space, JSON, LF          no LF at the end means: not there yet

One write() on an O_APPEND descriptor: what `append` returned for is in the page cache and survives the death of the
writer. Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from typing import TYPE_CHECKING, Any, Final

from store.run_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CRC_BYTES: Final = 9
"""Eight hex digits and the space."""


class JournalFullError(OSError):
    """A line could not be written whole; it counts as not written, and readers skip the torn piece."""


def encode_line(record: Any) -> bytes:
    """One journal line of any JSON value."""
    return line_of(json.dumps(record, separators=(",", ":"), allow_nan=False).encode("ascii"))


def line_of(body: bytes) -> bytes:
    """One journal line of JSON without line feeds."""
    return b"%08x %s\n" % (zlib.crc32(body), body)


def checked_body(line: bytes) -> bytes | None:
    """The JSON of a line (without LF) when its CRC is right, else None."""
    body = line[CRC_BYTES:]
    try:
        right = (
            len(line) > CRC_BYTES and line[CRC_BYTES - 1 : CRC_BYTES] == b" " and int(line[:8], 16) == zlib.crc32(body)
        )
    except ValueError:
        return None
    return body if right else None


def whole_lines(data: bytes) -> tuple[list[bytes], int]:
    """The lines of `data` that end in LF, and how many bytes they take."""
    end = data.rfind(b"\n") + 1
    return data[:end].split(b"\n")[:-1] if end else [], end


class Journal:
    """The append side of one journal file, which has one writer at a time."""

    def __init__(self, path: str) -> None:
        """Open or create the file with mode 0600; a torn last line is ended, so that its CRC judges it."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        size = os.fstat(self._descriptor).st_size
        self._torn = bool(size) and os.pread(self._descriptor, 1, size - 1) != b"\n"
        if self._torn:
            # On a full disk it is ended by the next append.
            with contextlib.suppress(OSError):
                self._torn = os.write(self._descriptor, b"\n") != 1

    def append(self, records: Iterable[Any], encode: Callable[[Any], bytes] = encode_line) -> int:
        """Write the records in one write(), each as the line that `encode` makes; returns the size afterwards.

        Raises OSError when they could not be written whole: then none of them counts as written.
        """
        data = b"".join(map(encode, records))
        if not data:
            return self.size_bytes
        if self._torn:
            data = b"\n" + data
        # A short write leaves whole lines before the torn one. Cutting back to the old size is what makes "none" true.
        before = self.size_bytes
        try:
            written = os.write(self._descriptor, data)
        except OSError:
            self._cut_back(before)
            raise
        if written != len(data):
            self._cut_back(before)
            raise JournalFullError(28, f"only {written} of {len(data)} bytes could be written")
        self._torn = False
        return before + len(data)

    def sync(self) -> None:
        """Make what was appended survive a power cut."""
        os.fdatasync(self._descriptor)

    @property
    def size_bytes(self) -> int:
        """Length of the file."""
        return os.fstat(self._descriptor).st_size

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _cut_back(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)
        self._torn = bool(size) and os.pread(self._descriptor, 1, size - 1) != b"\n"


def read_from(path: str, start: int, max_bytes: int) -> tuple[list[bytes], int]:
    """Whole lines of a journal from byte `start`, and the offset after the last of them.

    Lines come without LF and unchecked; a file that does not exist has none.
    """
    try:
        descriptor = open_regular(path)
    except FileNotFoundError:
        return [], start
    try:
        lines, length = whole_lines(os.pread(descriptor, max_bytes, start))
        # A line longer than the window would otherwise never be passed.
        while not length and os.fstat(descriptor).st_size - start > max_bytes:
            max_bytes *= 2
            lines, length = whole_lines(os.pread(descriptor, max_bytes, start))
    finally:
        os.close(descriptor)
    return lines, start + length
