"""One process that several trackers wrote down is one run.

Precedence, the strongest first: what the run wrote to FOOTPLATE_METRICS; MLflow, W&B, trackio and DVCLive, which keep a
store of their own; TensorBoard; files of metrics (Lightning's CSV, the states of Hugging Face's Trainer); what was read
from a log. Two imported runs are one process when they were read from the same folder, or when they began within a
minute of each other below the same import and agree in the last value of two metrics, or of the only one. A run of our
own and an imported one are one process when the tracker wrote below the directory of the run while it lived, and no
other run fits.
"""

from __future__ import annotations

import bisect
import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from store.params import put_params

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from store.database import Cursor

PRECEDENCE: Final = ("mlflow", "wandb", "trackio", "dvclive", "tensorboard", "lightning", "huggingface")
SLACK_S: Final = 2.0
"""How far the clocks of a file system and of a supervisor may be apart."""


class Twin(NamedTuple):
    """An imported run that is another one, seen by a weaker tracker."""

    id: str
    of_id: str


class OwnRun(NamedTuple):
    """A run of our own that trackers may have written in."""

    started_at_s: float
    ended_at_s: float | None
    id: str
    no: int
    working_dir: str


def find(cursor: Cursor, import_id: str, ids: Sequence[str]) -> list[Twin]:
    """Which of these runs of an import are twins of others, or have twins among them. Raises duckdb.Error."""
    if not ids or cursor.execute(SEVERAL_SQL, [import_id]).fetchone() != (True,):
        return []
    pairs = cursor.execute(PAIRS_SQL, {"ids": list(ids)}).fetchall()
    found: dict[str, str] = {}
    for first, first_tracker, second, second_tracker in pairs:
        ranks = [rank(first_tracker), rank(second_tracker)]
        winner, loser = (first, second) if ranks[0] <= ranks[1] else (second, first)
        while winner in found:
            winner = found[winner]
        if loser != winner and loser not in found:
            found[loser] = winner
    return [Twin(loser, winner) for loser, winner in found.items()]


def rank(tracker: str) -> int:
    """The place of a tracker in the precedence."""
    return PRECEDENCE.index(tracker) if tracker in PRECEDENCE else len(PRECEDENCE)


def own_runs(cursor: Cursor) -> list[OwnRun]:
    """Runs of our own that have begun, by start. Raises duckdb.Error."""
    rows = cursor.execute(
        "select started_at_s, ended_at_s, id, no, working_dir from run"
        " where tracker = '' and started_at_s is not null order by started_at_s"
    ).fetchall()
    return [OwnRun(*row) for row in rows]


def owner_of(runs: Sequence[OwnRun], path: str, started_at_s: float | None, written_at_s: float) -> OwnRun | None:
    """The run of our own in which a tracker wrote what lies at `path`; None where none fits, or several do."""
    moment_s = started_at_s if started_at_s is not None else written_at_s
    last = bisect.bisect_right(runs, (moment_s + SLACK_S,), key=lambda run: (run.started_at_s,))
    fitting = [
        run
        for run in runs[:last]
        if (run.ended_at_s is None or moment_s <= run.ended_at_s + SLACK_S)
        and (path == run.working_dir or path.startswith(f"{run.working_dir.rstrip('/')}/"))
    ]
    return fitting[0] if len(fitting) == 1 else None


def put(cursor: Cursor, import_id: str, record: Mapping[str, Any], params: Mapping[str, str]) -> None:
    """Keep a twin, whose row the caller takes away. Raises duckdb.Error."""
    cursor.execute("delete from import_twin where run_id = ?", [record["id"]])
    given = [record["id"], record["of"], import_id, record["place"], record["key"], record["tracker"], record["path"]]
    cursor.execute("insert into import_twin values (?, ?, ?, ?, ?, ?, ?, ?)", [*given, json.dumps(dict(params))])
    merge_params(cursor, [record["of"]])


def places_of(cursor: Cursor, of_id: str) -> list[tuple[str, str]]:
    """Tracker and path of what else wrote this run down. Raises duckdb.Error."""
    return cursor.execute(
        "select tracker, path from import_twin where of_id = ? order by tracker, path", [of_id]
    ).fetchall()


def merge_params(cursor: Cursor, ids: Sequence[str]) -> None:
    """Add the params of twins that their runs do not have. Raises duckdb.Error."""
    if cursor.execute("select 1 from import_twin limit 1").fetchone() is None:
        return
    rows = cursor.execute(
        "select run.id, run.params, twin.params from import_twin twin join run on run.id = twin.of_id"
        " where run.id in (select unnest($ids::varchar[]))",
        {"ids": list(ids)},
    ).fetchall()
    for run_id, own, others in rows:
        merged = json.loads(others) | json.loads(own)
        cursor.execute("update run set params = ? where id = ?", [json.dumps(merged), run_id])
    if rows:
        put_params(cursor, [run_id for run_id, *_ in rows])


SEVERAL_SQL: Final = "select min(tracker) <> max(tracker) from run where import_id = ?"
"""Whether there can be any pair: of one import of one tracker the search would compare every run with every other."""
PAIRS_SQL: Final = """
    with asked as (
        select id, no, tracker, import_id, source_path, started_at_s from run
        where tracker <> '' and id in (select unnest($ids::varchar[]))
    ),
    pair as (
        select asked.id as first, asked.no as first_no, asked.tracker as first_tracker,
            other.id as second, other.no as second_no, other.tracker as second_tracker,
            asked.source_path = other.source_path as same_folder
        from asked join run other
            on other.import_id = asked.import_id and other.tracker <> asked.tracker and other.id <> asked.id
            and (other.source_path = asked.source_path or abs(other.started_at_s - asked.started_at_s) <= 60)
    ),
    agreement as (
        select first, second, count(*) as common,
            count(*) filter (
                where a.value = b.value or abs(a.value - b.value) <= 1e-6 * greatest(abs(a.value), abs(b.value))
            ) as equal
        from pair join metric_latest a on a.run_no = first_no
        join metric_latest b on b.run_no = second_no and b.key_id = a.key_id
        where not same_folder
        group by all
    )
    select pair.first, first_tracker, pair.second, second_tracker
    from pair left join agreement using (first, second)
    where same_folder or (equal = common and common >= 2)
        or (equal = 1 and common = 1 and
            (select count(*) from metric_latest where run_no = first_no) = 1 and
            (select count(*) from metric_latest where run_no = second_no) = 1)
    order by all
"""
