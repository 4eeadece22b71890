"""Waiting for changes: what wakes a view, how often, and what is refused."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from console.client import Client, DaemonRefused, DaemonUnavailable

if TYPE_CHECKING:
    from tests.support import Home


@pytest.mark.parametrize("since", [0, 1, 10**17])
def test_a_position_of_another_daemon_is_answered_at_once_as_a_change(house: Home, since: int) -> None:
    change = house.client().changes("runs", since)
    assert change.changed
    assert change.position not in (0, since)


def test_a_view_that_does_not_change_is_answered_all_the_same(house: Home) -> None:
    position = house.client().changes("runs", 0).position
    change = house.client().changes("run:nothing", position)
    assert (change.position, change.changed) == (position, False)


def test_a_new_run_wakes_a_waiting_view(house: Home) -> None:
    position = house.client().changes("runs", 0).position
    found = []

    def wait() -> None:
        client = Client()
        change = client.changes("runs", position)
        while not change.changed:
            change = client.changes("runs", change.position)
        found.append(change)
        client.close()

    waiting = threading.Thread(target=wait)
    waiting.start()
    house.wait_ended(house.submit("true"))
    waiting.join()
    assert found[0].position > position


def test_a_run_that_writes_all_the_time_is_told_at_most_four_times_a_second(house: Home) -> None:
    run_id = house.submit("sh", "-c", "while :; do echo line; sleep 0.005; done")
    house.wait_run(run_id, lambda detail: detail.row.state == "running")
    client = house.client()
    position = client.changes(f"run:{run_id}", 0).position
    told = 0
    started_s = time.monotonic()
    while told < 6:
        change = client.changes(f"run:{run_id}", position)
        position = change.position
        told += change.changed
    elapsed_s = time.monotonic() - started_s
    # The first may come at once; a slow machine only makes them fewer.
    assert elapsed_s >= (told - 1) * 0.25 * 0.9
    client.stop(run_id, "tester")
    house.wait_ended(run_id)


@pytest.mark.parametrize("since", ["-1", "x", "", "9" * 30, "1.5"])
def test_a_position_that_is_no_number_is_refused(house: Home, since: str) -> None:
    with pytest.raises(DaemonRefused, match="since must be a whole number"):
        house.client().get("/changes", {"view": "runs", "since": since})


def test_a_client_that_must_not_start_a_daemon_says_that_none_runs(home: Home) -> None:
    with pytest.raises(DaemonUnavailable, match="no daemon is running"):
        Client(start_daemon=False).status()
    assert not os.path.exists(home.path)
