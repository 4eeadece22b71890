"""Routes to parts of one run that are read from its files: captures of code and environment, marks in the log."""

from __future__ import annotations

import asyncio
import os
import re
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response
from starlette.routing import Route

from console import trackers
from console.daemon import log_files, log_marks
from console.daemon.http import RefusedError, answer, guarded, integer, optional_integer
from console.daemon.launch import readable
from console.daemon.references import run_named
from console.json_files import read_object
from console.project.packages import PACKAGES_MAX
from store import paths

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from store.database import Database
    from store.queries.run_table import RunEntry

CAPTURE_NAME: Final = re.compile(r"capture(?:-([1-9]\d{0,5}))?\.json")
PACKAGES_ID: Final = re.compile(r"[0-9a-f]{1,64}")
NAMES_MAX: Final = 2000
"""Of any one list of files."""


class RunPartRoutes:
    """What the routes need."""

    def __init__(self, home: str, opened: Database, log_path: Callable[[RunEntry], str]) -> None:
        self._home = home
        self._database = opened
        self._log_path = log_path

    def table(self) -> list[Route]:
        """Path and handler of each."""
        run = "/runs/{reference}"
        return [
            Route(f"{run}/log/mark", self.mark),
            Route(f"{run}/capture", self.capture),
            Route(f"{run}/patch", self.patch),
        ]

    @guarded
    async def mark(self, request: Request) -> Response:
        """The next line of the output that tells of an error or a warning."""
        kind = request.query_params.get("kind", "")
        if kind not in log_marks.KINDS:
            raise RefusedError(400, f"no kind of mark {kind!r}", f"one of: {', '.join(log_marks.KINDS)}")
        found = await asyncio.to_thread(self._find, request)
        start, backward = integer(request, "start", 0), request.query_params.get("backward") == "1"
        path = self._log_path(found)
        hit = await asyncio.to_thread(log_marks.find, path, kind, start=start, backward=backward)
        return answer(hit._asdict())

    @guarded
    async def capture(self, request: Request) -> Response:
        """What was captured of code and environment when the run was enqueued, or at the start of an attempt."""
        found = await asyncio.to_thread(self._find, request)
        attempt = integer(request, "attempt", 0)
        return answer(await asyncio.to_thread(self._capture, found, attempt))

    @guarded
    async def patch(self, request: Request) -> Response:
        """The difference between the commit and the code that ran, secrets masked: lines, or with `raw` its bytes."""
        found = await asyncio.to_thread(self._find, request)
        attempt, start = integer(request, "attempt", 0), optional_integer(request, "start")
        path = os.path.join(self._code_dir(found), f"diff-{attempt}.patch" if attempt else "diff.patch")
        if request.query_params.get("raw") == "1":
            piece = await asyncio.to_thread(log_files.read_raw, path, start or 0, log_files.PAGE_MAX_BYTES)
            headers = {"x-end-bytes": str(piece.end_bytes), "x-ended": "1" if piece.at_end else "0"}
            return Response(piece.data, media_type="application/octet-stream", headers=headers)
        max_bytes = integer(request, "max_bytes", log_files.PAGE_MAX_BYTES)
        page = await asyncio.to_thread(
            log_files.read_page, path, start=start or 0, before=None, max_bytes=max_bytes, ended=True
        )
        lines = [[line.offset_bytes, line.text, line.cut_bytes] for line in page.lines]
        return answer(page._asdict() | {"lines": lines})

    def _find(self, request: Request) -> RunEntry:
        with self._database.reading() as cursor:
            return run_named(cursor, request.path_params["reference"])

    def _code_dir(self, found: RunEntry) -> str:
        """Where the captures of a run lie. Raises RefusedError when there can be none."""
        if found.tracker:
            tracker = trackers.name_of(found.tracker)
            raise RefusedError(
                409, f"r{found.no} {found.name} was imported from {tracker}: nothing was captured of its code"
            )
        if found.archived:
            hint = f"`footplate archive --restore r{found.no}` brings it back"
            raise RefusedError(409, f"r{found.no} {found.name} is archived: what was captured is packed away", hint)
        return os.path.join(paths.run_dir(self._home, found.id), "code")

    def _capture(self, found: RunEntry, attempt: int) -> dict[str, Any]:
        folder = self._code_dir(found)
        attempts = attempts_in(folder)
        record = read_object(os.path.join(folder, f"capture-{attempt}.json" if attempt else "capture.json"))
        if record is None and attempt:
            known = ", ".join(map(str, attempts)) or "none"
            raise RefusedError(404, f"nothing was captured at attempt {attempt} of r{found.no}", f"there are: {known}")
        packages, reason = self._packages((record or {}).get("interpreter") or {})
        cut = {name: value[:NAMES_MAX] if isinstance(value, list) else value for name, value in (record or {}).items()}
        answered = {"attempt": attempt, "attempts": attempts, "record": cut, "packages": packages, "reason": reason}
        made: dict[str, Any] = readable_all(answered)
        return made

    def _packages(self, interpreter: dict[str, Any]) -> tuple[list[list[str]], str]:
        """Name, version and source of every package, or why they are not known."""
        digest = interpreter.get("packages")
        if not isinstance(digest, str) or not PACKAGES_ID.fullmatch(digest):
            return [], f"n/a: {interpreter.get('reason') or 'no interpreter was found'}"
        kept = read_object(os.path.join(self._home, "packages", f"{digest}.json"))
        if kept is None or not isinstance(kept.get("packages"), list):
            return [], "n/a: the list of packages is gone"
        return kept["packages"][:PACKAGES_MAX], ""


def attempts_in(folder: str) -> list[int]:
    """At which starts something was captured, ascending; 0 is the enqueuing."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return sorted(int(found[1] or 0) for found in map(CAPTURE_NAME.fullmatch, names) if found)


def readable_all(value: Any) -> Any:
    """A decoded JSON value whose texts can be encoded again."""
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, dict):
        return {readable(str(key)): readable_all(each) for key, each in value.items()}
    return [readable_all(each) for each in value] if isinstance(value, list) else value
