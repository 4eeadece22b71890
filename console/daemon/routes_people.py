"""Routes for what people add to runs, and for the audit trail."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, Final, TypeVar

from starlette.routing import Route

from console.daemon import audit, metrics_by_hand, people, translate
from console.daemon.command_journal import journal_path
from console.daemon.http import RefusedError, actor_of, answer, body_of, guarded, integer
from console.daemon.launch import readable
from console.daemon.references import run_named, runs_named
from store.queries import run_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from console.daemon.keeper import Keeper
    from console.daemon.people import People
    from store import database

ENTRIES_MAX: Final = 100_000
ID_CHARACTERS: Final = 26
Result = TypeVar("Result")


class PeopleRoutes:
    """What the routes share."""

    def __init__(self, home: str, opened: database.Database, keeper: Keeper) -> None:
        self._home = home
        self._database = opened
        self._keeper = keeper

    def table(self) -> list[Route]:
        """Paths and handlers."""
        return [
            Route("/notes", self.note, methods=["POST"]),
            Route("/notes/remove", self.remove_note, methods=["POST"]),
            Route("/tags", self.tag, methods=["POST"]),
            Route("/pins", self.pin, methods=["POST"]),
            Route("/metrics", self.log, methods=["POST"]),
            Route("/metrics/pin", self.pin_metric, methods=["POST"]),
            Route("/audit", self.audit),
            Route("/audit/verify", self.verify),
        ]

    @guarded
    async def note(self, request: Request) -> Response:
        """Add a note to a run."""
        data = await object_of(request)
        reference, actor, known_by = one_text(data, "runs", "run"), actor_of(data), people.request_of(data)
        ids = await self._command(lambda adding: adding.note(reference, data.get("text"), actor, known_by))
        return answer(await asyncio.to_thread(self._with_notes, ids), 201)

    @guarded
    async def remove_note(self, request: Request) -> Response:
        """Remove a note from a run."""
        data = await object_of(request)
        reference, note = one_text(data, "runs", "run"), one_text(data, "notes", "note")
        actor, known_by = actor_of(data), people.request_of(data)
        ids = await self._command(lambda adding: adding.remove_note(reference, note, actor, known_by))
        return answer(await asyncio.to_thread(self._with_notes, ids))

    @guarded
    async def tag(self, request: Request) -> Response:
        """Put tags on runs, take others off."""
        data = await object_of(request)
        runs, add, remove = texts(data, "runs"), texts(data, "add"), texts(data, "remove")
        actor, known_by = actor_of(data), people.request_of(data)
        ids = await self._command(lambda adding: adding.tag(runs, add, remove, actor, known_by))
        return answer({"rows": await asyncio.to_thread(self._rows, ids)})

    @guarded
    async def pin(self, request: Request) -> Response:
        """Pin runs, or let go of them."""
        data = await object_of(request)
        pinned = data.get("pinned")
        if not isinstance(pinned, bool):
            raise RefusedError(400, "pinned must be true or false")
        runs, actor, known_by = texts(data, "runs"), actor_of(data), people.request_of(data)
        ids = await self._command(lambda adding: adding.pin(runs, actor, known_by, pinned=pinned))
        return answer({"rows": await asyncio.to_thread(self._rows, ids)})

    @guarded
    async def log(self, request: Request) -> Response:
        """Add metrics to a run by hand."""
        data = await object_of(request)
        reference, actor, known_by = one_text(data, "runs", "run"), actor_of(data), people.request_of(data)
        values, step = data.get("values"), data.get("step")
        ids = await self._command(lambda adding: adding.log(reference, values, step, actor, known_by))
        return answer({"rows": await asyncio.to_thread(self._rows, ids)}, 201)

    @guarded
    async def pin_metric(self, request: Request) -> Response:
        """Have a metric stand for the runs of a project, or go back to what is guessed."""
        data = await object_of(request)
        key, goal, actor, known_by = data.get("key"), data.get("goal"), actor_of(data), people.request_of(data)
        project = await asyncio.to_thread(self._project_of, data)
        if key is None:
            await self._command(lambda adding: adding.unpin_metric(project, actor, known_by))
        elif isinstance(key, str) and key:
            await self._command(lambda adding: adding.pin_metric(project, readable(key), goal, actor, known_by))
        else:
            raise RefusedError(400, "key must be the name of a metric")
        return answer(await asyncio.to_thread(self._pin_facts, project))

    @guarded
    async def audit(self, request: Request) -> Response:
        """Who asked for what."""
        limit = min(integer(request, "limit", 100), ENTRIES_MAX)
        since_s, reference = integer(request, "since", 0), request.query_params.get("run", "")
        return answer(await asyncio.to_thread(self._entries, reference, since_s, limit))

    @guarded
    async def verify(self, _: Request) -> Response:
        """Whether the command journal is as it was written."""
        verdict = await asyncio.to_thread(audit.verify, self._home)
        findings = [finding._asdict() for finding in verdict.findings]
        file = os.path.basename(journal_path(self._home))
        return answer({"file": file, **verdict._asdict(), "findings": findings})

    async def _command(self, command: Callable[[People], Result]) -> Result:
        return await asyncio.wrap_future(self._keeper.call(lambda: command(self._keeper.people)))

    def _project_of(self, data: dict[str, Any]) -> str:
        """The project that a request names, or that of the run that it names."""
        project = data.get("project")
        if project is not None:
            if not isinstance(project, str):
                raise RefusedError(400, "project must be a text")
            return readable(project)
        reference = one_text(data, "runs", "run")
        with self._database.reading() as cursor:
            return run_named(cursor, reference).project

    def _pin_facts(self, project: str) -> dict[str, Any]:
        with self._database.reading() as cursor:
            return metrics_by_hand.pin_facts(cursor, project)

    def _rows(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        with self._database.reading() as cursor:
            return [translate.row(entry) for entry in run_table.runs_by_id(cursor, ids)]

    def _with_notes(self, ids: Sequence[str]) -> dict[str, Any]:
        with self._database.reading() as cursor:
            notes = [translate.note(note) for run_id in ids for note in run_table.notes_of(cursor, run_id)]
        return {"rows": self._rows(ids), "notes": notes}

    def _entries(self, reference: str, since_s: float, limit: int) -> dict[str, Any]:
        trail = audit.trail(self._home, self._run_named(reference) if reference else "", since_s, limit)
        with self._database.reading() as cursor:
            ids = sorted({run_id for entry in trail.entries for run_id in entry.run_ids} - trail.numbers.keys())
            numbers = trail.numbers | {run.id: run.no for run in run_table.find_runs(cursor, ids)[0]}
        rows = [
            {
                **entry._asdict(),
                "run_labels": [f"r{numbers[each]}" if each in numbers else each for each in entry.run_ids],
            }
            for entry in trail.entries
        ]
        return {"matched_count": trail.matched_count, "entries": rows}

    def _run_named(self, reference: str) -> str | int:
        """A run by its id, or by its number when the index has it no more: what was asked of it stays known."""
        with self._database.reading() as cursor:
            found, _ = runs_named(cursor, [reference])
        number = run_table.number_of(reference)
        if found or number is not None:
            return found[0].id if found else number or ""
        if len(reference) == ID_CHARACTERS:
            return reference.upper()
        raise RefusedError(404, f"no run {reference!r}", "`footplate audit` lists what was asked of any")


async def object_of(request: Request) -> dict[str, Any]:
    """The JSON object of a request."""
    data = await body_of(request)
    if not isinstance(data, dict):
        raise RefusedError(400, "the body must be a JSON object")
    return data


def texts(data: dict[str, Any], name: str) -> list[str]:
    """A list of texts of a request; one that is not there is empty."""
    values = data.get(name, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise RefusedError(400, f"{name} must be a list of texts")
    return values


def one_text(data: dict[str, Any], name: str, what: str) -> str:
    """The only text of a list of a request."""
    values = texts(data, name)
    if len(values) != 1:
        raise RefusedError(400, f"{name} must name exactly one {what}")
    return values[0]
