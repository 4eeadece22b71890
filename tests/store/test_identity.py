"""Processes are recognised by more than their pid."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from store import identity
from tests.support import wait_until

if TYPE_CHECKING:
    from pathlib import Path


def test_a_pid_that_came_round_again_is_somebody_else() -> None:
    me = identity.identify(os.getpid())
    assert me is not None
    assert identity.is_alive(me)
    for other in (
        me._replace(start_ticks=me.start_ticks + 1),
        me._replace(start_ticks=me.start_ticks - 1),
        me._replace(boot_id="of-another-time"),
    ):
        assert not identity.is_alive(other)
        assert not identity.send_signal(other, signal.SIGKILL)


def test_a_process_that_has_ended_but_was_not_reaped_is_not_alive() -> None:
    process = subprocess.Popen(["sleep", "1000"])
    found = identity.identify(process.pid)
    assert found is not None
    assert identity.send_signal(found, signal.SIGKILL)
    wait_until(lambda: (fields := identity.stat_fields(process.pid)) is not None and fields[0] == "Z")
    assert not identity.is_alive(found)
    assert not identity.send_signal(found, signal.SIGKILL)
    process.wait()
    assert not identity.is_alive(found)
    assert identity.identify(process.pid) != found


@pytest.mark.parametrize("name", ["a) b (c", ") Z 1 2 3", "sp ace\tand\ttab"])
def test_a_process_is_recognised_whatever_it_calls_itself(tmp_path: Path, name: str) -> None:
    program = tmp_path / name
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([str(program), "1000"]) as process:
        found = identity.identify(process.pid)
        assert found is not None
        assert identity.is_alive(found)
        fields = identity.stat_fields(process.pid)
        assert fields is not None
        assert int(fields[1]) == os.getpid()
        process.kill()
