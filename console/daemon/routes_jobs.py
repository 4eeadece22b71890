"""Routes that make runs of jobs and commands: one, one per set of params, or ended ones once more."""

from __future__ import annotations

import asyncio
import math
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from starlette.routing import Route

from console.daemon import launch, sweeps
from console.daemon.http import RefusedError, actor_of, answer, body_of, guarded
from console.daemon.job_runs import Context, Wish, followers_of, job_named, job_of_argv, requests_for
from console.daemon.references import run_named
from console.jobs import spec, sweep_grid
from console.jobs.spec import SpecError, command_text, default_name
from console.jobs.sweep_grid import SweepError
from console.project.masking import mask_argv
from console.project.placeholders import TemplateError
from store import paths
from store.queries import durations, run_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from console.daemon.keeper import Keeper
    from console.daemon.projects import Projects
    from console.jobs.spec import Spec
    from console.project.manifest_model import Job, Manifest
    from store import database

SHOWN_SETS: Final = 20
RETRIED_MAX: Final = 10_000
RETRIED_STATES: Final = ("failed", "stopped", "interrupted", "skipped")


class JobRoutes:
    """What the routes share."""

    def __init__(self, home: str, opened: database.Database, keeper: Keeper, projects: Projects) -> None:
        self._home = home
        self._database = opened
        self._keeper = keeper
        self._projects = projects

    def table(self) -> list[Route]:
        """Paths and handlers."""
        return [Route("/jobs", self.start, methods=["POST"]), Route("/retry", self.retry, methods=["POST"])]

    @guarded
    async def start(self, request: Request) -> Response:
        """Enqueue a job once, or once for each set of params; with `plan` only say what that would be."""
        data = await body_of(request)
        if not isinstance(data, dict):
            raise RefusedError(400, "the body must be a JSON object")
        try:
            wish, context, manifest, notes = await asyncio.to_thread(self._wish, data)
            if data.get("plan"):
                return answer(await asyncio.to_thread(self._plan, wish, context, manifest, notes))
            label = await asyncio.to_thread(sweeps.claim, self._home) if data.get("sweep") else ""
            try:
                requests = requests_for(replace(wish, sweep=label), context, manifest)
                details = {"axes": [str(each) for each in data.get("axes") or []]} if label else {}
                made = await self._enqueue(requests, actor_of(data), "sweep" if label else "start", details)
            except BaseException:
                if label:
                    sweeps.drop(self._home, label)
                raise
        except SweepError as error:
            raise RefusedError(400, str(error), error.hint) from error
        except TemplateError as error:
            raise RefusedError(400, error.problem, error.expected) from error
        return answer({"runs": self._rows(made), "sweep": label, "notes": notes}, 201)

    @guarded
    async def retry(self, request: Request) -> Response:
        """Enqueue ended runs once more, as new ones; with `takes_slot` they wait for a slot, as jobs do."""
        data = await body_of(request)
        references = data.get("runs") if isinstance(data, dict) else None
        if not isinstance(references, list) or not all(isinstance(each, str) for each in references) or not references:
            raise RefusedError(400, "runs must be a list of runs")
        context = context_of(data, "/", "")
        chosen = await asyncio.to_thread(self._ended, references, everything=bool(data.get("all")))
        requests = [replace(again(each, context), log_pattern=self._pattern_of(each)) for each in chosen]
        if data.get("takes_slot"):
            requests = [replace(each, queueing=replace(each.queueing, takes_slot=True)) for each in requests]
        made = await self._enqueue(requests, actor_of(data), "retry", {"of": [each.id for each in chosen]})
        return answer({"runs": self._rows(made), "sweep": "", "notes": []}, 201)

    def _pattern_of(self, ended: Spec) -> str | None:
        """What the log of an ended run is read by when it is enqueued once more: what its folder says now, if any."""
        watched = self._projects.registry.around(ended.original_working_dir or ended.working_dir)
        return ended.log_pattern if watched is None else None

    async def _enqueue(
        self, requests: Sequence[spec.Request], actor: str, action: str, details: dict[str, Any]
    ) -> list[Spec]:
        commands = self._keeper.commands
        future = self._keeper.call(lambda: commands.submit_all(requests, actor, action, **details))
        return await asyncio.wrap_future(future)

    def _wish(self, data: dict[str, Any]) -> tuple[Wish, Context, Manifest | None, list[str]]:
        """What is wanted, from a request. Raises RefusedError, SweepError, TemplateError, OSError."""
        name, argv, folder = data.get("job") or "", data.get("argv") or [], data.get("folder")
        if not isinstance(folder, str) or not os.path.isabs(folder):
            raise RefusedError(400, "folder must be an absolute path")
        if not isinstance(name, str) or not isinstance(argv, list) or not all(isinstance(word, str) for word in argv):
            raise RefusedError(400, "job must be a text and argv a list of texts")
        if bool(name) == bool(argv):
            raise RefusedError(400, "name a job, or give a command, and not both")
        sets, names = sets_of(data)
        given_name = str(data.get("name") or "")
        if argv:
            job = job_of_argv(argv, names)
            unused = next((each for each in names if not any(f"{{{each}}}" in word for word in argv)), None)
            if unused is not None:
                raise SweepError(f"the command does not use the param {unused}", f"write {{{unused}}} where it belongs")
            context = context_of(data, folder, str(data.get("project") or ""))
            job = replace(job, name=default_name(argv))
            return Wish(job, sets, priority=priority_of(data), name=given_name), context, None, []
        found = self._projects.load(folder)
        job = job_named(found.manifest, name)
        notes = list(found.notes)
        followers: list[Job] = []
        if data.get("followers"):
            followers = followers_of(found.manifest, name)
            problem = self._projects.trust_problem(found.root) if followers else ""
            if problem:
                names_ = ", ".join(each.name for each in followers)
                notes.append(f"{names_} will not follow by itself: {problem}; `footplate trust` changes that")
                followers = []
        context = context_of(data, found.root, found.name)
        wish = Wish(job, sets, followers, priority=priority_of(data), name=given_name)
        return wish, context, found.manifest, notes

    def _plan(self, wish: Wish, context: Context, manifest: Manifest | None, notes: list[str]) -> dict[str, Any]:
        """What a sweep comes to, without making it."""
        # The first one only: all others differ in their params alone.
        first = requests_for(replace(wish, sets=wish.sets[:1]), context, manifest)[0]
        run_count = len(wish.sets) * (1 + len(wish.followers))
        with self._database.reading() as cursor:
            typical = durations.typical_durations(cursor)
        project = first.project if first.names_project else self._projects.registry.name_of(first.working_dir)
        typical_s = typical.get((project or first.project, first.name))
        slots = max(1, self._keeper.scheduler.state.slot_count)
        at_once = min(slots, devices_rounds(wish.job.gpus, len(self._keeper.scheduler.state.devices), slots))
        total_s = None if typical_s is None else math.ceil(len(wish.sets) / at_once) * typical_s
        reason = durations.METHOD if typical_s is not None else f"no run of {first.name} has finished yet"
        return {
            "run_count": run_count,
            "set_count": len(wish.sets),
            "sets": [dict(each) for each in wish.sets[:SHOWN_SETS]],
            "name": first.name,
            "command": launch.readable(command_text(tuple(mask_argv(first.argv)))),
            "slots": at_once,
            "typical_s": typical_s,
            "total_s": total_s,
            "typical_reason": reason,
            "notes": notes,
        }

    def _rows(self, made: Sequence[Spec]) -> list[dict[str, Any]]:
        """New runs and how they stand."""
        rows = []
        for each in made:
            waits = each.id in self._keeper.scheduler
            reason = self._keeper.scheduler.reason_of(each.id) if waits else ""
            state = "starting"
            if waits:
                state = "blocked" if each.queueing.after else "queued"
            rows.append(
                {"id": each.id, "no": each.no, "name": launch.readable(each.name), "state": state, "reason": reason}
            )
        return rows

    def _ended(self, references: Sequence[str], *, everything: bool) -> list[Spec]:
        """What was asked of ended runs. Raises RefusedError."""
        found: dict[str, run_table.RunEntry] = {}
        with self._database.reading() as cursor:
            for reference in references:
                if sweeps.read(self._home, reference) is not None:
                    entries = run_table.runs_of_sweep(cursor, reference)
                    found |= {each.id: each for each in entries if everything or each.state in RETRIED_STATES}
                    continue
                entry = run_named(cursor, reference)
                found[entry.id] = entry
        if not found:
            raise RefusedError(409, "every run of it has finished", "--all enqueues those too")
        if len(found) > RETRIED_MAX:
            raise RefusedError(400, f"{len(found):,} runs; at most {RETRIED_MAX:,} at once")
        made = []
        for entry in found.values():
            if entry.tracker:
                words = f"r{entry.no} {entry.name} was imported: how it was started is not known"
                raise RefusedError(409, words, "start it again in its own folder: footplate run -- COMMAND")
            if entry.state not in (*RETRIED_STATES, "finished"):
                if len(references) > 1 or len(found) > 1:
                    continue
                raise RefusedError(409, f"r{entry.no} {entry.name} has not ended ({entry.state})", "stop it first")
            try:
                made.append(spec.read_spec(paths.run_dir(self._home, entry.id)))
            except (OSError, ValueError) as error:
                hint = f"`footplate archive --restore r{entry.no}` brings them back" if entry.archived else ""
                raise RefusedError(409, f"the files of r{entry.no} are not there: {error}", hint) from error
        if not made:
            raise RefusedError(409, "none of these runs has ended", "stop them first")
        return made


def sets_of(data: dict[str, Any]) -> tuple[list[dict[str, str]], list[str]]:
    """The sets of params of a request, and the names of the params. Raises SweepError, RefusedError."""
    if not data.get("sweep"):
        params = data.get("params") or {}
        if not isinstance(params, dict) or not all(isinstance(value, str) for value in params.values()):
            raise RefusedError(400, "params must be an object of texts")
        return [params], list(params)
    axes = data.get("axes") or []
    if not isinstance(axes, list) or not all(isinstance(axis, str) for axis in axes):
        raise RefusedError(400, "axes must be a list of texts such as lr=1e-3,1e-4")
    numbers = {name: data.get(name) or 0 for name in ("random", "seed")}
    for name, number in numbers.items():
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise RefusedError(400, f"{name} must be a whole number, not negative")
    rows = sweep_grid.parse_rows(data.get("rows") or [])
    if not axes and not rows:
        raise SweepError("there is nothing to sweep", "name params: -p lr=1e-3,1e-4")
    sets = sweep_grid.expand(
        [sweep_grid.parse_axis(axis) for axis in axes],
        zipped=bool(data.get("zip")),
        random_count=numbers["random"],
        seed=numbers["seed"],
        rows=rows,
    )
    return sets, list(dict.fromkeys(name for each in sets for name in each))


def context_of(data: dict[str, Any], folder: str, project: str) -> Context:
    """The shell that a request came from; what is wrong in it is found when the runs are made."""
    environment, umask = data.get("environment"), data.get("umask", 0o022)
    if not isinstance(environment, dict) or not all(isinstance(value, str) for value in environment.values()):
        raise RefusedError(400, "environment must be an object of strings")
    return Context(folder, project, environment, umask, data.get("limits") or {})


def priority_of(data: Mapping[str, Any]) -> int | None:
    """The priority that a request asks for; None for that of the job."""
    priority = data.get("priority")
    if priority is not None and (not isinstance(priority, int) or isinstance(priority, bool)):
        raise RefusedError(400, "priority must be a whole number")
    return priority


def devices_rounds(wanted: int, declared: int, slots: int) -> int:
    """How many runs that want so many devices may run at once."""
    return max(1, declared // wanted) if wanted else slots


def again(ended: Spec, context: Context) -> spec.Request:
    """An ended run as a new request. Raises SpecError."""
    if ended.adopted is not None:
        raise SpecError(f"r{ended.no} was adopted: how it was started is not known")
    return spec.Request(
        argv=ended.argv,
        working_dir=ended.original_working_dir or ended.working_dir,
        environment=context.environment,
        umask=context.umask,
        limits={name: (pair[0], pair[1]) for name, pair in context.limits.items()},
        name=ended.name,
        project=ended.project,
        grace_s=ended.grace_s,
        options=ended.options,
        interpreter=ended.interpreter,
        queueing=replace(ended.queueing, after=(), origin="person", reason=f"retry of r{ended.no}"),
        params=ended.params,
    )
