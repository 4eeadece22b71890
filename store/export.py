"""Everything the index holds about runs, as a stream of JSON or CSV that is the same for the same content.

    {"format": 1, "runs": [
    {"argv": [...], ..., "metrics": {"loss": [[1, 0, 1760000000000000, 0.5, "file"], ...], ...}},
    ...
    ]}

A point is its attempt, step, time, value and source. A fold is its number, minimum, maximum and number of points; a
metric that never restarted has none. A literal of the script is its value and line, an artifact its path, bytes and
kind. Runs are sorted by number, keys by
text, points by attempt, step, time and value. Times of points are Unix microseconds, other times Unix seconds; what is
not finite is "NaN", "Infinity" or "-Infinity". What only the index has (numbers of keys, cursors) is left out, and so
is the environment.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from store.points import FILE_SOURCE, FOREIGN_SOURCE, HAND_SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from store.database import Cursor

FORMAT: Final = 1
POINTS_AT_ONCE: Final = 500_000
"""How many points are sorted by one query; a single run may have more."""
PIECE_BYTES: Final = 1 << 18
"""How long a piece of the stream is at least: handing one over costs more than making a short one."""
ROWS_AT_ONCE: Final = 10_000
"""How many points are turned into text at once."""
SORTED: Final = orjson.OPT_SORT_KEYS
RUN_COLUMNS: Final = (
    "id",
    "no",
    "name",
    "project",
    "state",
    "cause",
    "cause_kind",
    "evidence",
    "command",
    "argv",
    "working_dir",
    "host",
    "params",
    "created_at_s",
    "started_at_s",
    "ended_at_s",
    "exit_code",
    "signal",
    "attempt",
    "attempts_max",
    "pinned",
    "archived_at_s",
    "user_cpu_s",
    "system_cpu_s",
    "max_resident_bytes",
    "param_sources",
    "script",
    "tracker",
    "source_path",
    "source_group",
    "written_at_s",
)
JSON_COLUMNS: Final = ("argv", "params", "param_sources")


class Point(NamedTuple):
    """One value of one metric of one run."""

    run_no: int
    key: str
    attempt: int
    step: int
    at_us: int
    value: float
    source: int


def as_json(
    cursor: Cursor, numbers: Sequence[int] | None, attempts_of: Callable[[str, int], list[dict[str, Any]]]
) -> Iterator[bytes]:
    """The runs with these numbers (None: all) in pieces of a JSON document; one snapshot of the index.

    `attempts_of` tells the earlier attempts of a run, given its id and its present attempt. Raises duckdb.Error.
    """
    yield b'{"format":%d,"runs":[' % FORMAT
    separator = b"\n"
    cursor.execute("begin")
    try:
        for runs, points in _groups(cursor, numbers):
            by_run = itertools.groupby(points, lambda point: point.run_no)
            next_run = next(by_run, None)
            for run in runs:
                run["attempts"] = attempts_of(run["id"], run["attempt"])
                # "metrics" is written by hand at the end, so that no run is ever one string.
                yield separator + orjson.dumps(run, option=SORTED)[:-1] + b',"metrics":{'
                separator = b",\n"
                if next_run is not None and next_run[0] == run["no"]:
                    yield from _metrics(next_run[1])
                    next_run = next(by_run, None)
                yield b"}}"
    finally:
        cursor.execute("rollback")
    yield b"\n]}\n"


def gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in fewer pieces."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= PIECE_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def _metrics(points: Iterable[Point]) -> Iterator[bytes]:
    opening = b""
    for key, of_key in itertools.groupby(points, lambda point: point.key):
        yield opening + orjson.dumps(key) + b":["
        opening, separator = b"],", b""
        while rows := [_json_point(point) for point in itertools.islice(of_key, ROWS_AT_ONCE)]:
            yield separator + orjson.dumps(rows)[1:-1]
            separator = b","
    if opening:
        yield b"]"


def _json_point(point: Point) -> list[Any]:
    value: float | str = point.value
    if point.value - point.value != 0:
        value = "NaN" if point.value != point.value else "Infinity" if point.value > 0 else "-Infinity"
    return [point.attempt, point.step, point.at_us, value, source_name(point.source)]


def source_name(source: int) -> str:
    """Where a point came from: the metrics file of the run, its log, or a person."""
    return {FILE_SOURCE: "file", HAND_SOURCE: "hand", FOREIGN_SOURCE: "tracker"}.get(source, "log")


def as_csv(cursor: Cursor, numbers: Sequence[int] | None) -> Iterator[bytes]:
    """The points of these runs (None: all) as CSV with a header line, one point a line. Raises duckdb.Error."""
    yield b"run,id,metric,attempt,step,at_us,value,source\n"
    cursor.execute("begin")
    try:
        for runs, points in _groups(cursor, numbers):
            ids = {run["no"]: run["id"] for run in runs}
            while rows := list(itertools.islice(points, ROWS_AT_ONCE)):
                text = io.StringIO()
                csv.writer(text, lineterminator="\n").writerows(
                    (f"r{p.run_no}", ids[p.run_no], p.key, p.attempt, p.step, p.at_us, p.value, source_name(p.source))
                    for p in rows
                )
                yield text.getvalue().encode()
    finally:
        cursor.execute("rollback")


def points_to_parquet(cursor: Cursor, numbers: Sequence[int], path: str) -> None:
    """Write the points of these runs into a Parquet file, in the order of `as_csv`. Raises duckdb.Error."""
    cursor.execute("create or replace temp table exported as select unnest($1::integer[]) as no", [list(numbers)])
    quoted = path.replace("'", "''")
    sources = " ".join(
        f"when {source} then '{source_name(source)}'" for source in (FILE_SOURCE, HAND_SOURCE, FOREIGN_SOURCE)
    )
    try:
        cursor.execute(
            f"""
            copy (
                select 'r' || metric.run_no as run, run.id, metric_key.name as metric, metric.attempt, metric.step,
                    make_timestamptz(metric.at_us) as at, metric.value,
                    case metric.source {sources} else 'log' end as source
                from metric
                join metric_key on metric_key.id = metric.key_id
                join run on run.no = metric.run_no
                join exported on exported.no = metric.run_no
                order by metric.run_no, metric_key.name, metric.attempt, metric.step, metric.at_us, metric.value
            ) to '{quoted}' (format parquet, compression zstd)
            """
        )
    finally:
        cursor.execute("drop table if exists exported")


def _groups(cursor: Cursor, numbers: Sequence[int] | None) -> Iterator[tuple[list[dict[str, Any]], Iterator[Point]]]:
    """Runs by number in groups whose points are worth one query, with their points in order."""
    counts = cursor.execute(
        "select run.no, coalesce(sum(point_count), 0)::bigint from run "
        "left join metric_latest latest on latest.run_no = run.no "
        "where $numbers::integer[] is null or list_contains($numbers::integer[], run.no) group by 1 order by 1",
        {"numbers": list(numbers) if numbers is not None else None},
    ).fetchall()
    group: list[int] = []
    total = 0
    for no, count in counts:
        if group and (total + count > POINTS_AT_ONCE or len(group) >= ROWS_AT_ONCE):
            yield _runs(cursor, group), _points(cursor, group)
            group, total = [], 0
        group.append(no)
        total += count
    if group:
        yield _runs(cursor, group), _points(cursor, group)


def _runs(cursor: Cursor, numbers: list[int]) -> list[dict[str, Any]]:
    rows = cursor.execute(
        f"select {', '.join(RUN_COLUMNS)} from run where list_contains($numbers, no) order by no", {"numbers": numbers}
    ).fetchall()
    runs = {row[0]: _plain_run(dict(zip(RUN_COLUMNS, row, strict=True))) for row in rows}
    notes = cursor.execute("select run_id, id, at_s, actor, text from note order by at_s, id").fetchall()
    for run_id, *note in notes:
        if run_id in runs:
            runs[run_id]["notes"].append(dict(zip(("id", "at_s", "actor", "text"), note, strict=True)))
    tags = cursor.execute("select run_id, name, at_s, actor from tag order by name").fetchall()
    for run_id, *tag in tags:
        if run_id in runs:
            runs[run_id]["tags"].append(dict(zip(("name", "at_s", "actor"), tag, strict=True)))
    artifacts = "select run_id, path, size_bytes, kind from artifact order by path"
    for run_id, *artifact in cursor.execute(artifacts).fetchall():
        if run_id in runs:
            runs[run_id]["artifacts"].append(artifact)
    by_no = {run["no"]: run for run in runs.values()}
    literals = "select run_id, name, value, line from literal order by line, name"
    for run_id, name, value, line in cursor.execute(literals).fetchall():
        if run_id in runs:
            runs[run_id]["literals"][name] = [value, line]
    for no, key, *fold in cursor.execute(FOLDS_SQL).fetchall():
        if no in by_no:
            by_no[no]["folds"].setdefault(key, []).append(fold)
    return list(runs.values())


FOLDS_SQL: Final = """
    select f.run_no, k.name, f.fold, f.minimum, f.maximum, f.point_count
    from metric_fold f join metric_key k on k.id = f.key_id order by f.run_no, k.name, f.fold
"""


def _plain_run(run: dict[str, Any]) -> dict[str, Any]:
    """A run as it leaves the house. Values that look like secrets were masked before they came into the index."""
    decoded = {name: json.loads(run[name] or "{}") for name in JSON_COLUMNS}
    return run | decoded | {"notes": [], "tags": [], "literals": {}, "folds": {}, "artifacts": []}


def _points(cursor: Cursor, numbers: list[int]) -> Iterator[Point]:
    cursor.execute(
        """
        select metric.run_no, metric_key.name, metric.attempt, metric.step, metric.at_us, metric.value, metric.source
        from metric join metric_key on metric_key.id = metric.key_id
        where metric.run_no between $first and $last and list_contains($numbers, metric.run_no)
        order by all
        """,
        {"first": numbers[0], "last": numbers[-1], "numbers": numbers},
    )
    while rows := cursor.fetchmany(ROWS_AT_ONCE):
        yield from itertools.starmap(Point, rows)
