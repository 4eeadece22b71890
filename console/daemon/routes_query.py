"""Completions of a query while it is typed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.routing import Route

from console.daemon.http import answer, guarded, integer
from store.query_language.completion import KeyCounts, complete

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from store.database import Database
    from store.query_language.completion import Completions


class QueryRoutes:
    """Reads the index."""

    def __init__(self, opened: Database) -> None:
        self._database = opened
        self._counts = KeyCounts()

    def table(self) -> list[Route]:
        """Path and handler."""
        return [Route("/query/complete", self.complete)]

    @guarded
    async def complete(self, request: Request) -> Response:
        """What may come at column `at` of `text`."""
        text = request.query_params.get("text", "")
        at = integer(request, "at", len(text))

        def read() -> Completions:
            with self._database.reading() as cursor:
                return complete(cursor, text, at, self._counts)

        found = await asyncio.to_thread(read)
        return answer({"start": found.start, "end": found.end, "items": [each._asdict() for each in found.items]})
