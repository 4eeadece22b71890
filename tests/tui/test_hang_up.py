"""The terminal goes away while the console paints: the process ends, whether SIGHUP comes or not."""

from __future__ import annotations

import os
import pty
import random
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.support import HIDING_VARIABLES, WAIT_S
from tests.terminal import Terminal

PROJECT = str(Path(__file__).parents[2])
LIVE_STAGE = [sys.executable, "-m", "tests.tui.stage", "--runs", "--live"]
TIMES = 5


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """That of a terminal at hand."""
    kept = {name: value for name, value in os.environ.items() if name not in HIDING_VARIABLES}
    return kept | {"TERM": "xterm-256color", "LANG": "C.UTF-8", "FOOTPLATE_HOME": str(tmp_path)}


def test_the_console_ends_with_its_terminal(environment: dict[str, str]) -> None:
    moments = random.Random(7)
    for _ in range(TIMES):
        terminal = Terminal(LIVE_STAGE, environment, 120, 40, cwd=PROJECT)
        terminal.read_until(lambda seen: seen.shows("Runs 32"))
        # Nobody reads any more, so what is to be written piles up until the console waits for room.
        time.sleep(2 * moments.random())
        terminal.hang_up()
        deadline_s = time.monotonic() + WAIT_S
        while not terminal.has_ended() and time.monotonic() < deadline_s:
            time.sleep(0.01)
        left_behind = terminal.pid
        terminal.close()
        assert not left_behind, "the process went on without a terminal"
        assert terminal.exit_code == -1, "as SIGHUP ends a process"


def test_the_console_ends_with_its_terminal_though_no_signal_comes(environment: dict[str, str]) -> None:
    """In a session without a controlling terminal the kernel tells nobody."""
    moments = random.Random(8)
    for _ in range(TIMES):
        leader, follower = pty.openpty()
        termios.tcsetwinsize(follower, (40, 120))
        process = subprocess.Popen(
            LIVE_STAGE,
            env=environment,
            cwd=PROJECT,
            stdin=follower,
            stdout=follower,
            stderr=follower,
            start_new_session=True,
        )
        os.close(follower)
        written = b""
        until_s = time.monotonic() + WAIT_S
        while b"turn " not in written:
            assert time.monotonic() < until_s
            written += os.read(leader, 1 << 16)
        until_s = time.monotonic() + moments.random()
        while (left_s := until_s - time.monotonic()) > 0:
            if select.select([leader], [], [], left_s)[0]:
                os.read(leader, 1 << 16)
        os.close(leader)
        try:
            assert process.wait(WAIT_S) == -1
        finally:
            process.kill()
            process.wait()
