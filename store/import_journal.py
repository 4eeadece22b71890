"""The journal of an import, `imports/<id>/runs.jsonl`: what trackers said of their runs, in the order it was taken in.

The files of a tracker may be gone tomorrow; from this journal the index is built anew to the same runs, numbers, values
and times, without reading a foreign file again. Its records (journal lines):

    {"kind": "header", "format": 1, "import": id}
    {"kind": "run", "id": ULID, "no": n, "place": path, "project": p, "state": s, "cause": c, "facts": {...}}
                                                               replaces what was said of the run
    {"kind": "state", "id": ULID, "state": s, "cause": c}      time has passed, its files have not changed
    {"kind": "points", "id": ULID, "no": n, "from_start": b, "columns": {key: [steps, times, values]}}
    {"kind": "joined", "id": ULID, "of": id, "no": n, "place": path, "key": k, "tracker": t, "path": p, "facts": {...}}
                                                               it is run n of our own, seen by a tracker
    {"kind": "twin", "id": ULID, "of": id, "place": path, "key": k, "tracker": t, "path": p}
                                                               it is another imported run, seen by a weaker tracker
    {"kind": "forgotten", "id": ULID, "place": path, "key": k}                         a person deleted it
"""

from __future__ import annotations

import math
import os
from dataclasses import fields
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from store import journal, journal_json
from store.readers.foreign import Artifact, Column, ForeignRun, MetricFinal

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT: Final = 1
STRETCH_BYTES: Final = 8 << 20
_NOT_FACTS: Final = ("points", "from_start")
_FACTS: Final = tuple(each.name for each in fields(ForeignRun) if each.name not in _NOT_FACTS)
_FACTS_SET: Final = frozenset(_FACTS)
_values_of: Final = attrgetter(*_FACTS)
_LAST: Final = itemgetter(MetricFinal._fields.index("last"))
Facts: TypeAlias = dict[str, Any]
"""A run without its points, by the fields of `ForeignRun`. A metric is `[last, step, at_us, minimum, maximum, count]`;
a last value that is not finite is a text that float() reads."""


class Points(NamedTuple):
    """New points of a run, as JSON carries them."""

    columns: dict[str, Any]
    """Steps, times and values by key."""
    from_start: bool
    """They are all there are."""


def folder_of(home: str, import_id: str) -> str:
    """Where what is known of an import lies."""
    return os.path.join(home, "imports", import_id)


def import_ids(home: str) -> list[str]:
    """Every import that there is something of, oldest first."""
    folder = os.path.join(home, "imports")
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def path_of(home: str, import_id: str) -> str:
    """Its journal."""
    return os.path.join(folder_of(home, import_id), "runs.jsonl")


def facts_of(run: ForeignRun) -> dict[str, Any]:
    """A run without its points, as JSON can carry it."""
    facts = dict(zip(_FACTS, _values_of(run), strict=True))
    finals = run.metrics.values()
    # The sum of numbers of which one is not finite is not finite.
    plain = math.isfinite(sum(map(_LAST, finals)))
    facts["metrics"] = dict(zip(run.metrics, map(list if plain else encoded, finals), strict=True))
    facts["artifacts"] = [list(each) for each in run.artifacts]
    return facts


def checked_facts(facts: dict[str, Any]) -> Facts:
    """What `facts_of` wrote down, as it is. Raises TypeError, ValueError, KeyError for anything else.

    Thousands of runs come in at once, so they are not made objects of on their way to the index.
    """
    if not facts.keys() >= _FACTS_SET:
        return facts_of(run_of(facts))  # of a version that knew fewer
    for name in ("key", "tracker", "path", "signature", "said"):
        if not isinstance(facts[name], str):
            raise TypeError(f"{name} is {facts[name]!r}, not a text")
    return facts


def run_of(facts: dict[str, Any]) -> ForeignRun:
    """The run that `facts_of` wrote down. Raises TypeError, ValueError, KeyError for anything else."""
    known = {name: facts[name] for name in _FACTS if name in facts}
    known["metrics"] = {key: decoded(final) for key, final in facts["metrics"].items()}
    known["artifacts"] = [Artifact(str(path), int(size), str(kind)) for path, size, kind in facts["artifacts"]]
    return ForeignRun(**known)


def encoded(final: MetricFinal) -> list[Any]:
    """Numbers as JSON can carry them."""
    return [number(final[0]), *final[1:]]


def decoded(final: list[Any]) -> MetricFinal:
    """The inverse of `encoded`."""
    last, *rest = final
    return MetricFinal(float(last), *rest)


def number(value: float) -> float | str:
    """What is not finite as a text that float() reads."""
    return value if math.isfinite(value) else str(value)


def columns_of(points: dict[str, Column]) -> dict[str, Any]:
    """Points as JSON can carry them."""
    return {key: [each.steps, each.at_us, list(map(number, each.values))] for key, each in points.items()}


def points_of(columns: dict[str, Any]) -> dict[str, Column]:
    """The inverse of `columns_of`. Raises TypeError, ValueError."""
    return {key: Column(steps, at_us, list(map(float, values))) for key, (steps, at_us, values) in columns.items()}


def stored(name: str) -> str:
    """A path or key as UTF-8 can carry it, whatever its bytes are; `restored` is the inverse."""
    return name if name.isascii() else os.fsencode(name).decode("latin-1")


def restored(text: str) -> str:
    """The path or key that `stored` was given."""
    return text if text.isascii() else os.fsdecode(text.encode("latin-1"))


def records(path: str, start: int) -> Iterator[tuple[dict[str, Any] | None, int]]:
    """Each record from byte `start` on with the offset after it; None for a line that is damaged."""
    while True:
        lines, end = journal.read_from(path, start, STRETCH_BYTES)
        if end == start:
            return
        for line in lines:
            start += len(line) + 1
            yield decode(line), start


def decode(line: bytes) -> dict[str, Any] | None:
    """The record of a journal line; None for a line that is torn or not ours."""
    record = journal_json.decoded(line)
    return record if isinstance(record, dict) and isinstance(record.get("kind"), str) else None


def as_dict(run: ForeignRun) -> dict[str, Any]:
    """Everything of a run, for a pipe."""
    return facts_of(run) | {"points": columns_of(run.points), "from_start": run.from_start}


def points_in(record: dict[str, Any]) -> Points:
    """Take the points out of what `as_dict` made; facts remain. Raises TypeError, KeyError for anything else."""
    points = Points(record.pop("points"), bool(record.pop("from_start")))
    if not isinstance(points.columns, dict):
        raise TypeError("points are in columns by key")
    return points
