"""Points on their way into the index: gathered as plain lists, handed over as Polars frames.

A run's points come in parts, in the order of arrival: rows (lines read one by one, points of the log) and pieces (one
metric of a block of plain lines). Only the order within a metric counts, so pieces are laid out metric by metric.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import compress, groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from store.folds import Stretch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import polars as pl

    from store.folds import KeyState
    from store.readers.metric_columns import Block, Column

FILE_SOURCE: Final = 0
"""Points that the run wrote to its metrics file."""
LOG_SOURCE: Final = 1
"""Points read from the run's output; where the file has the same key, they are left out."""
HAND_SOURCE: Final = 2
"""Points that a person added; where the run itself has the same key, they are left out."""
FOREIGN_SOURCE: Final = 3
"""Points that another tracker wrote down."""
EPOCH: Final = "epoch"
"""The key that tells a step that restarts in each epoch from one that restarts in each fold."""


@dataclass(slots=True)
class Rows:
    """Points as they came; lists of the same length."""

    keys: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    times_us: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)
    epochs: list[float | None] = field(default_factory=list)
    """What the line named beside the step."""
    folds: list[int] = field(default_factory=list)
    """Empty until they are numbered."""
    run_nos: list[int] = field(default_factory=list)
    """Empty until the rows of several runs are put together."""

    def number_folds(self, states: Sequence[KeyState]) -> None:
        """Say of every point which fold it is in, given the state of each key."""
        points = zip(self.keys, self.steps, self.epochs, self.attempts, strict=True)
        self.folds = [states[key].take(step, epoch, attempt) for key, step, epoch, attempt in points]

    def extend(self, rows: Rows, run_no: int, key_ids: Sequence[int]) -> None:
        """Append the rows of a run, whose keys are indexes of `key_ids`."""
        self.keys += map(key_ids.__getitem__, rows.keys)
        self.steps += rows.steps
        self.times_us += rows.times_us
        self.values += rows.values
        self.sources += rows.sources
        self.attempts += rows.attempts
        self.folds += rows.folds
        self.run_nos += [run_no] * len(rows.keys)

    def frame(self) -> pl.DataFrame:
        """The rows with the columns of the table `metric`."""
        import polars as pl

        return pl.DataFrame(
            [
                pl.Series("run_no", self.run_nos, pl.Int32),
                pl.Series("key_id", self.keys, pl.Int32),
                pl.Series("step", self.steps, pl.Int64),
                pl.Series("at_us", self.times_us, pl.Int64),
                pl.Series("value", self.values, pl.Float64),
                pl.Series("source", self.sources, pl.Int8),
                pl.Series("attempt", self.attempts, pl.Int16),
                pl.Series("fold", self.folds, pl.Int16),
            ]
        )


class Piece(NamedTuple):
    """One metric of one block of lines of the metrics file."""

    steps: pl.Series
    times_us: pl.Series | int
    """One time for all, or one for each."""
    values: pl.Series
    attempt: int
    stretch: Stretch
    folds: Sequence[tuple[int, int]] = ()
    """Each with how many points follow each other in it; empty until they are numbered."""


Pieces = defaultdict[int, list[Piece]]
"""By the number of the key."""


class Points:
    """What one run has to say, in the order of its arrival."""

    def __init__(self) -> None:
        self.keys: dict[str, int] = {}
        """The number that each key has here."""
        self.count = 0
        self.parts: list[Rows | Pieces] = []

    def add(self, step: int, at_us: int, values: Mapping[str, float], source: int, attempt: int) -> None:
        """The points of one step."""
        count = len(values)
        last = self.parts[-1] if self.parts else None
        if not isinstance(last, Rows):
            last = Rows()
            self.parts.append(last)
        last.keys += self._numbers(values)
        last.values += values.values()
        last.steps += [step] * count
        last.times_us += [at_us] * count
        last.sources += [source] * count
        last.attempts += [attempt] * count
        last.epochs += [values.get(EPOCH)] * count
        self.count += count

    def add_block(self, block: Block, seen_at_us: int, attempt: int) -> None:
        """The points of many lines of the metrics file; `seen_at_us` is the time of those that name none."""
        if not block.columns:
            return
        import polars as pl

        last = self.parts[-1] if self.parts else None
        if not isinstance(last, dict):
            last = defaultdict(list)
            self.parts.append(last)
        made: dict[int, pl.Series] = {}
        falls: dict[int, list[int]] = {}

        def series(whole: Sequence[int]) -> pl.Series:
            """One for all columns that share the list."""
            if id(whole) not in made:
                made[id(whole)] = pl.Series(whole, dtype=pl.Int64)
            return made[id(whole)]

        def stretch(column: Column) -> Stretch:
            """One look for steps that fall serves all columns that share the list."""
            steps = column.steps
            if id(steps) not in falls:
                falls[id(steps)] = [] if isinstance(steps, range) else falls_of(series(steps))
            return Stretch(len(steps), steps[0], steps[-1], falls[id(steps)], steps, column.epochs)

        for column in block.columns:
            times_us = seen_at_us if column.times_us is None else series(column.times_us)
            values = pl.Series(column.values, dtype=pl.Float64)
            piece = Piece(series(column.steps), times_us, values, attempt, stretch(column))
            last[self._number(column.key)].append(piece)
            self.count += len(column.values)

    def keys_by_source(self) -> tuple[set[int], set[int]]:
        """Numbers of the keys that come from the metrics file, and of those that come from the log."""
        found: tuple[set[int], set[int]] = set(), set()
        for part in self.parts:
            if isinstance(part, Rows):
                for key, source in set(zip(part.keys, part.sources, strict=True)):
                    found[source].add(key)
            else:
                found[FILE_SOURCE].update(part)
        return found

    def leave_out_log(self, keys: set[int]) -> None:
        """Drop what the log says of these keys."""
        for part in self.parts:
            if isinstance(part, Rows) and LOG_SOURCE in part.sources:
                kept = [s == FILE_SOURCE or k not in keys for k, s in zip(part.keys, part.sources, strict=True)]
                for name in ("keys", "steps", "times_us", "values", "sources", "attempts", "epochs"):
                    setattr(part, name, list(compress(getattr(part, name), kept)))

    def all_in_one_fold(self) -> None:
        """Say of every point that it is in the first fold."""
        for part in self.parts:
            if isinstance(part, Rows):
                part.folds = [1] * len(part.keys)
            else:
                for pieces in part.values():
                    pieces[:] = [piece._replace(folds=((1, len(piece.values)),)) for piece in pieces]

    def number_folds(self, states: Sequence[KeyState]) -> None:
        """Say of every point which fold it is in, given the state of each key; the states are brought up to date."""
        for part in self.parts:
            if isinstance(part, Rows):
                part.number_folds(states)
            else:
                for key, pieces in part.items():
                    state = states[key]
                    pieces[:] = [
                        piece._replace(folds=state.take_stretch(piece.stretch, piece.attempt)) for piece in pieces
                    ]

    def _number(self, key: str) -> int:
        return self.keys.setdefault(key, len(self.keys))

    def _numbers(self, keys: Iterable[str]) -> list[int]:
        known = self.keys
        try:
            return [known[key] for key in keys]
        except KeyError:
            return [known.setdefault(key, len(known)) for key in keys]


def frames(runs: Iterable[tuple[int, Points, Sequence[int]]]) -> Iterator[pl.DataFrame]:
    """The points of runs, given by number, points and the id of each numbered key, with the columns of `metric`.

    Small runs share a frame: a frame costs as much as a thousand points.
    """
    rows = Rows()
    for run_no, points, key_ids in runs:
        for part in points.parts:
            if isinstance(part, Rows):
                rows.extend(part, run_no, key_ids)
                continue
            if rows.keys:
                # What came before in this run has to stay before.
                yield rows.frame()
                rows = Rows()
            yield _frame_of_pieces(part, run_no, key_ids)
    if rows.keys:
        yield rows.frame()


def _frame_of_pieces(pieces: Pieces, run_no: int, key_ids: Sequence[int]) -> pl.DataFrame:
    import polars as pl

    ordered = [piece for of_key in pieces.values() for piece in of_key]
    keys = [(key_ids[key], sum(len(piece.values) for piece in of_key)) for key, of_key in pieces.items()]
    times_us: list[pl.Series] = []
    for at_us, part in groupby(ordered, key=lambda piece: piece.times_us if isinstance(piece.times_us, int) else None):
        if at_us is None:
            times_us += [piece.times_us for piece in part if not isinstance(piece.times_us, int)]
        else:
            times_us.append(_repeated([(at_us, sum(len(piece.values) for piece in part))], pl.Int64))
    count = sum(length for _, length in keys)
    return pl.DataFrame(
        [
            _repeated([(run_no, count)], pl.Int32).alias("run_no"),
            _repeated(keys, pl.Int32).alias("key_id"),
            pl.concat([piece.steps for piece in ordered]).alias("step"),
            pl.concat(times_us).alias("at_us"),
            pl.concat([piece.values for piece in ordered]).alias("value"),
            _repeated([(FILE_SOURCE, count)], pl.Int8).alias("source"),
            _repeated([(piece.attempt, len(piece.values)) for piece in ordered], pl.Int16).alias("attempt"),
            _repeated([run for piece in ordered for run in piece.folds], pl.Int16).alias("fold"),
        ]
    )


def falls_of(steps: pl.Series) -> list[int]:
    """Positions whose step is lower than the one before."""
    falling = steps.slice(1) < steps.slice(0, len(steps) - 1)
    return [position + 1 for position in falling.arg_true()] if falling.any() else []


def _repeated(values: Iterable[tuple[int, int]], dtype: type[pl.DataType]) -> pl.Series:
    """Numbers, each as often as is said beside it; without pl.repeat, whose lazy query takes a millisecond."""
    import polars as pl

    merged = [(value, sum(count for _, count in part)) for value, part in groupby(values, key=itemgetter(0))]
    return pl.concat([pl.Series([value], dtype=dtype).new_from_index(0, count) for value, count in merged])
