"""From the journals to DuckDB: points and the offset they were read up to, in one transaction.

Polars (120 ms) is imported with the first points, not on the daemon's way to its first answer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from store import derive, journal
from store.database import ArrowStream, Cursor
from store.primary_metric import choose_primary, guess_goal
from store.readers.metric_lines import MetricLineError, parse_metric_line
from store.run_files import read_stretch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

FILE_SOURCE: Final = 0
"""Points that the run wrote to its metrics file."""
LOG_SOURCE: Final = 1
"""Points read from the run's output; where the file has the same key, they are left out."""
BATCH_BYTES: Final = 8 << 20
"""How much of one journal goes into one transaction."""
BATCH_POINTS: Final = 500_000
"""After how many points a batch ends, because a short record can stand for a long stretch of the metrics file."""
STEP_MAX: Final = 2**63 - 1


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
    keys: list[str] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    times_us: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)

    def add(self, step: int, at_us: int, values: Mapping[str, float], source: int, attempt: int) -> None:
        """The points of one step."""
        count = len(values)
        self.attempts += [attempt] * count
        self.keys += values.keys()
        self.values += values.values()
        self.steps += [step] * count
        self.times_us += [at_us] * count
        self.sources += [source] * count


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
            batch.add(record["step"], record["at_us"], values, LOG_SOURCE, record.get("attempt", 1))
        if len(batch.values) > BATCH_POINTS:
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
    inside_line = before == 1 and data[:1] not in (b"\n", b"")
    next_step = cursor.next_step
    for line in data[before:].split(b"\n"):
        continued, inside_line = inside_line, False
        if continued or not line.strip():
            continue
        try:
            if len(line) > derive.METRIC_LINE_MAX_BYTES:
                raise MetricLineError(
                    f"a line of {len(line)} bytes or more; up to {derive.METRIC_LINE_MAX_BYTES} are read"
                )
            parsed = parse_metric_line(line)
        except MetricLineError as error:
            cursor = skipped(cursor, str(error))
            continue
        step = next_step if parsed.step is None else parsed.step
        next_step = min(step + 1, STEP_MAX)
        if parsed.ignored:
            cursor = skipped(cursor, f"no numbers: {', '.join(parsed.ignored[:3])}"[:200])
        at_us = seen_at_us if parsed.at_s is None else int(parsed.at_s * 1e6)
        batch.add(step, at_us, parsed.values, FILE_SOURCE, attempt)
    batch.cursor = replace(cursor, metrics_end_bytes=end, next_step=next_step)


def skipped(cursor: JournalCursor, why: str) -> JournalCursor:
    """The cursor with one more line that could not be read."""
    return replace(
        cursor, skipped_lines=cursor.skipped_lines + 1, skipped_example=cursor.skipped_example or why.replace("\n", " ")
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
            for row in rows:
                values = [json.dumps(value) if isinstance(value, list | dict) else value for value in row.values()]
                marks = ", ".join("?" * len(values))
                cursor.execute(f"insert into run ({', '.join(row)}) values ({marks})", values)
            cursor.execute("commit")
        except BaseException:
            cursor.execute("rollback")
            raise

    def _sources_of(self, run_no: int) -> dict[int, int]:
        """Where each metric of a run comes from, by key id."""
        if run_no not in self._sources:
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
        cursor.execute("begin")
        try:
            if batches:
                self._write_points(batches)
                for batch in batches:
                    position = batch.cursor
                    cursor.execute(
                        "insert or replace into journal_cursor values (?, ?, ?, ?, ?, ?)",
                        [
                            batch.run_id,
                            position.offset_bytes,
                            position.metrics_end_bytes,
                            position.next_step,
                            position.skipped_lines,
                            position.skipped_example,
                        ],
                    )
            for run_id, columns in updates.items():
                assignments = ", ".join(f"{name} = ?" for name in columns)
                cursor.execute(f"update run set {assignments} where id = ?", [*columns.values(), run_id])
            cursor.execute("commit")
        except BaseException:
            cursor.execute("rollback")
            self.reload()
            raise
        self._cursors.update((batch.run_id, batch.cursor) for batch in batches)

    def _write_points(self, batches: Sequence[Batch]) -> None:
        new_keys = dict.fromkeys(key for batch in batches for key in batch.keys if key not in self._key_ids)
        if new_keys:
            first = len(self._key_ids) + 1
            self._key_ids.update((key, first + position) for position, key in enumerate(new_keys))
            self._key_names.update((self._key_ids[key], key) for key in new_keys)
            self._cursor.executemany("insert into metric_key values (?, ?)", [[self._key_ids[k], k] for k in new_keys])
        import polars as pl

        frames = [frame for batch in batches if len(frame := self._frame(batch))]
        if not frames:
            return
        points = ArrowStream(pl.concat(frames).with_row_index("arrival"))
        self._cursor.register("points", points)
        try:
            self._cursor.execute(
                "insert into metric select run_no, key_id, step, at_us, value, source, attempt from points "
                "order by arrival"
            )
            self._cursor.execute(UPSERT_LATEST)
        finally:
            self._cursor.unregister("points")

    def _frame(self, batch: Batch) -> pl.DataFrame:
        """The points of a batch that count, after the rule that the metrics file wins over the log."""
        import polars as pl

        key_ids = [self._key_ids[key] for key in batch.keys]
        run_no = batch.run_no
        sources = self._sources_of(run_no)
        from_file = {key_id for key_id, source in zip(key_ids, batch.sources, strict=True) if source == FILE_SOURCE}
        for key_id in from_file:
            if sources.get(key_id) == LOG_SOURCE:
                self._cursor.execute("delete from metric where run_no = ? and key_id = ?", [run_no, key_id])
                self._cursor.execute("delete from metric_latest where run_no = ? and key_id = ?", [run_no, key_id])
        frame = pl.DataFrame(
            {
                "run_no": pl.Series([run_no] * len(key_ids), dtype=pl.Int32),
                "key_id": pl.Series(key_ids, dtype=pl.Int32),
                "step": pl.Series(batch.steps, dtype=pl.Int64),
                "at_us": pl.Series(batch.times_us, dtype=pl.Int64),
                "value": pl.Series(batch.values, dtype=pl.Float64),
                "source": pl.Series(batch.sources, dtype=pl.Int8),
                "attempt": pl.Series(batch.attempts, dtype=pl.Int16),
            }
        )
        known_before = len(sources)
        sources.update(dict.fromkeys(from_file, FILE_SOURCE))
        for key_id in key_ids:
            sources.setdefault(key_id, LOG_SOURCE)
        if LOG_SOURCE in batch.sources:
            owned = [key_id for key_id, source in sources.items() if source == FILE_SOURCE]
            frame = frame.filter((pl.col("source") == FILE_SOURCE) | ~pl.col("key_id").is_in(owned))
        if len(sources) != known_before:
            primary = choose_primary(self._key_names[key_id] for key_id in sources)
            if primary is not None:
                columns = [self._key_ids[primary], guess_goal(primary), batch.run_id]
                self._cursor.execute("update run set primary_key_id = ?, primary_goal = ? where id = ?", columns)
        return frame


UPSERT_LATEST: Final = """
    insert into metric_latest
    select run_no, key_id, arg_max(step, arrival), max(at_us), arg_max(value, arrival),
        min(value) filter (isfinite(value)), max(value) filter (isfinite(value)), count(*), arg_max(source, arrival)
    from points
    group by run_no, key_id
    on conflict do update set
        step = excluded.step, at_us = excluded.at_us, value = excluded.value, source = excluded.source,
        minimum = least(minimum, excluded.minimum), maximum = greatest(maximum, excluded.maximum),
        point_count = point_count + excluded.point_count
"""
"""Latest by arrival, not by clock or step: a resumed run goes back in steps. least() and greatest() pass over NULL."""
