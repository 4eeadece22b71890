"""Metrics of imported runs in the index: where they stand, and their points. Within the transaction of the caller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from store import import_journal
from store.database import ArrowStream
from store.points import FILE_SOURCE, FOREIGN_SOURCE, LOG_SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from store.database import Cursor
    from store.ingest import Index
    from store.readers.foreign import Column, MetricFinal


def clear_log(cursor: Cursor, index: Index, no: int, keys: Sequence[str]) -> None:
    """A tracker says better what was read from the log."""
    given = {"no": no, "keys": index.ids_of(keys)}
    for table in ("metric_fold", "metric_rollup", "metric", "metric_latest"):
        cursor.execute(
            f"delete from {table} where run_no = $no and key_id in (select unnest($keys::integer[])) and key_id in"
            f" (select key_id from metric_latest where run_no = $no and source = {LOG_SOURCE})",
            given,
        )


def insert_finals(cursor: Cursor, index: Index, named: Sequence[tuple[int, str, MetricFinal]]) -> None:
    """Where metrics stand, given by number of the run and key; what a better source says stays."""
    import polars as pl

    names = list(dict.fromkeys(key for _, key, _ in named))
    if not names:
        return
    id_of = dict(zip(names, index.ids_of(names), strict=True))
    finals = [(no, id_of[key], final) for no, key, final in named]
    columns = list(zip(*(final for _, _, final in finals), strict=True))
    frame = pl.DataFrame(
        {
            "run_no": pl.Series([no for no, _, _ in finals], dtype=pl.Int32),
            "key_id": pl.Series([key_id for _, key_id, _ in finals], dtype=pl.Int32),
            "step": pl.Series(columns[1], dtype=pl.Int64),
            "at_us": pl.Series(columns[2], dtype=pl.Int64),
            "value": pl.Series(columns[0], dtype=pl.Float64),
            "minimum": pl.Series(columns[3], dtype=pl.Float64),
            "maximum": pl.Series(columns[4], dtype=pl.Float64),
            "point_count": pl.Series(columns[5], dtype=pl.Int64),
        }
    )
    _insert_frame(
        cursor,
        frame,
        "insert or ignore into metric_latest"
        f" select run_no, key_id, step, at_us, value, minimum, maximum, point_count, {FOREIGN_SOURCE}, 1, 1, null, null"
        " from frame",
    )


def put_points(cursor: Cursor, index: Index, records: Iterable[Mapping[str, Any]]) -> None:
    """Points as a journal has them; those of a run of our own where no better source has the same key."""
    import polars as pl

    ids = set()
    for record in records:
        no = record["no"]
        ids.add(record["id"])
        points: dict[str, Column] = import_journal.points_of(record["columns"])
        if record["from_start"]:
            cursor.execute("delete from metric where run_no = ? and source = ?", [no, FOREIGN_SOURCE])
        better = cursor.execute(
            "select name from metric_latest latest join metric_key key on key.id = latest.key_id"
            " where run_no = ? and source = ?",
            [no, FILE_SOURCE],
        ).fetchall()
        for (key,) in better:
            points.pop(key, None)
        clear_log(cursor, index, no, list(points))
        key_ids = index.ids_of(list(points))
        frames = [
            pl.DataFrame(
                {
                    "key_id": pl.repeat(key_id, len(column.steps), dtype=pl.Int32, eager=True),
                    "step": pl.Series(column.steps, dtype=pl.Int64),
                    "at_us": pl.Series(column.at_us, dtype=pl.Int64),
                    "value": pl.Series(column.values, dtype=pl.Float64),
                }
            )
            for key_id, column in zip(key_ids, points.values(), strict=True)
            if column.steps
        ]
        if frames:
            _insert_frame(
                cursor,
                pl.concat(frames),
                f"insert into metric select {int(no)}, key_id, step, at_us, value, {FOREIGN_SOURCE}, 1, 1 from frame",
            )
    cursor.execute(
        "update run set is_followed = true where id in (select unnest($ids::varchar[]))", {"ids": sorted(ids)}
    )


def _insert_frame(cursor: Cursor, frame: Any, sql: str) -> None:
    cursor.register("frame", ArrowStream(frame))
    try:
        cursor.execute(sql)
    finally:
        cursor.unregister("frame")
