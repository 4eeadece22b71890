"""What wants a person, what runs, what waits and what has ended meanwhile: snapshots, and what can be asked about them.

A duration or a moment that is an estimate says so in its comment; whoever shows it marks it `~`. A gap between two
runs is what one seed each came to: nothing is said about significance, so it is shown with a `?`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from console.protocol import RunRow, decode_number, decode_row, optional_number, pick

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from console.client import Client
    from console.protocol import Json, State

ACTS: Final = ("retry", "release", "resume", "stop", "trust", "open", "copy", "")
"""What can be done about a need from where it is shown; `open` leads to where it can be looked at, `copy`
copies it to tell somebody else."""


class Need(NamedTuple):
    """One thing that wants a person."""

    key: str
    """By which it is marked as seen; another one when it comes again."""
    kind: str
    """notice, disk, failed, interrupted, diverged, held, paused, queue, project, import or device."""
    severe: bool
    """Something is lost or stands still; else it is a warning."""
    subject: str
    cause: str
    """In one line."""
    evidence: str = ""
    """What the cause was read from; may span lines; may be empty."""
    act: str = ""
    """One of `ACTS`."""
    command: str = ""
    """What a shell is told to do the same; may be empty."""
    run_id: str = ""
    row: RunRow | None = None
    """The run that it is about, where it is one that has started."""
    root: str = ""
    """Of the project that it is about."""
    scope: str = ""
    """Of a pause, as the queue names it."""
    at_s: float | None = None
    """When it came about, where that is known."""
    dismissable: bool = True
    """It can be marked as seen; what ends by itself once it is mended cannot."""


class Progress(NamedTuple):
    """How far a run is, by what it says itself."""

    done: float
    total: float
    unit: str
    """What is counted, such as epoch or step; may be empty."""
    text: str
    """As the run wrote it, such as 41k/90k."""


class Gap(NamedTuple):
    """How far a run is from the best other one of its project."""

    value: float
    """In the unit of the metric; positive when the metric is larger than that of the other."""
    ahead: bool | None
    """Better by the goal of the metric; None when both are equal."""
    best_no: int
    """The number of the other run."""
    step: int | None
    """Up to which the best values of both are compared; None: both as they ended."""


class LiveRun(NamedTuple):
    """A run that is alive."""

    row: RunRow
    progress: Progress | None = None
    progress_reason: str = ""
    """Why there is no progress."""
    rate_per_s: float | None = None
    """Steps per second of late."""
    left_s: float | None = None
    """Estimate: how long it still takes."""
    left_method: str = ""
    """How that was estimated, or why it could not be."""
    curve: tuple[float, ...] = ()
    """The primary metric from the first step to the last in bins of equal width; empty bins left out."""
    gap: Gap | None = None
    gap_reason: str = ""
    """Why there is no gap."""
    devices: tuple[str, ...] = ()
    """Names of the devices it was given."""


class WaitingRun(NamedTuple):
    """A run that waits."""

    id: str
    no: int
    name: str
    project: str
    state: State
    reason: str
    params: dict[str, str]
    expected_start_s: float | None = None
    """Estimate, Unix time; None when it cannot be told."""

    @property
    def row(self) -> RunRow:
        """As a row of the run table, as far as the queue knows it."""
        return RunRow(
            id=self.id,
            no=self.no,
            name=self.name,
            project=self.project,
            state=self.state,
            cause=self.reason,
            command="",
            created_at_s=0.0,
            started_at_s=None,
            ended_at_s=None,
            exit_code=None,
            signal="",
            params=self.params,
            metric=None,
        )


class EndedRun(NamedTuple):
    """A run that has ended meanwhile."""

    row: RunRow
    gap: Gap | None = None


class Absence(NamedTuple):
    """Since when what has ended is listed, and why since then."""

    since_s: float
    away_s: float | None
    """How long the person did not look; None when it is no absence that the list begins with."""


class BestRun(NamedTuple):
    """The best ended run of a project by its primary metric."""

    project: str
    key: str
    goal: str
    no: int
    value: float


class Triage(NamedTuple):
    """All of it at one moment, every list cut to a length that people can read."""

    now_s: float
    run_count: int
    """In the index, whatever their state."""
    needs: tuple[Need, ...]
    """The most urgent first."""
    need_count: int
    live: tuple[LiveRun, ...]
    live_count: int
    best: tuple[BestRun, ...]
    """Of the projects of live runs."""
    waiting: tuple[WaitingRun, ...]
    waiting_count: int
    all_done_s: float | None
    """Estimate, Unix time: when the queue is empty; None when that cannot be told."""
    ended: tuple[EndedRun, ...]
    """The latest first."""
    ended_count: int
    absence: Absence


def fetch(client: Client, actor: str = "") -> Triage:
    """What `actor` should look at, by default whoever the daemon belongs to. Raises ClientError."""
    return decode(client.get("/triage", {"actor": actor or None}))


def mark_seen(client: Client, keys: Sequence[str], actor: str) -> None:
    """Take needs off the list of `actor`. Raises ClientError."""
    client.post_known("/triage/seen", {"keys": list(keys), "actor": actor})


def clear(client: Client, actor: str) -> None:
    """What has ended until now has been looked at. Raises ClientError."""
    client.post("/triage/clear", {"actor": actor})


def tell_presence(client: Client, actor: str) -> None:
    """Somebody has just pressed a key. Raises ClientError."""
    client.post("/presence", {"actor": actor})


def resume(client: Client, scope: str, actor: str) -> None:
    """Let a paused part of the queue go on. Raises ClientError."""
    client.post("/queue/resume", {"scope": scope, "actor": actor})


def decode(data: dict[str, Json]) -> Triage:
    """A triage from its JSON object."""
    return pick(
        Triage,
        data,
        needs=tuple(map(decode_need, data["needs"])),
        live=tuple(map(decode_live, data["live"])),
        best=tuple(pick(BestRun, each, value=decode_number(each["value"])) for each in data["best"]),
        waiting=tuple(pick(WaitingRun, each) for each in data["waiting"]),
        ended=tuple(EndedRun(decode_row(each["row"]), decode_gap(each.get("gap"))) for each in data["ended"]),
        absence=pick(Absence, data["absence"]),
    )


def decode_need(data: dict[str, Json]) -> Need:
    """A need from its JSON object."""
    return pick(Need, data, row=decode_row(data["row"]) if data.get("row") else None)


def decode_live(data: Mapping[str, Json]) -> LiveRun:
    """A live run from its JSON object."""
    progress = data.get("progress")
    return pick(
        LiveRun,
        dict(data),
        row=decode_row(data["row"]),
        progress=pick(Progress, progress) if progress else None,
        rate_per_s=optional_number(data.get("rate_per_s")),
        curve=tuple(map(decode_number, data.get("curve", ()))),
        gap=decode_gap(data.get("gap")),
        devices=tuple(data.get("devices", ())),
    )


def decode_gap(data: dict[str, Json] | None) -> Gap | None:
    """A gap from its JSON object."""
    return pick(Gap, data, value=decode_number(data["value"])) if data else None
