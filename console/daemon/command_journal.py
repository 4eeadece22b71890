"""The command journal: what people asked for, who and when; each line holds the hash of the line before it.

A chain cannot show that its end was cut off, so how far it had come stands in a second file, `commands.head`. It is
written after each line and may lag behind by what a kill left no time for; it is never ahead.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from blake3 import blake3

from store import journal, paths
from store.run_files import read_stretch

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT: Final = 1
HEAD_FORMAT: Final = 1
HEAD_BYTES: Final = 256
"""The head has one length, so that it is written over in place: that works on a full disk, too."""
RECENT_LINES: Final = 256
"""How many lines are kept at hand to know a request that is sent a second time."""
READ_BYTES: Final = 1 << 20


class Head(NamedTuple):
    """The last line that was written."""

    seq: int
    """Its number among the lines of footplate, from 1."""
    hash: str


class PlacedLine(NamedTuple):
    """A line of a journal and where it stands."""

    number: int
    """From 1, as editors count."""
    offset_bytes: int
    body: bytes | None
    """Its JSON; None when its checksum does not fit."""
    raw: bytes
    """Without the line end."""


class CommandJournal:
    """The append side of `commands.jsonl`, the audit trail. One writer: the daemon."""

    def __init__(self, home: str) -> None:
        self.path = journal_path(home)
        self._head_path = head_path(home)
        self._seq, self._previous = 0, ""
        self._lost: Head | None = None
        """What the head vouches for and the journal does not hold: the next line says so, as a part of the chain."""
        self._requests: dict[str, None] = {}
        self._open()

    def append(self, actor: str, action: str, **details: Any) -> None:
        """Record a command before it is carried out; durable when this returns. Raises OSError: nothing was recorded.

        A detail named `request` makes the command known to `knows`.
        """
        self._follow_the_path()
        record = {"format": FORMAT, "at_s": time.time(), "actor": actor, "action": action, **details}
        if self._lost is not None:
            record["lost"] = self._lost._asdict()
        record |= {"seq": self._seq + 1, "previous": self._previous}
        before = self._journal.size_bytes
        self._journal.append([record])
        try:
            self._journal.sync()
        except OSError:
            # Whoever asked is told that it failed, so the line must not be found later.
            self._take_back(before)
            raise
        self._seq += 1
        self._previous = hash_line(journal.encode_line(record).rstrip(b"\n"))
        self._lost = None
        self._remember(record)
        self._write_head()

    def knows(self, request: str) -> bool:
        """Whether a command with this request id is among the last ones."""
        return request in self._requests

    def close(self) -> None:
        """Close the file."""
        self._journal.close()

    def _open(self) -> None:
        # Opened first: it ends a last line that lacks its LF, and then that line counts.
        self._journal = journal.Journal(self.path)
        self._facts = os.stat(self.path)
        self._seq, self._previous = 0, ""
        self._requests.clear()
        recent: list[PlacedLine] = []
        last: PlacedLine | None = None
        for line in lines_of(self.path):
            if line.body is None:
                continue
            self._seq += 1
            last = line
            recent.append(line)
            if len(recent) > 2 * RECENT_LINES:
                del recent[:RECENT_LINES]
        for line in recent[-RECENT_LINES:]:
            self._remember(record_of(line))
        if last is not None:
            seq = record_of(last).get("seq")
            self._seq = seq if isinstance(seq, int) else self._seq
            self._previous = hash_line(last.raw)
        head = read_head(self._head_path)
        self._lost = None if head is None or self._holds(head) else head
        if head is None and last is not None:
            self._write_head()

    def _holds(self, head: Head) -> bool:
        if head.hash == self._previous:
            return True
        return any(line.body is not None and hash_line(line.raw) == head.hash for line in lines_of(self.path))

    def _follow_the_path(self) -> None:
        """Editors replace the file that they save: what we append must not go to the one that has no name any more."""
        try:
            replaced = not os.path.samestat(os.stat(self.path), self._facts)
        except FileNotFoundError:
            replaced = True
        if replaced:
            self._journal.close()
            self._open()

    def _take_back(self, size: int) -> None:
        try:
            os.truncate(self.path, size)
        finally:
            self._journal.close()
            self._open()

    def _remember(self, record: dict[str, Any]) -> None:
        request = record.get("request")
        if isinstance(request, str):
            self._requests[request] = None
            if len(self._requests) > RECENT_LINES:
                del self._requests[next(iter(self._requests))]

    def _write_head(self) -> None:
        head = {"format": HEAD_FORMAT, "seq": self._seq, "hash": self._previous}
        content = json.dumps(head).encode().ljust(HEAD_BYTES - 1) + b"\n"
        try:
            descriptor = os.open(self._head_path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.pwrite(descriptor, content, 0)
            finally:
                os.close(descriptor)
        except OSError as error:
            # The command is recorded; only a cut of the last lines would go unnoticed until the next one.
            print(f"cannot write {self._head_path}: {error}", file=sys.stderr, flush=True)


def journal_path(home: str) -> str:
    """Where the command journal of a state directory is."""
    return paths.command_journal_path(home)


def head_path(home: str) -> str:
    """Where the head of the command journal is."""
    return journal_path(home).removesuffix(".jsonl") + ".head"


def read_head(path: str) -> Head | None:
    """How far the journal had come; None when the file is missing or cannot be read as one."""
    try:
        with open(path, encoding="ascii") as file:
            found = json.loads(file.read(4096))
        return Head(int(found["seq"]), str(found["hash"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def lines_of(path: str, *, unfinished: bool = False) -> Iterator[PlacedLine]:
    """Every line of a journal that has its line end, and with `unfinished` what stands after the last one.

    Empty lines are left out.
    """
    number, position = 0, 0
    while True:
        lines, end = journal.read_from(path, position, READ_BYTES)
        if end == position:
            break
        for raw in lines:
            number += 1
            if raw:
                yield PlacedLine(number, position, journal.checked_body(raw), raw)
            position += len(raw) + 1
    if unfinished:
        rest = read_stretch(path, position, READ_BYTES).data.partition(b"\n")[0]
        if rest:
            yield PlacedLine(number + 1, position, journal.checked_body(rest), rest)


def record_of(line: PlacedLine) -> dict[str, Any]:
    """The record of a line; empty when its JSON is no object."""
    try:
        found = json.loads(line.body or b"null")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def hash_line(line: bytes) -> str:
    """BLAKE3 of a line without its LF, in hex."""
    return str(blake3(line).hexdigest())
