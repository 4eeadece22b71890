"""Supervisors in scopes of the user's service manager: with a stand-in for systemd-run on the path."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from console.daemon import launch, scope
from tests.jobs.supervised import Runs, final_status, log_of
from tests.support import WAIT_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STAND_IN = """#!/bin/sh
echo "$*" >> {log}
{body}
while [ "$1" != -- ]; do shift; done
shift
IN_SCOPE=1 exec "$@"
"""


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    """A state directory; everything in it ends with the test, and the answer of the probe is forgotten."""
    opened = Runs(tmp_path / "state")
    scope.prefix.cache_clear()
    yield opened
    scope.prefix.cache_clear()
    opened.close()


def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str = "") -> Path:
    """Put a systemd-run in front of the path; returns the file that it notes its arguments in."""
    folder, log = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    program = folder / "systemd-run"
    program.write_text(STAND_IN.format(log=log, body=body))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return log


def carry_out(runs: Runs) -> str:
    """Start a supervisor as the daemon does, twice if need be; returns the log of the run."""
    run_dir = runs.make("sh", "-c", "tr '\\0' '\\n' < /proc/$PPID/environ | grep -c IN_SCOPE=1; exit 0")
    for _ in range(2):
        process = launch.start_supervisor(run_dir, 1)
        runs.supervisors.append(process)
        process.wait(WAIT_S)
        if os.path.exists(f"{run_dir}/status.json"):
            break
    assert final_status(run_dir)["state"] == "finished"
    return log_of(run_dir).strip()


def test_a_supervisor_runs_in_a_scope_of_its_own_that_is_delegated_to_it(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = install(tmp_path, monkeypatch)
    assert carry_out(runs) == "1"
    assert carry_out(runs) == "1"
    noted = calls.read_text().splitlines()
    options = "--user --scope --quiet --collect -p Delegate=yes --"
    # The probe comes once.
    assert [call.startswith(options) for call in noted] == [True, True, True]
    assert [call.endswith(" true") for call in noted] == [True, False, False]


def test_a_scope_that_cannot_be_had_is_not_missed(runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = install(tmp_path, monkeypatch, "exit 1")
    assert carry_out(runs) == "0"
    assert carry_out(runs) == "0"
    assert len(calls.read_text().splitlines()) == 1


def test_a_probe_that_hangs_is_given_up(runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scope, "PROBE_TIMEOUT_S", 0.3)
    install(tmp_path, monkeypatch, "exec sleep 1000")
    assert carry_out(runs) == "0"


def test_a_service_manager_that_goes_away_later_costs_one_start(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = 'case "$*" in *" true") ;; *) echo "Failed to connect to bus" >&2; exit 1 ;; esac'
    calls = install(tmp_path, monkeypatch, body)
    assert carry_out(runs) == "0"
    assert len(calls.read_text().splitlines()) == 2


def test_a_machine_without_systemd_starts_it_plainly(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert scope.prefix() == ()
    assert carry_out(runs) == "0"
    assert not (tmp_path / "calls").exists()
