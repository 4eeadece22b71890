"""From a job of a manifest to the runs that it becomes: itself, once or once per set of params, and what follows it."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, dataclass, field, replace
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

from ulid import ULID

from console.daemon.http import RefusedError
from console.jobs.spec import Request, parse_request
from console.project import interpreter
from console.project.command_template import fill
from console.project.manifest_model import Job

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from console.project.manifest_model import Manifest


@dataclass(frozen=True, slots=True)
class Context:
    """Whose runs they become: of a shell, or of the one that was there when the manifest was trusted."""

    folder: str
    """That of the manifest, or where the command was typed."""
    project: str
    """Empty: the one that the folder belongs to."""
    environment: dict[str, str]
    umask: int
    limits: dict[str, list[int]]
    origin: str = "person"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants of a job."""

    job: Job
    sets: Sequence[Mapping[str, str]]
    """Params on top of those of the job: one run for each."""
    followers: Sequence[Job] = ()
    """Jobs that come after it, each after those before it that it names."""
    sweep: str = ""
    priority: int | None = None
    name: str = ""


@dataclass(slots=True)
class Shared:
    """What the runs of one job have in common."""

    environment: dict[str, str]
    python: str
    interpreters: dict[str, str] = field(default_factory=dict)
    """By program: looking for one takes a hundred calls of the system."""

    def interpreter_of(self, argv: Sequence[str], folder: str) -> str:
        """The Python that a run of it uses."""
        if argv[0] not in self.interpreters:
            self.interpreters[argv[0]] = interpreter.choose(argv[:1], self.environment, folder)
        return self.interpreters[argv[0]]


def requests_for(wish: Wish, context: Context, manifest: Manifest | None) -> list[Request]:
    """The runs to enqueue, in the order of their numbers. Raises SpecError, or ValueError for params that do not fit.

    Each set gets followers of its own.
    """
    made: list[Request] = []
    shared: dict[str, Shared] = {}
    for params in wish.sets:
        ids = {wish.job.name: str(ULID())}
        made.append(request_for(wish.job, params, ids, wish, context, manifest, shared))
        for follower in wish.followers:
            after = [{"run": ids[each.job], "on": each.on} for each in follower.after if each.job in ids]
            ids[follower.name] = str(ULID())
            made.append(request_for(follower, {}, ids, wish, context, manifest, shared, after))
    return made


def request_for(
    job: Job,
    params: Mapping[str, str],
    ids: Mapping[str, str],
    wish: Wish,
    context: Context,
    manifest: Manifest | None,
    shared: dict[str, Shared],
    after: Sequence[dict[str, str]] = (),
) -> Request:
    """One run; `shared` holds what runs of the same job have in common."""
    folder = os.path.normpath(os.path.join(context.folder, job.cwd))
    if job.name not in shared:
        base = {**context.environment, **job.env}
        shared[job.name] = Shared(base, python_of(manifest, context.folder, folder, base))
    base = shared[job.name].environment
    filled = fill(job, dict(params), shared[job.name].python)
    is_follower = job is not wish.job
    options: dict[str, Any] = {
        "timeout_s": job.timeout_s,
        "memory_bytes": job.memory_bytes,
        "log_limit_bytes": job.log_limit_bytes,
        "checkpoint_signal": job.checkpoint_signal,
        "checkpoint_s": job.checkpoint_s,
        "isolate": job.isolate,
        "autoresume": job.autoresume,
    }
    if filled.retry is not None:
        options["retry"] = asdict(filled.retry)
    asked = {
        "argv": list(filled.argv),
        "working_dir": folder,
        "environment": base,
        "umask": context.umask,
        "limits": context.limits,
        "name": job.name if is_follower else wish.name or job.name,
        "project": context.project,
        "grace_s": job.grace_s,
        "options": options,
        "interpreter": shared[job.name].interpreter_of(filled.argv, folder),
        "params": dict(filled.params),
        "queueing": {
            "takes_slot": True,
            "priority": job.priority if is_follower or wish.priority is None else wish.priority,
            "after": list(after),
            "devices": job.gpus,
            "mutex": list(job.mutex),
            "job": job.name if manifest is not None else "",
            "sweep": "" if is_follower else wish.sweep,
            "origin": "after" if is_follower else context.origin,
            "reason": f"after {wish.job.name}" if is_follower else context.reason,
            "manifest_dir": context.folder if manifest is not None else "",
        },
    }
    pattern = manifest.log_pattern if manifest is not None else None
    made = replace(parse_request(asked), id=ids[job.name], variables=dict(filled.environment))
    return replace(made, log_pattern=pattern)


def python_of(manifest: Manifest | None, root: str, folder: str, environment: Mapping[str, str]) -> str:
    """What `{python}` stands for: the interpreter of the manifest, of the project, or our own."""
    if manifest is not None and manifest.interpreter:
        return os.path.normpath(os.path.join(root, manifest.interpreter))
    return interpreter.choose(["python"], environment, folder) or sys.executable


def followers_of(manifest: Manifest, name: str) -> list[Job]:
    """The jobs that come after one, directly or through others, each behind those among them that it names."""
    names: set[str] = {name}
    while True:
        more = {job.name for job in manifest.jobs.values() if any(after.job in names for after in job.after)} - names
        if not more:
            break
        names |= more
    graph = {
        each: [after.job for after in manifest.jobs[each].after if after.job in names - {name}]
        for each in names - {name}
    }
    order = TopologicalSorter({each: graph[each] for each in manifest.jobs if each in graph}).static_order()
    return [manifest.jobs[each] for each in order]


def job_named(manifest: Manifest, name: str) -> Job:
    """A job of a manifest. Raises RefusedError naming those that there are."""
    found = manifest.jobs.get(name)
    if found is None:
        known = ", ".join(manifest.jobs) or "none"
        raise RefusedError(404, f"{manifest.path} has no job {name!r}", f"its jobs: {known}")
    return found


def job_of_argv(argv: Sequence[str], axes: Iterable[str]) -> Job:
    """A command that was typed with placeholders, as a job whose params are those of the sweep."""
    return Job(name="", command=tuple(argv), params=dict.fromkeys(axes, ""))
