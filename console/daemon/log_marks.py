"""Lines of a log that tell of an error or a warning, found from any byte in either direction. No state.

A line counts by what programs write, not by every use of the word: `val_error=0.1` and `test error: 0.02` are none.
Words are looked for in whole blocks first, which is twenty times as fast as trying every line; only lines that hold one
are looked at.
"""

from __future__ import annotations

import math
import os
import re
from time import monotonic
from typing import Final, Literal, TypeAlias, get_args

from console.daemon.log_files import line_end, line_start
from console.daemon.log_holes import Holes
from console.protocol import Hit
from store.run_files import open_regular

Kind: TypeAlias = Literal["error", "warning"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
BLOCK_BYTES: Final = 1 << 20
LOOK_MAX_BYTES: Final = 256 << 20
"""How much one call looks at; the client goes on from there."""
LOOK_MAX_S: Final = 0.5
"""How long one call looks, which is what a log with a word in every line makes slow."""
LINE_MAX_BYTES: Final = 4096
"""Of a line; what stands behind is not looked at."""


def compiled(*words: bytes) -> tuple[re.Pattern[bytes], ...]:
    """Patterns of words."""
    return tuple(re.compile(word, re.MULTILINE) for word in words)


WORDS: Final[dict[Kind, tuple[re.Pattern[bytes], ...]]] = {
    "error": compiled(
        rb"error(?<![\w.]error)(?:\[\w+\])?:(?![^\S\r\n]*[-+.\d])",
        rb"Error(?=:(?![^\S\r\n]*[-+.\d])|\r?$)",
        rb"Exception(?=:|\r?$)",
        rb"ERROR(?![\w=])",
        *(rb"Traceback \(most recent call last\)", rb"FATAL(?![\w=])", rb"CRITICAL(?![\w=])"),
        *(rb"panicked at ", rb"panic: ", rb"egmentation fault", rb"core dumped", rb"erminate called"),
        *(rb"ut of memory", rb"o space left on device", rb"Fatal Python error", rb"fatal error"),
        *(rb"CUDA error", rb"NCCL error", rb"Bus error", rb"Assertion ", rb"Killed", rb"Aborted"),
    ),
    "warning": compiled(rb"WARN(?:ING)?(?![\w=])", rb"arning:(?![^\S\r\n]*[-+.\d])", rb"warn:"),
}
"""A line of a kind holds one of them; each begins with letters, which is what makes the search for them fast."""
LEVEL: Final = rb"(?:^|[\s\[(<|:\"'=])"
"""What stands before the name of a level."""
RAISED: Final = (
    rb"|(?:^|\s)(?:\w*+\.)*+[^\WA-Z]*+(?!(?:Error|Exception)(?!\w))[A-Z]\w*+(?:(?<=Error)|(?<=Exception))"
    rb"(?::(?!\s*[-+.\d])|$)"
)
"""Or `pkg.SomeError: ...`, in one pass: modules, then a name with a capital before its ending."""
LINES: Final[dict[Kind, re.Pattern[bytes]]] = {
    "error": re.compile(
        rb"Traceback \(most recent call last\)"
        rb"|" + LEVEL + rb"(?:ERROR|FATAL|CRITICAL)(?:$|[\s\])>|:\"',!])"
        rb"|(?:^|\s)(?:[Ff]atal )?[Ee]rror(?:\[\w+\])?:(?!\s*[-+.\d])"
        + RAISED
        + rb"|(?:^|\s)(?:Fatal Python error|fatal error|CUDA error|NCCL error|Bus error|Assertion failed)\b"
        rb"|\b[Ss]egmentation fault\b|\bcore dumped\b|\bterminate called\b"
        rb"|\b[Oo]ut of memory\b|\b[Nn]o space left on device\b"
        rb"|panicked at |^panic: |^Killed\b|^Aborted\b|^Assertion .* failed"
    ),
    "warning": re.compile(
        LEVEL + rb"WARN(?:ING)?(?:$|[\s\])>|:\"',!])|(?:^|\s)[Ww]arning:|\b[A-Z]\w*Warning:|(?:^|\s)warn:"
    ),
}


def find(path: str, kind: Kind, *, start: int, backward: bool) -> Hit:
    """The first line that begins at or after `start` (or the last one that begins before it) of a kind.

    `scanned_to_bytes` is where to go on. Holes are passed over.
    """
    try:
        descriptor = open_regular(path)
    except FileNotFoundError:
        return Hit(None, 0, exhausted=True)
    try:
        size = os.fstat(descriptor).st_size
        holes = Holes(descriptor, size)
        walk = walk_backward if backward else walk_forward
        return walk(descriptor, kind, min(start, size), size, holes)
    finally:
        os.close(descriptor)


def walk_forward(descriptor: int, kind: Kind, start: int, size: int, holes: Holes) -> Hit:
    """Block by block; each ends with a line, as far as there is one in it."""
    position, looked, deadline_s = start, 0, monotonic() + LOOK_MAX_S
    if start and line_start(descriptor, start, holes) != start:
        position = line_end(descriptor, start + 1, size, holes)
    while position < size and looked < LOOK_MAX_BYTES and monotonic() < deadline_s:
        if hole := holes.at(position):
            position = hole.end
            continue
        block, following = block_from(descriptor, position, holes.ceiling(position, size))
        found, done = first_line(block, kind, deadline_s)
        if found is not None:
            return Hit(position + found, position + found, exhausted=False)
        following = following if done == len(block) else position + done
        looked += following - position
        position = following
    return Hit(None, position, exhausted=position >= size)


def walk_backward(descriptor: int, kind: Kind, start: int, size: int, holes: Holes) -> Hit:
    """As forward, from the end; only lines that begin before `start` count."""
    position, looked, deadline_s = start, 0, monotonic() + LOOK_MAX_S
    while position > 0 and looked < LOOK_MAX_BYTES and monotonic() < deadline_s:
        if hole := holes.at(position - 1):
            position = hole.start
            continue
        target = max(holes.floor(position), position - BLOCK_BYTES)
        first = line_start(descriptor, target, holes)
        # The line that `position` lies in is looked at as a whole, and no further than a line is.
        end = min(position + LINE_MAX_BYTES, holes.ceiling(position - 1, size))
        if position - first > 2 * BLOCK_BYTES:
            # A huge line: what follows it comes first, then its head.
            following = line_end(descriptor, target + 1, size, holes)
            first, end = (following, end) if following < position else (first, first + LINE_MAX_BYTES)
        block = os.pread(descriptor, end - first, first)
        found, done = last_line(block, kind, position - first, deadline_s)
        if found is not None:
            return Hit(first + found, first + found, exhausted=False)
        looked += position - first - done
        position = first + done
    return Hit(None, position, exhausted=position == 0)


def block_from(descriptor: int, position: int, ceiling: int) -> tuple[bytes, int]:
    """Whole lines from a position on, and where the next ones begin; of a huge line its head."""
    block = os.pread(descriptor, min(BLOCK_BYTES, ceiling - position), position)
    end = position + len(block)
    if end >= ceiling or not block:
        return block, ceiling
    cut = block.rfind(b"\n") + 1
    if cut:
        return block[:cut], position + cut
    while end < ceiling:
        more = os.pread(descriptor, min(BLOCK_BYTES, ceiling - end), end)
        at = more.find(b"\n")
        if at >= 0 or not more:
            return block[:LINE_MAX_BYTES], end + at + 1 if at >= 0 else ceiling
        end += len(more)
    return block[:LINE_MAX_BYTES], ceiling


def first_line(block: bytes, kind: Kind, deadline_s: float = math.inf) -> tuple[int | None, int]:
    """Where the first line of a kind begins in whole lines, None when there is none; and where to go on.

    That is the end of the block, or the line that is next when the deadline (of `time.monotonic`) has passed.
    """
    # Each word is looked for again only once the walk has passed it.
    places = {word: place_of(word, block, 0) for word in WORDS[kind]}
    while True:
        at = min(places.values())
        if at == len(block):
            return None, at
        begin, end = line_around(block, at)
        if is_of(block, begin, end, LINES[kind]):
            return begin, begin
        if end < len(block) and monotonic() >= deadline_s:
            return None, end + 1
        for word, place in places.items():
            if place < end:
                places[word] = place_of(word, block, end)


def place_of(word: re.Pattern[bytes], block: bytes, start: int) -> int:
    """Where a word is found next; the length of the block when it is not."""
    found = word.search(block, start)
    return found.start() if found else len(block)


def last_line(block: bytes, kind: Kind, before: int, deadline_s: float = math.inf) -> tuple[int | None, int]:
    """Where the last line of a kind begins that begins before a place, None when there is none; and where to go on.

    That is the start of the block, or the line that was looked at when the deadline passed.
    """
    limit = line_around(block, max(0, before - 1))[1]
    places = sorted(found.start() for word in WORDS[kind] for found in word.finditer(block, 0, limit))
    tried = len(block)
    while places:
        at = places.pop()
        if at >= tried:
            continue
        begin, end = line_around(block, at)
        if is_of(block, begin, end, LINES[kind]):
            return begin, begin
        tried = begin
        if monotonic() >= deadline_s:
            return None, begin
    return None, 0


def line_around(block: bytes, at: int) -> tuple[int, int]:
    """Where the line that holds a place begins, and where it ends without its line feed."""
    end = block.find(b"\n", at)
    return block.rfind(b"\n", 0, at) + 1, len(block) if end < 0 else end


def is_of(block: bytes, begin: int, end: int, pattern: re.Pattern[bytes]) -> bool:
    """Whether a line is of a kind, as a terminal shows it: what a carriage return overwrote does not count."""
    while end > begin and block[end - 1 : end] == b"\r":
        end -= 1
    shown = max(begin, block.rfind(b"\r", begin, end) + 1)
    return pattern.search(block[shown : min(end, shown + LINE_MAX_BYTES)]) is not None
