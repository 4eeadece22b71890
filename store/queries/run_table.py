"""Runs of the index, joined with their primary metric: those that a reference, a sweep or a page of the table names."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from store.points import HAND_SOURCE
from store.queries.latest_metrics import latest_of_runs
from store.series import FOLDS_SQL, LatestMetric, latest_metric

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from store.database import Cursor


class RunEntry(NamedTuple):
    """One run with its primary metric. A named tuple, which is made in a tenth of the time of a frozen dataclass."""

    id: str
    no: int
    name: str
    project: str
    state: str
    cause: str
    evidence: str
    command: str
    argv: tuple[str, ...]
    working_dir: str
    host: str
    params: dict[str, str]
    created_at_s: float
    started_at_s: float | None
    ended_at_s: float | None
    exit_code: int | None
    signal: str
    cause_kind: str
    attempt: int
    attempts_max: int
    pinned: bool
    archived: bool
    sweep: str
    job: str
    tags: tuple[str, ...]
    usage: tuple[float | None, float | None, int | None]
    """User and system CPU seconds, most resident bytes."""
    primary_goal: str
    primary_source: str
    """`guessed`, `pinned` or `manifest`."""
    param_sources: dict[str, str]
    """Where a param was read that the command line does not state."""
    script: str
    tracker: str
    """Who wrote the run down, such as mlflow; empty for a run of our own."""
    source_path: str
    source_group: str
    """What its tracker sorts it under."""
    written_at_s: float | None
    """When its tracker last wrote to its files."""
    is_followed: bool
    """The points of an imported run are in the index, not only where its metrics stand."""
    metric: LatestMetric | None


class NamedRun(NamedTuple):
    """The two names of a run."""

    id: str
    no: int


COLUMNS: Final = """run.id, run.no, run.name, run.project, run.state, run.cause, run.evidence, run.command, run.argv,
        run.working_dir, run.host, run.params, run.created_at_s, run.started_at_s, run.ended_at_s, run.exit_code,
        run.signal, run.cause_kind, run.attempt, run.attempts_max, run.pinned, run.archived_at_s is not null,
        run.sweep, run.job, {tags},
        run.user_cpu_s, run.system_cpu_s, run.max_resident_bytes,
        run.primary_goal, run.primary_source, run.param_sources, run.script,
        run.tracker, run.source_path, run.source_group, run.written_at_s, run.is_followed"""
TAGS: Final = "(select list(tag.name order by tag.name) from tag where tag.run_id = run.id)"
TAGS_PLACE: Final = 24
METRIC: Final = f"""metric_key.name, latest.value, latest.step, latest.minimum, latest.maximum, latest.point_count,
        latest.source = {HAND_SOURCE}, {FOLDS_SQL.format(latest="latest")}"""
WRITTEN_OUT_MAX: Final = 1000
"""Numbers written out tell DuckDB which rows it need not look at; of more than so many, reading them costs more."""
FEW: Final = 128
"""That are found faster one by one, wherever they lie."""
MANY: Final = 512
"""That are not, wherever they lie."""
TOGETHER: Final = 4
"""Of so many runs in a stretch at least one is asked for, where it costs less to read all of the stretch."""
IDS_OF_RUNS: Final = "select id, no, primary_key_id from run where no in (select unnest($numbers::integer[]))"
TAGS_OF_RUNS: Final = "select run_id, name from tag where run_id in (select unnest($ids::varchar[])) order by name"
NO_METRIC: Final = (None,) * 8
SELECT: Final = f"""
    select {COLUMNS.format(tags=TAGS)}, {METRIC}
    from run
    left join metric_latest latest on latest.run_no = run.no and latest.key_id = run.primary_key_id
    left join metric_key on metric_key.id = run.primary_key_id
"""


def find_run(cursor: Cursor, reference: str) -> RunEntry | None:
    """The run that `r12`, `12`, a ULID or the unique start of one (4 characters at least) means; None for no such run.

    Raises LookupError when a start fits several runs.
    """
    number = number_of(reference)
    if number is not None:
        rows = cursor.execute(f"{SELECT} where run.no = $no", {"no": number}).fetchall()
        if rows:
            return entry(rows[0])
    if len(reference) < 4:
        return None
    rows = cursor.execute(
        f"{SELECT} where starts_with(run.id, $start) order by run.id limit 2", {"start": reference.upper()}
    ).fetchall()
    if len(rows) > 1:
        raise LookupError(f"{reference} is the start of several runs: {rows[0][0]}, {rows[1][0]}, ...")
    return entry(rows[0]) if rows else None


def number_of(reference: str) -> int | None:
    """12 for `r12` and `12`; None for what is no number of a run."""
    number = reference[1:] if reference[:1] in ("r", "R") else reference
    return int(number) if number.isascii() and number.isdigit() and len(number) < 10 else None


def find_runs(cursor: Cursor, references: Sequence[str]) -> tuple[list[NamedRun], list[str]]:
    """The runs that the references mean (as in `find_run`), each once, and the references that mean none.

    Raises LookupError when a start fits several runs.
    """
    numbers = {reference: number for reference in references if (number := number_of(reference)) is not None}
    given = {"numbers": list(numbers.values()), "ids": [reference.upper() for reference in references]}
    condition = "no in (select unnest($numbers::integer[])) or id in (select unnest($ids::varchar[]))"
    rows = cursor.execute(f"select id, no from run where {condition}", given).fetchall()
    by_id = {run_id: NamedRun(run_id, no) for run_id, no in rows}
    by_number = {run.no: run for run in by_id.values()}
    found: dict[str, NamedRun] = {}
    missing: list[str] = []
    for reference in references:
        run = by_number.get(numbers.get(reference, -1)) or by_id.get(reference.upper())
        if run is None and (entry := find_run(cursor, reference)) is not None:
            run = NamedRun(entry.id, entry.no)
        if run is None:
            missing.append(reference)
        else:
            found[run.id] = run
    return list(found.values()), missing


def runs_by_no(cursor: Cursor, numbers: Sequence[int], *, are_all: bool = False) -> list[RunEntry]:
    """These runs, which may be all there are, in this order; one that was deleted meanwhile is left out."""
    if not numbers:
        return []
    if are_all:
        entries = {each.no: each for each in map(entry, cursor.execute(SELECT).fetchall())}
    elif len(numbers) > WRITTEN_OUT_MAX:
        given = {"numbers": list(numbers)}
        rows = cursor.execute(f"{SELECT} where run.no in (select unnest($numbers::integer[]))", given).fetchall()
        entries = {each.no: each for each in map(entry, rows)}
    elif len(numbers) > MANY or (len(numbers) > FEW and max(numbers) - min(numbers) < TOGETHER * len(numbers)):
        # Written out, the numbers tell DuckDB which rows it need not look at.
        rows = cursor.execute(f"{SELECT} where run.no in ({', '.join(map(str, numbers))})").fetchall()
        entries = {each.no: each for each in map(entry, rows)}
    else:
        entries = _one_by_one(cursor, numbers)
    return [entries[no] for no in numbers if no in entries]


def _one_by_one(cursor: Cursor, numbers: Sequence[int]) -> dict[int, RunEntry]:
    """The same one table at a time: then DuckDB finds runs by their primary key, and does not read all of them."""
    found = cursor.execute(IDS_OF_RUNS, {"numbers": list(numbers)}).fetchall()
    ids = {f"id_{place}": run_id for place, (run_id, *_) in enumerate(found)}
    if not ids:
        return {}
    marks = ", ".join(f"${name}" for name in ids)
    sql = f"select {COLUMNS.format(tags='null')} from run where run.id in ({marks})"
    with ThreadPoolExecutor(2) as pool:  # these queries are too small for DuckDB to spread them over the cores
        reading = pool.submit(_read_apart, cursor.cursor(), sql, ids)
        tagging = pool.submit(_read_apart, cursor.cursor(), TAGS_OF_RUNS, {"ids": list(ids.values())})
        keys = {no: key_id for _, no, key_id in found if key_id is not None}
        metrics = latest_of_runs(cursor, list(keys), keys.values())
        tags: dict[str, list[str]] = {}
        for run_id, name in tagging.result():
            tags.setdefault(run_id, []).append(name)
        rows = reading.result()
    entries: dict[int, RunEntry] = {}
    for run_id, no, *rest in rows:
        row = [run_id, no, *rest, *NO_METRIC]
        row[TAGS_PLACE] = tags.get(run_id)
        entries[no] = entry(tuple(row))._replace(metric=metrics.get((no, keys.get(no, 0))))
    return entries


def _read_apart(own: Cursor, sql: str, given: Mapping[str, object]) -> list[tuple[Any, ...]]:
    """Rows by a connection that nobody else uses, and that is closed then."""
    with own:
        return own.execute(sql, given).fetchall()


def runs_by_id(cursor: Cursor, ids: Sequence[str]) -> list[RunEntry]:
    """These runs, those that exist, by number."""
    condition = "run.id in (select unnest($ids::varchar[]))"
    return list(map(entry, cursor.execute(f"{SELECT} where {condition} order by run.no", {"ids": ids}).fetchall()))


def artifacts_of(cursor: Cursor, run_id: str) -> list[tuple[str, int, str]]:
    """Path, bytes and kind of what a run left behind, as its tracker lists it, by path."""
    return cursor.execute(
        "select path, size_bytes, kind from artifact where run_id = ? order by path", [run_id]
    ).fetchall()


def notes_of(cursor: Cursor, run_id: str) -> list[tuple[str, float, str, str]]:
    """The notes of a run, oldest first: id, Unix time, who, text."""
    return cursor.execute(
        "select id, at_s, actor, text from note where run_id = ? order by at_s, id", [run_id]
    ).fetchall()


def count_by_sweep(cursor: Cursor) -> dict[str, dict[str, int]]:
    """How many runs of each sweep are in which state, by label."""
    found: dict[str, dict[str, int]] = {}
    rows = cursor.execute("select sweep, state, count(*) from run where sweep <> '' group by sweep, state").fetchall()
    for sweep, state, number in rows:
        found.setdefault(sweep, {})[state] = number
    return found


def runs_of_sweep(cursor: Cursor, label: str) -> list[RunEntry]:
    """The runs of a sweep, by number."""
    return list(map(entry, cursor.execute(f"{SELECT} where run.sweep = ? order by run.no", [label]).fetchall()))


def count_by_state(cursor: Cursor, failed_since_s: float) -> dict[str, int]:
    """Runs by state; `failed` counts those only that ended at or after `failed_since_s`."""
    rows = cursor.execute(
        "select state, count(*) from run where state <> 'failed' or ended_at_s >= ? group by state", [failed_since_s]
    ).fetchall()
    return dict(rows)


def entry(row: tuple[Any, ...]) -> RunEntry:
    """A row of SELECT as an entry."""
    argv, params, sources = row[8], row[11], row[30]
    return RunEntry._make(
        (
            *row[:8],
            () if argv == "[]" else tuple(orjson.loads(argv)),
            *row[9:11],
            orjson.loads(params),
            *row[12:24],
            tuple(row[24] or ()),
            row[25:28],
            *row[28:30],
            orjson.loads(sources) if sources else {},
            *row[31:37],
            latest_metric(row[37:]) if row[38] is not None else None,
        )
    )
