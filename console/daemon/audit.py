"""The audit trail: who asked for what, and whether every line is still what was written, where it was written.

Each line holds its number, and the hash of the sound line before it; `commands.head` holds both of the last one. So a
line that was edited, removed, moved or added by somebody else shows, and also a cut at the end. What is left of a write
that a crash or a full disk interrupted is harmless: the chain goes on around it.
"""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from console.daemon.command_journal import hash_line, head_path, journal_path, lines_of, read_head, record_of
from store.journal import CRC_BYTES
from store.run_files import size_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.daemon.command_journal import Head, PlacedLine

FINDINGS_MAX: Final = 100
BODY_START: Final = b'{"format":'
"""How the JSON of each of our lines begins."""

Kind: TypeAlias = Literal["torn", "edited", "foreign"]


class Finding(NamedTuple):
    """Something that is not as it was written."""

    line: int
    """From 1, as editors count."""
    offset_bytes: int
    problem: str


class Verdict(NamedTuple):
    """What checking the whole journal came to."""

    line_count: int
    """Sound lines."""
    torn_count: int
    """What is left of interrupted writes; harmless."""
    last_at_s: float | None
    """Time of the last sound line."""
    findings: tuple[Finding, ...]
    """In the order of the file, at most FINDINGS_MAX; none: every line is what was written."""


class Entry(NamedTuple):
    """One command."""

    line: int
    at_s: float
    actor: str
    action: str
    run_ids: tuple[str, ...]
    details: dict[str, Any]
    """What else was recorded."""


class Link(NamedTuple):
    """A sound line as a part of the chain."""

    number: int
    offset_bytes: int
    seq: int | None
    """None in lines from before they were numbered."""
    hash: str
    previous: Any
    lost: Any


class Trail(NamedTuple):
    """Commands that were looked for."""

    entries: tuple[Entry, ...]
    """Oldest first."""
    matched_count: int
    """More than there are entries when only the newest were wanted."""
    numbers: dict[str, int]
    """Of the runs that the journal tells the number of, by id: also of those that are deleted."""


def trail(home: str, run: str | int, since_s: float, limit: int) -> Trail:
    """The newest `limit` commands since a Unix time; of one run, by id or number, unless `run` is empty.

    Raises OSError.
    """
    newest: deque[Entry] = deque(maxlen=limit)
    count = 0
    numbers: dict[str, int] = {}
    for line in lines_of(journal_path(home)):
        record = record_of(line)
        run_id, no, at_s = record.get("run"), record.get("no"), record.get("at_s")
        if isinstance(run_id, str) and isinstance(no, int):
            numbers[run_id] = no
        if not isinstance(at_s, int | float) or at_s < since_s:
            continue
        found = entry_of(line.number, at_s, record)
        if not run or run in found.run_ids or any(numbers.get(each) == run for each in found.run_ids):
            count += 1
            newest.append(found)
    return Trail(tuple(newest), count, numbers)


def entry_of(number: int, at_s: float, record: dict[str, Any]) -> Entry:
    """A record without what only the chain needs."""
    named = [record.get("run"), *(runs if isinstance(runs := record.get("runs"), list) else [])]
    left_out = {"format", "at_s", "actor", "action", "run", "runs", "no", "seq", "previous", "request"}
    return Entry(
        number,
        at_s,
        str(record.get("actor")),
        str(record.get("action")),
        tuple(run_id for run_id in named if isinstance(run_id, str)),
        {name: value for name, value in record.items() if name not in left_out},
    )


def verify(home: str) -> Verdict:
    """Check every line. Raises OSError."""
    verdict = check(home)
    # The daemon writes the head over in place, and a reader may meet it half-way: a fault is there the next time, too.
    return check(home) if verdict.findings else verdict


def check(home: str) -> Verdict:
    """Check every line once."""
    # Read before the journal: what the daemon appends meanwhile is past the head, which is no fault.
    head = read_head(head_path(home))
    links: list[Link] = []
    pieces: list[PlacedLine] = []
    last_at_s = None
    for line in lines_of(journal_path(home), unfinished=True):
        if line.body is None:
            pieces.append(line)
            continue
        record = record_of(line)
        links.append(link_of(line, record))
        last_at_s = at_s if isinstance(at_s := record.get("at_s"), int | float) else last_at_s
    chain = Chain(links, pieces, head, size_bytes(journal_path(home)))
    chain.check()
    findings = tuple(chain.findings[number] for number in sorted(chain.findings))
    return Verdict(len(links), chain.torn_count, last_at_s, findings[:FINDINGS_MAX])


def link_of(line: PlacedLine, record: dict[str, Any]) -> Link:
    """What the chain needs of a line."""
    seq = record.get("seq")
    number = seq if isinstance(seq, int) and not isinstance(seq, bool) else None
    previous, lost = record.get("previous"), record.get("lost")
    return Link(line.number, line.offset_bytes, number, hash_line(line.raw), previous, lost)


class Chain:
    """The lines of a journal against each other and against the head."""

    def __init__(self, links: Sequence[Link], pieces: Sequence[PlacedLine], head: Head | None, size_bytes: int) -> None:
        """`pieces` are the lines whose checksum does not fit."""
        self.findings: dict[int, Finding] = {}
        """By line: of what is wrong with a line, the first."""
        self.torn_count = 0
        self._links = links
        self._pieces = deque(pieces)
        self._head = head
        self._size_bytes = size_bytes
        self._seqs = {link.seq for link in links}
        self._expected = 1
        """The number of the next line."""

    def check(self) -> None:
        """Fill `findings`."""
        before = Link(0, 0, None, "", "", None)
        for position, link in enumerate(self._links):
            following = self._links[position + 1] if position + 1 < len(self._links) else None
            believed = following.previous == link.hash if following else self._head_hash == link.hash
            before = self._step(before, link, believed=believed)
        self._check_end(before)

    @property
    def _head_hash(self) -> str:
        return self._head.hash if self._head is not None else ""

    def _step(self, before: Link, link: Link, *, believed: bool) -> Link:
        """Look at one sound line; returns the line that the next one should follow.

        `believed`: the line after it, or the head, holds the hash of this one.
        """
        expected, pieces = self._expected, self._pieces_before(link.number)
        follows = link.previous == before.hash
        if link.lost is not None:
            self._find(link, f"lines were gone before it was written: {lost_words(link.lost)}")
        if link.seq is not None and link.seq < expected:
            self._find(link, f"out of order: its number is {link.seq}, and it stands after number {expected - 1}")
            return before
        number = expected if link.seq is None else link.seq
        self._expected = number + 1
        if follows:
            if number > expected and (before.seq is not None or not before.number):
                self._find(link, f"edited: its number is {number}, and it follows number {expected - 1}")
                self._expected = expected + 1
        elif number > expected:
            self._find_gap(link, expected, number - expected - self._blame(pieces, number - expected))
        elif link.seq is None and before.seq is None and before.number and believed:
            if not self._blame(pieces, 1):
                self._find(before, f"edited, or lines between it and line {link.number} are missing")
        elif link.seq is not None and before.number and believed:
            self._find(before, f"edited: its hash is not the one that line {link.number} holds")
        else:
            wanted = (
                f"it does not hold the hash of line {before.number}" if before.number else "it is not the first one"
            )
            self._find(link, f"not in the chain: {wanted}")
        return link

    def _find_gap(self, link: Link, expected: int, missing: int) -> None:
        if expected in self._seqs:
            self._find(link, f"out of order: number {link.seq} stands where number {expected} should")
        elif missing > 0:
            self._find(link, f"{missing} line{'s are' if missing > 1 else ' is'} missing before it")

    def _check_end(self, last: Link) -> None:
        pieces = self._pieces_before(None)
        head = self._head
        if head is None:
            if last.number:
                self._find(last, "commands.head is missing or cannot be read: lines cut off after it would not show")
            return
        if any(link.hash == head.hash for link in self._links):
            return
        last_seq = self._expected - 1
        missing = head.seq - last_seq
        missing -= self._blame(pieces, missing)
        if missing > 0:
            said = f"cut at the end: commands.head knows of {head.seq} lines, {last_seq} are left"
            self._find(Link(last.number + 1, self._size_bytes, None, "", "", None), said)
        elif head.seq == last_seq:
            self._find(last, "edited: its hash is not the one in commands.head")
        elif not self.findings:
            self._find(last, f"the chain up to it is not the one of commands.head, which knows another line {head.seq}")

    def _pieces_before(self, number: int | None) -> list[PlacedLine]:
        """The lines with a wrong checksum up to here that may be what is left of an interrupted write."""
        torn: list[PlacedLine] = []
        while self._pieces and (number is None or self._pieces[0].number < number):
            piece = self._pieces.popleft()
            kind = kind_of(piece.raw)
            if kind == "foreign":
                self._find(piece, "not written by footplate")
                continue
            if kind == "edited":
                self._find(piece, "edited: its checksum does not fit")
            torn.append(piece)
        self.torn_count += sum(piece.number not in self.findings for piece in torn)
        return torn

    def _blame(self, pieces: Sequence[PlacedLine], missing: int) -> int:
        """Say of broken lines that they stand where lines are missing; returns for how many."""
        blamed = pieces[: max(0, missing)]
        for piece in blamed:
            self.torn_count -= piece.number not in self.findings
            self._find(piece, "damaged: only a part of it is left")
        return len(blamed)

    def _find(self, place: Link | PlacedLine, problem: str) -> None:
        self.findings.setdefault(place.number, Finding(place.number, place.offset_bytes, problem))


def kind_of(piece: bytes) -> Kind:
    """What a line with a wrong checksum is: the start of one of ours, an edited one of ours, or neither."""
    checksum, body = piece[: CRC_BYTES - 1], piece[CRC_BYTES:]
    of_ours = all(byte in b"0123456789abcdef" for byte in checksum) and piece[CRC_BYTES - 1 : CRC_BYTES] in (b"", b" ")
    if not of_ours or body[: len(BODY_START)] != BODY_START[: len(body)]:
        return "foreign"
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return "torn"
    return "edited"


def lost_words(lost: Any) -> str:
    """What a line says of the head that was not found in the journal."""
    seq = lost.get("seq") if isinstance(lost, dict) else None
    return f"commands.head knew of a line with the number {seq} that the journal no longer held"
