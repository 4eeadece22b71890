"""A daemon, or a supervisor, that kills itself (SIGKILL) at a chosen point: for `tests.torture`, never in the product.

    python -I killpoints.py daemon HOME POINT NTH        the NTH time it comes to POINT
    python -I killpoints.py supervised HOME FOLDER       a plain daemon, whose supervisors are the next line's
    python -I -S killpoints.py RUN_DIR ATTEMPT           a supervisor; dies at the point that FOLDER/point names

A point is a place and a moment: "commit before", "commit inside", "commit after". A supervisor that dies leaves
FOLDER/victims/<run id> with the point in its first line, its pid and the Unix time in the second.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

ROOT: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if __name__ == "__main__":
    sys.path.append(ROOT)

if TYPE_CHECKING:
    from collections.abc import Callable

DAEMON_POINTS: Final = (
    "journal before",
    "journal after",
    "commit before",
    "commit inside",
    "commit after",
    "checkpoint inside",
    "command before",
    "command after",
    "run directory before",
    "run directory after",
    "supervisor before",
    "supervisor after",
    "reply before",
    "reply after",
)
SUPERVISOR_POINTS: Final = ("claim before", "claim after", "start after", "end before", "end after")
FOLDER_VARIABLE: Final = "FOOTPLATE_TORTURE_FOLDER"


def die() -> None:
    """No handler, no atexit, no flush."""
    os.kill(os.getpid(), signal.SIGKILL)


class Countdown:
    """Dies when a point was come to often enough."""

    def __init__(self, point: str, nth: int) -> None:
        self.point = point
        self.left = nth

    def pass_by(self, point: str) -> None:
        """Called at every point."""
        if point == self.point:
            self.left -= 1
            if self.left <= 0:
                die()

    def around(self, place: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function` with a point before and one after."""

        def call(*arguments: Any, **named: Any) -> Any:
            self.pass_by(f"{place} before")
            result = function(*arguments, **named)
            self.pass_by(f"{place} after")
            return result

        return call


class WatchedCursor:
    """A DuckDB cursor that passes by a point just before it commits."""

    def __init__(self, cursor: Any, countdown: Countdown) -> None:
        self._cursor = cursor
        self._countdown = countdown

    def execute(self, sql: str, *arguments: Any) -> Any:
        """As of the cursor."""
        if sql == "commit":
            self._countdown.pass_by("commit inside")
            if self._countdown.point == "checkpoint inside":
                self._checkpoint()
        return self._cursor.execute(sql, *arguments)

    def _checkpoint(self) -> None:
        self._countdown.left -= 1
        if self._countdown.left <= 0:
            self._cursor.execute("commit")
            threading.Timer(0.001 * (os.getpid() % 8), die).start()
            while True:
                self._cursor.execute("force checkpoint")
                self._cursor.execute("begin")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


def daemon(home: str, point: str, nth: int) -> int:
    """Become a daemon that dies at a point."""
    from console.daemon import __main__ as entry
    from console.daemon import app, command_journal, launch
    from console.jobs import spec
    from store import ingest, journal

    countdown = Countdown(point, nth)
    journal.Journal.append = countdown.around("journal", journal.Journal.append)  # type: ignore[method-assign]
    command_journal.CommandJournal.append = countdown.around(  # type: ignore[method-assign]
        "command", command_journal.CommandJournal.append
    )
    ingest.Index.commit = countdown.around("commit", ingest.Index.commit)  # type: ignore[method-assign]
    spec.write_run_dirs = countdown.around("run directory", spec.write_run_dirs)
    launch.start_supervisor = countdown.around("supervisor", launch.start_supervisor)
    plain_init = ingest.Index.__init__

    def watched_init(self: Any, cursor: Any) -> None:
        plain_init(self, WatchedCursor(cursor, countdown))  # type: ignore[arg-type]

    ingest.Index.__init__ = watched_init  # type: ignore[method-assign]
    plain_build = app.build

    def build(*arguments: Any, **named: Any) -> Any:
        application = plain_build(*arguments, **named)

        async def answering(scope: Any, receive: Any, send: Any) -> None:
            writes = scope["type"] == "http" and scope["method"] == "POST"

            async def sending(message: Any) -> None:
                if writes:
                    countdown.pass_by("reply before")
                await send(message)
                if writes and message["type"] == "http.response.body":
                    countdown.pass_by("reply after")

            await application(scope, receive, sending)

        return answering

    app.build = build
    sys.argv = ["console.daemon", home]
    return entry.main()


def supervised(home: str, folder: str) -> int:
    """Become a daemon whose supervisors may die at a point."""
    from console.daemon import __main__ as entry
    from console.daemon import launch

    os.environ[FOLDER_VARIABLE] = folder
    launch.SUPERVISOR = os.path.abspath(__file__)
    sys.argv = ["console.daemon", home]
    return entry.main()


def supervisor(run_dir: str) -> None:
    """Become a supervisor that may die at a point."""
    from console.jobs import supervisor as product

    folder = os.environ.pop(FOLDER_VARIABLE)
    try:
        with open(f"{folder}/point", encoding="utf-8") as file:
            point = file.read()
    except FileNotFoundError:
        point = ""

    def pass_by(here: str) -> None:
        if here != point:
            return
        try:
            os.rename(f"{folder}/point", f"{folder}/point-of-{os.getpid()}")
        except FileNotFoundError:
            return  # another supervisor has died of it
        with open(f"{folder}/victims/{os.path.basename(run_dir)}", "w", encoding="utf-8") as victim:
            victim.write(f"{point}\npid {os.getpid()} at {time.time():.3f}\n")
        die()

    plain_claim, plain_start, plain_write = (
        product.Supervisor.claim,
        product.Supervisor.start,
        product.Supervisor.write_status,
    )

    def claim(self: Any) -> bool:
        pass_by("claim before")
        taken = plain_claim(self)
        if taken:
            pass_by("claim after")
        return taken

    def start(self: Any, *arguments: Any) -> None:
        plain_start(self, *arguments)
        pass_by("start after")

    def write_status(self: Any, **changes: Any) -> None:
        ends = "ended_at_s" in changes
        if ends:
            pass_by("end before")
        plain_write(self, **changes)
        if ends:
            pass_by("end after")

    product.Supervisor.claim = claim  # type: ignore[method-assign]
    product.Supervisor.start = start  # type: ignore[assignment, method-assign]
    product.Supervisor.write_status = write_status  # type: ignore[method-assign]
    product.main()


def main() -> int:
    """Entry point."""
    if sys.argv[1] == "daemon":
        return daemon(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    if sys.argv[1] == "supervised":
        return supervised(sys.argv[2], sys.argv[3])
    supervisor(sys.argv[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
