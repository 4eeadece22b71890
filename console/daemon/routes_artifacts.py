"""The route that shows an artifact of an imported run: pictures are decoded by a worker, texts are read a little."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from typing import TYPE_CHECKING, Final

from starlette.routing import Route

from console import artifact_preview, trackers
from console.artifact_preview import Preview
from console.daemon.http import RefusedError, answer, guarded, integer
from console.daemon.launch import readable
from console.daemon.references import run_named
from console.jobs import exit_cause
from console.jobs.process_tree import environment_of_ours
from console.project import artifact_files, bounded
from store.queries import run_table

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from store.database import Database
    from store.queries.run_table import RunEntry

PICTURES: Final = (".png", ".jpg", ".jpeg", ".gif", ".webp")
TEXTS: Final = (
    *(".csv", ".tsv", ".json", ".jsonl", ".yaml", ".yml", ".toml", ".txt", ".log", ".md", ".ini", ".cfg", ".xml"),
    *(".svg", ".html", ".py", ".patch", ".diff"),
)
SIDE_MAX_PIXELS: Final = 2000
DECODE_TIMEOUT_S: Final = 20.0
WAIT_S: Final = 10.0
WORKERS_MAX: Final = 2
TEXT_MAX_BYTES: Final = 64 << 10
LINES_MAX: Final = 400
LINE_MAX_CHARACTERS: Final = 500


class ArtifactRoutes:
    """What the route needs."""

    def __init__(self, opened: Database) -> None:
        self._database = opened
        self._workers = asyncio.Semaphore(WORKERS_MAX)

    def table(self) -> list[Route]:
        """Path and handler."""
        return [Route("/runs/{reference}/artifact", self.artifact)]

    @guarded
    async def artifact(self, request: Request) -> Response:
        """One artifact, as far as a terminal can show it."""
        path = request.query_params.get("path", "")
        width = min(integer(request, "width", 80), SIDE_MAX_PIXELS)
        height = min(integer(request, "height", 80), SIDE_MAX_PIXELS)
        origin, name, facts = await asyncio.to_thread(self._find, request.path_params["reference"], path)
        try:
            file = await asyncio.to_thread(artifact_files.path_of, origin, name)
        except artifact_files.UnresolvedError as error:
            shown = facts._replace(words=f"n/a: {error}")
        else:
            shown = await self._look(file, facts, width, height)
        return answer(artifact_preview.encode(shown))

    async def _look(self, file: str, facts: Preview, width: int, height: int) -> Preview:
        lowered = facts.path.lower()
        if lowered.endswith(PICTURES):
            try:
                await asyncio.wait_for(self._workers.acquire(), WAIT_S)
            except TimeoutError as error:
                raise RefusedError(503, "other pictures are being decoded", "try again in a moment") from error
            try:
                return await asyncio.to_thread(picture_of, file, facts, width, height)
            finally:
                self._workers.release()
        if lowered.endswith(TEXTS):
            return await asyncio.to_thread(text_of, file, facts)
        return facts

    def _find(self, reference: str, path: str) -> tuple[artifact_files.Origin, str, Preview]:
        """Where its run came from, its path, and what is known of it without a look."""
        with self._database.reading() as cursor:
            found = run_named(cursor, reference)
            listed = run_table.artifacts_of(cursor, found.id)
            key = cursor.execute("select import_key from run where id = ?", [found.id]).fetchall()[0][0]
        for name, size_bytes, kind in listed:
            if readable(name) == path:
                origin = artifact_files.Origin(
                    found.tracker, found.source_path, key or "", found.source_group, found.name
                )
                words = f"a file of kind {kind}, which a terminal cannot show" if kind != "file" else "a file, no text"
                return origin, name, Preview(path, size_bytes, "words", words=words)
        raise RefusedError(404, f"r{found.no} left nothing behind named {path!r}", hint_for(found, bool(listed)))


def hint_for(found: RunEntry, has_any: bool) -> str:
    """What to do instead."""
    if has_any:
        return f"`footplate artifacts r{found.no}` lists what it left"
    tracker = trackers.name_of(found.tracker)
    return f"{tracker} lists no artifact of it" if tracker else f"its own files lie in {found.working_dir}"


def picture_of(file: str, facts: Preview, width: int, height: int) -> Preview:
    """A picture as the worker decodes it, or why it could not."""
    argv = [sys.executable, "-I", "-m", "console.worker", "image", file, str(width), str(height)]
    said = bounded.ask(
        argv,
        folder="/",
        environment=environment_of_ours(os.environ),
        timeout_s=DECODE_TIMEOUT_S,
        max_bytes=3 * SIDE_MAX_PIXELS * SIDE_MAX_PIXELS + 256,
    )
    if said.timed_out:
        return facts._replace(words=f"n/a: it could not be decoded within {DECODE_TIMEOUT_S:.0f} s")
    if said.exit_code:
        words = exit_cause.last_line(said.errors) or f"its decoder ended with {said.exit_code}"
        return facts._replace(words=readable(f"n/a: {words}"))
    head, _, pixels = said.output.partition(b"\n")
    *sizes, kind = head.decode().split(" ")
    shown_width, shown_height, source_width, source_height = map(int, sizes)
    return Preview(
        facts.path,
        facts.size_bytes,
        "image",
        format=kind,
        width=shown_width,
        height=shown_height,
        source_width=source_width,
        source_height=source_height,
        pixels=pixels,
    )


def text_of(file: str, facts: Preview) -> Preview:
    """The first lines of a text."""
    try:
        with open(file, "rb", opener=_opener) as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                return facts._replace(words="n/a: it is no regular file")
            data = opened.read(TEXT_MAX_BYTES + 1)
    except OSError as error:
        return facts._replace(words=f"n/a: {error.strerror or error}")
    if b"\0" in data:
        return facts._replace(words="n/a: it holds bytes that are no text")
    is_cut = len(data) > TEXT_MAX_BYTES
    lines = data[:TEXT_MAX_BYTES].decode("utf-8", "replace").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    is_cut |= len(lines) > LINES_MAX or any(len(line) > LINE_MAX_CHARACTERS for line in lines[:LINES_MAX])
    shown = tuple(line.removesuffix("\r")[:LINE_MAX_CHARACTERS] for line in lines[:LINES_MAX])
    return facts._replace(kind="text", words="" if shown else "an empty file", lines=shown, is_cut=is_cut)


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
