"""Routes for watched projects and the trust in their manifests."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from console.daemon.http import RefusedError, actor_of, answer, body_of, guarded
from console.project import discovery

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from console.daemon.projects import Projects


class ProjectRoutes:
    """What the routes share."""

    def __init__(self, projects: Projects) -> None:
        self._projects = projects

    def table(self) -> list[Route]:
        """Paths and handlers."""
        return [
            Route("/projects", self.projects),
            Route("/projects/watch", self.watch, methods=["POST"]),
            Route("/projects/look", self.look, methods=["POST"]),
            Route("/projects/unwatch", self.unwatch, methods=["POST"]),
            Route("/projects/trust", self.trust, methods=["POST"]),
            Route("/projects/revoke", self.revoke, methods=["POST"]),
        ]

    @guarded
    async def projects(self, _: Request) -> Response:
        """Every watched project."""
        return answer({"projects": list(await asyncio.to_thread(self._projects.rows))})

    @guarded
    async def watch(self, request: Request) -> Response:
        """Watch a folder, or the projects below one that is none itself."""
        data = await body_of(request)
        folder, actor = folder_of(data), actor_of(data)
        name = str(data.get("name") or "")
        roots = [folder] if data.get("here") else await asyncio.to_thread(roots_below, folder)
        if name and len(roots) > 1:
            raise RefusedError(400, f"{len(roots)} projects lie below {folder}; a name fits one", "leave --name out")
        watched, passed_over = [], []
        for root in roots:
            try:
                watched.append(await self._call(partial(self._projects.watch, root, name, actor)))
            except RefusedError as error:
                if len(roots) == 1:
                    raise
                passed_over.append(str(error))
        return answer({"projects": watched, "passed_over": passed_over}, 201)

    @guarded
    async def look(self, request: Request) -> Response:
        """One project, its manifest read anew."""
        root = self._root(await body_of(request))
        return answer(await self._call(lambda: self._projects.look(root)))

    @guarded
    async def unwatch(self, request: Request) -> Response:
        """Watch a folder no more."""
        data = await body_of(request)
        root = self._root(data)
        await self._call(lambda: self._projects.unwatch(root, actor_of(data)))
        return answer({"root": root})

    @guarded
    async def trust(self, request: Request) -> Response:
        """Let a manifest start commands by itself."""
        data = await body_of(request)
        root, actor, wanted = self._root(data), actor_of(data), str(data.get("text_hash") or "")
        environment = data.get("environment")
        if not isinstance(environment, dict) or not all(isinstance(value, str) for value in environment.values()):
            raise RefusedError(400, "environment must be an object of strings")
        shell = {"environment": environment, "umask": data.get("umask", 0o022), "limits": data.get("limits") or {}}
        return answer(await self._call(lambda: self._projects.trust(root, wanted, shell, actor)))

    @guarded
    async def revoke(self, request: Request) -> Response:
        """Let a manifest start nothing by itself."""
        data = await body_of(request)
        root = self._root(data)
        return answer(await self._call(lambda: self._projects.revoke(root, actor_of(data))))

    def _root(self, data: Any) -> str:
        """The watched project that is named, or that a folder lies in."""
        named = data.get("project") if isinstance(data, dict) else None
        if named:
            found = next((each for each in self._projects.registry.all() if named in (each.name, each.root)), None)
        else:
            found = self._projects.registry.around(folder_of(data))
        if found is None:
            said = f"no watched project {named!r}" if named else f"{folder_of(data)} lies in no watched project"
            raise RefusedError(404, said, "`footplate projects` lists what is watched, `footplate watch` adds one")
        return found.root

    async def _call(self, command: Callable[[], Any]) -> Any:
        return await asyncio.wrap_future(self._projects.call(command))


def folder_of(data: Any) -> str:
    """The folder of a request, links resolved."""
    folder = data.get("folder") if isinstance(data, dict) else None
    if not isinstance(folder, str) or not os.path.isabs(folder):
        raise RefusedError(400, "folder must be an absolute path")
    return os.path.realpath(folder)


def roots_below(folder: str) -> list[str]:
    """The folder when it is a project, else the projects below it, else the folder after all. Raises RefusedError."""
    if not os.path.isdir(folder):
        raise RefusedError(404, f"{folder} is no folder", "name a folder that is there")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise RefusedError(403, f"{folder} cannot be read", "chmod u+rx, or watch another one")
    if discovery.examine(folder).is_project:
        return [folder]
    return [found.folder for found in discovery.discover(folder).projects] or [folder]
