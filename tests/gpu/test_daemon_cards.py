"""A daemon on a machine with cards: who holds them, which run is which, and what hangs."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from console import devices
from console.daemon.sampler_keeping import STALLED_AFTER_S
from tests.gpu.driver import GIB
from tests.support import wait_until

if TYPE_CHECKING:
    from tests.gpu.driver import Driver
    from tests.support import Home


def test_the_daemon_says_what_hangs_and_all_else_goes_on(driver: Driver, home: Home) -> None:
    driver.fill(3)
    driver.say(2, util=88)
    client = home.client()
    found = devices.devices(client, wait=True)
    wait_until(lambda: devices.devices(client).busy_count == 1)
    assert list(client.status().gpus or ()) == [1, 3]
    # Of one that does not say how busy it is nobody knows that it is idle.
    driver.say(1, util="!3")
    wait_until(lambda: list(client.status().gpus or ()) == [1, 2])
    # One card that hangs: said of it, the others go on.
    driver.say(0, hang=600)
    wait_until(lambda: devices.devices(client).gpus[0].problem.startswith("no answer"))
    found = devices.devices(client)
    assert found.gpus[2].utilization_percent == 88
    assert found.stalled_s is None
    assert found.age_s is not None
    # The whole of it: said with its time, and the host and the runs go on.
    run_id = home.python("print('done')")
    home.wait_ended(run_id)
    sampler = child_of(home.daemon_pid() or 0, b"console.gpu.sampler")
    os.kill(sampler, signal.SIGSTOP)
    found = wait_until(lambda: (look := devices.devices(client)).stalled_s is not None and look)
    assert found.gpus[2].utilization_percent == 88
    assert found.stalled_s > STALLED_AFTER_S
    assert found.age_s == pytest.approx(found.stalled_s, abs=1)
    assert found.memory_used_bytes is not None
    assert "sampler stalled" in home.footplate("gpus").stdout
    os.kill(sampler, signal.SIGCONT)
    wait_until(lambda: devices.devices(client).stalled_s is None)


def test_the_run_that_holds_a_card_is_named(driver: Driver, home: Home) -> None:
    driver.fill(2)
    run_id = home.submit("/bin/sh", "-c", "exec sleep 600")
    pid = home.wait_run(run_id, lambda detail: detail.pid is not None).pid
    driver.say(1, proc=f"{pid} {30 * GIB}", memused=31 * GIB, util=3)
    client = home.client()
    found = wait_until(lambda: (look := devices.devices(client, wait=True)).gpus and look.gpus[1].holders and look)
    [holder] = found.gpus[1].holders
    assert (holder.pid, holder.run, holder.command) == (pid, "r1", "sleep 600")
    assert found.gpus[1].idle_held_s is not None
    assert found.gpus[0].idle_held_s is None
    text = home.footplate("gpus").stdout
    assert "r1" in text
    assert "31G/80G" in text
    client.stop("r1", "tester")


def child_of(parent: int, mark: bytes) -> int:
    """The process below another one whose command holds a mark."""
    with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as file:
        children = [int(word) for word in file.read().split()]
    for pid in children:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            if mark in file.read():
                return pid
    raise AssertionError(f"no child of {parent} with {mark!r}")
