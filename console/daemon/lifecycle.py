"""From the lock to the end of the daemon: open the index, bind the socket, leave when nobody needs us."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import os
import signal
import socket
import time
from typing import TYPE_CHECKING, Final

import uvicorn

from console import daemon_process
from console.daemon import app
from console.daemon.changes import Changes
from console.daemon.device_watch import DeviceWatch
from console.daemon.imports import Imports
from console.daemon.keeper import Keeper, report
from console.daemon.peer import PeerCheckedProtocol
from console.daemon.projects import Projects
from console.daemon.registry import Registry
from console.daemon.upkeep import Upkeep
from console.version import VERSION
from store import database, paths, recovery
from store.queries import run_table

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOK_INTERVAL_S: Final = 1.0
"""Between looks at socket and lock."""
IDLE_EXIT_S: Final = 600.0
"""With nothing that lives, waits or may start by itself and without a client for this long, the daemon ends."""
WARM_UP_AFTER_S: Final = 1.0
"""A heavy import waits this long, so that whoever started us is answered first."""
GC_THRESHOLDS: Final = (100_000, 20, 100)
"""For the collector, see gc.set_threshold."""
BACKLOG: Final = 128


def serve(home: str, lock: int) -> int:
    """Run the daemon that holds `lock` until it is told to end; returns the exit code."""
    try:
        opened, words = recovery.open_index(home, report)
    except (database.Error, database.SchemaTooNewError, OSError) as error:
        report(f"cannot open the index {paths.database_path(home)}: {str(error).splitlines()[0]}")
        return 1
    try:
        daemon_process.write_launch_note(home)
        asyncio.run(Daemon(home, lock, opened, words).run())
    except OSError as error:
        report(f"cannot go on in {home}: {error}")
        return 1
    finally:
        opened.close()
        if opened.damage:
            note_damage(home, opened.damage)
    return 0


def note_damage(home: str, words: str) -> None:
    """Have the next daemon replace the index; where that cannot be written, it meets the damage by itself."""
    try:
        recovery.suspect(home, words)
    except OSError as error:
        report(f"cannot note that the index is damaged: {error}")


class Server(uvicorn.Server):
    """uvicorn without its ten wake-ups a second, and without its signal handlers, which would end the process early."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    async def main_loop(self) -> None:
        """Sleep until `end`."""
        await self.on_tick(0)
        await self._ending.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the daemon."""
        yield

    def end(self) -> None:
        """Close the listeners and let requests in flight come to their end."""
        self.should_exit = True
        self._ending.set()


class Daemon:
    """One life of the daemon on its event loop."""

    def __init__(self, home: str, lock: int, opened: database.Database, words: str = "") -> None:
        self.home = home
        self._upkeep = Upkeep(home, opened, words)
        self._lock = lock
        self._database = opened
        self._socket_path = ""
        self._socket_facts: os.stat_result | None = None

    async def run(self) -> None:
        """Serve until SIGTERM, or until there is nothing to stay for."""
        loop = asyncio.get_running_loop()
        changes = Changes(loop)
        registry = Registry(self.home, report)
        keeper = Keeper(self.home, self._database, changes, registry)
        imports = Imports(self.home, registry, keeper, changes, report)
        projects = Projects(registry, keeper, changes, report)
        registry.tell_watched, registry.tell_left = imports.read_watched, imports.leave_watched
        devices = DeviceWatch(self.home, lambda: [each.root for each in registry.all()], self._label_of, report)
        server = self._server(
            app.build(self.home, self._database, keeper, changes, self._upkeep, projects, imports, devices)
        )
        first = self._bind()
        gc.enable()
        keeper.start()
        projects.start()
        imports.start()
        warming = loop.call_later(WARM_UP_AFTER_S, lambda: loop.run_in_executor(None, warm_up))
        serving = asyncio.create_task(server.serve(sockets=[first]))
        upkeep = asyncio.create_task(self._upkeep.run())
        told_to_end = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told_to_end.set)
        try:
            await self._watch(server, keeper, projects, imports, devices, told_to_end)
        finally:
            devices.close()
            warming.cancel()
            upkeep.cancel()
            changes.wake_all()
            server.end()
            await serving
            await asyncio.to_thread(projects.close)
            await asyncio.to_thread(imports.close)
            await asyncio.to_thread(keeper.close)
            self._unlink_socket()

    def _server(self, application: app.Application) -> Server:
        config = uvicorn.Config(
            application,
            http=PeerCheckedProtocol,
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            headers=[("x-footplate-version", VERSION)],
            timeout_keep_alive=3600,
            timeout_graceful_shutdown=3,
        )
        return Server(config)

    async def _watch(
        self,
        server: Server,
        keeper: Keeper,
        projects: Projects,
        imports: Imports,
        devices: DeviceWatch,
        told_to_end: asyncio.Event,
    ) -> None:
        """Every second: is the lock still ours, the socket still there, the keeper alive, anybody in need of us?"""
        needed_at_s = time.monotonic()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(told_to_end.wait(), LOOK_INTERVAL_S)
            if told_to_end.is_set():
                report("told to end: leaving, runs go on")
                return
            if not keeper.alive:
                report("the thread that writes has died: leaving, the next client starts a new daemon")
                return
            if self._database.damage:
                report(f"the index is damaged: leaving, the next daemon replaces it: {self._database.damage}")
                return
            if self._upkeep.rebuild_asked:
                report("the index is to be built anew: leaving, the next daemon does it")
                return
            if not self._lock_is_ours():
                report(f"the state directory {self.home} was removed or replaced under us: leaving")
                return
            if not self._socket_is_there():
                report("the socket vanished: binding it again")
                await self._add_socket(server)
            devices.tick(keeper.live_count)
            needed = keeper.live_count or keeper.waiting_count or projects.needed or imports.needed
            if needed or PeerCheckedProtocol.connection_count:
                needed_at_s = time.monotonic()
            elif time.monotonic() - needed_at_s > IDLE_EXIT_S:
                report("nothing runs and nobody is connected: leaving")
                return

    def _label_of(self, run_id: str) -> str:
        """The short name of a run that a process says it belongs to; empty for one of another state directory."""
        with self._database.reading() as cursor:
            runs, _ = run_table.find_runs(cursor, [run_id])
        return f"r{runs[0].no}" if runs and runs[0].id == run_id else ""

    def _lock_is_ours(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._lock), os.stat(paths.lock_path(self.home)))
        except FileNotFoundError:
            return False

    def _socket_is_there(self) -> bool:
        try:
            return self._socket_facts is not None and os.path.samestat(self._socket_facts, os.lstat(self._socket_path))
        except FileNotFoundError:
            return False

    def _bind(self) -> socket.socket:
        """Listen at our path, mode 0600 from the first moment; what lies there is a leftover, as we hold the lock."""
        self._socket_path = paths.choose_socket_path(self.home)
        if os.path.lexists(self._socket_path):
            os.unlink(self._socket_path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        old_mask = os.umask(0o177)
        try:
            listener.bind(self._socket_path)
        finally:
            os.umask(old_mask)
        listener.listen(BACKLOG)
        listener.setblocking(False)
        self._socket_facts = os.lstat(self._socket_path)
        return listener

    async def _add_socket(self, server: Server) -> None:
        """A second listener with the same protocol; connections over the old one stay."""
        protocol = functools.partial(
            PeerCheckedProtocol, config=server.config, server_state=server.server_state, app_state={}
        )
        listening = await asyncio.get_running_loop().create_server(protocol, sock=self._bind(), backlog=BACKLOG)
        server.servers.append(listening)

    def _unlink_socket(self) -> None:
        if self._socket_is_there():
            os.unlink(self._socket_path)


def warm_up() -> None:
    """Import what the first points will need, and make ready for many of them."""
    import polars  # noqa: F401

    # What is loaded by now stays. Going through it and through all that thousands of runs consist of, again and again
    # while they come in, would be a quarter of the work.
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
