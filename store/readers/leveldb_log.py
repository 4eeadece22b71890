"""The record log of W&B: LevelDB's log format behind a header of its own. Standard library only.

header = ":W&B", u16 0xBEE1, u8 version 0
block  = 32,768 bytes, counted from the start of the file, of chunks; fewer than 7 bytes at its end are padding
chunk  = u32 CRC-32 of what follows the length, u16 length, u8 type (1 whole, 2 first, 3 middle, 4 last), data
"""

from __future__ import annotations

import os
import struct
import zlib
from typing import TYPE_CHECKING, Final

from store.readers.foreign import PROBLEMS_MAX
from store.readers.growing import GrowingFile

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER: Final = b":W&B\xe1\xbe\x00"
BLOCK_BYTES: Final = 32_768
READ_BYTES: Final = 4 << 20
RECORD_MAX_BYTES: Final = 64 << 20
_CHUNK: Final = struct.Struct("<IHB")
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


class RecordLog(GrowingFile):
    """One log and how far it has been read. Not for several threads."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.skipped: list[str] = []
        """What could not be read, in words."""
        self.stopped = ""
        """Why it cannot be read any further for now, in words."""
        self._parts: list[bytes] = []
        """Of a record that is not all there yet."""
        self._parts_bytes = 0

    def batches(self) -> Iterator[list[bytes]]:
        """Whole records that are new, some at a time. Raises OSError."""
        with self.opened() as descriptor:
            self.stopped = ""
            if not self.position and not self._begin(os.pread(descriptor, len(HEADER), 0)):
                return
            while True:
                before = self.position
                records = self._take(os.pread(descriptor, READ_BYTES, before))
                if records:
                    yield records
                # What is added meanwhile is for the next look, or one might never end.
                if self.stopped or self.position == before or self.position >= self.size_bytes:
                    return

    def _begin(self, header: bytes) -> bool:
        if not HEADER.startswith(header):
            self.stopped = (
                f"{self.name}: starts with {header.hex(' ')}; expected {HEADER.hex(' ')}, a W&B record log of version 0"
            )
        elif header == HEADER:
            self.position = len(HEADER)
        elif not header:
            self.stopped = f"{self.name}: nothing written yet"
        return header == HEADER

    def _take(self, data: bytes) -> list[bytes]:
        """The records that end in `data`, which lies at the position; moves that behind the last whole chunk."""
        records: list[bytes] = []
        origin, at, size = self.position, 0, len(data)
        unpack, crc32 = _CHUNK.unpack_from, zlib.crc32
        while True:
            left = BLOCK_BYTES - (origin + at) % BLOCK_BYTES
            if left < 7:
                if at + left > size:
                    break
                at += left
                continue
            # Past the end after a block that was skipped: the next read begins there.
            if at + 7 > size:
                break
            crc, length, kind = unpack(data, at)
            end = at + 7 + length
            if length + 7 > left or kind > _LAST or (kind == 0 and (crc or length)):
                if origin + at + left > self.size_bytes:
                    self.stopped = self._damaged(origin + at, f"a chunk of type {kind} and {length} bytes")
                    break
                self._skip(origin + at, f"a chunk of type {kind} and {length} bytes; its block was skipped")
                at += left
                continue
            if kind == 0:
                if origin + at + left < self.size_bytes:
                    self.stopped = self._damaged(origin + at, "zeros, and nothing after them is read")
                break
            if end > size:
                break
            found = crc32(data[at + 6 : end])
            if found != crc:
                words = f"the checksum is {found:08x} and should be {crc:08x}"
                if origin + end >= self.size_bytes:
                    self.stopped = self._damaged(origin + at, words)
                    break
                self._skip(origin + at, f"{words}; the record was skipped")
            elif kind == _WHOLE:
                if self._parts:
                    self._skip(origin + at, "a record begins before the one ahead has ended")
                records.append(data[at + 7 : end])
            else:
                self._join(kind, data[at + 7 : end], origin + at, records)
            at = end
        self.position = origin + at
        return records

    def _join(self, kind: int, part: bytes, position: int, records: list[bytes]) -> None:
        """A piece of a record that is longer than what was left of its block."""
        if kind == _FIRST:
            if self._parts:
                self._skip(position, "a record begins before the one ahead has ended")
            self._parts, self._parts_bytes = [part], len(part)
            return
        if not self._parts:
            if not self.skipped:
                self._skip(position, "the rest of a record whose beginning is missing")
            return
        self._parts.append(part)
        self._parts_bytes += len(part)
        if self._parts_bytes > RECORD_MAX_BYTES:
            self._skip(position, f"a record of more than {RECORD_MAX_BYTES >> 20} MiB was skipped")
        elif kind == _LAST:
            records.append(b"".join(self._parts))
            self._parts, self._parts_bytes = [], 0

    def _skip(self, position: int, words: str) -> None:
        self._parts, self._parts_bytes = [], 0
        if len(self.skipped) < PROBLEMS_MAX:
            self.skipped.append(self._damaged(position, words))

    def _damaged(self, position: int, words: str) -> str:
        return f"{self.name}: at byte {position}: {words}"
