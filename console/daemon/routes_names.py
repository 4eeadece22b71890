"""Names that the index knows, for shells that complete what is typed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from starlette.routing import Route

from console.daemon.http import answer, guarded, integer
from console.daemon.launch import readable

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from store.database import Database

NAMES_MAX: Final = 10_000


class NameRoutes:
    """Reads names only."""

    def __init__(self, opened: Database) -> None:
        self._database = opened

    @guarded
    async def metrics(self, request: Request) -> Response:
        """Keys of metrics that begin with `prefix`, those of most runs first."""
        prefix = request.query_params.get("prefix", "")
        limit = min(integer(request, "limit", NAMES_MAX), NAMES_MAX)

        def read() -> list[str]:
            with self._database.reading() as cursor:
                rows = cursor.execute(
                    "select name from metric_key key join metric_latest latest on latest.key_id = key.id "
                    "where starts_with(name, $1) group by name order by count(*) desc, name limit $2",
                    [prefix, limit],
                ).fetchall()
            return [readable(row[0]) for row in rows]

        return answer({"names": await asyncio.to_thread(read)})

    def table(self) -> list[Route]:
        """What the application takes in."""
        return [Route("/names/metrics", self.metrics)]
