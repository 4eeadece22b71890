"""The command journal: what people asked for, who and when; each line holds the hash of the line before it."""

from __future__ import annotations

import os
import time
from typing import Any, Final

from blake3 import blake3

from store import journal

FORMAT: Final = 1


class CommandJournal:
    """The append side of `commands.jsonl`, the audit trail. One writer: the daemon."""

    def __init__(self, home: str) -> None:
        path = os.path.join(home, "commands.jsonl")
        # Opened first: it ends a last line that lacks its LF, and then that line counts.
        self._journal = journal.Journal(path)
        self._previous = self._last_hash(path)

    def append(self, actor: str, action: str, **details: Any) -> None:
        """Record a command before it is carried out; durable when this returns. Raises OSError."""
        record = {
            "format": FORMAT,
            "at_s": time.time(),
            "actor": actor,
            "action": action,
            **details,
            "previous": self._previous,
        }
        self._journal.append([record])
        self._journal.sync()
        self._previous = hash_line(journal.encode_line(record).rstrip(b"\n"))

    def close(self) -> None:
        """Close the file."""
        self._journal.close()

    @staticmethod
    def _last_hash(path: str) -> str:
        last = b""
        position = 0
        while True:
            lines, end = journal.read_from(path, position, 1 << 20)
            if end == position:
                return hash_line(last) if last else ""
            position = end
            last = next((line for line in reversed(lines) if journal.checked_body(line) is not None), last)


def hash_line(line: bytes) -> str:
    """BLAKE3 of a line without its LF, in hex."""
    return str(blake3(line).hexdigest())
