"""A file that another process appends to, and how far it has been read. Standard library only."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from store.run_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK_BYTES: Final = 64
"""So much of what was read last is looked at again: a folder that is deleted and made anew can get the same inode."""


class ReplacedError(Exception):
    """What was read of a file stands in it no longer: it was replaced or cut."""


class GrowingFile:
    """One file. Not for several threads."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = os.path.basename(path)
        self.size_bytes = 0
        """When it was last opened."""
        self.position = 0
        """Where to read on."""
        self._inode = 0
        self._mark = b""

    @contextlib.contextmanager
    def opened(self) -> Iterator[int]:
        """A descriptor for reading on. Raises ReplacedError when that makes no sense any more, OSError."""
        descriptor = open_regular(self.path)
        try:
            facts = os.fstat(descriptor)
            if self._inode and (facts.st_ino, self._read_mark(descriptor)) != (self._inode, self._mark):
                raise ReplacedError(self.path)
            self._inode, self.size_bytes = facts.st_ino, facts.st_size
            try:
                yield descriptor
            finally:
                self._mark = self._read_mark(descriptor)
        finally:
            os.close(descriptor)

    def _read_mark(self, descriptor: int) -> bytes:
        return os.pread(descriptor, min(MARK_BYTES, self.position), max(0, self.position - MARK_BYTES))
