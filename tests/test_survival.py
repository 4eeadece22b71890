"""What happens to a run when everything around it dies, and what a plain terminal shows of it."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.support import FOOTPLATE, wait_until
from tests.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support import Home

PATIENT = """
import os, sys, time
print("step=1 loss=0.5", flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.02)
print("step=2 loss=0.25", flush=True)
sys.exit(7)
"""


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    """Terminals that are closed after the test."""
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


def patient_run(go: Path) -> list[str]:
    """The command line of a run that waits for the file `go` and then ends with exit code 7."""
    return [FOOTPLATE, "run", "--name", "patient", "--", sys.executable, "-c", PATIENT, str(go)]


def test_a_run_survives_the_death_of_daemon_and_console_and_a_dropped_connection(
    home: Home, tmp_path: Path, terminals: list[Terminal]
) -> None:
    go = tmp_path / "go"
    started = Terminal(patient_run(go), home.environment(TERM="xterm-256color"))
    terminals.append(started)
    started.read_until(lambda shown: shown.shows("running"))
    run_id = home.client().runs().rows[0].id
    console = Terminal([FOOTPLATE], home.environment(TERM="xterm-256color"))
    terminals.append(console)
    console.read_until(lambda shown: shown.shows("patient"))

    os.kill(console.pid, signal.SIGKILL)
    home.kill_daemon()
    started.hang_up()

    command = json.loads(home.footplate("show", run_id, "--json").stdout)
    assert command["row"]["state"] == "running"
    assert command["pid"] is not None
    go.touch()
    detail = home.wait_ended(run_id)
    assert (detail.row.state, detail.row.exit_code) == ("failed", 7)
    assert [metric.last for metric in detail.metrics] == [0.25]


def test_the_live_view_shows_the_metric_and_any_key_leaves_it(
    home: Home, tmp_path: Path, terminals: list[Terminal]
) -> None:
    go = tmp_path / "go"
    terminal = Terminal(patient_run(go), home.environment(TERM="xterm-256color"), 80, 24)
    terminals.append(terminal)
    terminal.read_until(lambda shown: shown.shows("loss ↓ guessed   last 0.5"))
    assert terminal.screen.display[0].startswith("▶ r1  patient  running")
    terminal.type("d")
    assert terminal.wait() == 0
    assert terminal.shows("r1 goes on.")
    assert home.client().run("r1").row.state == "running"
    go.touch()
    assert home.wait_ended("r1").row.exit_code == 7


def test_ctrl_c_leaves_the_live_view_and_the_run_alone(home: Home, tmp_path: Path, terminals: list[Terminal]) -> None:
    terminal = Terminal(patient_run(tmp_path / "go"), home.environment(TERM="xterm-256color"), 80, 24)
    terminals.append(terminal)
    terminal.read_until(lambda shown: shown.shows("running"))
    terminal.type("\x03")
    assert terminal.wait() == 0
    assert home.client().run("r1").row.state == "running"


def test_the_live_view_ends_with_the_run_and_shows_why_it_failed(home: Home, terminals: list[Terminal]) -> None:
    argv = [
        FOOTPLATE,
        "run",
        "--",
        sys.executable,
        "-c",
        "print('almost'); raise ValueError('bad \\x1b]0;x\\x07 thing')",
    ]
    terminal = Terminal(argv, home.environment(TERM="xterm-256color"), 100, 24)
    terminals.append(terminal)
    assert terminal.wait() == 1
    assert terminal.shows("✗ r1  ")
    assert terminal.shows("ValueError: bad ")
    assert b"\x1b]0;" not in terminal.written


def test_the_live_view_reconnects_when_the_daemon_is_killed(
    home: Home, tmp_path: Path, terminals: list[Terminal]
) -> None:
    go = tmp_path / "go"
    terminal = Terminal(patient_run(go), home.environment(TERM="xterm-256color"), 100, 24)
    terminals.append(terminal)
    terminal.read_until(lambda shown: shown.shows("running"))
    home.kill_daemon()
    go.touch()
    assert terminal.wait() == 7
    assert terminal.shows("failed exit 7")


def test_stop_is_remembered_when_the_daemon_dies_before_it_is_carried_out(home: Home) -> None:
    run_id = home.submit("sleep", "1000")
    home.wait_run(run_id, lambda detail: detail.row.state == "running")
    home.client().stop(run_id, "ana")
    home.kill_daemon()
    wait_until(lambda: home.footplate("ps", check=False).returncode == 0)
    detail = home.wait_ended(run_id)
    assert (detail.row.state, detail.row.cause) == ("stopped", "stopped by ana")


def test_a_dumb_terminal_gets_the_log_and_not_the_live_view(home: Home, terminals: list[Terminal]) -> None:
    terminal = Terminal([FOOTPLATE, "run", "--", "echo", "hello there"], home.environment(TERM="dumb"), 80, 24)
    terminals.append(terminal)
    assert terminal.wait() == 0
    assert b"\x1b" not in terminal.written
    assert terminal.shows("hello there")


def test_the_console_refuses_a_dumb_terminal_and_a_pipe_with_the_way_out(home: Home, terminals: list[Terminal]) -> None:
    terminal = Terminal([FOOTPLATE], home.environment(TERM="dumb"), 120, 24)
    terminals.append(terminal)
    assert terminal.wait() != 0
    assert terminal.shows("footplate runs")
    assert b"\x1b" not in terminal.written
    piped = home.footplate(check=False)
    assert piped.returncode != 0
    assert "footplate runs" in piped.stderr


def test_a_run_that_is_suspended_with_its_supervisor_is_neither_lost_nor_over_its_time(home: Home) -> None:
    run_id = home.python("import time; time.sleep(3); raise SystemExit(3)", options={"timeout_s": 600})
    running = home.wait_run(run_id, lambda detail: detail.row.state == "running" and detail.pid is not None)
    pids = [pid for pid in (running.supervisor_pid, running.pid, home.daemon_pid()) if pid is not None]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(2)
    for pid in reversed(pids):
        os.kill(pid, signal.SIGCONT)
    detail = home.wait_ended(run_id)
    assert (detail.row.state, detail.row.exit_code) == ("failed", 3), detail.row.cause
