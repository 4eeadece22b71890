"""Python tracebacks in the end of a log: the one that ended the program, and what it came from.

Standard library only: the supervisor uses it.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

HEADER: Final = re.compile(r"Traceback \(most recent call last\)")
GROUP_HEADER: Final = "+ Exception Group Traceback"
EXCEPTION_LINE: Final = re.compile(r"(?P<name>[A-Za-z_][\w.]*)(?::(?:\s(?P<message>.*))?)?")
HEADLESS: Final = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Warning)(?::\s.*)?")
FRAME: Final = re.compile(r'\s+File ".*", line \d+')
ESCAPES: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
CHAIN_LINKS: Final = {
    "The above exception was the direct cause of the following exception:": "caused by",
    "During handling of the above exception, another exception occurred:": "while handling",
}
"""What Python prints between two chained tracebacks (docs.python.org, library/traceback)."""
HARMLESS: Final = ("Exception ignored in", "Exception ignored while", "--- Logging error ---", "Error in atexit")
"""A line before a traceback after which the interpreter goes on."""
REPORTS_ANOTHER: Final = re.compile(
    r"ChildFailedError|CalledProcessError|ProcessRaisedException|ProcessExitedException|DistBackendError"
    r"|NCCL|Connection (?:reset|closed) by peer|DataLoader worker \(pid"
)
"""Exceptions of launchers and of other ranks: where an earlier traceback is near, that one is the reason."""
NEAR_LINES: Final = 200
LINE_MAX_CHARACTERS: Final = 500
TEXT_MAX_LINES: Final = 60
MESSAGE_MAX_LINES: Final = 10


class Raised(NamedTuple):
    """An exception that was printed with its traceback."""

    line: str
    """Class and message as printed, such as `ValueError: bad`; at most 500 characters."""
    origin: str
    """How it came from another one, such as `caused by KeyError: 'x'`; empty when it did not."""
    chain: tuple[str, ...]
    """The lines of all exceptions of its chain, `line` last, with the further lines of the last message."""
    text: str
    """The traceback with its chain, at most 60 lines, its middle left out where it is longer."""
    lines_after: int
    """Lines that were printed after it, without blank and indented ones."""

    @property
    def name(self) -> str:
        """The class, as printed."""
        found = EXCEPTION_LINE.match(self.line)
        return found["name"] if found else self.line


class Found(NamedTuple):
    """Where one traceback stands among the lines."""

    header: int
    end: int
    """Index of the line with class and message."""
    line: str


def last_raised(log_tail: str) -> Raised | None:
    """The exception whose traceback is the last one that can have ended the program; None without any."""
    lines = plain_lines(log_tail)
    headers = [index for index, text in enumerate(lines) if HEADER.search(text)]
    everything = [each for each in (traceback_at(lines, index) for index in headers) if each is not None]
    found = [each for each in everything if not is_harmless(lines, each.header)]
    headless = without_header(lines, everything[-1].end if everything else -1)
    if headless is not None:
        found.append(headless)
    if not found:
        return None
    chosen = found[-1]
    if REPORTS_ANOTHER.search(chosen.line):
        for earlier in reversed(found[:-1]):
            if chosen.header - earlier.end > NEAR_LINES:
                break
            if not REPORTS_ANOTHER.search(earlier.line):
                chosen = earlier
                break
    return raised(lines, found, chosen)


def raised(lines: list[str], found: list[Found], chosen: Found) -> Raised:
    """What is said about the chosen traceback and those that it is chained to."""
    first, chain, origin = chosen, [chosen.line], ""
    for earlier in reversed(found[: found.index(chosen)]):
        between = [text.strip() for text in lines[earlier.end + 1 : first.header] if text.strip()]
        link = next((word for text in between for words, word in CHAIN_LINKS.items() if text.endswith(words)), "")
        if not link:
            break
        origin = origin or f"{link} {earlier.line}"
        chain.insert(0, earlier.line)
        first = earlier
    end = chosen.end + 1
    while end < len(lines) and end - chosen.end <= MESSAGE_MAX_LINES and lines[end][:1] in (" ", "\t"):
        end += 1
    text = lines[first.header : end]
    if len(text) > TEXT_MAX_LINES:
        half = TEXT_MAX_LINES // 2
        text = [*text[:half], f"  … {len(text) - 2 * half} lines left out …", *text[-half:]]
    after = sum(bool(each.strip()) and not each[:1].isspace() for each in lines[end:])
    chain += [each.strip()[:LINE_MAX_CHARACTERS] for each in lines[chosen.end + 1 : end]]
    return Raised(chosen.line, origin, tuple(chain), "\n".join(each.rstrip() for each in text).strip("\n"), after)


def traceback_at(lines: list[str], header: int) -> Found | None:
    """The traceback whose header is at this index; None where no class and message follow.

    Launchers put a tag before each line (`[rank0]: `); lines of others in between are passed over. Of an exception
    group the outermost header counts, and of a framed one (package rich) what follows the frame.
    """
    before, matched, _ = lines[header].partition("Traceback (most recent call last)")
    if before.endswith("+ Exception Group "):
        before = before.removesuffix("+ Exception Group ") + "| "
    elif re.fullmatch(r"\s+\| ", before):
        return None  # one of a group: the group's own header speaks for it
    tag = before if matched and any(each.startswith(before) for each in lines[header + 1 : header + 4]) else ""
    framed = "─" in before or "╭" in before
    for index in range(header + 1, len(lines)):
        text = lines[index]
        if tag and not text.startswith(tag):
            continue
        text = text.removeprefix(tag)
        if framed and not text.startswith("╰"):
            continue
        if framed:
            framed = False
            continue
        if text[:1] in ("", " ", "\t"):
            continue
        if HEADER.search(text):
            return None
        if EXCEPTION_LINE.fullmatch(text.rstrip()):
            return Found(header, index, text.strip()[:LINE_MAX_CHARACTERS])
    return None


def without_header(lines: list[str], after: int) -> Found | None:
    """An exception without a header: a SyntaxError of the script itself, or one whose header is too far back."""
    for index in range(len(lines) - 1, after, -1):
        if HEADLESS.fullmatch(lines[index].rstrip()) and lines[index - 1][:1].isspace():
            start = max(after + 1, index - 6)
            if any(FRAME.match(each) for each in lines[start:index]):
                first = next(at for at in range(start, index) if FRAME.match(lines[at]))
                return Found(first, index, lines[index].strip()[:LINE_MAX_CHARACTERS])
    return None


def is_harmless(lines: list[str], header: int) -> bool:
    """Whether the traceback at this index is of a kind that the interpreter prints and survives."""
    return any(word in text for text in lines[max(0, header - 1) : header] for word in HARMLESS)


def closing_lines(log_tail: str, count: int) -> list[str]:
    """The last lines that are not blank, at most 500 characters each, escape sequences taken out."""
    lines = [each.strip()[:LINE_MAX_CHARACTERS] for each in plain_lines(log_tail)]
    return [each for each in lines if each][-count:]


def plain_lines(text: str) -> list[str]:
    """Lines as a terminal would leave them: without escape sequences and without what a carriage return overwrote."""
    return [each.rstrip("\r").rpartition("\r")[2] for each in ESCAPES.sub("", text).split("\n")]
