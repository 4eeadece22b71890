"""Nobody is there at night: a supervisor brings a dead daemon back, unless somebody stopped it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from tests.support import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Home

BACK_WITHIN_S = 10.0


def start_and_leave(home: Home) -> str:
    """A run that lives, and no client that is connected."""
    run_id = home.submit("sleep", "600")
    home.wait_run(run_id, lambda detail: detail.row.state == "running")
    home.client().close()
    return run_id


def test_a_killed_daemon_is_back_while_a_run_lives_though_no_client_asks(home: Home) -> None:
    start_and_leave(home)
    before = home.daemon_pid()
    began_s = time.monotonic()
    home.kill_daemon()
    assert wait_until(home.daemon_pid) != before
    # The bound of the product, not of this machine: the supervisor looks every five seconds.
    assert time.monotonic() - began_s < BACK_WITHIN_S * 2
    assert home.footplate("ps").stdout.count("running") == 1


def test_a_daemon_that_was_stopped_stays_down_until_a_command_needs_it(home: Home) -> None:
    run_id = start_and_leave(home)
    home.footplate("daemon", "stop")
    assert os.path.exists(f"{home.path}/daemon.stopped")
    time.sleep(BACK_WITHIN_S)
    assert home.daemon_pid() is None
    assert "stopped" in home.footplate("daemon", "status", check=False).stdout
    assert home.daemon_pid() is None
    assert run_id in home.footplate("ps", "--json").stdout
    assert not os.path.exists(f"{home.path}/daemon.stopped")


def test_the_end_of_a_run_is_in_the_index_though_the_daemon_had_been_killed(home: Home, tmp_path: Path) -> None:
    go = tmp_path / "go"
    code = f"""
import os, time
print("step=1 loss=0.5", flush=True)
while not os.path.exists({str(go)!r}):
    time.sleep(0.02)
print("step=2 loss=0.25")
"""
    run_id = home.python(code)
    home.wait_run(run_id, lambda detail: detail.row.state == "running")
    home.client().close()
    home.kill_daemon()
    go.touch()
    assert wait_until(home.daemon_pid)
    detail = home.wait_ended(run_id)
    assert (detail.row.state, [metric.last for metric in detail.metrics]) == ("finished", [0.25])
