"""The route that enqueues a run once more with another command, or says what would differ."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from console.daemon import cloning, launch
from console.daemon.http import RefusedError, actor_of, answer, body_of, guarded
from console.daemon.references import run_named
from console.daemon.routes_jobs import again, context_of
from console.jobs import spec
from console.jobs.spec import command_text
from console.project import interpreter
from console.project.masking import mask_mapping
from store import paths

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from console.daemon.keeper import Keeper
    from store import database


class CloneRoutes:
    """Belongs to the event loop."""

    def __init__(self, home: str, opened: database.Database, keeper: Keeper) -> None:
        self._home = home
        self._database = opened
        self._keeper = keeper

    def table(self) -> list[Route]:
        """Paths and handlers."""
        return [Route("/clone", self.clone, methods=["POST"])]

    @guarded
    async def clone(self, request: Request) -> Response:
        """Enqueue `run` with the words of `argv` in place of those that are shown of it; with `plan` only say what that
        changes, and without `argv` what its command is."""
        data = await body_of(request)
        if not isinstance(data, dict) or not isinstance(data.get("run"), str):
            raise RefusedError(400, "run must name a run")
        ended = await asyncio.to_thread(self._spec_of, data["run"])
        words = data.get("argv")
        if words is None and data.get("plan"):
            words = cloning.shown_words(ended.argv)
        if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
            raise RefusedError(400, "argv must be a list of texts", "the first names a program")
        argv = cloning.meant_words(ended.argv, words)
        if not argv[0] or not all(map(spec.can_be_passed_on, argv)):
            raise RefusedError(400, "the command must name a program and hold no NUL characters")
        context = context_of({"environment": {}} if data.get("plan") else data, "/", "")
        wanted = cloning.with_command(again(ended, context), argv)
        if data.get("plan"):
            return answer(plan(ended, wanted))
        wanted = replace(wanted, queueing=replace(wanted.queueing, sweep="", reason=f"clone of r{ended.no}"))
        if argv[0] != ended.argv[0]:
            python = interpreter.choose(list(argv[:1]), wanted.environment, wanted.working_dir)
            wanted = replace(wanted, interpreter=python)
        commands, actor = self._keeper.commands, actor_of(data)
        made = await asyncio.wrap_future(
            self._keeper.call(lambda: commands.submit_all([wanted], actor, "clone", of=ended.id))
        )
        rows = [{"id": new.id, "no": new.no, "name": launch.readable(new.name)} for new in made]
        scheduler = self._keeper.scheduler
        for row, new in zip(rows, made, strict=True):
            waits = new.id in scheduler
            row |= {"state": "queued" if waits else "starting", "reason": scheduler.reason_of(new.id) if waits else ""}
        return answer({"runs": rows}, 201)

    def _spec_of(self, reference: str) -> spec.Spec:
        """What was asked of a run. Raises RefusedError."""
        with self._database.reading() as cursor:
            found = run_named(cursor, reference)
        if found.tracker:
            raise RefusedError(409, f"r{found.no} {found.name} was imported: how it was started is not known")
        try:
            return spec.read_spec(paths.run_dir(self._home, found.id))
        except (OSError, ValueError) as error:
            hint = f"`footplate archive --restore r{found.no}` brings them back" if found.archived else ""
            raise RefusedError(409, f"the files of r{found.no} are not there: {error}", hint) from error


def plan(ended: spec.Spec, wanted: spec.Request) -> dict[str, Any]:
    """What a clone would be, as far as it may be shown."""
    before, after = cloning.shown_words(ended.argv), cloning.shown_words(wanted.argv)
    old, new = mask_mapping(ended.params), mask_mapping(spec.params_of(wanted.argv) | wanted.params)
    differing = [key for key in dict.fromkeys([*old, *new]) if old.get(key) != new.get(key)]
    return {
        "command": command_text(tuple(after)),
        "changes": [list(change) for change in cloning.changes(before, after)],
        "params": [[key, old.get(key), new.get(key)] for key in map(launch.readable, differing)],
        "name": launch.readable(wanted.name),
        "folder": launch.readable(wanted.working_dir),
    }
