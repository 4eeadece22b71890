"""What may be said of metrics by hand: the checks of `footplate log` and `footplate metric`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from console.daemon.http import RefusedError
from store.metric_pins import pins_of
from store.points import HAND_SOURCE
from store.primary_metric import Goal, guess_goal

if TYPE_CHECKING:
    from store.database import Cursor
    from store.queries.run_table import NamedRun

KEY_MAX_CHARACTERS: Final = 512
VALUES_MAX: Final = 100
STEP_LIMIT: Final = 2**63
LOG_HINT: Final = "`footplate log r12 lb=0.8041` adds one"


def checked_values(values: object) -> dict[str, float]:
    """Metrics by key. Raises RefusedError."""
    if not isinstance(values, dict) or not 0 < len(values) <= VALUES_MAX:
        raise RefusedError(400, f"1 to {VALUES_MAX} metrics are taken at once", LOG_HINT)
    found: dict[str, float] = {}
    for key, value in values.items():
        if not key or not key.strip():
            raise RefusedError(400, "a metric needs a name in front of the =", LOG_HINT)
        if len(key) > KEY_MAX_CHARACTERS or not key.isprintable():
            hint = f"up to {KEY_MAX_CHARACTERS} printable characters"
            raise RefusedError(400, f"{key[:80]!r} cannot be the name of a metric", hint)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise RefusedError(400, f"the value of {key} is not a finite number: {str(value)[:80]!r}", LOG_HINT)
        found[key] = float(value)
    return found


def checked_step(step: object) -> int | None:
    """A step, or None for the next one. Raises RefusedError."""
    if step is None or (type(step) is int and -STEP_LIMIT <= step < STEP_LIMIT):
        return step
    raise RefusedError(400, f"step must be a whole number of 64 bits, not {str(step)[:80]!r}")


def checked_goal(goal: object, key: str) -> Goal:
    """What is better of a metric. Raises RefusedError."""
    if goal is None:
        return guess_goal(key)
    if goal == "minimize" or goal == "maximize":
        return goal
    raise RefusedError(400, f"goal must be minimize or maximize, not {str(goal)[:80]!r}")


def refuse_own(cursor: Cursor, run: NamedRun, keys: list[str]) -> None:
    """What a run reports itself is not a person's to add to. Raises RefusedError."""
    row = cursor.execute(OWN_SQL, [run.no, keys, HAND_SOURCE]).fetchone()
    if row is not None:
        message = f"r{run.no} reports {row[0]!r} itself; nothing was added"
        raise RefusedError(409, message, "choose another name for the value by hand")


def next_steps(cursor: Cursor, run_id: str) -> dict[str, int]:
    """The step after the latest one of each metric by hand of a run."""
    rows = cursor.execute("select key, max(step) from hand_point where run_id = ? group by key", [run_id]).fetchall()
    return {key: min(step + 1, STEP_LIMIT - 1) for key, step in rows}


def refuse_unknown(cursor: Cursor, project: str, key: str | None) -> None:
    """A pin is for a project and a metric that there are. Raises RefusedError."""
    if cursor.execute("select 1 from run where project = ? limit 1", [project]).fetchone() is None:
        raise RefusedError(404, f"no run of a project {project!r}", "`footplate runs` shows the project of each run")
    if key is not None and cursor.execute(KNOWN_SQL, [project, key]).fetchone() is None:
        raise RefusedError(
            404, f"no run of {project} has a metric {key!r}", "`footplate show RUN` lists those of a run"
        )


def pin_facts(cursor: Cursor, project: str) -> dict[str, Any]:
    """What stands for a project: the pin that counts, or that there is none, and for how many runs it does."""
    pins = pins_of(cursor, project)
    row = cursor.execute(
        "select count(*), count(*) filter (where primary_source <> 'guessed') from run where project = ?", [project]
    ).fetchone()
    counts = {"run_count": row[0], "pinned_run_count": row[1]} if row else {}
    chosen = {"key": pins[0].key, "goal": pins[0].goal, "source": pins[0].origin} if pins else {"source": "guessed"}
    return {"project": project, "key": None, "goal": None, **chosen, **counts}


OWN_SQL: Final = """
    select k.name from metric_latest m join metric_key k on k.id = m.key_id
    where m.run_no = ? and list_contains(?, k.name) and m.source <> ? limit 1
"""
KNOWN_SQL: Final = """
    select 1 from run join metric_latest m on m.run_no = run.no join metric_key k on k.id = m.key_id
    where run.project = ? and k.name = ? limit 1
"""
