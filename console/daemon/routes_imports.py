"""Routes for imports: read a folder that trackers have written to, see how far that is, leave it off."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, Final

from starlette.routing import Route

from console.daemon.http import RefusedError, actor_of, answer, body_of, guarded
from console.daemon.launch import readable

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from console.daemon.imports import Imports
    from console.daemon.keeper import Keeper

HINT: Final = "`footplate imports` lists them"


class ImportRoutes:
    """What the routes share."""

    def __init__(self, imports: Imports, keeper: Keeper) -> None:
        self._imports = imports
        self._keeper = keeper

    def table(self) -> list[Route]:
        """Paths and handlers."""
        return [
            Route("/imports", self.imports, methods=["GET"]),
            Route("/imports", self.add, methods=["POST"]),
            Route("/imports/{id}", self.one),
            Route("/imports/{id}/cancel", self.cancel, methods=["POST"]),
        ]

    @guarded
    async def imports(self, _: Request) -> Response:
        """Every import."""
        return answer({"imports": [shown(each) for each in self._imports.rows()]})

    @guarded
    async def add(self, request: Request) -> Response:
        """Read a folder."""
        data = await body_of(request)
        path, actor = data.get("path") if isinstance(data, dict) else None, actor_of(data)
        if not isinstance(path, str) or not os.path.isabs(path):
            raise RefusedError(400, "path must be an absolute path")
        root = await asyncio.to_thread(os.path.realpath, path)
        if not await asyncio.to_thread(os.path.exists, root):
            raise RefusedError(404, f"{path} is not there", "name a folder, or a file such as mlflow.db")
        if not await asyncio.to_thread(os.access, root, os.R_OK):
            raise RefusedError(403, f"{path} cannot be read by this user", "chmod u+r, or name another one")
        await asyncio.wrap_future(self._keeper.call(lambda: self._keeper.record(actor, "import", path=readable(root))))
        import_id = await asyncio.wrap_future(self._imports.call(lambda: self._imports.add(root, actor)))
        return answer(self._row(import_id), 201)

    @guarded
    async def one(self, request: Request) -> Response:
        """How far one import is."""
        return answer(self._row(request.path_params["id"]))

    @guarded
    async def cancel(self, request: Request) -> Response:
        """Leave one off; what was read stays."""
        row = self._row(request.path_params["id"])
        await asyncio.wrap_future(self._imports.call(lambda: self._imports.cancel(row["id"])))
        return answer(self._row(row["id"]))

    def _row(self, import_id: str) -> dict[str, Any]:
        found = next((each for each in self._imports.rows() if each["id"] == import_id), None)
        if found is None:
            raise RefusedError(404, f"no import {import_id!r}", HINT)
        return shown(found)


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose texts UTF-8 can carry."""
    lists = {name: list(map(readable, row[name])) for name in ("problems", "elsewhere")}
    return row | {"root": readable(row["root"])} | lists
