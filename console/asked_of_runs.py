"""What clients ask the daemon to do with runs: once more, other words on them, kept, packed away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from console.client import DaemonRefused
from console.protocol import pick

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from console.client import Client
    from console.protocol import Json, RunRow


NOT_FOUND: Final = 404


class NewRun(NamedTuple):
    """A run that was just enqueued, and how it stands."""

    id: str
    no: int
    name: str
    state: str
    reason: str
    """Why it waits; empty for one that starts at once."""


def retry(client: Client, run_ids: Sequence[str], context: Mapping[str, Json], **more: Json) -> tuple[NewRun, ...]:
    """Enqueue ended runs once more, with the environment in `context`.

    `more`: `takes_slot` for one that waits for a slot as jobs do, `argv` for another command of the only run.
    Raises ClientError.
    """
    return new_runs(client.post("/retry", {**context, **more, "runs": list(run_ids)}))


def new_runs(answer: Mapping[str, Json]) -> tuple[NewRun, ...]:
    """The runs of an answer of the routes that enqueue."""
    return tuple(pick(NewRun, run) for run in answer["runs"])


def to_the_front(client: Client, run_ids: Sequence[str], actor: str) -> None:
    """Put waiting runs in front of all others. Raises ClientError."""
    client.post("/queue/place", {"runs": list(run_ids), "before": "", "actor": actor})


def release(client: Client, run_ids: Sequence[str], actor: str) -> None:
    """Let held runs start. Raises ClientError."""
    for run_id in run_ids:
        client.release(run_id, actor)


def note(client: Client, run_id: str, text: str, actor: str) -> None:
    """Write down something about a run. Raises ClientError."""
    client.post_known("/notes", {"runs": [run_id], "text": text, "actor": actor})


def tag(client: Client, run_ids: Sequence[str], add: Sequence[str], remove: Sequence[str], actor: str) -> None:
    """Put tags on runs and take others off. Raises ClientError."""
    asked = {"runs": list(run_ids), "add": list(add), "remove": list(remove), "actor": actor}
    client.post_known("/tags", asked)


def pin(client: Client, run_ids: Sequence[str], actor: str, *, pinned: bool) -> None:
    """Keep runs from being deleted, or let go of them. Raises ClientError."""
    client.post_known("/pins", {"runs": list(run_ids), "pinned": pinned, "actor": actor})


def archive(client: Client, run_id: str, actor: str) -> int:
    """Pack the files of an ended run and wait for the end of that; returns the bytes freed. Raises ClientError."""
    name = client.post("/chores", {"chore": "archive", "actor": actor, "run": run_id})["id"]
    while True:
        state = client.get(f"/chores/{name}")
        if state["over"]:
            break
    if error := state.get("error"):
        raise DaemonRefused(str(error["message"]), str(error["hint"]), int(error["status"]))
    return int(state["result"]["freed_bytes"])


def rows_that_are_there(client: Client, run_ids: Sequence[str]) -> tuple[RunRow, ...]:
    """The rows of runs, without those that were deleted. Raises ClientError."""
    rows = []
    for run_id in run_ids:
        try:
            rows.append(client.run(run_id).row)
        except DaemonRefused as error:
            if error.status != NOT_FOUND:
                raise
    return tuple(rows)


class ClonePlan(NamedTuple):
    """What a run with another command would be; secrets are masked in it."""

    command: str
    changes: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    """Words that give way to others."""
    params: tuple[tuple[str, str | None, str | None], ...]
    """Params that would differ: name, value of the run, value then; None for one that is not there."""
    name: str
    folder: str


def plan_clone(client: Client, run_id: str, argv: Sequence[str] | None) -> ClonePlan:
    """What a run once more with these words would be; None asks for the words it has. Raises ClientError."""
    found = client.post("/clone", {"run": run_id, "plan": True} | ({} if argv is None else {"argv": list(argv)}))
    changes = tuple((tuple(before), tuple(after)) for before, after in found["changes"])
    params = tuple((str(key), before, after) for key, before, after in found["params"])
    return pick(ClonePlan, found, changes=changes, params=params)


def clone(client: Client, run_id: str, argv: Sequence[str], context: Mapping[str, Json]) -> tuple[NewRun, ...]:
    """Enqueue a run with these words in place of those that are shown of it. Raises ClientError."""
    return new_runs(client.post("/clone", {**context, "run": run_id, "argv": list(argv)}))


class JobPlan(NamedTuple):
    """What starting a job would be."""

    command: str
    name: str
    typical_s: float | None
    """How long its runs take; None where none has finished yet."""
    notes: tuple[str, ...]


def plan_job(client: Client, asked: Mapping[str, Json], context: Mapping[str, Json]) -> JobPlan:
    """What a job with these params would execute. `asked` has folder, job, params, followers. Raises ClientError."""
    found = client.post("/jobs", {**context, **asked, "plan": True})
    return pick(JobPlan, found, notes=tuple(found["notes"]))


def start_job(client: Client, asked: Mapping[str, Json], context: Mapping[str, Json]) -> tuple[NewRun, ...]:
    """Enqueue a job, and what comes after it. Raises ClientError."""
    return new_runs(client.post("/jobs", {**context, **asked}))
