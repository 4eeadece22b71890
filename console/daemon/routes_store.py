"""The index as a whole: its files, a backup now, building it anew, and everything in it as JSON or CSV."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from console.daemon import launch
from console.daemon.http import RefusedError, answer, guarded
from console.daemon.references import run_named
from store import export, paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from console.daemon.keeper import Keeper
    from console.daemon.upkeep import Upkeep
    from store.database import Database


class StoreRoutes:
    """Everything about the index that is not about one run."""

    def __init__(self, home: str, opened: Database, keeper: Keeper, upkeep: Upkeep) -> None:
        self._home = home
        self._database = opened
        self._keeper = keeper
        self._upkeep = upkeep

    @guarded
    async def store(self, _: Request) -> Response:
        """Files, counts, and how far a rebuild has come."""

        def read() -> dict[str, Any]:
            catching_up = self._keeper.catching_up
            progress = {"total_count": catching_up.total_count, "left_count": catching_up.left_count}
            return {**self._upkeep.facts(), "counts": self._upkeep.counts(), "catching_up": progress}

        return answer(await asyncio.to_thread(read))

    @guarded
    async def backup(self, _: Request) -> Response:
        """Copy the index now."""
        return answer((await asyncio.to_thread(self._upkeep.make_backup))._asdict(), 201)

    @guarded
    async def rebuild(self, _: Request) -> Response:
        """Leave, so that the next daemon builds the index anew."""
        await asyncio.to_thread(self._upkeep.ask_rebuild)
        return answer({"leaving": True}, 202)

    @guarded
    async def export(self, request: Request) -> Response:
        """Runs with everything about them, as one stream."""
        references = [reference for reference in request.query_params.get("runs", "").split(",") if reference]
        form = request.query_params.get("format", "json")
        if form not in ("json", "csv"):
            raise RefusedError(400, f"no export format {form!r}", "one of: json, csv")
        numbers = await asyncio.to_thread(self._numbers, references) if references else None
        media_type = "application/json" if form == "json" else "text/csv"
        return StreamingResponse(self._stream(form, numbers), media_type=media_type)

    def _numbers(self, references: list[str]) -> list[int]:
        with self._database.reading() as cursor:
            return [run_named(cursor, reference).no for reference in references]

    def _stream(self, form: str, numbers: list[int] | None) -> Iterator[bytes]:
        with self._database.reading() as cursor:
            if form == "csv":
                yield from export.gathered(export.as_csv(cursor, numbers))
            else:
                yield from export.gathered(export.as_json(cursor, numbers, self._attempts_of))

    def _attempts_of(self, run_id: str, attempt: int) -> list[dict[str, Any]]:
        if attempt == 1:
            return []
        attempts: list[dict[str, Any]] = launch.facts_of_files(paths.run_dir(self._home, run_id), attempt)["attempts"]
        return attempts


def routes(home: str, opened: Database, keeper: Keeper, upkeep: Upkeep) -> list[Route]:
    """What the application takes in."""
    store = StoreRoutes(home, opened, keeper, upkeep)
    return [
        Route("/store", store.store),
        Route("/store/backup", store.backup, methods=["POST"]),
        Route("/store/rebuild", store.rebuild, methods=["POST"]),
        Route("/store/export", store.export),
    ]
