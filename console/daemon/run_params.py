"""What the index says of a run's params: those of its command line, and those that a worker found in files."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from console.daemon.launch import columns_of_spec, readable
from console.jobs import spec
from console.json_files import read_object
from console.project import hydra_runs, param_files
from store import paths
from store.queries.literals import put_literals

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from console.daemon.captures import Captures
    from console.jobs.spec import Spec
    from store.database import Cursor
    from store.ingest import Index

RECENT_S: Final = 600.0
"""An end that is older was recorded long ago: what its files said then is gone or known."""
HYDRA: Final = ".hydra"


class FoundParams(NamedTuple):
    """What the files of a run directory say."""

    columns: dict[str, Any]
    """Of the run's record; empty when there is nothing but the command line."""
    literals: dict[str, tuple[str, int]]
    """Value and line by name."""


def found_params(run_dir: str, asked: Spec) -> FoundParams:
    """Read what workers wrote into a run directory; what is not as they write it is passed over."""
    record = read_object(param_files.path_of(run_dir)) or {}
    composed = (read_object(hydra_runs.path_of(run_dir)) or {}).get("params")
    merged: dict[str, tuple[str, str]] = {}
    config = record.get("config")
    for entry in config if isinstance(config, list) else ():
        if isinstance(entry, list) and len(entry) == 3 and all(isinstance(each, str) for each in entry):
            merged[readable(entry[0])] = (readable(entry[1]), readable(entry[2]))
    if isinstance(composed, dict):
        texts = {key: value for key, value in composed.items() if isinstance(value, str)}
        merged.update((readable(key), (readable(value), HYDRA)) for key, value in texts.items())
    literals = record.get("literals")
    found = {
        readable(name): (readable(each[0]), each[1])
        for name, each in (literals.items() if isinstance(literals, dict) else ())
        if isinstance(each, list) and len(each) == 2 and isinstance(each[0], str) and type(each[1]) is int
    }
    if not merged:
        return FoundParams({}, found)
    stated = columns_of_spec(asked)
    # What was typed goes before what stands in a file; a key that both have is where it was typed.
    sources = {key: source for key, (_, source) in merged.items() if key not in stated["params"]}
    params = stated["params"] | {key: merged[key][0] for key in sources}
    added = " ".join(f"{key}={params[key]}" for key in sources)
    columns = {
        "params": json.dumps(params),
        "param_sources": json.dumps(sources),
        "search_text": f"{stated['search_text']} {added.lower()}",
    }
    return FoundParams(columns, found)


def at_the_end(run_dir: str, asked: Spec, ended_at_s: float | None) -> bool:
    """Whether a worker should look once more for params of a run that has just ended."""
    if ended_at_s is None or time.time() - ended_at_s > RECENT_S:
        return False
    known = read_object(hydra_runs.path_of(run_dir)) is not None
    return not known and hydra_runs.may_have_config(asked)


def take_in(cursor: Cursor, index: Index, run_dirs: Iterable[str], captures: Captures) -> list[str]:
    """Bring what workers found into the index; returns the ids of the runs. Raises duckdb.Error."""
    updates: dict[str, dict[str, Any]] = {}
    literals: dict[str, dict[str, tuple[str, int]]] = {}
    for run_dir in dict.fromkeys(run_dirs):
        try:
            asked = spec.read_spec(run_dir)
        except (OSError, ValueError):
            continue  # deleted or packed away meanwhile
        found = found_params(run_dir, asked)
        updates[asked.id] = {**found.columns, "params_pending": captures.is_pending(run_dir)}
        literals[asked.id] = found.literals
    put_literals(cursor, literals)
    if updates:
        index.commit([], updates)
    return list(updates)


def still_pending(cursor: Cursor, home: str) -> Sequence[str]:
    """Directories of ended runs whose files an earlier daemon could not have read any more. Raises duckdb.Error."""
    rows = cursor.execute("select id from run where params_pending").fetchall()
    return [paths.run_dir(home, run_id) for (run_id,) in rows]
