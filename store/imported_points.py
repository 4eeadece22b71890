"""Metrics of imported runs in the index: where they stand, and their points. Within the transaction of the caller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from store import import_journal
from store.database import insert_frame
from store.points import FILE_SOURCE, FOREIGN_SOURCE, LOG_SOURCE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from store.database import Cursor
    from store.ingest import Index
    from store.readers.foreign import Column


def clear_log(cursor: Cursor, index: Index, no: int, keys: Sequence[str]) -> None:
    """A tracker says better what was read from the log."""
    given = {"no": no, "keys": index.ids_of(keys)}
    for table in ("metric_fold", "metric_rollup", "metric", "metric_latest"):
        cursor.execute(
            f"delete from {table} where run_no = $no and key_id in (select unnest($keys::integer[])) and key_id in"
            f" (select key_id from metric_latest where run_no = $no and source = {LOG_SOURCE})",
            given,
        )


def delete_finals(cursor: Cursor, numbers: Sequence[int]) -> None:
    """Forget where metrics of these runs stand, as far as trackers said so."""
    cursor.execute(
        f"delete from metric_latest where source = {FOREIGN_SOURCE} and run_no in (select unnest($numbers::integer[]))",
        {"numbers": list(numbers)},
    )


def insert_finals(
    cursor: Cursor,
    index: Index,
    named: Sequence[tuple[int, Mapping[str, Sequence[Any]]]],
    conflict: str,
) -> None:
    """Where metrics stand, as facts have them, by number of the run.

    `conflict` says what becomes of metrics that the index knows: `KEEP` or `MOVE_ON`; empty when there can be none.
    """
    import polars as pl

    keys = [key for _, metrics in named for key in metrics]
    if not keys:
        return
    names = list(dict.fromkeys(keys))
    id_of = dict(zip(names, index.ids_of(names), strict=True))
    finals = [final for _, metrics in named for final in metrics.values()]
    values, steps, at_us, minimums, maximums, counts = zip(*finals, strict=True)
    frame = pl.DataFrame(
        {
            "run_no": pl.Series([no for no, metrics in named for _ in metrics], dtype=pl.Int32),
            "key_id": pl.Series([id_of[key] for key in keys], dtype=pl.Int32),
            "step": pl.Series(steps, dtype=pl.Int64),
            "at_us": pl.Series(at_us, dtype=pl.Int64),
            "value": pl.Series(list(map(float, values)), dtype=pl.Float64),
            "minimum": pl.Series(minimums, dtype=pl.Float64),
            "maximum": pl.Series(maximums, dtype=pl.Float64),
            "point_count": pl.Series(counts, dtype=pl.Int64),
        }
    )
    insert_frame(
        cursor,
        # What a filter or an order by one metric reads then lies together.
        frame.sort("key_id", "run_no"),
        "insert into metric_latest"
        f" select run_no, key_id, step, at_us, value, minimum, maximum, point_count, {FOREIGN_SOURCE}, 1, 1, null, null"
        f" from frame {conflict}",
    )


def put_points(cursor: Cursor, index: Index, records: Sequence[Mapping[str, Any]]) -> None:
    """Points as a journal has them; those of a run of our own where no better source has the same key."""
    import polars as pl

    ids = sorted({record["id"] for record in records})
    known = cursor.execute(
        "select id, tracker, is_followed from run where id in (select unnest($ids::varchar[]))", {"ids": ids}
    ).fetchall()
    own_ids = {run_id for run_id, tracker, _ in known if not tracker}
    parts: dict[int, list[tuple[str, Column]]] = {}
    for record in records:
        no, points = record["no"], import_journal.points_of(record["columns"])
        if record["from_start"]:
            cursor.execute("delete from metric where run_no = ? and source = ?", [no, FOREIGN_SOURCE])
            parts[no] = []
        if record["id"] in own_ids:
            for key in _keys_of_file(cursor, no):
                points.pop(key, None)
            clear_log(cursor, index, no, list(points))
        parts.setdefault(no, []).extend((key, column) for key, column in points.items() if column.steps)
    keys = list(dict.fromkeys(key for part in parts.values() for key, _ in part))
    id_of = dict(zip(keys, index.ids_of(keys), strict=True))
    rows = [(no, id_of[key], column) for no, part in parts.items() for key, column in part]
    if rows:
        frame = pl.DataFrame(
            {
                "run_no": pl.Series([no for no, _, column in rows for _ in column.steps], dtype=pl.Int32),
                "key_id": pl.Series([key_id for _, key_id, column in rows for _ in column.steps], dtype=pl.Int32),
                "step": pl.Series([step for _, _, column in rows for step in column.steps], dtype=pl.Int64),
                "at_us": pl.Series([at_us for _, _, column in rows for at_us in column.at_us], dtype=pl.Int64),
                "value": pl.Series([value for _, _, column in rows for value in column.values], dtype=pl.Float64),
            }
        )
        insert_frame(
            cursor,
            frame,
            f"insert into metric select run_no, key_id, step, at_us, value, {FOREIGN_SOURCE}, 1, 1 from frame",
        )
    newly = [run_id for run_id, _, is_followed in known if not is_followed]
    if newly:
        cursor.execute("update run set is_followed = true where id in (select unnest($ids::varchar[]))", {"ids": newly})


def _keys_of_file(cursor: Cursor, no: int) -> list[str]:
    rows = cursor.execute(
        "select name from metric_latest latest join metric_key key on key.id = latest.key_id"
        " where run_no = ? and source = ?",
        [no, FILE_SOURCE],
    ).fetchall()
    return [key for (key,) in rows]


KEEP: Final = "on conflict do nothing"
"""What a better source says stays."""
MOVE_ON: Final = f"""
    on conflict do update set
        step = excluded.step, at_us = excluded.at_us, value = excluded.value,
        minimum = excluded.minimum, maximum = excluded.maximum, point_count = excluded.point_count
    where metric_latest.source = {FOREIGN_SOURCE}
"""
"""The same, and what trackers said before is replaced."""
