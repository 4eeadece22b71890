"""A run that does nothing is looked at in passing only; whatever then happens to it is seen all the same."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from tests.support import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Home

SEEN_WITHIN_S = 8.0
"""Less than the interval of close looks, or it would show nothing."""
WAITING = (
    'while [ ! -e "$0/go" ]; do sleep 0.05; done; echo step=1 loss=0.5; while [ ! -e "$0/end" ]; do sleep 0.05; done'
)


def quiet_run(home: Home, folder: Path, *, adopted: bool) -> str:
    """A live run that has done nothing for a while; `adopted` by a daemon that did not start it."""
    run_id = home.submit("sh", "-c", WAITING, str(folder))
    home.wait_run(run_id, lambda detail: detail.row.state == "running")
    if adopted:
        home.kill_daemon()
        home.wait_run(run_id, lambda detail: detail.row.state == "running")
    time.sleep(1.5)
    return run_id


@pytest.mark.parametrize("adopted", [False, True], ids=["ours", "adopted"])
def test_points_and_the_end_of_a_quiet_run_are_seen(home: Home, tmp_path: Path, adopted: bool) -> None:
    run_id = quiet_run(home, tmp_path, adopted=adopted)
    (tmp_path / "go").touch()
    wait_until(lambda: home.client().run(run_id).row.metric is not None, SEEN_WITHIN_S)
    time.sleep(1.0)
    (tmp_path / "end").touch()
    wait_until(lambda: home.client().run(run_id).row.state == "finished", SEEN_WITHIN_S)


@pytest.mark.parametrize("adopted", [False, True], ids=["ours", "adopted"])
def test_a_quiet_run_is_stopped_when_asked(home: Home, tmp_path: Path, adopted: bool) -> None:
    run_id = quiet_run(home, tmp_path, adopted=adopted)
    home.client().stop(run_id, "tester")
    wait_until(lambda: home.client().run(run_id).row.state == "stopped", SEEN_WITHIN_S)


@pytest.mark.parametrize("adopted", [False, True], ids=["ours", "adopted"])
def test_a_quiet_run_that_loses_supervisor_and_command_is_seen(home: Home, tmp_path: Path, adopted: bool) -> None:
    run_id = quiet_run(home, tmp_path, adopted=adopted)
    detail = home.client().run(run_id)
    for pid in (detail.supervisor_pid, detail.pid):
        assert pid is not None
        os.kill(pid, 9)
    wait_until(lambda: home.client().run(run_id).row.state == "failed", SEEN_WITHIN_S)
