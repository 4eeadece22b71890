"""Values of a query: numbers, durations, moments."""

from __future__ import annotations

import calendar
import math
import re
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from store.params import NUMBER_PATTERN
from store.query_language.errors import QueryError, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.query_language.tree import Value

NUMBER: Final = re.compile(NUMBER_PATTERN, re.ASCII | re.IGNORECASE)
UNITS_S: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
DURATION: Final = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)[smhdw]", re.ASCII | re.IGNORECASE)
DURATION_HINT: Final = "a duration is expected, such as 90s, 30m, 2h, 1d12h or 3w"
MOMENT: Final = re.compile(
    r"(\d{4})-(\d{2})(?:-(\d{2})(?:[T_ ](\d{2}):(\d{2})(?::(\d{2}))?)?)?", re.ASCII | re.IGNORECASE
)
MOMENT_HINT: Final = "a day or a moment is expected, such as 2026-11-01, 2026-11-01T18:30, 2026-11, today, yesterday"


class Span(NamedTuple):
    """The time that a day, a minute or a second takes, in Unix seconds; `end_s` is not part of it."""

    start_s: float
    end_s: float


def number_of(value: Value) -> float | None:
    """The number that a value is, nan included; None for any other text, and for one in quotes."""
    if value.quoted:
        return None
    if value.text.lower() in ("nan", "+nan", "-nan"):
        return math.nan
    return float(value.text) if NUMBER.fullmatch(value.text) else None


def duration_s_of(value: Value) -> float:
    """`1d12h` in seconds. Raises QueryError."""
    parts = DURATION.findall(value.text)
    if not parts or "".join(parts) != value.text:
        raise QueryError(f"{shown(value.text)} is no duration", value.start, value.end, DURATION_HINT)
    return sum(float(part[:-1]) * UNITS_S[part[-1].lower()] for part in parts)


def span_of(value: Value, now_s: float) -> Span:
    """What a date or a moment takes up, in the time zone of this process. Raises QueryError."""
    wrong = QueryError(f"{shown(value.text)} is no day and no moment", value.start, value.end, MOMENT_HINT)
    word = value.text.lower()
    if word in ("today", "yesterday"):
        local = time.localtime(now_s)
        parts = [local.tm_year, local.tm_mon, local.tm_mday - (word == "yesterday")]
    elif match := MOMENT.fullmatch(value.text):
        parts = [int(part) for part in match.groups() if part is not None]
        limits = (9998, 12, 31, 23, 59, 59)
        lowest = (1970, 1, 1, 0, 0, 0)
        if not all(low <= part <= high for low, part, high in zip(lowest, parts, limits, strict=False)):
            raise wrong
        if len(parts) > 2 and parts[2] > calendar.monthrange(parts[0], parts[1])[1]:
            raise wrong
    else:
        raise wrong
    return Span(_local_s(parts), _local_s([*parts[:-1], parts[-1] + 1]))


def _local_s(parts: Sequence[int]) -> float:
    """Unix seconds of a local time whose last part may be one too high or low; mktime() carries that over."""
    year, month, day, hour, minute, second = (*parts, *(1970, 1, 1, 0, 0, 0)[len(parts) :])
    return time.mktime((year, month, day, hour, minute, second, 0, 0, -1))
