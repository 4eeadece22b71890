"""What a reader says of a run, on its way to the journal: what is written at once, and what of live runs can wait."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from ulid import ULID

from console.daemon.import_standing import standing
from console.daemon.imports_taken import join
from console.daemon.launch import carried, readable
from store import import_journal
from store.imported import Known

if TYPE_CHECKING:
    from console.daemon.import_state import Import
    from console.daemon.imports_taken import Outcome
    from store.import_journal import Facts, Points

AHEAD_MAX: Final = 2000
"""Records that are made ready while others are committed."""
DURABLE_EVERY_S: Final = 60.0
"""A live run is written into the journal that often; what it does meanwhile is in its own files and in the index."""


def take_run(found: Import, place: str, said: Facts, points: Points, project: str, *, is_odd: bool) -> None:
    """Put a run among what is to be committed. `is_odd`: it has texts that UTF-8 cannot carry.

    `said` belongs to the record from here on.
    """
    key, tracker, path = said["key"], said["tracker"], said["path"]
    at = (place, key)
    known = found.runs.get(at)
    written_at_s = said["written_at_s"]
    state, cause = standing(said["said"], tracker, written_at_s, time.time(), said["exit_code"])
    if known is None:
        started_s = said["started_at_s"] or written_at_s or time.time()
        new_id = str(ULID.from_timestamp(min(max(started_s, 0.0), 2.0**47 / 1000)))
        known = Known(
            found.joined[at][0] if at in found.joined else new_id,
            0,
            place,
            key,
            "",
            "",
            "",
            tracker,
            path,
            0.0,
            is_followed=False,
        )
    said["key"] = import_journal.stored(key)
    record = {
        "kind": "run",
        "id": known.id,
        "no": known.no or None,
        "place": import_journal.stored(place),
        "project": project,
        "state": state,
        "cause": cause,
        "facts": carried(said) if is_odd else said,
    }
    if at in found.joined:
        own_id, own_no = found.joined[at][1:]
        join(record, own_id, own_no)
        state = "running"  # its supervisor knows better how it stands
    due = time.monotonic() - found.written_s.get(known.id, -DURABLE_EVERY_S) >= DURABLE_EVERY_S
    if due or state != "running":
        found.durable.append(record)
        found.written_s[known.id] = time.monotonic()
        outdate(found, known.id)
    else:
        found.passing.append(record)
        found.unwritten[known.id] = record
    if points.columns or (known.is_followed and points.from_start):
        columns = {readable(name): each for name, each in points.columns.items()}
        of_run = {"kind": "points", "id": record.get("of", known.id), "no": record["no"]}
        found.durable.append(of_run | {"from_start": points.from_start, "columns": columns})
    if at in found.joined:
        return
    found.runs[at] = known._replace(
        signature=said["signature"], state=state, said=said["said"], written_at_s=written_at_s
    )


def settle(found: Import, outcome: Outcome) -> None:
    """What was to be committed is in the index now."""
    if found.only_own:
        # What is not of a run of ours is asked about again: the run may be known a moment later.
        found.runs = {at: each for at, each in found.runs.items() if each.id in outcome.joined}
        found.unwritten = {key: each for key, each in found.unwritten.items() if each["no"] is not None}
    for at, each in list(found.runs.items()):
        if each.id in outcome.numbers:
            found.runs[at] = each._replace(no=outcome.numbers[each.id])
        if each.id in outcome.joined:
            own = outcome.joined[each.id]
            found.joined[at] = (each.id, own.id, own.no)
            del found.runs[at]
            # A run of our own keeps all its points.
            if found.process is not None:
                found.process.ask({"follow": at[0], "key": at[1]})
        elif each.id in outcome.twins:
            found.twins[at] = outcome.twins[each.id]
            del found.runs[at]
            found.unwritten.pop(each.id, None)


def is_new(found: Import, record: dict[str, Any]) -> bool:
    """Whether this is the first word on a run, which does not depend on what is being committed; not too many of them.

    A run that is being committed gets its number by that, or turns out to be another one.
    """
    run = record.get("run")
    at = (record.get("place"), run.get("key")) if isinstance(run, dict) else None
    if at is None or found.only_own or len(found.durable) + len(found.passing) >= AHEAD_MAX:
        return False
    return at not in found.runs and at not in found.joined


def forget(found: Import, run_id: str) -> None:
    """A person deleted a run."""
    gone = [at for at, known in found.runs.items() if known.id == run_id]
    gone += [at for at, (_, own_id, _) in found.joined.items() if own_id == run_id]
    gone += [at for at, of_id in found.twins.items() if of_id == run_id]
    for at in gone:
        found.forgotten.add(at)
        known = found.runs.pop(at, None)
        found.joined.pop(at, None)
        found.twins.pop(at, None)
        if known is not None:
            found.unwritten.pop(known.id, None)


def outdate(found: Import, run_id: str) -> dict[str, Any]:
    """Take away what was not in the journal of a run, as what is to be written now is newer; returns the latest."""
    latest = found.unwritten.pop(run_id, None)
    if latest is None:
        return {}
    found.passing = [each for each in found.passing if each["id"] != run_id]
    return latest


def let_time_pass(found: Import) -> None:
    """Runs that nothing was written to for long are running no more; what waited long enough is to be written."""
    now_s = time.time()
    for at, known in found.runs.items():
        if known.state != "running" or not known.no:
            continue
        state, cause = standing(known.said, known.tracker, known.written_at_s, now_s)
        if state != "running":
            if known.id in found.unwritten:
                found.durable.append(outdate(found, known.id) | {"state": state, "cause": cause})
            else:
                found.durable.append({"kind": "state", "id": known.id, "state": state, "cause": cause})
            found.runs[at] = known._replace(state=state)
    moment_s = time.monotonic()
    for run_id in [each for each in found.unwritten if moment_s - found.written_s.get(each, 0.0) >= DURABLE_EVERY_S]:
        found.durable.append(outdate(found, run_id))
        found.written_s[run_id] = moment_s
