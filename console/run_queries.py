"""Queries over runs as clients see them: what is wrong with one and where, and what may come next."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from console.protocol import pick

if TYPE_CHECKING:
    from console.client import Client, DaemonRefused

TEXT_MAX_CHARACTERS: Final = 4000
"""The daemon takes no more; a client need not send it first."""
PLAIN: Final = re.compile(r"(?!(?:and|or|not|pinned|archived|r\d+)$)[\w./+-]+", re.IGNORECASE)
"""A text that is one word of a query, and nothing but a word."""
SHOWN_BEFORE: Final = 60
"""Characters of a long query that are shown before a fault."""


class Fault(NamedTuple):
    """What is wrong with a query; columns count characters from 0, `column_end` is the first behind it."""

    message: str
    hint: str
    column_start: int
    column_end: int
    of: Literal["text", "sort"]
    """The query, or the field to sort by."""


class Completion(NamedTuple):
    """Something that may be typed next."""

    text: str
    kind: str
    """fact, metric, param, form, operator, word or value."""
    run_count: int | None
    """Runs that have it; None where that is not counted."""
    words: str


class Completions(NamedTuple):
    """What may stand from column `start` to `end` of a query, the likeliest first."""

    start: int
    end: int
    items: tuple[Completion, ...]


def complete(client: Client, text: str, at: int) -> Completions:
    """What may come at column `at` of a query. Raises ClientError."""
    found = client.get("/query/complete", {"text": text, "at": at})
    return pick(Completions, found, items=tuple(pick(Completion, each) for each in found["items"]))


def as_word(text: str) -> str:
    """A query that looks for a text: the text itself, in quotes where it would mean something else."""
    if PLAIN.fullmatch(text):
        return text
    # Backslashes are themselves unless a quote follows, the one at the end as well.
    inner = re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ('\\"' if found[2] else ""), text)
    return f'"{inner}"'


def fault_of(error: DaemonRefused) -> Fault | None:
    """The fault that a refusal tells of; None when it is about something else."""
    return pick(Fault, error.facts) if "column_start" in error.facts else None


def too_long(text: str) -> Fault | None:
    """The fault of a query that is longer than the daemon takes."""
    if len(text) <= TEXT_MAX_CHARACTERS:
        return None
    words = f"the query has {len(text):,} characters; at most {TEXT_MAX_CHARACTERS:,} are taken"
    return Fault(words, "", TEXT_MAX_CHARACTERS, TEXT_MAX_CHARACTERS + 1, "text")


def caret_lines(text: str, fault: Fault, width: int) -> tuple[str, str]:
    """The query around a fault, and a line of carets to go under it; `text` has one cell a character."""
    first = max(0, min(fault.column_start, len(text)) - min(SHOWN_BEFORE, width // 2))
    shown = text[first : first + width]
    start = fault.column_start - first
    return shown, " " * start + "^" * max(1, min(fault.column_end - fault.column_start, width - start))
