"""Supervisors that claim their attempt late: when another daemon is there, or when it was given up waiting for them."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from console.daemon import launch
from console.daemon.watched import LAUNCHES_MAX, WatchedRun
from console.jobs import leases
from console.jobs.spec import read_spec
from store import identity
from store.ingest import JournalCursor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.jobs.leases import Lease
    from tests.support import Home


@contextlib.contextmanager
def begun_run(home: Home, tmp_path: Path, *argv: str) -> Iterator[tuple[str, Lease]]:
    """A run that waits for its device, which its supervisor, still on its way, was given."""
    folder = str(tmp_path / "devices")
    home.footplate("queue", "devices", "a", "--dir", folder)
    given = leases.take(folder, "a")
    assert given is not None
    run_id = home.submit(*argv, queueing={"devices": 1})
    home.kill_daemon()
    Path(f"{home.run_dir(run_id)}/supervisor.log").touch(0o600)
    assert home.client().run(run_id).row.state == "queued"
    try:
        yield run_id, given
    finally:
        given.close()


def test_a_waiting_run_that_is_claimed_is_shown_as_it_runs_and_can_be_stopped(home: Home, tmp_path: Path) -> None:
    with begun_run(home, tmp_path, "sleep", "1000") as (run_id, given):
        supervisor = launch.start_supervisor(home.run_dir(run_id), 1, [given])
    detail = home.wait_run(run_id, lambda found: found.row.state == "running" and found.pid is not None)
    assert detail.supervisor_pid == supervisor.pid
    assert detail.pid is not None
    command = identity.identify(detail.pid)
    assert command is not None
    home.footplate("stop", run_id)
    row = home.wait_ended(run_id).row
    assert (row.state, row.cause_kind) == ("stopped", "stopped")
    assert not identity.is_alive(command)
    supervisor.wait()


def test_a_waiting_run_that_was_stopped_does_not_run_when_it_is_claimed_after_all(home: Home, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    with begun_run(home, tmp_path, "touch", str(ran)) as (run_id, given):
        home.footplate("stop", run_id)
        row = home.wait_ended(run_id).row
        assert (row.state, row.cause) == ("stopped", f"stopped by {actor_of(home, run_id)} before it started")
        launch.start_supervisor(home.run_dir(run_id), 1, [given]).wait()
    assert os.path.exists(f"{home.run_dir(run_id)}/attempt-1.claim")
    assert not ran.exists()
    assert home.client().run(run_id).row == row


def actor_of(home: Home, run_id: str) -> str:
    """Who stopped it, as its supervisor is told."""
    return str(json.loads(Path(f"{home.run_dir(run_id)}/stop.json").read_text())["actor"])


def test_a_supervisor_that_comes_after_it_was_given_up_runs_nothing(home: Home, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    home.footplate("pause")
    run_id = home.submit("touch", str(ran), queueing={"takes_slot": True})
    home.end_daemon()
    run_dir = home.run_dir(run_id)
    waiting = WatchedRun(read_spec(run_dir), run_dir, "queued", launch_count=LAUNCHES_MAX)
    waiting.look(JournalCursor())
    waiting.close()
    launch.start_supervisor(run_dir, 1).wait()
    assert os.path.exists(f"{run_dir}/attempt-1.claim")
    assert not ran.exists()
    row = home.wait_ended(run_id).row
    assert (row.state, row.cause_kind) == ("failed", "not_started")
