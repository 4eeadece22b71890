"""Runs of MLflow's SQLite store, `mlflow.db`. Standard library only.

Every statement is short and locks nothing (store/readers/quiet_sqlite.py); while a trainer writes, what could not be
read is left for the next look. A run is known to have changed by its own row and by the newest row of its metrics,
params and tags: all are found by index, without reading them.
"""

from __future__ import annotations

import math
import os
import zlib
from collections import deque
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from store.readers.foreign import (
    KEYS_MAX,
    STEP_LIMIT,
    TEXT_MAX_CHARACTERS,
    Column,
    ForeignRun,
    MetricFinal,
    Tally,
    UnreadableSourceError,
    cut,
    files_below,
)
from store.readers.mlflow_facts import TIME_LIMIT_MS, seconds, take_tags
from store.readers.mlflow_facts import TRACKER as TRACKER
from store.readers.quiet_sqlite import BusyError, QuietDatabase, Stamp

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

SAID: Final = {
    "RUNNING": "running",
    "SCHEDULED": "scheduled",
    "FINISHED": "finished",
    "FAILED": "failed",
    "KILLED": "killed",
}
TABLES: Final = {
    "experiments": ("experiment_id", "name", "lifecycle_stage"),
    "runs": ("run_uuid", "name", "status", "start_time", "end_time", "lifecycle_stage", "experiment_id"),
    "metrics": ("key", "value", "timestamp", "run_uuid", "step", "is_nan"),
    "latest_metrics": ("key", "value", "timestamp", "step", "is_nan", "run_uuid"),
    "params": ("key", "value", "run_uuid"),
    "tags": ("key", "value", "run_uuid"),
}
ROWS_AT_ONCE: Final = 20_000
ROWS_LEAST: Final = 250
"""Fewer are not asked for, however short the pauses of a writer are."""
RUNS_AT_ONCE: Final = 400
FIRST_RUNS: Final = 100
RUNS_MAX: Final = 200_000
INF: Final = 1.7976931348623157e308
"""How MLflow writes infinity into a column that has none."""
_AT_US: Final = itemgetter(MetricFinal._fields.index("last_at_us"))
_TEXT: Final = f"substr(value, 1, {TEXT_MAX_CHARACTERS + 1})"


def found_in(folder: str, files: Collection[str], folders: Collection[str]) -> Iterator[str]:  # noqa: ARG001
    """The database by its usual name."""
    if "mlflow.db" in files:
        yield os.path.join(folder, "mlflow.db")


@dataclass(slots=True)
class Cursor:
    """How far the points of a run that is followed were read."""

    rowid: int = 0
    row: tuple[Any, ...] = ()
    """The row itself: when another one has its number, rows were deleted or numbered anew."""
    is_told: bool = False
    tallies: dict[str, Tally] = field(default_factory=dict)


class Source:
    """One database."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._database = QuietDatabase(path)
        self._signatures: dict[str, str] = {}
        self._cursors: dict[str, Cursor] = {}
        self._seen: Stamp | None = None
        self._rows_at_once = ROWS_AT_ONCE
        self._has_index: dict[str, bool] = {}
        self._tops: dict[str, int] = {}
        self._newest: dict[str, dict[str, int]] = {"metrics": {}, "params": {}, "tags": {}}

    def look(self, known: Mapping[str, str], followed: Collection[str]) -> Iterator[ForeignRun]:
        """Runs that are new or changed, the youngest first. Raises UnreadableSourceError."""
        try:
            stamp = self._database.stamp()
            wanted = self._signatures.keys() & set(followed)
            if stamp is not None and stamp == self._seen and wanted <= self._cursors.keys():
                return
            self._seen = None
            for key in self._cursors.keys() - set(followed):
                del self._cursors[key]
            yield from self._changed(known, followed)
            self._seen = stamp
        except BusyError as error:
            if not self._signatures:
                raise UnreadableSourceError(str(error)) from error
        finally:
            self._database.close()

    def _changed(self, known: Mapping[str, str], followed: Collection[str]) -> Iterator[ForeignRun]:
        self._check()
        for table, newest in self._newest.items():
            self._count(table, newest)
        # What has been told is let go of: the values of all runs need not fit into memory at once.
        waiting = deque(self._runs(known, followed))
        places = self._artifact_folders() if waiting else {}
        size_max = RUNS_AT_ONCE if all(self._has_index.values()) else ROWS_AT_ONCE
        # Whoever takes them in can begin before many are read.
        size = FIRST_RUNS if size_max == RUNS_AT_ONCE else size_max
        while waiting:
            batch = deque(waiting.popleft() for _ in range(min(size, len(waiting))))
            try:
                self._describe(batch)
            except BusyError:
                if size == 1:
                    raise
                waiting.extendleft(reversed(batch))
                size = max(1, size // 2)
                continue
            size = min(size_max, size + size // 4 + 1)
            while batch:
                run = batch.popleft()
                if self._database.left_out:
                    run.trouble(self._database.left_out)
                if run.key in places:
                    run.artifacts = files_below(places[run.key])
                if run.key in followed:
                    yield from self._follow(run)
                else:
                    self._signatures[run.key] = run.signature
                    yield run

    def _check(self) -> None:
        found = (
            self._rows("select version_num from alembic_version limit 1") if self._has_table("alembic_version") else []
        )
        version = f" (schema {found[0][0]})" if found else ""
        self._database.require(TABLES, version)
        for table in ("metrics", "latest_metrics", "params", "tags"):
            names = [row[1] for row in self._rows(f"pragma index_list({table})")]
            leading = [self._rows(f'pragma index_info("{str(name).replace(chr(34), "")}")') for name in names]
            self._has_index[table] = any(columns and columns[0][2] == "run_uuid" for columns in leading)

    def _has_table(self, name: str) -> bool:
        return bool(self._rows("select 1 from sqlite_master where type = 'table' and name = ?", (name,)))

    def _rows(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        return self._database.rows(statement, values)

    def _pages(self, statement: str, values: Sequence[object] = ()) -> Iterator[list[tuple[Any, ...]]]:
        """Rows of a statement that ends in `x > ? order by x limit ?` and selects that x first."""
        last: object = -(2**63)
        while True:
            most = self._rows_at_once
            try:
                page = self._rows(statement, (*values, last, most))
            except BusyError:
                if most <= ROWS_LEAST:
                    raise
                self._rows_at_once = most // 2
                continue
            self._rows_at_once = min(ROWS_AT_ONCE, most + most // 4 + 1)
            if page:
                last = page[-1][0]
                yield page
            if len(page) < most:
                return

    def _count(self, table: str, newest: dict[str, int]) -> None:
        """Bring up to date which row of each run is the newest of a table."""
        top = self._rows(f"select max(rowid) from {table}")[0][0] or 0
        before = self._tops.get(table)
        if before is None or before > top:
            newest.clear()
            if self._has_index[table]:
                inner = f"(select rowid from {table} where run_uuid = runs.run_uuid order by rowid desc limit 1)"
                for page in self._pages(
                    f"select rowid, run_uuid, {inner} from runs where rowid > ? order by rowid limit ?"
                ):
                    newest.update({key: rowid for _, key, rowid in page if rowid is not None})
            else:
                newest.update(self._rows(f"select run_uuid, max(rowid) from {table} group by 1 limit {RUNS_MAX}"))
        else:
            for start in range(before, top, ROWS_AT_ONCE):
                statement = f"select run_uuid, max(rowid) from {table} where rowid > ? and rowid <= ? group by 1"
                newest.update(self._rows(statement, (start, start + ROWS_AT_ONCE)))
        self._tops[table] = top

    def _runs(self, known: Mapping[str, str], followed: Collection[str]) -> list[ForeignRun]:
        """Runs that have changed with what their own rows say, the youngest first."""
        experiments = {
            row[0]: (cut(_text(row[1])), row[2] == "deleted")
            for row in self._rows(
                f"select experiment_id, substr(name, 1, {TEXT_MAX_CHARACTERS}), lifecycle_stage from experiments"
                f" limit {RUNS_MAX}"
            )
        }
        # A note is written anew in its place, so no new row tells of it.
        note = f"select run_uuid, {_TEXT} from tags where key = 'mlflow.note.content'"
        notes: dict[object, object] = {}
        for page in self._pages(f"{note} and run_uuid > ? order by run_uuid limit ?"):
            notes.update(page)
        columns = "run_uuid, substr(name, 1, 8192), status, start_time, end_time, lifecycle_stage, experiment_id"
        metrics, params, tags = self._newest.values()
        found: list[ForeignRun] = []
        seen: set[str] = set()
        for page in self._pages(f"select rowid, {columns} from runs where rowid > ? order by rowid limit ?"):
            for _, key, name, status, start, end, stage, experiment in page:
                if not isinstance(key, str) or len(seen) >= RUNS_MAX:
                    continue
                seen.add(key)
                group, is_deleted = experiments.get(experiment, ("", False))
                counts = (metrics.get(key), params.get(key), tags.get(key))
                facts = repr((name, status, start, end, stage, group, is_deleted, notes.get(key), counts))
                signature = f"{zlib.crc32(facts.encode()):08x}:{counts[0]}"
                is_new_to_us = key in followed and key not in self._cursors
                if not is_new_to_us and self._signatures.get(key, known.get(key)) == signature:
                    self._signatures[key] = signature
                    continue
                run = ForeignRun(key, TRACKER, self.path, signature)
                run.name, run.group, run.said = cut(_text(name)), group, SAID.get(status, "")
                run.started_at_s, run.ended_at_s = seconds(start), seconds(end)
                run.written_at_s = max(run.started_at_s or 0.0, run.ended_at_s or 0.0)
                run.is_deleted = is_deleted or stage == "deleted"
                found.append(run)
        for key in self._signatures.keys() - seen:
            del self._signatures[key]
        return sorted(found, key=lambda run: run.started_at_s or 0.0, reverse=True)

    def _describe(self, runs: Sequence[ForeignRun]) -> None:
        """Params, tags and where the metrics stand."""
        metrics: dict[str, dict[str, MetricFinal]] = {run.key: {} for run in runs}
        limit, make = TIME_LIMIT_MS, tuple.__new__
        for key, name, value, at_ms, step, is_nan in self._of(
            "latest_metrics", "key, value, timestamp, step, is_nan", runs
        ):
            of_run = metrics.get(key)
            if of_run is None:
                continue  # an index that is damaged leads to rows of others
            if type(value) is float and type(step) is int and type(at_ms) is int and -limit < at_ms < limit:
                number = value if not is_nan and -INF < value < INF else _number(value, is_nan)
                # Half a million of them a second matter; the constructor would make that a fifth.
                of_run[name] = make(MetricFinal, (number, step, at_ms * 1000, None, None, 0))
        params: dict[str, dict[str, str]] = {run.key: {} for run in runs}
        for key, name, value in self._of("params", f"key, {_TEXT}", runs):
            if key in params:
                short = type(value) is str and len(value) <= TEXT_MAX_CHARACTERS
                params[key][name] = value if short else cut(_text(value))
        tags: dict[str, dict[str, str]] = {run.key: {} for run in runs}
        for key, name, value in self._of("tags", f"key, {_TEXT}", runs):
            if key in tags:
                tags[key][name] = _text(value)
        for run in runs:
            run.metrics, run.params = metrics[run.key], params[run.key]
            take_tags(run, tags[run.key])
            newest_us = max(map(_AT_US, run.metrics.values()), default=0)
            run.written_at_s = max(run.written_at_s, newest_us / 1e6)

    def _of(self, table: str, columns: str, runs: Sequence[ForeignRun]) -> list[tuple[Any, ...]]:
        """Rows of some runs, each with the run's key and a key of its own first."""
        if len(runs) > RUNS_AT_ONCE:
            wanted = {run.key for run in runs}
            pages = self._pages(
                f"select rowid, run_uuid, {columns} from {table} where rowid > ? order by rowid limit ?"
            )
            return [row[1:] for page in pages for row in page if row[1] in wanted and type(row[2]) is str]
        most = KEYS_MAX + 1
        marks = ", ".join("?" * len(runs))
        statement = f"select run_uuid, {columns} from {table} where run_uuid in ({marks}) limit {most}"
        found = self._rows(statement, [run.key for run in runs])
        if len(found) == most and len(runs) > 1:
            return [row for run in runs for row in self._of(table, columns, [run])]
        if len(found) == most:
            runs[0].trouble(f"{table} beyond {KEYS_MAX} are left out")
            found.pop()
        return [row for row in found if type(row[1]) is str]

    def _follow(self, run: ForeignRun) -> Iterator[ForeignRun]:
        """The run with the points that are new, several times when they are many."""
        cursor = self._cursors.get(run.key)
        columns = "rowid, key, value, timestamp, step, is_nan"
        if cursor is not None and cursor.rowid:
            row = self._rows(f"select {columns}, run_uuid from metrics where rowid = ?", (cursor.rowid,))
            if row != [(*cursor.row, run.key)]:
                cursor = None
        cursor = self._cursors[run.key] = cursor or Cursor()
        statement = (
            f"select {columns} from metrics where run_uuid = ? and rowid > ? and rowid > ? order by rowid limit ?"
        )
        has_points = False
        for page in self._pages(statement, (run.key, cursor.rowid)):
            points = _columns(page)
            for key, column in points.items():
                cursor.tallies.setdefault(key, Tally()).add(column)
            part = replace(run, metrics=_finals(run.metrics, cursor.tallies), points=points)
            part.from_start = not cursor.is_told
            # From here on they count as handed on, so nothing may come between.
            cursor.rowid, cursor.row, cursor.is_told = page[-1][0], page[-1], True
            has_points = True
            yield part
        self._signatures[run.key] = run.signature
        if not has_points:
            run.metrics = _finals(run.metrics, cursor.tallies)
            run.from_start, cursor.is_told = not cursor.is_told, True
            yield run

    def _artifact_folders(self) -> dict[str, str]:
        """Folders of artifacts beside the database, by run. Those elsewhere are not looked at, whatever it says."""
        found: dict[str, str] = {}
        for name in ("mlartifacts", "mlruns"):
            top = os.path.join(os.path.dirname(self.path), name)
            for experiment in _names(top):
                folder = os.path.join(top, experiment)
                found.update((key, os.path.join(folder, key, "artifacts")) for key in _names(folder))
        return found


def _columns(rows: Sequence[tuple[Any, ...]]) -> dict[str, Column]:
    """Points by metric; a row that holds no point is left out."""
    found: dict[str, Column] = {}
    for _, key, value, at_ms, step, is_nan in rows:
        if (
            type(key) is str
            and isinstance(value, float | int)
            and type(step) is int
            and abs(step) < STEP_LIMIT
            and type(at_ms) is int
            and abs(at_ms) < TIME_LIMIT_MS
        ):
            column = found.get(key)
            if column is None:
                column = found[key] = Column([], [], [])
            column.steps.append(step)
            column.at_us.append(at_ms * 1000)
            column.values.append(_number(value, is_nan))
    return found


def _finals(metrics: Mapping[str, MetricFinal], tallies: Mapping[str, Tally]) -> dict[str, MetricFinal]:
    """What MLflow says of the newest point, with what all points come to."""
    found = dict(metrics)
    for key in metrics.keys() & tallies.keys():
        known = tallies[key].final()
        found[key] = metrics[key]._replace(minimum=known.minimum, maximum=known.maximum, point_count=known.point_count)
    return found


def _number(value: float, is_nan: object) -> float:
    if is_nan:
        return math.nan
    return math.copysign(math.inf, value) if abs(value) >= INF else float(value)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
