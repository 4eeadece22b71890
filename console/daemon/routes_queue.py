"""Routes for the queue: what waits and why, pauses, places, limits; and for sweeps."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, Final

from starlette.routing import Route

from console.daemon import queue_state, queue_view, sweeps, translate
from console.daemon.http import RefusedError, actor_of, answer, body_of, guarded, integer
from console.daemon.people import note_text
from console.daemon.references import run_named
from console.jobs.leases import NAME
from console.jobs.queueing import PRIORITY_MAX
from store.queries import run_table
from store.queries.durations import typical_durations

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from console.daemon.keeper import Keeper
    from console.daemon.run_commands import RunCommands
    from store import database

SHOWN_MAX: Final = 20_000
SCOPE: Final = re.compile(r"all|sweep:s\d{1,9}|project:.{1,200}", re.DOTALL)
ENTRIES_SHOWN: Final = 200


class QueueRoutes:
    """What the routes share."""

    def __init__(self, home: str, opened: database.Database, keeper: Keeper) -> None:
        self._home = home
        self._database = opened
        self._keeper = keeper

    def table(self) -> list[Route]:
        """Paths and handlers."""
        return [
            Route("/queue", self.queue),
            Route("/queue/pause", self.pause, methods=["POST"]),
            Route("/queue/resume", self.resume, methods=["POST"]),
            Route("/queue/place", self.place, methods=["POST"]),
            Route("/queue/limits", self.limits, methods=["POST"]),
            Route("/sweeps", self.sweeps),
            Route("/sweeps/{label}", self.sweep),
            Route("/sweeps/{label}/stop", self.stop_sweep, methods=["POST"]),
        ]

    @guarded
    async def queue(self, request: Request) -> Response:
        """What waits, in order."""
        limit = min(integer(request, "limit", ENTRIES_SHOWN), SHOWN_MAX)
        return answer(await asyncio.to_thread(self._view, limit))

    @guarded
    async def pause(self, request: Request) -> Response:
        """Start nothing more of a scope."""
        data = await body_of(request)
        scope, actor = scope_of(data), actor_of(data)
        self._check_scope(scope)
        reason = note_text(data["reason"])[:500] if data.get("reason") else ""
        await self._command(lambda commands: commands.pause(scope, actor, reason))
        return answer(await asyncio.to_thread(self._view, ENTRIES_SHOWN))

    @guarded
    async def resume(self, request: Request) -> Response:
        """Go on with a scope."""
        data = await body_of(request)
        scope, actor = scope_of(data), actor_of(data)
        if not await self._command(lambda commands: commands.resume(scope, actor)):
            raise RefusedError(409, f"{words_of(scope)} is not paused", "`footplate queue` shows what is")
        return answer(await asyncio.to_thread(self._view, ENTRIES_SHOWN))

    @guarded
    async def place(self, request: Request) -> Response:
        """Give waiting runs another place."""
        data = await body_of(request)
        priority, before = data.get("priority"), data.get("before")
        if (priority is None) == (before is None):
            raise RefusedError(400, "give either priority or before")
        if priority is not None and (not isinstance(priority, int) or abs(priority) > PRIORITY_MAX):
            raise RefusedError(400, f"priority must be a whole number from {-PRIORITY_MAX} to {PRIORITY_MAX}")
        ids = await asyncio.to_thread(self._waiting, data.get("runs"))
        target = "" if not before else (await asyncio.to_thread(self._waiting, [before]))[0]
        if target in ids:
            raise RefusedError(400, f"{before} cannot be put before itself")
        where = None if priority is not None else target
        actor = actor_of(data)
        await self._command(lambda commands: commands.place(ids, actor, priority=priority, before=where))
        return answer(await asyncio.to_thread(self._view, ENTRIES_SHOWN))

    @guarded
    async def limits(self, request: Request) -> Response:
        """How many runs at once, and which devices there are."""
        data = await body_of(request)
        slots, devices, folder = data.get("slots"), data.get("devices"), data.get("devices_dir") or ""
        if slots is not None and (not isinstance(slots, int) or not -1 <= slots <= queue_state.RUNS_MAX):
            raise RefusedError(400, f"slots must be from 0 to {queue_state.RUNS_MAX}, or -1 for what suits the machine")
        if devices is not None:
            named = isinstance(devices, list) and all(
                isinstance(each, str) and NAME.fullmatch(each) for each in devices
            )
            if not named or len(set(devices)) != len(devices) or len(devices) > queue_state.DEVICES_MAX:
                said = "devices must be a list of different names: up to 64 letters, digits and . _ : -"
                raise RefusedError(400, said)
        if not isinstance(folder, str) or (folder and not folder.startswith("/")):
            raise RefusedError(400, "devices_dir must be an absolute path")
        wanted = None if devices is None else tuple(devices)
        await self._command(lambda commands: commands.settle_limits(slots, wanted, folder, actor_of(data)))
        return answer(await asyncio.to_thread(self._view, ENTRIES_SHOWN))

    @guarded
    async def sweeps(self, _: Request) -> Response:
        """Every sweep, newest first."""
        return answer({"sweeps": await asyncio.to_thread(self._all_sweeps)})

    @guarded
    async def sweep(self, request: Request) -> Response:
        """One sweep with its runs."""
        label = request.path_params["label"]
        found = await asyncio.to_thread(self._one_sweep, label)
        return answer(found)

    @guarded
    async def stop_sweep(self, request: Request) -> Response:
        """Ask every run of a sweep to end."""
        label, data = request.path_params["label"], await body_of(request)
        if sweeps.read(self._home, label) is None:
            raise no_sweep(label)
        actor = actor_of(data)
        asked = await self._command(lambda commands: commands.stop_sweep(label, actor))
        if not asked:
            raise RefusedError(409, f"every run of {label} has ended already")
        return answer({"runs": asked})

    async def _command(self, command: Callable[[RunCommands], Any]) -> Any:
        return await asyncio.wrap_future(self._keeper.call(lambda: command(self._keeper.commands)))

    def _view(self, limit: int) -> dict[str, Any]:
        with self._database.reading() as cursor:
            durations = typical_durations(cursor)
        return queue_view.view(self._keeper.scheduler, durations, limit)

    def _check_scope(self, scope: str) -> None:
        kind, _, name = scope.partition(":")
        if kind == "sweep" and sweeps.read(self._home, name) is None:
            raise no_sweep(name)

    def _waiting(self, references: Any) -> list[str]:
        """Ids of waiting runs."""
        if not isinstance(references, list) or not references or not all(isinstance(each, str) for each in references):
            raise RefusedError(400, "runs must be a list of runs")
        ids: list[str] = []
        for reference in references:
            if sweeps.read(self._home, reference) is not None:
                ids += [each for each in self._keeper.scheduler.of_sweep(reference) if each not in ids]
                continue
            with self._database.reading() as cursor:
                found = run_named(cursor, reference, "`footplate queue` lists those that wait")
            if found.id not in self._keeper.scheduler:
                raise RefusedError(409, f"r{found.no} {found.name} does not wait ({found.state})")
            ids.append(found.id)
        if not ids:
            raise RefusedError(409, "none of these runs waits", "`footplate queue` lists those that do")
        return list(dict.fromkeys(ids))

    def _all_sweeps(self) -> list[dict[str, Any]]:
        with self._database.reading() as cursor:
            counts = run_table.count_by_sweep(cursor)
        pauses = self._keeper.scheduler.queue.pauses
        rows = []
        for label in reversed(sweeps.labels(self._home)):
            asked = sweeps.read(self._home, label)
            if asked is not None:
                paused = pauses.get(f"sweep:{label}", "")
                rows.append({**asked, "counts": counts.get(label, {}), "paused": paused})
        return rows

    def _one_sweep(self, label: str) -> dict[str, Any]:
        asked = sweeps.read(self._home, label)
        if asked is None:
            raise no_sweep(label)
        with self._database.reading() as cursor:
            rows = [translate.row(entry) for entry in run_table.runs_of_sweep(cursor, label)]
        paused = self._keeper.scheduler.queue.pauses.get(f"sweep:{label}", "")
        return {**asked, "paused": paused, "rows": rows}


def scope_of(data: Any) -> str:
    """What a pause is about: everything, a project or a sweep."""
    scope = data.get("scope") if isinstance(data, dict) else None
    if not isinstance(scope, str) or not SCOPE.fullmatch(scope):
        raise RefusedError(400, "scope must be all, project:NAME or sweep:sN")
    return scope


def words_of(scope: str) -> str:
    """A scope for people."""
    kind, _, name = scope.partition(":")
    return "the queue" if kind == "all" else name if kind == "sweep" else f"the project {name}"


def no_sweep(label: str) -> RefusedError:
    """Nobody knows a sweep of that label."""
    return RefusedError(404, f"no sweep {label!r}", "`footplate sweeps` lists them")
