"""What is wrong with a query, and where."""

from __future__ import annotations

from typing import Literal


class QueryError(ValueError):
    """A query that cannot be answered; columns count characters from 0, `column_end` is the first behind the fault.

    `hint` is what to do about it, or empty.
    """

    def __init__(self, message: str, column_start: int, column_end: int, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.column_start = column_start
        self.column_end = max(column_end, column_start + 1)
        self.hint = hint
        self.of: Literal["text", "sort"] = "text"
        """What is wrong: the query, or the field to sort by."""


SHOWN_CHARACTERS = 40


def shown(text: str) -> str:
    """A piece of a query in a message: in backquotes, cut where it is long."""
    cut = text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
    return f"`{cut}`"
