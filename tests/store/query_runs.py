"""Runs for tests of the query language, and what a query says of them, worked out in plain Python."""

from __future__ import annotations

import json
import math
import operator
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from store.ingest import Index
from store.query_language.tree import And, Comparison, Flag, Has, Node, Not, Or, RunNumber, Word
from store.query_language.values import duration_s_of, number_of
from tests.store.samples import new_index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from store.database import Cursor

NOW_S: Final = 1_790_000_000.0
COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    ":": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
NUMBER: Final = re.compile(r"\s*[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?)\s*", re.IGNORECASE | re.ASCII)


@dataclass
class SampleRun:
    """A run as far as queries look at it; a metric is its last, lowest and highest value."""

    no: int
    name: str = "train.py"
    project: str = "demo"
    state: str = "finished"
    job: str = ""
    cause: str = ""
    exit_code: int | None = 0
    started_at_s: float | None = NOW_S - 3600.0
    ended_at_s: float | None = NOW_S - 1800.0
    pinned: bool = False
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, tuple[float, float | None, float | None]] = field(default_factory=dict)
    tags: Sequence[str] = ()
    notes: Sequence[str] = ()
    primary: str = ""

    @property
    def id(self) -> str:
        """A ULID that depends on nothing but the number."""
        return f"01K7{self.no:022d}"

    @property
    def search_text(self) -> str:
        """What a word is looked for in."""
        return " ".join([f"r{self.no}", self.name, *(f"{key}={text}" for key, text in self.params.items())]).lower()


def put_runs(cursor: Cursor, runs: Sequence[SampleRun]) -> None:
    """Into an index, as if they had been brought in."""
    index = Index(cursor)
    keys = dict.fromkeys(key for run in runs for key in run.metrics)
    ids = dict(zip(keys, index.ids_of(keys), strict=True))
    rows: list[dict[str, Any]] = [
        {
            "id": run.id,
            "no": run.no,
            "name": run.name,
            "project": run.project,
            "state": run.state,
            "job": run.job,
            "cause": run.cause,
            "exit_code": run.exit_code,
            "started_at_s": run.started_at_s,
            "ended_at_s": run.ended_at_s,
            "created_at_s": NOW_S - 7200.0,
            "pinned": run.pinned,
            "params": run.params,
            "command": "python train.py",
            "argv": [],
            "working_dir": "/",
            "host": "gpu-03",
            "search_text": run.search_text,
            "primary_key_id": ids[run.primary] if run.primary else None,
            "primary_goal": "maximize" if run.primary else "",
        }
        for run in runs
    ]
    index.add_runs(rows)
    for run in runs:
        for key, (last, low, high) in run.metrics.items():
            cursor.execute(
                "insert into metric_latest (run_no, key_id, step, at_us, value, minimum, maximum, point_count, source)"
                " values (?, ?, 9, 0, ?, ?, ?, 10, 0)",
                [run.no, ids[key], last, low, high],
            )
        for tag in run.tags:
            cursor.execute("insert into tag values (?, ?, 0, 'ana')", [run.id, tag])
        for place, note in enumerate(run.notes):
            cursor.execute("insert into note values (?, ?, 0, 'ana', ?)", [f"{run.id}{place}", run.id, note])


@contextmanager
def index_of(folder: Path, runs: Sequence[SampleRun]) -> Iterator[Cursor]:
    """A cursor of a new index with these runs."""
    with new_index(folder) as cursor:
        put_runs(cursor, runs)
        yield cursor


def holds(node: Node | None, run: SampleRun, runs: Sequence[SampleRun]) -> bool:
    """Whether a run fits, by the words of docs/query.md."""
    match node:
        case None:
            return True
        case And(parts):
            return all(holds(part, run, runs) for part in parts)
        case Or(parts):
            return any(holds(part, run, runs) for part in parts)
        case Not(part):
            return not holds(part, run, runs)
        case Word(text):
            places = [run.search_text, *(f"tag:{tag}".lower() for tag in run.tags), *map(str.lower, run.notes)]
            return any(text.lower() in place for place in places)
        case RunNumber(no):
            return run.no == no
        case Flag(name):
            return run.pinned if name == "pinned" else False
        case Has(named):
            return named.name in run.params or named.name in run.metrics or _has(named.name, run)
        case Comparison():
            return _compares(node, run, runs)


def _has(name: str, run: SampleRun) -> bool:
    found: dict[str, Any] = {"tag": run.tags, "note": run.notes, "metric": run.metrics, "param": run.params}
    found |= {"job": run.job, "cause": run.cause, "ended": run.ended_at_s is not None}
    return bool(found.get(name))


def _compares(node: Comparison, run: SampleRun, runs: Sequence[SampleRun]) -> bool:
    name, op, value = node.field.name, node.operator, node.value
    facts: dict[str, str] = {"name": run.name, "project": run.project, "state": run.state, "job": run.job}
    if name in facts and not node.field.of:
        text = facts[name]
        return text != "" and (
            value.text.lower() in text.lower() if name == "name" and op == ":" else _text(text, op, value.text)
        )
    if name == "tag":
        positive = {"!=": "=", "!~": "~"}.get(op, op)
        tags = [tag.lower() for tag in run.tags]
        if positive == ":":
            return any(tag.startswith(value.text.lower()) for tag in tags)
        found = any(_text(tag, positive, value.text) for tag in tags)
        return bool(tags) and not found if op != positive else found
    if name == "exit":
        return run.exit_code is not None and COMPARE[op](run.exit_code, float(value.text))
    if name == "age":
        return COMPARE[op](NOW_S - (run.started_at_s or NOW_S - 7200.0), duration_s_of(value))
    if name == "duration":
        if run.started_at_s is None:
            return False
        return COMPARE[op]((run.ended_at_s or NOW_S) - run.started_at_s, duration_s_of(value))
    is_param = not node.field.form and node.field.of != "metric" and any(name in each.params for each in runs)
    return _param(node, run) if is_param else _metric(node, run)


def _text(text: str, op: str, given: str) -> bool:
    if op in ("~", "!~"):
        return (re.search(given, text, re.IGNORECASE) is not None) == (op == "~")
    return COMPARE[op](text.lower(), given.lower())


def _param(node: Comparison, run: SampleRun) -> bool:
    if node.field.name not in run.params:
        return False
    text, op, number = run.params[node.field.name], node.operator, number_of(node.value)
    if op in ("~", "!~") or number is None or math.isnan(number):
        return _text(text, op, node.value.text)
    if not NUMBER.fullmatch(text):
        return op == "!="
    return COMPARE[op](float(text), number)


def _metric(node: Comparison, run: SampleRun) -> bool:
    name = run.primary if node.field.name == "metric" else node.field.name
    if name not in run.metrics:
        return False
    last, low, high = run.metrics[name]
    best = low if "loss" in name else high
    form = node.field.form or ("best" if node.field.name == "metric" else "last")
    found = {"last": last, "min": low, "max": high, "best": best}[form]
    number = number_of(node.value)
    assert number is not None
    if found is None:
        return False
    if math.isnan(number):
        return math.isnan(found) == (node.operator == "=")
    return COMPARE[node.operator](found, number)


def as_json(runs: Sequence[SampleRun]) -> str:
    """Runs in the message of a test that fails."""
    return json.dumps([vars(run) for run in runs], default=str)
