"""How far a run is and how long it still takes, from what its output says. Pure.

What counts is the last total that the output states: `41k/90k`, the bar of tqdm or Keras, `Epoch 3/10`, `fold 2 of 5`.
Of an outer count (epochs, folds) and a bar within, both are used: the second batch of ten in epoch 3 of 4 is 2.2 of 4.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from console.triage import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

TAIL_BYTES: Final = 16384
"""How much of the end of a log is looked at."""
LINES_LOOKED_AT: Final = 200
LINE_CHARACTERS: Final = 400
MEANT_BY: Final = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "m": 1e6}
NUMBER: Final = r"(\d[\d,_]*(?:\.\d+)?)([kKmM]?)"
UNITS: Final = "epochs?|steps?|iter(?:ation)?s?|its?|rounds?|folds?|trials?|batch(?:es)?|updates?|episodes?|samples?"
NAMED: Final = re.compile(
    rf"\b({UNITS})\b\s*+[:=#]?\s*+[\[(]?\s*+{NUMBER}\s*+(?:/|\bof\b)\s*+{NUMBER}(?![\w.]*/)", re.IGNORECASE
)
"""Blanks are taken for good: a line of many would be tried in every way to share them out."""
BAR: Final = re.compile(rf"(?:\d+%\s*\|.*?\|\s*|^\s*|[\[(]\s*|[\s=])({NUMBER}\s*/\s*{NUMBER})(?=[\s\])]|$)")
OUTER: Final = ("epoch", "fold", "round", "trial", "episode")
REASON: Final = "its output states no total"
RECENT_S: Final = 180.0
"""The pace of so long counts as that of late."""
FRACTION_MIN: Final = 0.005
"""Less than this tells nothing about the time that is left."""


class Seen(NamedTuple):
    """A count and where in the output it stands."""

    line: int
    progress: Progress


class Mark(NamedTuple):
    """How far a run was at a moment."""

    at_s: float
    fraction: float


class Left(NamedTuple):
    """How long a run still takes, or None, and how that is known."""

    seconds: float | None
    method: str


def progress_of(tail: bytes) -> Progress | None:
    """The last count with a total in the end of a log; None when there is none."""
    outer: Seen | None = None
    inner: Seen | None = None
    lines = re.split(r"[\r\n]+", tail.decode("utf-8", "replace"))[-LINES_LOOKED_AT:]
    for place in range(len(lines) - 1, -1, -1):
        text = lines[place][-LINE_CHARACTERS:]
        for found in reversed(counts_of(text)):
            if found.unit in OUTER:
                outer = outer or Seen(place, found)
            elif inner is None and outer is None:
                inner = Seen(place, found)
        if outer is not None:
            break
    if outer is None:
        return inner.progress if inner is not None else None
    if inner is None:
        return outer.progress
    return nested(outer.progress, inner.progress)


def counts_of(text: str) -> list[Progress]:
    """Every plausible count of a line, in order."""
    found: list[tuple[int, Progress]] = []
    for match in NAMED.finditer(text):
        unit, done, done_unit, total, total_unit = match.groups()
        made = progress(done, done_unit, total, total_unit, singular(unit))
        if made is not None:
            found.append((match.start(2), made))
    taken = {start for start, _ in found}
    for match in BAR.finditer(text):
        if match.start(1) in taken:
            continue
        _, done, done_unit, total, total_unit = match.groups()
        made = progress(done, done_unit, total, total_unit, "")
        if made is not None:
            found.append((match.start(1), made))
    return [made for _, made in sorted(found, key=lambda each: each[0])]


def progress(done: str, done_unit: str, total: str, total_unit: str, unit: str) -> Progress | None:
    """A count, unless it is none: dates, ratios and what exceeds its total."""
    have, of = number(done, done_unit), number(total, total_unit)
    if of < 2 or have > of or (not unit and of < 5) or math.isinf(of):
        return None
    return Progress(have, of, unit, f"{done}{done_unit}/{total}{total_unit}"[:24])


def number(digits: str, unit: str) -> float:
    """`41k` and `41,000` as a number."""
    return float(digits.replace(",", "").replace("_", "")) * MEANT_BY[unit]


def singular(unit: str) -> str:
    """`Epochs` as `epoch`."""
    word = unit.lower()
    return word.removesuffix("es") if word == "batches" else word.removesuffix("s")


def nested(outer: Progress, inner: Progress) -> Progress:
    """An outer count and the bar that runs within it; outer counts begin at 1 and name the one at work."""
    within = inner.done / inner.total
    done = max(0.0, outer.done - 1) + within if outer.done >= 1 else within
    return outer._replace(done=min(outer.total, done))


def time_left(marks: Sequence[Mark], elapsed_s: float, typical_s: float | None) -> Left:
    """From marks of this run, oldest first, else from how long runs of its kind took."""
    if marks:
        last = marks[-1]
        recent = [mark for mark in marks if last.at_s - mark.at_s <= RECENT_S]
        first = recent[0]
        moved, took_s = last.fraction - first.fraction, last.at_s - first.at_s
        if moved >= FRACTION_MIN and took_s >= 10:
            return Left((1 - last.fraction) * took_s / moved, "at its pace of the last minutes")
        if last.fraction >= FRACTION_MIN and elapsed_s > 0:
            return Left((1 - last.fraction) * elapsed_s / last.fraction, "at its average pace")
    if typical_s is not None:
        if elapsed_s > typical_s:
            return Left(None, f"n/a: it takes longer than the {math.ceil(typical_s)} s of runs of its name")
        return Left(typical_s - elapsed_s, "by the median time of the last finished runs of its name")
    return Left(None, "n/a: it states no total, and no run of its name has finished yet")
