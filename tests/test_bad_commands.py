"""Commands that cannot start, or end badly: each says in words what happened to it."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.support import FOOTPLATE, run_count

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Home


class Bad(NamedTuple):
    """A program that cannot be started."""

    program: str
    exit_code: int
    words: str
    """What the sentence must say."""


BAD_PROGRAMS = [
    Bad("no-such-program-anywhere", 127, "command not found: no-such-program-anywhere"),
    Bad("./nothing", 127, "command not found: ./nothing"),
    Bad("./plain.py/below", 127, "command not found: ./plain.py/below"),
    Bad("./plain.py", 126, "not executable: ./plain.py"),
    Bad("./folder", 126, "not executable: ./folder"),
    Bad("./bare", 126, "not executable: ./bare"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder with files that are no programs."""
    (tmp_path / "plain.py").write_text("print('never')\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "bare").write_text("echo never\n")
    (tmp_path / "bare").chmod(0o755)
    (tmp_path / "lost").write_text("#!/no/such/interpreter\necho never\n")
    (tmp_path / "lost").chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("bad", BAD_PROGRAMS, ids=lambda bad: bad.program)
def test_a_program_that_cannot_start_is_refused_in_one_sentence_and_makes_no_run(
    house: Home, folder: Path, bad: Bad
) -> None:
    before = run_count(house)
    done = house.footplate("run", "--", bad.program, "argument", check=False, cwd=folder)
    assert done.returncode == bad.exit_code
    assert done.stdout == ""
    assert done.stderr.startswith(f"footplate: {bad.words}")
    assert len(done.stderr.splitlines()) == 1
    assert run_count(house) == before


@pytest.mark.parametrize("bad", BAD_PROGRAMS, ids=lambda bad: bad.program)
def test_a_program_that_cannot_start_past_the_check_fails_with_its_cause(house: Home, folder: Path, bad: Bad) -> None:
    detail = house.wait_ended(house.submit(bad.program, working_dir=str(folder)))
    assert (detail.row.state, detail.row.exit_code) == ("failed", bad.exit_code)
    assert detail.row.cause.startswith(bad.words)


def test_a_script_whose_interpreter_is_missing_is_not_said_to_be_missing_itself(house: Home, folder: Path) -> None:
    detail = house.wait_ended(house.submit("./lost", working_dir=str(folder)))
    assert detail.row.state == "failed"
    assert detail.row.exit_code in (126, 127)
    assert "interpreter" in detail.row.cause


def test_an_empty_program_name_is_refused(house: Home) -> None:
    before = run_count(house)
    done = house.footplate("run", "--", "", check=False)
    assert done.returncode == 127
    assert len(done.stderr.splitlines()) == 1
    assert run_count(house) == before


def test_a_removed_working_directory_is_refused_in_words_and_makes_no_run(house: Home, folder: Path) -> None:
    before = run_count(house)
    # With a relative entry in PYTHONPATH, Python itself cannot start in a folder that is gone.
    for python_path in ({}, {"PYTHONPATH": str(folder)}):
        gone = folder / "gone"
        gone.mkdir()
        done = subprocess.run(
            ["sh", "-c", 'rmdir "$PWD" && exec "$0" run -- true', FOOTPLATE],
            cwd=gone,
            env=house.environment(**python_path),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (125, 126), done.stderr
        assert done.stderr.startswith("footplate: the current directory was removed")
        assert "Traceback" not in done.stderr
    assert run_count(house) == before


@pytest.mark.parametrize("where", ["gone", "plain.py"])
def test_a_working_directory_that_is_none_past_the_check_is_named_in_the_cause(
    house: Home, folder: Path, where: str
) -> None:
    detail = house.wait_ended(house.submit("true", working_dir=str(folder / where)))
    assert (detail.row.state, detail.row.exit_code) == ("failed", 126)
    assert f"cannot enter the working directory {folder / where}" in detail.row.cause


def test_the_callers_path_decides_which_program_starts(house: Home, tmp_path: Path) -> None:
    tool = tmp_path / "my-tool"
    tool.write_text("#!/bin/sh\necho mine\n")
    tool.chmod(0o755)
    done = house.footplate("run", "--", "my-tool", env=house.environment(PATH=f"{tmp_path}:{os.environ['PATH']}"))
    assert done.stdout == "mine\n"


def test_an_argument_longer_than_the_kernel_takes_fails_with_its_cause(house: Home) -> None:
    detail = house.wait_ended(house.submit("echo", "x" * 200_000))
    assert (detail.row.state, detail.row.exit_code) == ("failed", 126)
    assert "Argument list too long" in detail.row.cause


@pytest.mark.parametrize(
    ("number", "name"),
    [(9, "SIGKILL"), (11, "SIGSEGV"), (15, "SIGTERM"), (1, "SIGHUP"), (40, "signal 40")],
)
def test_a_job_killed_by_a_signal_has_failed_and_says_which(house: Home, number: int, name: str) -> None:
    done = house.footplate("run", "--", "sh", "-c", f"ulimit -c 0; kill -{number} $$; sleep 60", check=False)
    row = house.client().runs(limit=1, sort="no").rows[0]
    assert (row.state, row.exit_code, row.signal) == ("failed", None, name)
    assert name in row.cause
    assert row.cause_kind == "signal"
    assert name in house.footplate("show", row.label).stdout
    assert done.returncode == 128 + number


def test_a_job_killed_from_outside_has_failed_and_says_by_which_signal(house: Home) -> None:
    run_id = house.submit("sleep", "1000")
    pid = house.wait_run(run_id, lambda detail: detail.pid is not None and detail.row.state == "running").pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    row = house.wait_ended(run_id).row
    assert (row.state, row.signal) == ("failed", "SIGKILL")
