"""Runs of trackio, `PROJECT.db` with `PROJECT.lock` beside it. Standard library only.

A row of `metrics` is a call of `log`: a step and a JSON object, as text or as bytes. trackio does not say whether a run
has ended.
"""

from __future__ import annotations

import json
import math
import os
import zlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from store.readers.foreign import (
    KEYS_MAX,
    STEP_LIMIT,
    Column,
    ForeignRun,
    Tally,
    UnreadableSourceError,
    cut,
    files_below,
)
from store.readers.quiet_sqlite import BusyError, QuietDatabase, Stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

TRACKER: Final = "trackio"
TABLES: Final = {
    "metrics": ("id", "timestamp", "run_name", "step", "metrics"),
    "configs": ("id", "run_name", "config", "created_at"),
}
ROWS_AT_ONCE: Final = 4000
ROWS_LEAST: Final = 60
RUNS_MAX: Final = 100_000
DEPTH_MAX: Final = 8
"""Of objects within objects."""
CONFIG_MAX_BYTES: Final = 1 << 20
NAMES: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def found_in(folder: str, files: Collection[str], folders: Collection[str]) -> Iterator[str]:  # noqa: ARG001
    """Databases in a folder `trackio`, and those elsewhere that have trackio's lock file beside them."""
    is_its_own = os.path.basename(folder) == "trackio"
    names = set(files)
    for name in files:
        if name.endswith(".db") and name != "mlflow.db" and (is_its_own or f"{name[:-3]}.lock" in names):
            yield os.path.join(folder, name)


@dataclass(slots=True)
class Standing:
    """What was read of a run."""

    row_id: int = 0
    row_count: int = 0
    tallies: dict[str, Tally] = field(default_factory=dict)
    is_followed: bool = False
    is_told: bool = False
    over: int = 0

    def fits(self, row_count: int, is_followed: bool) -> bool:
        """Whether it can be gone on from: what was read by step, and not to the end, cannot."""
        return (
            (bool(self.row_id) or not self.tallies) and self.row_count <= row_count and is_followed <= self.is_followed
        )


class Source:
    """One project."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._database = QuietDatabase(path)
        self._signatures: dict[str, str] = {}
        self._standing: dict[str, Standing] = {}
        self._seen: Stamp | None = None
        self._inode = 0
        self._rows_at_once = ROWS_AT_ONCE

    def look(self, known: Mapping[str, str], followed: Collection[str]) -> Iterator[ForeignRun]:
        """Runs that are new or changed, the one that was written to last first. Raises UnreadableSourceError."""
        try:
            stamp = self._database.stamp()
            wanted = self._signatures.keys() & set(followed)
            if stamp is not None and stamp == self._seen and all(self._follows(key) for key in wanted):
                return
            self._seen = None
            if stamp is not None and stamp.inode != self._inode:
                self._inode = stamp.inode
                self._standing.clear()
            for run, config, row_id, row_count in self._runs():
                standing = self._standing.get(run.key)
                is_followed = run.key in followed
                if standing is None or not standing.fits(row_count, is_followed):
                    standing = Standing(is_followed=is_followed)
                is_new_to_us = is_followed and not standing.is_told
                if is_new_to_us or self._signatures.get(run.key, known.get(run.key)) != run.signature:
                    self._standing[run.key] = standing
                    _describe(run, config, self.path)
                    if self._database.left_out:
                        run.trouble(self._database.left_out)
                    yield from self._read(run, standing, row_id)
                    standing.row_count = row_count
                self._signatures[run.key] = run.signature
            self._seen = stamp
        except BusyError as error:
            if not self._signatures:
                raise UnreadableSourceError(str(error)) from error
        finally:
            self._database.close()

    def _follows(self, key: str) -> bool:
        return key in self._standing and self._standing[key].is_told

    def _runs(self) -> list[tuple[ForeignRun, bytes, int, int]]:
        """Every run with its config, its newest row and how many rows it has, newest first."""
        self._database.require(TABLES)
        self._key = "run_id" if "run_id" in {row[1] for row in self._rows("pragma table_info(metrics)")} else "run_name"
        rows = self._rows(f"select {self._key}, max(id), count(*) from metrics group by 1 limit {RUNS_MAX}")
        newest = {key: (row_id, count) for key, row_id, count in rows if isinstance(key, str)}
        configs = {
            key: (name, created, _bytes(config))
            for key, name, created, config in self._rows(
                f"select {self._key}, run_name, created_at, substr(config, 1, {CONFIG_MAX_BYTES}) from configs"
                f" order by id desc limit {RUNS_MAX}"
            )
            if isinstance(key, str)
        }
        found = []
        for key in newest.keys() | configs.keys():
            row_id, count = newest.get(key, (0, 0))
            name, created, config = configs.get(key, (None, None, b""))
            run = ForeignRun(key, TRACKER, self.path, f"{zlib.crc32(config):08x}:{row_id}:{count}")
            run.name = cut(name) if isinstance(name, str) else "" if self._key == "run_id" else cut(key)
            run.started_at_s = _unix_s(created)
            run.written_at_s = run.started_at_s or 0.0
            found.append((run, config, row_id, count))
        return sorted(found, key=lambda each: (each[2], each[0].written_at_s), reverse=True)

    def _rows(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        return self._database.rows(statement, values)

    def _read(self, run: ForeignRun, standing: Standing, newest_id: int) -> Iterator[ForeignRun]:
        """The run with what is new, several times when there are many points and it is followed."""
        bad = 0
        is_first = not standing.row_id
        has_points = False
        for page in self._pages(run.key, standing.row_id, newest_id):
            columns: dict[str, Column] = {}
            for _, at, step, data, name in page:
                bad += not take(columns, at, step, data)
                run.name = run.name or cut(str(name))
            for key in list(columns):
                if key not in standing.tallies and len(standing.tallies) >= KEYS_MAX:
                    del columns[key]
                    standing.over += 1
                else:
                    standing.tallies.setdefault(key, Tally()).add(columns[key])
            if not is_first:
                standing.row_id = page[-1][0]
            if standing.is_followed:
                has_points = True
                yield self._part(run, standing, columns)
        standing.row_id = newest_id
        self._signatures[run.key] = run.signature
        if bad:
            run.trouble(f"{bad} rows of metrics hold no JSON object with a step and a date")
        if standing.over:
            run.trouble(f"{standing.over} metrics beyond {KEYS_MAX} are left out")
        if not has_points or run.problems:
            yield self._part(run, standing, {})

    def _part(self, run: ForeignRun, standing: Standing, columns: dict[str, Column]) -> ForeignRun:
        part = replace(
            run, problems=list(run.problems), metrics={key: tally.final() for key, tally in standing.tallies.items()}
        )
        newest_us = max((final.last_at_us for final in part.metrics.values()), default=0)
        part.written_at_s = max(part.written_at_s, newest_us / 1e6)
        if standing.is_followed:
            part.points, part.from_start = columns, not standing.is_told
            standing.is_told = True
        return part

    def _pages(self, key: str, after_id: int, newest_id: int) -> Iterator[list[tuple[Any, ...]]]:
        """Rows of a run after one and up to another: the first time by step, as its index has them, then by number."""
        columns = "id, timestamp, step, metrics, run_name"
        last: tuple[object, ...]
        if after_id:
            last = (after_id,)
            where, order = f"id > ? and id <= ? and +{self._key} = ?", "id"
        else:
            last = (-(2**63), 0)
            where, order = f"(step, id) > (?, ?) and id <= ? and {self._key} = ?", "step, id"
        while newest_id > after_id:
            try:
                page = self._rows(
                    f"select {columns} from metrics where {where} order by {order} limit ?",
                    (*last, newest_id, key, self._rows_at_once),
                )
            except BusyError:
                if self._rows_at_once <= ROWS_LEAST:
                    raise
                self._rows_at_once //= 2
                continue
            if page:
                yield page
            if len(page) < self._rows_at_once:
                break
            last = (page[-1][0],) if after_id else (page[-1][2], page[-1][0])
        self._rows_at_once = min(ROWS_AT_ONCE, self._rows_at_once * 2)


def load(data: bytes | str, parse_int: Callable[[str], Any] = int) -> Any:
    """The JSON of a column; halves of surrogates, which no text can hold, are replaced. Raises ValueError."""
    mark = b"\\ud" if isinstance(data, bytes) else "\\ud"
    if mark in data.lower():  # type: ignore[operator]
        whole = json.dumps(json.loads(data), ensure_ascii=False)
        data = whole.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return json.loads(data, parse_int=parse_int)


def take(columns: dict[str, Column], at: object, step: object, data: object) -> bool:
    """Put one call of `log` into columns; whether it was one."""
    at_s = _unix_s(at)
    try:
        # A float has a value for whole numbers of any length.
        found = load(data, parse_int=float) if isinstance(data, bytes | str) else None
    except (ValueError, RecursionError):
        return False
    if at_s is None or type(step) is not int or abs(step) >= STEP_LIMIT or not isinstance(found, dict):
        return False
    at_us = round(at_s * 1e6)
    for key, value in flat(found):
        number = NAMES.get(value) if isinstance(value, str) else value
        if isinstance(number, int | float):
            column = columns.get(key)
            if column is None:
                column = columns[key] = Column([], [], [])
            column.steps.append(step)
            column.at_us.append(at_us)
            column.values.append(float(number))
    return True


def flat(values: Mapping[str, Any], before: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Entries of an object and of those in it, with dots between the keys; media of trackio are left out."""
    for key, value in values.items():
        if not isinstance(value, dict) or not value or depth >= DEPTH_MAX:
            yield before + key, value
        elif "_type" not in value:
            yield from flat(value, f"{before}{key}.", depth + 1)


def _describe(run: ForeignRun, data: bytes, path: str) -> None:
    """Params and the rest, from its config."""
    project = os.path.basename(path).removesuffix(".db")
    run.group = project
    try:
        config = load(data or b"{}")
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        run.trouble("its config is no JSON object")
        config = {}
    started_at_s = _unix_s(config.get("_Created"))
    run.started_at_s = run.started_at_s if started_at_s is None else started_at_s
    if isinstance(config.get("_Group"), str):
        run.tags["group"] = cut(config["_Group"])
    for key, value in flat({key: value for key, value in config.items() if key not in _OWN}):
        if len(run.params) >= KEYS_MAX:
            run.trouble(f"params beyond {KEYS_MAX} are left out")
            break
        run.params[key] = cut(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    if run.name and not {"/", "\0"} & set(run.name) and run.name not in (".", ".."):
        run.artifacts = files_below(os.path.join(os.path.dirname(path), "media", project, run.name))


_OWN: Final = frozenset({"_Created", "_Group", "_Username"})


def _unix_s(text: object) -> float | None:
    """Unix time of an ISO 8601 date; without a zone it is UTC."""
    try:
        at = datetime.fromisoformat(text)  # type: ignore[arg-type]
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "replace") if isinstance(value, str) else b""
