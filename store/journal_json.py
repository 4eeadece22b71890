"""The JSON in lines of a journal, fast; `journal` itself is for the standard library alone."""

from __future__ import annotations

from typing import Any

import orjson

from store import journal


def decoded(line: bytes) -> Any:
    """What a journal line holds; None for one that is torn or not ours."""
    body = journal.checked_body(line)
    if body is None:
        return None
    try:
        return orjson.loads(body)
    except ValueError:
        return None


def encoded(record: Any) -> bytes:
    """The line of a record in which every number is finite: others would be null."""
    try:
        return journal.line_of(orjson.dumps(record))
    except TypeError:
        return journal.encode_line(record)  # integers beyond 64 bits, texts that UTF-8 cannot carry
