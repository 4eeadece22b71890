"""Routes for long work: start a piece, wait for it, leave it off."""

from __future__ import annotations

import asyncio
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from starlette.routing import Route
from ulid import ULID

from console.daemon.chores import Chores, Work
from console.daemon.http import RefusedError, answer, body_of, guarded
from console.daemon.launch import readable
from console.daemon.reparsing import reparse_run
from store import database, removal

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from console.daemon.keeper import Keeper

AT_ONCE: Final = 4
"""Pieces of work under way; more of them wait."""
KEPT: Final = 200
"""How many answers of finished pieces are kept for clients that were slow to ask."""
WAIT_S: Final = 0.5


@dataclass(slots=True)
class Piece:
    """One piece of work."""

    work: Work
    over: asyncio.Event = field(default_factory=asyncio.Event)
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    """Message, hint and HTTP status."""


class ChoreRoutes:
    """Belongs to the event loop."""

    def __init__(self, chores: Chores, keeper: Keeper) -> None:
        self._keeper = keeper
        self._chores = chores
        self._pieces: dict[str, Piece] = {}
        self._threads = ThreadPoolExecutor(AT_ONCE, "chore")
        self._kinds: dict[str, Callable[[Work, dict[str, Any]], dict[str, Any]]] = {
            "delete": chores.delete_run,
            "archive": chores.pack_run,
            "restore": chores.unpack_run,
            "reparse": partial(reparse_run, chores.home, chores),
            "disk_use": chores.usage,
            "finish_captures": chores.finish_captures,
            "gc_plan": chores.gc_plan,
            "gc_step": chores.gc_step,
        }

    @guarded
    async def begin(self, request: Request) -> Response:
        """Start a piece of work."""
        asked = await body_of(request)
        kind = asked.get("chore") if isinstance(asked, dict) else None
        if kind not in self._kinds:
            raise RefusedError(400, f"no work {kind!r} is known", f"one of: {', '.join(self._kinds)}")
        name, piece = str(ULID()), Piece(Work(lambda: self._keeper.ending))
        for old in [key for key, each in self._pieces.items() if each.over.is_set()][: len(self._pieces) - KEPT + 1]:
            del self._pieces[old]
        self._pieces[name] = piece
        asyncio.get_running_loop().run_in_executor(self._threads, self._do, piece, kind, asked).add_done_callback(
            lambda _: piece.over.set()
        )
        return answer({"id": name}, 202)

    @guarded
    async def look(self, request: Request) -> Response:
        """How far it is; waits a moment for the end."""
        piece = self._find(request)
        try:
            async with asyncio.timeout(WAIT_S):
                await piece.over.wait()
        except TimeoutError:
            return answer({"over": False, "progress": readable(piece.work.progress)})
        return answer({"over": True, "result": piece.result, "error": piece.error})

    @guarded
    async def leave_off(self, request: Request) -> Response:
        """Have it end at the next safe point."""
        self._find(request).work.cancelled = True
        return answer({})

    @guarded
    async def remove_project(self, request: Request) -> Response:
        """Delete the runs of a project."""
        project, actor = request.path_params["project"], request.query_params.get("actor", "unknown")
        count = await asyncio.to_thread(self._chores.delete_project, project, actor)
        return answer({"removed_count": count})

    def _find(self, request: Request) -> Piece:
        piece = self._pieces.get(request.path_params["id"])
        if piece is None:
            raise RefusedError(404, "no such piece of work: the daemon was replaced meanwhile")
        return piece

    def _do(self, piece: Piece, kind: str, asked: dict[str, Any]) -> None:
        try:
            piece.result = readable_values(self._kinds[kind](piece.work, asked))
        except RefusedError as error:
            piece.error = {"message": str(error), "hint": error.hint, "status": error.status}
        except removal.InterruptedRemoval:
            piece.error = {
                "message": "left off before it was done",
                "hint": "repeat the command to go on",
                "status": 409,
            }
        except (OSError, database.Error) as error:
            hint = "see daemon.log in the state directory"
            piece.error = {"message": str(error).splitlines()[0], "hint": hint, "status": 500}
        except Exception as error:
            traceback.print_exc()
            words = f"a fault of footplate: {type(error).__name__}: {error}"
            piece.error = {"message": words, "hint": "see daemon.log in the state directory", "status": 500}
        if piece.error is not None:
            piece.error = readable_values(piece.error)


def readable_values(value: Any) -> Any:
    """Text as JSON can carry it, at any depth."""
    if isinstance(value, dict):
        return {key: readable_values(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [readable_values(each) for each in value]
    return readable(value) if isinstance(value, str) else value


def routes(home: str, opened: database.Database, keeper: Keeper) -> list[Route]:
    """What the application takes in."""
    chores = ChoreRoutes(Chores(home, opened, keeper), keeper)
    return [
        Route("/chores", chores.begin, methods=["POST"]),
        Route("/chores/{id}", chores.look, methods=["GET"]),
        Route("/chores/{id}", chores.leave_off, methods=["DELETE"]),
        Route("/projects/{project}/runs", chores.remove_project, methods=["DELETE"]),
    ]
