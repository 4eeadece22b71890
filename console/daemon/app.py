"""The routes of the daemon: checks what clients ask, reads the index, hands commands to the keeper, speaks protocol."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from console import protocol, trackers
from console.daemon import launch, log_files, routes_chores, routes_store, run_columns, translate
from console.daemon.adoption import AdoptionError
from console.daemon.http import RefusedError, actor_of, answer, body_of, guarded, integer, optional_integer
from console.daemon.presence import Onlookers
from console.daemon.references import run_named
from console.daemon.routes_artifacts import ArtifactRoutes
from console.daemon.routes_clone import CloneRoutes
from console.daemon.routes_curves import CurveRoutes
from console.daemon.routes_daemon import DaemonRoutes
from console.daemon.routes_devices import DeviceRoutes
from console.daemon.routes_export import ExportRoutes
from console.daemon.routes_imports import ImportRoutes
from console.daemon.routes_jobs import JobRoutes
from console.daemon.routes_names import NameRoutes
from console.daemon.routes_people import PeopleRoutes
from console.daemon.routes_projects import ProjectRoutes
from console.daemon.routes_query import QueryRoutes
from console.daemon.routes_queue import QueueRoutes
from console.daemon.routes_run_parts import RunPartRoutes
from console.daemon.routes_triage import TriageRoutes
from console.daemon.triage_view import TriageView
from console.jobs import spec
from console.person import whoami
from console.project.summary import CAPTURING, INTERRUPTED
from console.version import VERSION
from store import database, derive, paths, twins
from store.queries import run_table
from store.queries.literals import changed_literals
from store.queries.run_page import run_page
from store.series import binned, latest_metrics, skipped_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from console.daemon.changes import Changes
    from console.daemon.device_watch import DeviceWatch
    from console.daemon.imports import Imports
    from console.daemon.keeper import Keeper
    from console.daemon.projects import Projects
    from console.daemon.upkeep import Upkeep
    from store.queries.literals import ChangedLiteral
    from store.queries.run_table import RunEntry

Application: TypeAlias = Starlette
FAILED_WINDOW_S: Final = 86400.0
PAGE_MAX: Final = 10_000
RAW_MAX_BYTES: Final = 1 << 20
POINTS_TIMEOUT_S: Final = 5.0
"""How long a client waits for the first look at the points of an imported run; the next call finds them."""


class Routes:
    """What the routes share."""

    def __init__(
        self,
        home: str,
        opened: database.Database,
        keeper: Keeper,
        changes: Changes,
        upkeep: Upkeep,
        imports: Imports,
        devices: DeviceWatch,
        triage: TriageView,
    ) -> None:
        self._imports = imports
        self._devices = devices
        self._upkeep = upkeep
        self._triage = triage
        self._home = home
        self._database = opened
        self._keeper = keeper
        self._changes = changes

    @guarded
    async def ping(self, _: Request) -> Response:
        """Who answers."""
        return answer({"version": VERSION, "protocol": protocol.PROTOCOL_VERSION, "pid": os.getpid()})

    @guarded
    async def status(self, _: Request) -> Response:
        """The header line."""
        gpus, cards = self._devices.busy_gpus(), self._devices.cards()

        def read() -> protocol.Status:
            user = whoami()
            with self._database.reading() as cursor:
                counts = run_table.count_by_state(cursor, time.time() - FAILED_WINDOW_S)
            return protocol.Status(
                host=os.uname().nodename,
                user=user,
                version=VERSION,
                running_count=sum(counts.get(state, 0) for state in protocol.LIVE_STATES),
                queued_count=sum(counts.get(state, 0) for state in protocol.WAITING_STATES),
                failed_count=counts.get("failed", 0),
                disk_used_percent=disk_used_percent(self._home),
                notice=self._keeper.notice or self._keeper.catching_up.notice or self._upkeep.notice,
                attention_count=self._triage.need_count(user, cards),
                gpus=gpus,
            )

        return answer((await asyncio.to_thread(read))._asdict())

    @guarded
    async def runs(self, request: Request) -> Response:
        """A page of the run table."""
        query = request.query_params
        states = [state for state in query.get("states", "").split(",") if state]
        sort = query.get("sort", "started")
        offset, limit = integer(request, "offset", 0), min(integer(request, "limit", 256), PAGE_MAX)
        now_s = time.time()
        columns = run_columns.asked_columns(query.get("columns"))

        def read() -> dict[str, Any]:
            with self._database.reading() as cursor:
                found = run_page(
                    cursor,
                    text=query.get("text", ""),
                    states=states,
                    sort=sort,
                    descending=query.get("descending", "1") != "0",
                    offset=offset,
                    limit=limit,
                    now_s=now_s,
                )
                literals = changed_literals(cursor, [entry.id for entry in found.entries])
                rows = [self._row(entry, literals.get(entry.id)) for entry in found.entries]
                more = run_columns.with_cells(cursor, rows, found.entries, columns) if columns is not None else {}
            counts = {"total_count": found.total_count, "matched_count": found.matched_count}
            return {**counts, "offset": offset, "now_s": now_s, "rows": rows, **more}

        return answer(await asyncio.to_thread(read))

    @guarded
    async def submit(self, request: Request) -> Response:
        """Enqueue a run."""
        data = await body_of(request)
        parsed = spec.parse_request(data)
        new = await self._command(lambda: self._keeper.commands.submit(parsed, actor_of(data)))
        return answer({"id": new.id, "no": new.no}, 201)

    @guarded
    async def adopt(self, request: Request) -> Response:
        """Make a process that already runs a run."""
        data = await body_of(request)
        pid = data.get("pid") if isinstance(data, dict) else None
        if not isinstance(pid, int) or pid <= 0:
            raise RefusedError(400, "pid must be the number of a process")
        try:
            new = await self._command(lambda: self._keeper.commands.adopt(pid, data))
        except AdoptionError as error:
            raise RefusedError(409, str(error), "`ps -u $USER` lists what could be") from error
        return answer({"id": new.id, "no": new.no}, 201)

    @guarded
    async def run(self, request: Request) -> Response:
        """Everything about one run."""
        return answer(await asyncio.to_thread(self._detail, request.path_params["reference"]))

    @guarded
    async def stop(self, request: Request) -> Response:
        """Ask a run to end."""
        reference = request.path_params["reference"]
        found = await asyncio.to_thread(self._find, reference)
        if found.tracker:
            raise RefusedError(409, f"{imported_words(found)}: footplate did not start it and cannot stop it")
        body = await body_of(request)
        if not await self._command(lambda: self._keeper.commands.stop(found.id, actor_of(body))):
            raise RefusedError(409, f"r{found.no} {found.name} has ended already ({found.state})")
        return answer(await asyncio.to_thread(self._detail, found.id))

    @guarded
    async def release(self, request: Request) -> Response:
        """Let a held run start."""
        found = await asyncio.to_thread(self._find, request.path_params["reference"])
        body = await body_of(request)
        if not await self._command(lambda: self._keeper.commands.release(found.id, actor_of(body))):
            raise RefusedError(409, f"r{found.no} {found.name} is not held ({found.state})")
        return answer(await asyncio.to_thread(self._detail, found.id))

    @guarded
    async def series(self, request: Request) -> Response:
        """One metric in bins."""
        found = await asyncio.to_thread(self._find, request.path_params["reference"])
        key, bins = request.query_params.get("key", ""), integer(request, "bins", 200)
        fold = optional_integer(request, "fold")

        def read() -> Any:
            with self._database.reading() as cursor:
                return binned(cursor, found.no, key, bins, fold)

        if found.tracker and not found.is_followed:
            await self.points_of(found)
        series = await asyncio.to_thread(read)
        if series is None:
            which = "" if fold is None else f" with a fold {fold}"
            raise RefusedError(404, f"r{found.no} has no metric {key!r}{which}")
        return answer({"key": key, **series._asdict()})

    @guarded
    async def log(self, request: Request) -> Response:
        """Lines of the output."""
        found = await asyncio.to_thread(self._find, request.path_params["reference"])
        start, before = optional_integer(request, "start"), optional_integer(request, "before")
        page = await asyncio.to_thread(
            log_files.read_page,
            self.log_path(found),
            start=start,
            before=before,
            max_bytes=integer(request, "max_bytes", 65536),
            ended=found.state in protocol.ENDED_STATES,
        )
        lines = [[line.offset_bytes, line.text, line.cut_bytes] for line in page.lines]
        return answer(
            {
                "start_bytes": page.start_bytes,
                "end_bytes": page.end_bytes,
                "size_bytes": page.size_bytes,
                "ended": page.ended,
                "lines": lines,
            }
        )

    @guarded
    async def raw_log(self, request: Request) -> Response:
        """The output as it was written; with `wait` as soon as there is more of it."""
        found = await asyncio.to_thread(self._find, request.path_params["reference"])
        start = integer(request, "start", 0)
        since = self._changes.position
        piece = await asyncio.to_thread(log_files.read_raw, self.log_path(found), start, RAW_MAX_BYTES)
        if not piece.data and request.query_params.get("wait") == "1" and found.state not in protocol.ENDED_STATES:
            await self._changes.wait(f"run:{found.id}", since)
            found = await asyncio.to_thread(self._find, found.id)
            piece = await asyncio.to_thread(log_files.read_raw, self.log_path(found), start, RAW_MAX_BYTES)
        # Ended is looked up before the bytes are read, so no byte can come after an answer that says so.
        ended = found.state in protocol.ENDED_STATES and piece.at_end
        headers = {"x-end-bytes": str(piece.end_bytes), "x-ended": "1" if ended else "0"}
        return Response(piece.data, media_type="application/octet-stream", headers=headers)

    @guarded
    async def search_log(self, request: Request) -> Response:
        """The next line of the output that holds a text."""
        found = await asyncio.to_thread(self._find, request.path_params["reference"])
        hit = await asyncio.to_thread(
            log_files.search,
            self.log_path(found),
            request.query_params.get("text", ""),
            start=integer(request, "start", 0),
            backward=request.query_params.get("backward") == "1",
        )
        return answer(hit._asdict())

    @guarded
    async def changes(self, request: Request) -> Response:
        """Wait until a view shows something else."""
        view = request.query_params.get("view", "runs")
        return answer((await self._changes.wait(view, integer(request, "since", 0)))._asdict())

    async def points_of(self, found: RunEntry) -> None:
        """Have the points of an imported run read, and wait a while for them."""
        since = self._changes.position
        if not await asyncio.wrap_future(self._imports.call(lambda: self._imports.follow(found.id))):
            return
        deadline_s = time.monotonic() + POINTS_TIMEOUT_S
        while time.monotonic() < deadline_s and not (await asyncio.to_thread(self._find, found.id)).is_followed:
            since = (await self._changes.wait(f"run:{found.id}", since)).position

    async def _command(self, command: Callable[[], Any]) -> Any:
        return await asyncio.wrap_future(self._keeper.call(command))

    def _find(self, reference: str) -> RunEntry:
        with self._database.reading() as cursor:
            return run_named(cursor, reference)

    def _row(self, entry: RunEntry, literals: dict[str, ChangedLiteral] | None) -> dict[str, Any]:
        row = translate.row(entry, literals)
        if entry.state == "blocked":
            row["cause"] = self._keeper.scheduler.reason_of(entry.id)
        return row

    def _detail(self, reference: str) -> dict[str, Any]:
        found = self._find(reference)
        run_dir = paths.run_dir(self._home, found.id)
        with self._database.reading() as cursor:
            metrics = latest_metrics(cursor, found.no)
            skipped = skipped_lines(cursor, found.id)
            notes = run_table.notes_of(cursor, found.id)
            literals = changed_literals(cursor, [found.id]).get(found.id)
            artifacts = run_table.artifacts_of(cursor, found.id)
            also = twins.places_of(cursor, found.id)
        ended = found.state in protocol.ENDED_STATES
        pid, supervisor_pid = (None, None) if ended or found.tracker else launch.live_pids(run_dir)
        detail = translate.detail(
            found, metrics, run_dir, pid, supervisor_pid, skipped, time.time(), notes, literals, artifacts
        )
        detail["also"] = [[tracker, launch.readable(path)] for tracker, path in also]
        if found.state in protocol.WAITING_STATES:
            detail["row"]["cause"] = self._keeper.scheduler.why(found.id) or found.cause
        if detail["code"].get("state") == INTERRUPTED and self._keeper.captures.is_pending(run_dir):
            detail["code"]["state"] = CAPTURING
        return detail

    def log_path(self, found: RunEntry) -> str:
        """Where the output of a run is. Raises RefusedError when it has none here."""
        if found.archived:
            hint = f"`footplate archive --restore r{found.no}` brings it back"
            raise RefusedError(409, f"r{found.no} {found.name} is archived: its log is packed away", hint)
        if found.tracker:
            raise RefusedError(409, f"{imported_words(found)}: it has no log here", f"see {found.source_path}")
        return derive.log_path(paths.run_dir(self._home, found.id))


def imported_words(found: RunEntry) -> str:
    """An imported run in a sentence that says what cannot be done with it."""
    return f"r{found.no} {found.name} was imported from {trackers.name_of(found.tracker)}"


def build(
    home: str,
    opened: database.Database,
    keeper: Keeper,
    changes: Changes,
    upkeep: Upkeep,
    projects: Projects,
    imports: Imports,
    devices: DeviceWatch,
) -> Starlette:
    """The ASGI application."""
    onlookers = Onlookers(home)
    triage = TriageView(home, opened, keeper, projects, imports, upkeep, onlookers, changes)
    routes = Routes(home, opened, keeper, changes, upkeep, imports, devices, triage)
    run = "/runs/{reference}"
    return Starlette(
        routes=[
            Route("/ping", routes.ping),
            Route("/status", routes.status),
            Route("/daemon", DaemonRoutes(home, keeper).facts),
            Route("/changes", routes.changes),
            Route("/runs", routes.runs, methods=["GET"]),
            Route("/runs", routes.submit, methods=["POST"]),
            *run_columns.ColumnRoutes(opened, changes).table(),
            Route("/adopt", routes.adopt, methods=["POST"]),
            Route(run, routes.run),
            Route(f"{run}/stop", routes.stop, methods=["POST"]),
            Route(f"{run}/release", routes.release, methods=["POST"]),
            Route(f"{run}/series", routes.series),
            Route(f"{run}/log", routes.log),
            Route(f"{run}/log/raw", routes.raw_log),
            Route(f"{run}/log/search", routes.search_log),
            *CurveRoutes(opened, routes.points_of).table(),
            *TriageRoutes(triage, onlookers, keeper, changes, devices).table(),
            *QueryRoutes(opened).table(),
            *RunPartRoutes(home, opened, routes.log_path).table(),
            *QueueRoutes(home, opened, keeper).table(),
            *JobRoutes(home, opened, keeper, projects).table(),
            *CloneRoutes(home, opened, keeper).table(),
            *ProjectRoutes(projects).table(),
            *DeviceRoutes(devices).table(),
            *ImportRoutes(imports, keeper).table(),
            *ArtifactRoutes(opened).table(),
            *NameRoutes(opened).table(),
            *ExportRoutes(home, opened).table(),
            *routes_chores.routes(home, opened, keeper),
            *PeopleRoutes(home, opened, keeper).table(),
            *routes_store.routes(home, opened, keeper, upkeep),
        ]
    )


def disk_used_percent(home: str) -> float | None:
    """How full the file system of the state directory is."""
    try:
        usage = shutil.disk_usage(home)
    except OSError:
        return None
    # As df counts: what is reserved for root is neither used nor free for us.
    reachable = usage.used + usage.free
    return 100.0 * usage.used / reachable if reachable else None
