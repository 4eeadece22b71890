"""From the journals to DuckDB: points and the offset they were read up to, in one transaction.

Polars (120 ms) is imported with the first points, not on the daemon's way to its first answer.
"""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final

from store import derive, journal
from store.database import ArrowStream, Cursor
from store.points import FILE_SOURCE as FILE_SOURCE  # also for those who read the index
from store.points import LOG_SOURCE, Points, frames
from store.primary_metric import choose_primary, guess_goal
from store.readers.metric_columns import STEP_MAX, NotPlainError, read_columns
from store.readers.metric_lines import MetricLineError, parse_metric_line
from store.run_files import read_stretch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

BATCH_BYTES: Final = 8 << 20
"""How much of one journal goes into one transaction."""
BATCH_POINTS: Final = 500_000
"""After how many points a batch ends, because a short record can stand for a long stretch of the metrics file."""
INSERT_POINTS: Final = 1_000_000
"""How many points of many batches are laid out at once, which bounds the memory."""
BLOCK_BYTES: Final = 256 << 10
"""About how much of a metrics file is decoded at once: what fits into the cache of a core. One line in it that is not
plain makes all of it slow."""
RUNS_AT_ONCE: Final = 1000
TABLES_BY_RUN_NO: Final = ("metric", "metric_latest", "metric_rollup")
"""Tables that hold what a run measured, by `run_no`; whoever deletes a run empties them of it."""


@dataclass(frozen=True, slots=True)
class JournalCursor:
    """How far one run is in the index."""

    offset_bytes: int = 0
    metrics_end_bytes: int = 0
    next_step: int = 0
    """The step of the next metrics line that names none."""
    skipped_lines: int = 0
    skipped_example: str = ""


@dataclass(slots=True)
class Batch:
    """What one round reads of one run."""

    run_id: str
    run_no: int
    cursor: JournalCursor
    points: Points = field(default_factory=Points)

    @property
    def full(self) -> bool:
        """Whether there may be more to read at once."""
        return self.points.count > BATCH_POINTS


def read_batch(run_id: str, run_no: int, run_dir: str, cursor: JournalCursor, generation: int) -> Batch | None:
    """What the journal of a run has past its cursor; None for nothing.

    `generation` is that of the metrics file as it is now; records of earlier ones speak of bytes that are gone.
    """
    start = cursor.offset_bytes
    lines, end = journal.read_from(derive.derived_path(run_dir), start, BATCH_BYTES)
    if end == start:
        return None
    batch = Batch(run_id, run_no, cursor)
    offset = start
    for line in lines:
        offset += len(line) + 1
        record = derive.decode(line)
        if record is None:
            if line:
                batch.cursor = skipped(batch.cursor, "a damaged line in derived.jsonl")
        elif record["kind"] == "metrics":
            if record["end"] == 0:
                gone = skipped(
                    batch.cursor, "the metrics file was cut or replaced; what came before is kept while it can"
                )
                batch.cursor = replace(gone, metrics_end_bytes=0)
            elif record["generation"] == generation:
                read_metrics(batch, run_dir, record["end"], record["at_us"], record.get("attempt", 1))
            else:
                batch.cursor = replace(batch.cursor, metrics_end_bytes=record["end"])
        elif record["kind"] == "log" and "values" in record:
            values = {key: float(value) for key, value in record["values"].items()}
            batch.points.add(record["step"], record["at_us"], values, LOG_SOURCE, record.get("attempt", 1))
        if batch.full:
            break
    batch.cursor = replace(batch.cursor, offset_bytes=offset)
    return batch


def read_metrics(batch: Batch, run_dir: str, end: int, seen_at_us: int, attempt: int) -> None:
    """Parse the metrics file between the cursor and `end` into the batch."""
    cursor = batch.cursor
    start = cursor.metrics_end_bytes
    # One byte more, to see whether the stretch starts inside a line that was too long.
    before = min(start, 1)
    data, size, _ = read_stretch(derive.metrics_path(run_dir), start - before, end - start + before)
    if size < end:
        cursor = skipped(cursor, f"the metrics file was cut to {size} bytes after {end} had been seen")
    lines = data[before:].split(b"\n")
    if before == 1 and data[:1] not in (b"\n", b""):
        del lines[0]
    if lines and not lines[-1]:
        del lines[-1]
    batch.cursor = replace(cursor, metrics_end_bytes=end)
    if not lines:
        return
    plain = len(data) <= derive.METRIC_LINE_MAX_BYTES or max(map(len, lines)) <= derive.METRIC_LINE_MAX_BYTES
    block_lines = max(1, len(lines) * BLOCK_BYTES // len(data))
    for first in range(0, len(lines), block_lines):
        few = lines[first : first + block_lines]
        try:
            if not plain:
                raise NotPlainError("a line that is too long")
            block = read_columns(few, batch.cursor.next_step)
        except NotPlainError:
            read_one_by_one(batch, few, seen_at_us, attempt)
        else:
            batch.points.add_block(block, seen_at_us, attempt)
            batch.cursor = replace(batch.cursor, next_step=block.next_step)


def read_one_by_one(batch: Batch, lines: Sequence[bytes], seen_at_us: int, attempt: int) -> None:
    """Parse lines of a metrics file that may hold anything into the batch."""
    next_step, skipped_lines, example = batch.cursor.next_step, 0, ""
    for line in lines:
        if not line.strip():
            continue
        try:
            if len(line) > derive.METRIC_LINE_MAX_BYTES:
                raise MetricLineError(
                    f"a line of {len(line)} bytes or more; up to {derive.METRIC_LINE_MAX_BYTES} are read"
                )
            parsed = parse_metric_line(line)
        except MetricLineError as error:
            skipped_lines += 1
            example = example or str(error)
            continue
        step = next_step if parsed.step is None else parsed.step
        next_step = min(step + 1, STEP_MAX)
        if parsed.ignored:
            skipped_lines += 1
            example = example or f"no numbers: {', '.join(parsed.ignored[:3])}"[:200]
        at_us = seen_at_us if parsed.at_s is None else int(parsed.at_s * 1e6)
        batch.points.add(step, at_us, parsed.values, FILE_SOURCE, attempt)
    batch.cursor = replace(batch.cursor, next_step=next_step)
    if skipped_lines:
        batch.cursor = skipped(batch.cursor, example, skipped_lines)


def skipped(cursor: JournalCursor, why: str, count: int = 1) -> JournalCursor:
    """The cursor with more lines that could not be read, the first of them because of `why`."""
    return replace(
        cursor,
        skipped_lines=cursor.skipped_lines + count,
        skipped_example=cursor.skipped_example or why.replace("\n", " "),
    )


def insert_runs(cursor: Cursor, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert runs that have the same columns by one statement; one by one, ten thousand take a minute."""
    names = list(rows[0])
    columns = {
        name: [json.dumps(row[name]) if isinstance(row[name], list | dict) else row[name] for row in rows]
        for name in names
    }
    unnested = ", ".join(f"unnest(${name})" for name in names)
    cursor.execute(f"insert into run ({', '.join(names)}) select {unnested}", columns)


def update_runs(cursor: Cursor, updates: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Set columns of runs, by id; those that set the same columns by one statement."""
    groups: dict[tuple[str, ...], dict[str, Mapping[str, Any]]] = {}
    for run_id, columns in updates:
        groups.setdefault(tuple(columns), {})[run_id] = columns
    for names, group in groups.items():
        assignments = ", ".join(f"{name} = given.{name}" for name in names)
        given = ", ".join(f"unnest(${name}) as {name}" for name in ("id", *names))
        values = {name: [columns[name] for columns in group.values()] for name in names}
        cursor.execute(
            f"update run set {assignments} from (select {given}) given where run.id = given.id",
            {"id": list(group), **values},
        )


class Index:
    """The write side of the store: keeps keys and cursors at hand. Belongs to one thread."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self.reload()

    def reload(self) -> None:
        """Take keys from what is committed and forget the rest; needed after any failed transaction."""
        self._key_ids = dict(self._cursor.execute("select name, id from metric_key").fetchall())
        self._key_names = {key_id: name for name, key_id in self._key_ids.items()}
        self._cursors: dict[str, JournalCursor] = {}
        self._sources: dict[int, dict[int, int]] = {}
        self._primaries: dict[str, dict[str, Any]] = {}
        """Columns of the runs whose primary metric this commit chooses."""

    def cursor_of(self, run_id: str) -> JournalCursor:
        """How far a run is in the index."""
        if run_id not in self._cursors:
            row = self._cursor.execute(
                "select * exclude (run_id) from journal_cursor where run_id = ?", [run_id]
            ).fetchone()
            self._cursors[run_id] = JournalCursor(*row) if row else JournalCursor()
        return self._cursors[run_id]

    def forget(self, run_id: str, run_no: int) -> None:
        """Drop what is kept at hand for a run that has ended."""
        self._cursors.pop(run_id, None)
        self._sources.pop(run_no, None)

    def add_runs(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert runs, given by the columns of their records, whose ids are new: all of them or none.

        Raises duckdb.Error. In plain SQL, because SQLModel would cost the first run of a daemon half a second.
        """
        cursor = self._cursor
        cursor.execute("begin")
        try:
            for first in range(0, len(rows), RUNS_AT_ONCE):
                insert_runs(cursor, rows[first : first + RUNS_AT_ONCE])
            cursor.execute("commit")
        except BaseException:
            cursor.execute("rollback")
            raise
        # Nothing of them is in the index: looking that up for each costs more than bringing a small run in.
        self._cursors.update((row["id"], JournalCursor()) for row in rows)
        self._sources.update((row["no"], {}) for row in rows)

    def _sources_of(self, run_no: int) -> dict[int, int]:
        """Where each metric of a run comes from, by key id."""
        if run_no not in self._sources:
            # The first points of a run that was not written to: what was rolled up no longer says what they say.
            self._cursor.execute("delete from metric_rollup where run_no = ?", [run_no])
            rows = self._cursor.execute(
                "select key_id, source from metric_latest where run_no = ?", [run_no]
            ).fetchall()
            self._sources[run_no] = dict(rows)
        return self._sources[run_no]

    def commit(self, batches: Sequence[Batch], updates: Mapping[str, Mapping[str, Any]]) -> None:
        """Write batches with their cursors, and columns of runs by run id, in one transaction.

        Raises duckdb.Error; then nothing of it is in the index.
        """
        cursor = self._cursor
        self._primaries.clear()
        cursor.execute("begin")
        try:
            if batches:
                self._write_points(batches)
                self._write_cursors(batches)
            update_runs(cursor, [*self._primaries.items(), *updates.items()])
            cursor.execute("commit")
        except BaseException:
            cursor.execute("rollback")
            self.reload()
            raise
        self._cursors.update((batch.run_id, batch.cursor) for batch in batches)

    def _write_points(self, batches: Sequence[Batch]) -> None:
        numbered = [(batch.run_no, batch.points, self._settle(batch)) for batch in batches if batch.points.count]
        waiting: list[pl.DataFrame] = []
        for frame in frames(numbered):
            waiting.append(frame)
            if sum(map(len, waiting)) > INSERT_POINTS:
                self._insert(waiting)
                waiting = []
        if waiting:
            self._insert(waiting)

    def _insert(self, parts: Sequence[pl.DataFrame]) -> None:
        import polars as pl

        points = pl.concat(parts)
        value, finite = pl.col("value"), pl.col("value").is_finite()
        latest = points.group_by("run_no", "key_id").agg(
            pl.col("step").last(),
            pl.col("at_us").last(),
            value.last().alias("last"),
            value.filter(finite).min().alias("minimum"),
            value.filter(finite).max().alias("maximum"),
            pl.len().cast(pl.Int64).alias("point_count"),
            pl.col("source").last(),
        )
        self._execute_on(points, "insert into metric select * from frame")
        self._execute_on(latest, UPSERT_LATEST)

    def _write_cursors(self, batches: Sequence[Batch]) -> None:
        rows = [(batch.run_id, *astuple(batch.cursor)) for batch in batches]
        if len(rows) == 1:
            # The usual case, and an update costs DuckDB a fifth of a replacement.
            run_id, *columns = rows[0]
            changed = self._cursor.execute(UPDATE_CURSOR, [*columns, run_id]).fetchone()
            if changed is None or not changed[0]:
                self._cursor.execute("insert into journal_cursor values (?, ?, ?, ?, ?, ?)", rows[0])
            return
        import polars as pl

        names = ("run_id", *(column.name for column in fields(JournalCursor)))
        frame = pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)
        self._execute_on(frame, "insert or replace into journal_cursor select * from frame")

    def _execute_on(self, frame: pl.DataFrame, sql: str) -> None:
        """Run a statement that reads the frame under the name `frame`."""
        self._cursor.register("frame", ArrowStream(frame))
        try:
            self._cursor.execute(sql)
        finally:
            self._cursor.unregister("frame")

    def _settle(self, batch: Batch) -> list[int]:
        """The id of each key of the batch; points of the log that the metrics file overrules are dropped.

        Chooses the primary metric anew when the run has keys that it did not have before.
        """
        key_ids = self._ids_of(batch.points.keys)
        run_no = batch.run_no
        sources = self._sources_of(run_no)
        from_file, from_log = batch.points.keys_by_source()
        known_before = len(sources)
        for key in from_file:
            if sources.get(key_ids[key]) == LOG_SOURCE:
                for table in TABLES_BY_RUN_NO:
                    self._cursor.execute(f"delete from {table} where run_no = ? and key_id = ?", [run_no, key_ids[key]])
            sources[key_ids[key]] = FILE_SOURCE
        for key in from_log:
            sources.setdefault(key_ids[key], LOG_SOURCE)
        overruled = {key for key in from_log if sources[key_ids[key]] == FILE_SOURCE}
        if overruled:
            batch.points.leave_out_log(overruled)
        if len(sources) != known_before:
            primary = choose_primary(self._key_names[key_id] for key_id in sources)
            if primary is not None:
                goal = guess_goal(primary)
                self._primaries[batch.run_id] = {"primary_key_id": self._key_ids[primary], "primary_goal": goal}
        return key_ids

    def _ids_of(self, keys: Mapping[str, int]) -> list[int]:
        new_keys = [key for key in keys if key not in self._key_ids]
        if new_keys:
            first = len(self._key_ids) + 1
            added = {key: first + position for position, key in enumerate(new_keys)}
            self._cursor.executemany("insert into metric_key values (?, ?)", [[added[key], key] for key in new_keys])
            self._key_ids.update(added)
            self._key_names.update((key_id, key) for key, key_id in added.items())
        return [self._key_ids[key] for key in keys]


UPSERT_LATEST: Final = """
    insert into metric_latest
    select run_no, key_id, step, at_us, last, minimum, maximum, point_count, source from frame
    on conflict do update set
        step = excluded.step, at_us = excluded.at_us, value = excluded.value, source = excluded.source,
        minimum = least(minimum, excluded.minimum), maximum = greatest(maximum, excluded.maximum),
        point_count = point_count + excluded.point_count
"""
"""Latest by arrival, not by clock or step: a resumed run goes back in steps. least() and greatest() pass over NULL."""
UPDATE_CURSOR: Final = """
    update journal_cursor
    set offset_bytes = ?, metrics_end_bytes = ?, next_step = ?, skipped_lines = ?, skipped_example = ?
    where run_id = ?
"""
