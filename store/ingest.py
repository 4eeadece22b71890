"""From the journals to DuckDB: points and the offset they were read up to, in one transaction.

Polars (120 ms) is imported with the first points, not on the daemon's way to its first answer.
"""

from __future__ import annotations

from dataclasses import astuple, fields
from typing import TYPE_CHECKING, Any, Final

from store import metric_pins
from store.batches import Batch as Batch  # those who write the index read with these
from store.batches import JournalCursor as JournalCursor
from store.batches import read_batch as read_batch
from store.database import ArrowStream, Cursor
from store.folds import KeyState
from store.points import FILE_SOURCE as FILE_SOURCE  # also for those who read the index
from store.points import FOREIGN_SOURCE, HAND_SOURCE, LOG_SOURCE, frames
from store.primary_metric import choose_primary, guess_goal
from store.run_rows import insert_runs, update_runs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import polars as pl

INSERT_POINTS: Final = 1_000_000
"""How many points of many batches are laid out at once, which bounds the memory."""
RUNS_AT_ONCE: Final = 1000
TABLES_BY_RUN_NO: Final = ("metric", "metric_latest", "metric_fold", "metric_rollup")
"""Tables that hold what a run measured, by `run_no`; whoever deletes a run empties them of it."""


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
        self._states: dict[int, dict[int, KeyState]] = {}
        """By number of the run and id of the key."""
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
        self._states.pop(run_no, None)

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
        self._states.update((row["no"], {}) for row in rows)

    def _states_of(self, run_no: int) -> dict[int, KeyState]:
        """Where each metric of a run stands, by key id."""
        if run_no not in self._states:
            # The first points of a run that was not written to: what was rolled up no longer says what they say.
            self._cursor.execute("delete from metric_rollup where run_no = ?", [run_no])
            rows = self._cursor.execute(STATES_SQL, [run_no]).fetchall()
            self._states[run_no] = {key_id: KeyState(*state) for key_id, *state in rows}
        return self._states[run_no]

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
            if self._primaries:
                metric_pins.apply_to_runs(cursor, list(self._primaries))
            cursor.execute("commit")
        except BaseException:
            cursor.execute("rollback")
            self.reload()
            raise
        self._cursors.update((batch.run_id, batch.cursor) for batch in batches)

    def settle_by_hand(self) -> None:
        """Put metrics that people added among the points of their runs, those that the runs do not report themselves.

        One transaction; raises duckdb.Error.
        """
        cursor = self._cursor
        runs = cursor.execute(UNSETTLED_SQL).fetchall()
        if not runs:
            return
        self._primaries.clear()
        cursor.execute("begin")
        try:
            for run_id, run_no in runs:
                points = cursor.execute(HAND_POINTS_SQL, [run_id]).fetchall()
                self._put_by_hand(run_no, points)
                self._choose_primary(run_id, run_no)
            cursor.execute("update hand_point set settled = true where not settled")
            update_runs(cursor, list(self._primaries.items()))
            metric_pins.apply_to_runs(cursor, list(self._primaries))
            cursor.execute("commit")
        except BaseException:
            cursor.execute("rollback")
            self.reload()
            raise

    def _put_by_hand(self, run_no: int, points: Sequence[tuple[str, int, int, float]]) -> None:
        """Replace the points by hand of a run; `points` are key, step, time and value, the latest last."""
        cursor, states = self._cursor, self._states_of(run_no)
        cursor.execute("delete from metric where run_no = ? and source = ?", [run_no, HAND_SOURCE])
        of_keys: dict[str, list[tuple[int, int, float]]] = {}
        for key, step, at_us, value in points:
            of_keys.setdefault(key, []).append((step, at_us, value))
        key_ids = self.ids_of(dict.fromkeys(of_keys, 0))
        for key_id, of_key in zip(key_ids, of_keys.values(), strict=True):
            if states.setdefault(key_id, KeyState(HAND_SOURCE)).source != HAND_SOURCE:
                continue
            rows = [[run_no, key_id, *point, HAND_SOURCE, 1, 1] for point in of_key]
            cursor.executemany("insert into metric values (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            values = [value for _, _, value in of_key]
            latest = [run_no, key_id, *of_key[-1], min(values), max(values), len(values), HAND_SOURCE, 1, 1]
            marks = ", ".join("?" * (len(latest) + 2))
            cursor.execute(f"insert or replace into metric_latest values ({marks})", [*latest, of_key[0][0], None])

    def _void_log(self, run_id: str, run_no: int) -> None:
        """Forget the points of a run's log; what people added by hand under these names counts again."""
        states = self._states_of(run_no)
        gone = [key_id for key_id, state in states.items() if state.source == LOG_SOURCE]
        for table in TABLES_BY_RUN_NO:
            sql = f"delete from {table} where run_no = ? and list_contains(?, key_id)"
            self._cursor.execute(sql, [run_no, gone])
        for key_id in gone:
            del states[key_id]
        points = self._cursor.execute(HAND_POINTS_SQL, [run_id]).fetchall()
        if points:
            self._put_by_hand(run_no, points)
        self._primaries[run_id] = dict(zip(PRIMARY_COLUMNS, (None, "", None, "", "guessed"), strict=True))
        self._choose_primary(run_id, run_no)

    def _write_points(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            if batch.voids_log:
                self._void_log(batch.run_id, batch.run_no)
        written = [batch for batch in batches if batch.points.count]
        folded_before = {
            (batch.run_no, key_id)
            for batch in written
            for key_id, state in self._states_of(batch.run_no).items()
            if state.folded
        }
        numbered = [(batch.run_no, batch.points, self._settle(batch)) for batch in written]
        places = [(run_no, key_id) for run_no, _, key_ids in numbered for key_id in key_ids]
        folded = [(run_no, key_id) for run_no, key_id in places if self._states[run_no][key_id].folded]
        for place in folded:
            if place not in folded_before:
                # Before anything is added to them, the latest values are those of the first fold.
                self._cursor.execute(SEED_FOLD, place)
        many_writers = [batch.run_no for batch in written if batch.many_writers]
        waiting: list[pl.DataFrame] = []
        for frame in frames(numbered):
            waiting.append(frame)
            if sum(map(len, waiting)) > INSERT_POINTS:
                self._insert(waiting, places, folded, many_writers)
                waiting = []
        if waiting:
            self._insert(waiting, places, folded, many_writers)

    def _insert(
        self,
        parts: Sequence[pl.DataFrame],
        places: Sequence[tuple[int, int]],
        folded: Sequence[tuple[int, int]],
        many_writers: Sequence[int],
    ) -> None:
        import polars as pl

        points = pl.concat(parts)
        if many_writers:
            points = first_arrivals(self._cursor, points, many_writers)
        value, finite = pl.col("value"), pl.col("value").is_finite()
        summary = [
            pl.col("step").last(),
            pl.col("at_us").last(),
            value.last().alias("last"),
            value.filter(finite).min().alias("minimum"),
            value.filter(finite).max().alias("maximum"),
            pl.len().cast(pl.Int64).alias("point_count"),
            pl.col("source").last(),
        ]
        latest = points.group_by("run_no", "key_id").agg(*summary)
        states = [(*place, self._states[place[0]][place[1]]) for place in places]
        columns = [(no, key_id, each.fold, each.attempt, each.first_step, each.epoch) for no, key_id, each in states]
        latest = latest.join(pl.DataFrame(columns, state_schema(), orient="row"), on=("run_no", "key_id"))
        if folded:
            self._execute_on(points, "insert into metric select * from frame")
        else:
            # Everything is in the first fold, which DuckDB writes for less than it reads a column of it.
            self._execute_on(points.drop("fold"), "insert into metric by name select * from frame")
        self._execute_on(latest, UPSERT_LATEST)
        if folded:
            those = pl.DataFrame(folded, dict.fromkeys(("run_no", "key_id"), pl.Int32), orient="row")
            of_folds = points.join(those, on=("run_no", "key_id"), how="semi")
            self._execute_on(of_folds.group_by("run_no", "key_id", "fold").agg(*summary), UPSERT_FOLD)

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
        """The id of each key of the batch; points are dropped that those of a better source overrule.

        Numbers the folds, and chooses the primary metric anew when the run has keys that it did not have before.
        """
        key_ids = self.ids_of(batch.points.keys)
        run_no = batch.run_no
        states = self._states_of(run_no)
        from_file, from_log = batch.points.keys_by_source()
        known_before = len(states)
        for keys, source, weaker in (
            (from_file, FILE_SOURCE, (LOG_SOURCE, HAND_SOURCE, FOREIGN_SOURCE)),
            (from_log, LOG_SOURCE, (HAND_SOURCE,)),
        ):
            for key_id in (key_ids[key] for key in keys):
                if key_id in states and states[key_id].source in weaker:
                    for table in TABLES_BY_RUN_NO:
                        self._cursor.execute(f"delete from {table} where run_no = ? and key_id = ?", [run_no, key_id])
                    states[key_id] = KeyState(source)
                states.setdefault(key_id, KeyState(source))
        overruled = {key for key in from_log if states[key_ids[key]].source in (FILE_SOURCE, FOREIGN_SOURCE)}
        if overruled:
            batch.points.leave_out_log(overruled)
        if batch.many_writers:
            batch.points.all_in_one_fold()
        else:
            batch.points.number_folds([states[key_id] for key_id in key_ids])
        if len(states) != known_before:
            self._choose_primary(batch.run_id, run_no)
        return key_ids

    def _choose_primary(self, run_id: str, run_no: int) -> None:
        primary = choose_primary(self._key_names[key_id] for key_id in self._states_of(run_no))
        if primary is not None:
            found = (self._key_ids[primary], guess_goal(primary))
            self._primaries[run_id] = dict(zip(PRIMARY_COLUMNS, (*found, *found, "guessed"), strict=True))

    def ids_of(self, keys: Collection[str]) -> list[int]:
        """The numbers of keys, new ones for those that have none yet. Raises duckdb.Error."""
        new_keys = [key for key in keys if key not in self._key_ids]
        if new_keys:
            first = len(self._key_ids) + 1
            added = {key: first + position for position, key in enumerate(new_keys)}
            self._cursor.execute(
                "insert into metric_key select unnest($1), unnest($2)", [list(added.values()), list(added)]
            )
            self._key_ids.update(added)
            self._key_names.update((key_id, key) for key, key_id in added.items())
        return [self._key_ids[key] for key in keys]


def state_schema() -> dict[str, Any]:
    """The columns of `metric_latest` that say where a metric stands."""
    import polars as pl

    types = (pl.Int32, pl.Int32, pl.Int16, pl.Int16, pl.Int64, pl.Float64)
    return dict(zip(("run_no", "key_id", "fold", "attempt", "first_step", "epoch"), types, strict=True))


def first_arrivals(cursor: Cursor, points: pl.DataFrame, run_nos: Sequence[int]) -> pl.DataFrame:
    """The points without those of these runs whose step of a metric was seen before in the same attempt."""
    import polars as pl

    place = ["run_no", "key_id", "attempt", "step"]
    several = pl.col("run_no").is_in(list(run_nos))
    new = points.filter(several).unique(place, keep="first", maintain_order=True)
    seen = cursor.sql(
        f"select distinct {', '.join(place)} from metric where run_no in ({', '.join(map(str, run_nos))})"
    )
    new = new.join(pl.DataFrame(seen), on=place, how="anti", maintain_order="left")
    return pl.concat([points.filter(~several), new])


PRIMARY_COLUMNS: Final = ("primary_key_id", "primary_goal", "guessed_key_id", "guessed_goal", "primary_source")
UNSETTLED_SQL: Final = """
    select distinct run.id, run.no from hand_point join run on run.id = hand_point.run_id where not settled order by 2
"""
HAND_POINTS_SQL: Final = """
    select key, step, (at_s * 1000000)::bigint, value from hand_point where run_id = ? order by at_s, request, key
"""
STATES_SQL: Final = """
    select key_id, source, fold, attempt, coalesce(first_step, step), step, epoch,
        exists (select 1 from metric_fold f where f.run_no = m.run_no and f.key_id = m.key_id)
    from metric_latest m where run_no = ?
"""
SEED_FOLD: Final = """
    insert into metric_fold
    select run_no, key_id, 1, step, value, minimum, maximum, point_count
    from metric_latest where run_no = ? and key_id = ?
"""
UPSERT_FOLD: Final = """
    insert into metric_fold
    select run_no, key_id, fold, step, last, minimum, maximum, point_count from frame
    on conflict do update set
        step = excluded.step, value = excluded.value,
        minimum = least(minimum, excluded.minimum), maximum = greatest(maximum, excluded.maximum),
        point_count = point_count + excluded.point_count
"""
UPSERT_LATEST: Final = """
    insert into metric_latest
    select run_no, key_id, step, at_us, last, minimum, maximum, point_count, source, fold, attempt, first_step, epoch
    from frame
    on conflict do update set
        step = excluded.step, at_us = excluded.at_us, value = excluded.value, source = excluded.source,
        minimum = least(minimum, excluded.minimum), maximum = greatest(maximum, excluded.maximum),
        point_count = point_count + excluded.point_count, fold = excluded.fold, attempt = excluded.attempt,
        first_step = excluded.first_step, epoch = excluded.epoch
"""
"""Latest by arrival, not by clock or step: a resumed run goes back in steps. least() and greatest() pass over NULL."""
UPDATE_CURSOR: Final = """
    update journal_cursor
    set offset_bytes = ?, metrics_end_bytes = ?, next_step = ?, skipped_lines = ?, skipped_example = ?
    where run_id = ?
"""
