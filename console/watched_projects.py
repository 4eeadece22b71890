"""Watched projects as clients see them: snapshots, and what can be asked of the daemon about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from console.protocol import pick

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.client import Client
    from console.protocol import Json


class ProjectJob(NamedTuple):
    """One job of a watched project's manifest."""

    name: str
    command: str
    after: tuple[str, ...] = ()
    on_change: tuple[str, ...] = ()
    cron: str = ""
    last_fired_s: float | None = None
    """When its trigger last started it; None for never."""
    last_reason: str = ""
    last_runs: tuple[int, ...] = ()
    pending: str = ""
    """What it will start for once its cooldown is over."""
    note: str = ""
    params: dict[str, str] = {}  # noqa: RUF012 - never changed
    """Its parameters with their defaults."""
    description: str = ""
    followers: tuple[str, ...] = ()
    """The jobs that come after it."""


class Attention(NamedTuple):
    """Something of a project that wants a person."""

    kind: str
    text: str
    command: str
    """What helps; may be empty."""


class Project(NamedTuple):
    """One watched folder."""

    name: str
    root: str
    trust: str
    """none, broken, unsafe, untrusted, changed or trusted."""
    trust_reason: str
    text_hash: str
    diff: tuple[str, ...]
    """From the trusted text to the present one, when it has changed."""
    watch: str
    """inotify, mixed, poll, gone or unreadable."""
    watch_reason: str
    jobs: tuple[ProjectJob, ...]
    attention: tuple[Attention, ...]
    armed: bool
    """Something may start by itself."""


def all_of(client: Client) -> tuple[Project, ...]:
    """Every watched project. Raises ClientError."""
    return tuple(map(decode_project, client.get("/projects")["projects"]))


def trust(client: Client, root: str, text_hash: str, context: Mapping[str, Json]) -> None:
    """Let the manifest of a project start commands by itself, if its text is still that one. Raises ClientError."""
    client.post("/projects/trust", {**context, "folder": root, "text_hash": text_hash})


def unwatch(client: Client, root: str, actor: str) -> None:
    """Watch a folder no more. Raises ClientError."""
    client.post("/projects/unwatch", {"folder": root, "actor": actor})


def decode_project(data: dict[str, Json]) -> Project:
    """A watched project from its JSON object."""
    jobs = []
    for job in data["jobs"]:
        lists = {name: tuple(job.get(name, ())) for name in ("after", "on_change", "last_runs", "followers")}
        jobs.append(pick(ProjectJob, job, **lists))
    attention = tuple(pick(Attention, each) for each in data["attention"])
    return pick(Project, data, jobs=tuple(jobs), attention=attention, diff=tuple(data["diff"]))
