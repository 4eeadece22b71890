"""`python -m tests.full_disk SCENARIO DISK OUTSIDE`: what a full disk does, seen from a mount namespace of its own.

DISK is a small file system that is mounted for this process alone, OUTSIDE a folder elsewhere. Ends with 0 when all is
as it must be.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from console.client import DaemonRefused
from console.daemon import pause
from console.daemon.changes import Changes
from console.daemon.keeper import Keeper
from console.daemon.registry import Registry
from console.jobs import spec
from store import database, paths
from tests.support import WAIT_S, Home, opened_home, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

STEADY = """
import os, sys, time
path, told, stop = os.environ["FOOTPLATE_METRICS"], sys.argv[1], sys.argv[2]
metrics = os.open(path, os.O_WRONLY | os.O_APPEND)
step = 0
while not os.path.exists(stop):
    rest = b'{"step": %d, "loss": %d.5}\\n' % (step, step)
    while rest:
        try:
            rest = rest[os.write(metrics, rest):]
        except OSError:
            time.sleep(0.05)
    step += 1
    with open(told, "w") as file:
        file.write(str(step))
    time.sleep(0.002)
sys.exit(4)
"""
"""Writes one point after the other, waits while it cannot, and notes outside how many were taken."""

SQUEEZE_BYTES: Final = 32 << 10
SQUEEZE_INTERVAL_S: Final = 0.25


def fill(disk: Path, *, leave_bytes: int = 0) -> Path:
    """Take all the room there is."""
    ballast = disk / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        for size in (1 << 20, 4096, 512, 64, 1):
            with contextlib.suppress(OSError):
                while True:
                    if leave_bytes and free_bytes(disk) <= leave_bytes + size:
                        break
                    file.write(b"\1" * size)
    return ballast


def squeeze(disk: Path, ballast: Path, met: Callable[[], bool]) -> None:
    """Take the rest of the room little by little until a write of the store has met the full disk.

    The job would use it up too, but only as fast as the machine lets it. Where the store gets along with the very
    last of the room and the job waits, a little is given back, so that both write on.
    """
    deadline_s = time.monotonic() + WAIT_S
    next_s = 0.0
    while not met():
        now_s = time.monotonic()
        assert now_s < deadline_s, f"{free_bytes(disk)} bytes left, and nothing has met the full disk"
        if now_s >= next_s:
            next_s = now_s + SQUEEZE_INTERVAL_S
            with contextlib.suppress(OSError), open(ballast, "ab", buffering=0) as file:
                if free_bytes(disk) < SQUEEZE_BYTES:
                    file.truncate(file.tell() - 2 * SQUEEZE_BYTES)
                else:
                    file.write(b"\1" * SQUEEZE_BYTES)
        time.sleep(0.02)


def free_bytes(disk: Path) -> int:
    """Room that is left for root, who runs this."""
    facts = os.statvfs(disk)
    return facts.f_bfree * facts.f_frsize


def count(path: Path) -> int:
    """What a job says it wrote; 0 while it says nothing."""
    with contextlib.suppress(OSError, ValueError):
        return int(path.read_text())
    return 0


def point_count(home: Home, run_id: str) -> int:
    """Points of `loss` in the index."""
    found = [metric.point_count for metric in home.client().run(run_id).metrics if metric.key == "loss"]
    return found[0] if found else 0


def whole_life(disk: Path, outside: Path, *, kill: bool) -> None:
    """Jobs before, in and after a full disk; with `kill` the daemon is killed while it is full."""
    with opened_home(disk / "state") as home:
        steady = home.submit(sys.executable, "-c", STEADY, str(outside / "told"), str(outside / "stop"))
        short = home.submit("sh", "-c", f'while [ ! -e "{outside}/end" ]; do sleep 0.05; done; exit 5')
        wait_until(lambda: point_count(home, steady) > 50)
        home.wait_run(short, lambda detail: detail.row.state == "running")
        daemon = home.daemon_pid()
        ballast = fill(disk)
        (outside / "end").touch()
        wait_until(lambda: "store is paused" in home.client().status().notice)
        acknowledged = count(outside / "told")
        if kill:
            home.kill_daemon()
        done = home.footplate("ps", "--json")
        assert steady in done.stdout, done
        refused = home.footplate("run", "-d", "--", "true", check=False, cwd=str(outside))
        assert refused.returncode, refused
        assert refused.stderr.count("footplate:") == 1, refused.stderr
        assert "store is paused" in refused.stderr, refused.stderr
        assert "Traceback" not in refused.stderr, refused.stderr
        for _ in range(5):
            assert home.client().run(steady).row.state == "running"
            with pytest.raises(DaemonRefused, match="store is paused") as caught:
                home.client().submit({**request_of(home), "argv": ["true"]})
            assert caught.value.status == 503
            time.sleep(0.3)
        ballast.unlink()
        wait_until(lambda: not home.client().status().notice)
        row = home.wait_ended(short).row
        assert (row.state, row.exit_code) == ("failed", 5), row
        wait_until(lambda: count(outside / "told") > acknowledged + 50)
        (outside / "stop").touch()
        row = home.wait_ended(steady).row
        assert (row.state, row.exit_code) == ("failed", 4), row
        told = count(outside / "told")
        assert point_count(home, steady) == told, (point_count(home, steady), told)
        if not kill:
            assert home.daemon_pid() == daemon, "the daemon was restarted"
        assert home.footplate("run", "--", "true", cwd=str(outside)).returncode == 0
        left = [name for name in os.listdir(f"{home.path}/runs") if name.startswith(".")]
        assert not left, left
        print(json.dumps({"points": told, "paused_at": acknowledged}))


def request_of(home: Home) -> dict[str, Any]:
    """A request to run something."""
    return {
        "argv": [],
        "working_dir": "/",
        "environment": home.environment(),
        "umask": 0o022,
        "limits": {},
        "name": "",
        "project": "test",
        "grace_s": 2.0,
        "actor": "tester",
    }


def dead_instance(disk: Path, outside: Path) -> None:
    """A checkpoint on a full disk kills DuckDB's instance: the keeper opens the file again and loses nothing."""
    home = Home(disk / "state")
    os.environ["FOOTPLATE_HOME"] = home.path
    paths.ensure_state_dir(home.path)
    opened = database.open_database(paths.database_path(home.path))
    reopened: list[float] = []
    reopen = opened.reopen

    def counted() -> None:
        reopened.append(time.monotonic())
        reopen()

    opened.reopen = counted  # type: ignore[method-assign]
    # As on a disk that fills up in the middle of a checkpoint, which otherwise comes every 64 MB.
    opened.cursor().execute("set global wal_autocheckpoint = '1KB'")
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    keeper = Keeper(home.path, opened, Changes(loop), Registry(home.path, print))
    keeper.start()
    # Slow beside DuckDB's blocks: what is left of the disk must go to a checkpoint, not to the metrics file.
    data = {**request_of(home), "argv": [sys.executable, "-c", STEADY, str(outside / "told"), str(outside / "stop")]}
    parsed = spec.parse_request(data)
    new = keeper.call(lambda: keeper.commands.submit(parsed, "tester")).result()

    told_clients: list[str] = []

    def points() -> int:
        try:
            with opened.reading() as cursor:
                row = cursor.execute("select count(*) from metric where run_no = ?", [new.no]).fetchone()
                return int(row[0]) if row else 0
        except database.Error as error:
            # What a client would be told, instead of DuckDB's own words.
            told_clients.append(pause.words_of(error))
            return -1

    try:
        survive(keeper, disk, outside, points, reopened)
        wait_until(lambda: state_in(opened) == ("failed", 4))
        told = count(outside / "told")
        assert points() == told, (points(), told)
        assert all("store is paused" in words for words in told_clients), told_clients
        print(json.dumps({"points": told, "reopened": len(reopened)}))
    finally:
        (outside / "stop").touch()
        keeper.close()
        opened.close()
        loop.call_soon_threadsafe(loop.stop)


def survive(keeper: Keeper, disk: Path, outside: Path, points: Callable[[], int], reopened: list[float]) -> None:
    """Fill the disk under a keeper until a checkpoint kills its instance, and make room again.

    Whether the write that finds no room is one of a checkpoint depends on how much is left: where it was one of a
    transaction, which harms no instance, another amount is tried.
    """
    wait_until(lambda: points() > 1000)
    for left_kib in (400, 300, 550, 200, 700, 100, 850, 450):
        ballast = fill(disk, leave_bytes=left_kib << 10)
        try:
            squeeze(disk, ballast, lambda: "store is paused" in keeper.notice)
            wait_until(lambda: points() > 1000)  # what was there can be read, though nothing can be written
            assert keeper.alive
        finally:
            ballast.unlink()
        wait_until(lambda: not keeper.notice)
        if reopened:
            break
    assert reopened, "no checkpoint met the full disk"
    (outside / "stop").touch()


def state_in(opened: database.Database) -> Any:
    """State and exit code of the only run."""
    with opened.reading() as cursor:
        return cursor.execute("select state, exit_code from run").fetchone()


def main() -> None:
    """Entry point."""
    scenario, disk, outside = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if scenario == "dead":
        dead_instance(disk, outside)
    else:
        whole_life(disk, outside, kill=scenario == "killed")


if __name__ == "__main__":
    main()
