"""Many lines of a metrics file at once, when they are as plain as nearly all lines are.

The fast way and the way line by line (`metric_lines.parse_metric_line`) decode with the same parser and give the same
points; whatever is not plain in any line of a block (a text, a null, a nested object, a step that is missing here and
there, a line that is no JSON) sends the whole block to the careful way. So nothing is decided here but speed.
"""

from __future__ import annotations

import contextlib
from itertools import compress
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from store.readers.metric_lines import EARLIEST_S, LATEST_S, MAX_KEY_CHARS, MAX_VALUES, STEP_KEYS, TIME_KEYS

if TYPE_CHECKING:
    from collections.abc import Sequence

LINES_MIN: Final = 32
"""Below this the way line by line is as fast."""
STEP_MAX: Final = 2**63 - 1
_NUMBERS: Final = frozenset((int, float))
CELLS_PER_ENTRY_MAX: Final = 4
"""Lines whose keys are mostly not each other's (a key per user, per file) make a table of holes: line by line then."""
_ABSENT: Final = object()


class Column(NamedTuple):
    """One metric over the lines that hold it, in their order."""

    key: str
    steps: Sequence[int]
    """The same object for all columns without holes."""
    times_us: Sequence[int] | None
    """None when no line names a time."""
    values: list[float]
    epochs: Sequence[float | None] | None = None
    """What the lines name beside a step of another key; None when none of them does."""


class Block(NamedTuple):
    """The points of some lines, and the step of the next line that names none."""

    columns: list[Column]
    next_step: int


class NotPlainError(ValueError):
    """These lines have to be read one by one."""


def read_columns(lines: list[bytes], next_step: int) -> Block:
    """All points of the lines. Raises NotPlainError when they have to be read one by one."""
    if len(lines) < LINES_MIN:
        raise NotPlainError("too few lines to be worth it")
    try:
        records: list[Any] = list(map(orjson.loads, lines))
    except orjson.JSONDecodeError as error:
        raise NotPlainError("a line that orjson refuses") from error
    if set(map(type, records)) != {dict}:
        raise NotPlainError("a line that holds no object")
    table = _table(records)
    if not all(0 < len(key) <= MAX_KEY_CHARS for key in table):
        raise NotPlainError("an empty or a long key")
    steps = _take_steps(table, len(lines), next_step)
    times_us = _take_times_us(table)
    epochs = _epochs(table)
    return Block([_column(*entry, steps, times_us, epochs) for entry in table.items()], min(steps[-1] + 1, STEP_MAX))


def _table(records: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """The cells of every key, one for each line; _ABSENT where a line has no such key."""
    first = records[0]
    if len(first) > MAX_VALUES:
        raise NotPlainError("too many entries")
    if set(map(len, records)) == {len(first)}:
        # As many entries and every one of these keys: the same keys. Far cheaper than comparing keys.
        with contextlib.suppress(KeyError):
            return {key: list(map(itemgetter(key), records)) for key in first}
    keys: dict[str, None] = {}
    for record in records:
        if not record.keys() <= keys.keys():
            keys.update(dict.fromkeys(record))
    if len(keys) > MAX_VALUES or len(keys) * len(records) > CELLS_PER_ENTRY_MAX * sum(map(len, records)):
        raise NotPlainError("too many different keys")
    return {key: [record.get(key, _ABSENT) for record in records] for key in keys}


def _take_steps(table: dict[str, list[Any]], count: int, next_step: int) -> Sequence[int]:
    """Remove the step keys and return the step of every line, where each has one of the same key or none has any."""
    named = [key for key in STEP_KEYS if key in table]
    if not named:
        if next_step + count > STEP_MAX:
            raise NotPlainError("steps beyond 64 bits")
        return range(next_step, next_step + count)
    steps = table.pop(named[0])
    if set(map(type, steps)) != {int} or min(steps) < -STEP_MAX - 1 or max(steps) > STEP_MAX:
        raise NotPlainError("a step that is no 64-bit integer")
    for key in named[1:]:
        if key != "epoch":
            del table[key]
    return steps


def _take_times_us(table: dict[str, list[Any]]) -> list[int] | None:
    """Remove the time key and return the time of every line; None when no line has any."""
    named = [key for key in TIME_KEYS if key in table]
    if not named:
        return None
    times = table.pop(named[0])
    if len(named) > 1 or not _NUMBERS.issuperset(map(type, times)):
        raise NotPlainError("times of two kinds, or none in some lines")
    if min(times) < EARLIEST_S or max(times) > LATEST_S:
        raise NotPlainError("a time that is none")
    return [int(float(time_s) * 1e6) for time_s in times]


def _epochs(table: dict[str, list[Any]]) -> list[float | None] | None:
    """The epoch of every line, None for one without; None for all when no line has any."""
    if "epoch" not in table:
        return None
    # As floats, as the way line by line compares them; what is no number sends the block there anyway.
    return [float(cell) if type(cell) in _NUMBERS else None for cell in table["epoch"]]


def _column(
    key: str,
    cells: list[Any],
    steps: Sequence[int],
    times_us: list[int] | None,
    epochs: list[float | None] | None,
) -> Column:
    kinds = set(map(type, cells))
    if object in kinds:
        present = [cell is not _ABSENT for cell in cells]
        cells, steps = list(compress(cells, present)), list(compress(steps, present))
        times_us = list(compress(times_us, present)) if times_us is not None else None
        epochs = list(compress(epochs, present)) if epochs is not None else None
        kinds.discard(object)
    if not kinds <= _NUMBERS:
        raise NotPlainError("a value that is no number")
    return Column(key, steps, times_us, list(map(float, cells)) if int in kinds else cells, epochs)
