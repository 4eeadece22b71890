"""Runs, or the points of their metrics, as a file in one of several formats."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import time
from typing import TYPE_CHECKING, Final

from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from console.daemon.http import RefusedError, guarded
from console.daemon.references import run_named
from console.run_columns import split
from store import export, run_export
from store.queries.run_page import numbers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request

    from store.database import Cursor, Database
    from store.run_export import Plan

WRITERS: Final[dict[str, Callable[[Cursor, Plan], Iterator[bytes]]]] = {
    "csv": run_export.as_csv,
    "json": run_export.as_json,
    "markdown": run_export.as_markdown,
}
MEDIA_TYPES: Final = {
    "csv": "text/csv",
    "json": "application/json",
    "markdown": "text/markdown",
    "parquet": "application/vnd.apache.parquet",
}
PIECE_BYTES: Final = 1 << 18
_files = itertools.count(1)


class ExportRoutes:
    """Reads the index; Parquet goes through a file in the state directory, as its end is written first."""

    def __init__(self, home: str, opened: Database) -> None:
        self._home = home
        self._database = opened

    @guarded
    async def runs(self, request: Request) -> Response:
        """The run table, filtered and with the columns that are asked for."""
        query = request.query_params
        form = query.get("format", "csv")
        if form not in MEDIA_TYPES:
            raise RefusedError(400, f"no export format {form!r}", f"one of: {', '.join(MEDIA_TYPES)}")
        names = [name for name in split(query.get("columns", "")) if name]

        def prepare() -> Plan:
            with self._database.reading() as cursor:
                numbers = self._numbers(cursor, request)
                try:
                    return run_export.plan(cursor, numbers, names, short=form == "markdown")
                except run_export.ColumnError as error:
                    hint = f"params.NAME, metrics.KEY, or one of: {', '.join(run_export.FACTS)}"
                    raise RefusedError(400, str(error), hint) from error

        planned = await asyncio.to_thread(prepare)
        headers = {"x-runs": str(len(planned.numbers)), "x-left-out": str(planned.left_out)}
        if form == "parquet":
            body = await asyncio.to_thread(self._as_parquet, planned)
        else:
            body = self._written(WRITERS[form], planned)
        return StreamingResponse(body, media_type=MEDIA_TYPES[form], headers=headers)

    @guarded
    async def points(self, request: Request) -> Response:
        """The points of the metrics of these runs, one a line."""
        form = request.query_params.get("format", "csv")
        if form not in ("csv", "parquet"):
            raise RefusedError(400, f"points of metrics cannot be exported as {form!r}", "one of: csv, parquet")

        def prepare() -> list[int]:
            with self._database.reading() as cursor:
                return self._numbers(cursor, request)

        numbers = await asyncio.to_thread(prepare)
        if form == "parquet":
            body = await asyncio.to_thread(self._points_as_parquet, numbers)
        else:
            body = self._points_as_csv(numbers)
        return StreamingResponse(body, media_type=MEDIA_TYPES[form], headers={"x-runs": str(len(numbers))})

    def _numbers(self, cursor: Cursor, request: Request) -> list[int]:
        """The runs that are named, else those that fit the query, by number."""
        query = request.query_params
        references = [reference for reference in query.get("runs", "").split(",") if reference]
        if references:
            return list(dict.fromkeys(run_named(cursor, reference).no for reference in references))
        states = [state for state in query.get("states", "").split(",") if state]
        return numbers_of(cursor, query.get("text", ""), states, time.time())

    def _written(self, write: Callable[[Cursor, Plan], Iterator[bytes]], planned: Plan) -> Iterator[bytes]:
        with self._database.reading() as cursor:
            yield from export.gathered(write(cursor, planned))

    def _points_as_csv(self, numbers: list[int]) -> Iterator[bytes]:
        with self._database.reading() as cursor:
            yield from export.gathered(export.as_csv(cursor, numbers))

    def _as_parquet(self, planned: Plan) -> Iterator[bytes]:
        path = self._new_path()
        with removed_on_error(path), self._database.reading() as cursor:
            run_export.as_frame(cursor, planned).write_parquet(path)
        return pieces_of(path)

    def _points_as_parquet(self, numbers: list[int]) -> Iterator[bytes]:
        path = self._new_path()
        with removed_on_error(path), self._database.reading() as cursor:
            export.points_to_parquet(cursor, numbers, path)
        return pieces_of(path)

    def _new_path(self) -> str:
        path = os.path.join(self._home, f"export-{os.getpid()}{next(_files):04}.parquet")
        # Made here, so that nobody else may read it whatever the umask.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
        return path

    def table(self) -> list[Route]:
        """What the application takes in."""
        return [Route("/export/runs", self.runs), Route("/export/points", self.points)]


@contextlib.contextmanager
def removed_on_error(path: str) -> Iterator[None]:
    """A file that could not be written to its end is gone."""
    try:
        yield
    except BaseException:
        os.unlink(path)
        raise


def pieces_of(path: str) -> Iterator[bytes]:
    """The content of a file that is gone from its folder once this was called."""
    file = open(path, "rb")  # noqa: SIM115 (closed by the generator below)
    os.unlink(path)

    def pieces() -> Iterator[bytes]:
        with file:
            while piece := file.read(PIECE_BYTES):
                yield piece

    return pieces()
