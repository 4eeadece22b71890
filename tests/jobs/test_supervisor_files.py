"""No file of ours fails a job: full disks, things in the way, a run directory or a package that is deleted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from console.jobs import reconcile, status_file
from console.json_files import read_object
from tests.jobs.supervised import (
    ROOT,
    Runs,
    ask_to_stop,
    errors_of,
    final_status,
    log_of,
    status_of,
    tagged,
    wait_log,
    wait_state,
)
from tests.support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL_DISK_BYTES = 1 << 20


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    """A state directory; everything in it ends with the test."""
    opened = Runs(tmp_path / "state")
    yield opened
    opened.close()


@pytest.fixture
def runs_on_small_disk(tmp_path: Path) -> Iterator[Runs]:
    """The same on a disk of 1 MiB of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_BYTES},mode=700", "tmpfs", str(disk)]
    if subprocess.run(argv, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    opened = Runs(disk)
    try:
        yield opened
    finally:
        opened.close()
        subprocess.run(["umount", str(disk)], check=True)


def fill(home: str) -> None:
    """Leave no byte free on the disk of a state directory."""
    with open(f"{home}/filler", "wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            return


def test_a_run_on_a_full_disk_ends_as_it_would_and_its_status_is_in_the_reserved_block(
    runs_on_small_disk: Runs,
) -> None:
    runs = runs_on_small_disk
    run_dir = runs.make(
        "sh", "-c", "echo ready; while [ ! -e stop-waiting ]; do sleep 0.05; done; exit 7", working_dir=runs.home
    )
    process = runs.start(run_dir)
    wait_log(run_dir, "ready")
    wait_state(run_dir, "running")
    os.mkdir(f"{runs.home}/spare")
    fill(runs.home)
    os.rename(f"{runs.home}/spare", f"{runs.home}/stop-waiting")
    wait_until(lambda: process.poll() is not None)
    assert process.returncode == 0
    plain = read_object(f"{run_dir}/status.json")
    assert plain is not None
    assert plain["state"] == "running"
    status = final_status(run_dir)
    assert (status["state"], status["exit_code"], status["format"]) == ("failed", 7, 1)
    assert reconcile.judge(reconcile.gather(run_dir)) == "ended"


def test_a_disk_that_fills_up_before_the_claim_is_waited_for(runs_on_small_disk: Runs) -> None:
    runs = runs_on_small_disk
    run_dir = runs.make("true")
    before = "from console.jobs import supervisor\nsupervisor.RETRY_INTERVAL_S = 0.1\n"
    fill(runs.home)
    process = runs.start(run_dir, before=before)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.0)
    os.unlink(f"{runs.home}/filler")
    runs.wait(process, run_dir)
    assert final_status(run_dir)["state"] == "finished"


def test_the_block_goes_once_the_status_is_in_its_file(runs: Runs) -> None:
    run_dir = runs.make("sleep", "1000")
    process = runs.start(run_dir)
    wait_state(run_dir, "running")
    assert os.stat(status_file.block_path(run_dir)).st_blocks * 512 >= status_file.BLOCK_BYTES
    ask_to_stop(run_dir, process)
    runs.wait(process, run_dir)
    assert not os.path.exists(status_file.block_path(run_dir))


@pytest.mark.parametrize(
    ("plain", "block", "expected"),
    [
        ({"attempt": 1, "revision": 2}, {"attempt": 1, "revision": 3}, 3),
        ({"attempt": 1, "revision": 4}, {"attempt": 1, "revision": 3}, 4),
        ({"attempt": 2, "revision": 1}, {"attempt": 1, "revision": 3}, 1),
        ({"attempt": 1}, {"attempt": 1, "revision": 1}, 1),
        (None, {"attempt": 1, "revision": 3}, 3),
        ({"attempt": 1, "revision": 2}, None, 2),
    ],
)
def test_the_later_status_counts(
    tmp_path: Path, plain: dict[str, int] | None, block: dict[str, int] | None, expected: int
) -> None:
    if plain is not None:
        (tmp_path / "status.json").write_text(json.dumps(plain))
    if block is not None:
        (tmp_path / "status.block").write_bytes(status_file.encode_block(block))
    assert (status_file.read(str(tmp_path)) or {}).get("revision") == expected


def test_a_damaged_or_unused_block_is_none(tmp_path: Path) -> None:
    written = status_file.encode_block({"attempt": 1, "revision": 3, "evidence": "x"})
    for content in (b"", b"\0" * 16384, written.replace(b'"x"', b'"y"'), written[:20]):
        (tmp_path / "status.block").write_bytes(content)
        assert status_file.read(str(tmp_path)) is None


def test_a_long_excerpt_is_cut_to_fit_the_block(tmp_path: Path) -> None:
    written = status_file.encode_block({"attempt": 1, "evidence": "ü" * 65536, "cause": "x" * 500})
    (tmp_path / "status.block").write_bytes(written)
    found = status_file.read(str(tmp_path)) or {}
    assert len(written) == status_file.BLOCK_BYTES
    assert (len(found["cause"]), len(found["evidence"]) > 1000) == (500, True)


@pytest.mark.parametrize("kind", ["directory", "pipe", "link"])
def test_a_log_that_cannot_be_opened_costs_the_output_only(runs: Runs, tmp_path: Path, kind: str) -> None:
    run_dir = runs.make("sh", "-c", "echo hello; exit 4")
    path = f"{run_dir}/output.log"
    make = {"directory": os.mkdir, "pipe": os.mkfifo, "link": lambda path: os.symlink(tmp_path / "elsewhere", path)}
    make[kind](path)
    runs.wait(runs.start(run_dir), run_dir)
    status = final_status(run_dir)
    assert (status["state"], status["exit_code"]) == ("failed", 4)
    assert status["notice"].startswith(f"its output is not kept: {path} cannot be opened: ")
    assert not (tmp_path / "elsewhere").exists()


def test_a_run_goes_on_without_its_directory_and_its_supervisor_ends_with_it(runs: Runs, tmp_path: Path) -> None:
    go, done = tmp_path / "go", tmp_path / "done"
    run_dir = runs.make("sh", "-c", f"while [ ! -e {go} ]; do sleep 0.05; done; touch {done}")
    process = runs.start(run_dir)
    wait_state(run_dir, "running")
    shutil.rmtree(run_dir)
    go.touch()
    runs.wait(process, run_dir)
    assert done.exists()
    assert not os.path.exists(run_dir)


def test_a_missing_environment_is_said_in_one_sentence(runs: Runs) -> None:
    run_dir = runs.make("true")
    os.unlink(f"{run_dir}/environment.json")
    runs.wait(runs.start(run_dir), run_dir)
    status = final_status(run_dir)
    assert status["state"] == "failed"
    assert status["cause"].startswith("could not be started: its environment cannot be read: ")


def test_the_package_may_be_deleted_under_a_live_supervisor(runs: Runs, tmp_path: Path) -> None:
    package = tmp_path / "package"
    for name in ("console", "store"):
        shutil.copytree(
            f"{ROOT}/{name}", package / name, ignore=shutil.ignore_patterns("__pycache__", "sample_projects")
        )
    go = tmp_path / "go"
    code = f"import os, time\nwhile not os.path.exists({str(go)!r}):\n    time.sleep(0.05)\nraise ValueError('bad')"
    run_dir = runs.python(code, options={"log_limit_bytes": 8 << 20, "memory_bytes": 1 << 30})
    process = runs.start(run_dir, root=str(package))
    wait_state(run_dir, "running")
    shutil.rmtree(package)
    go.touch()
    runs.wait(process, run_dir)
    status = final_status(run_dir)
    assert (status["exit_code"], status["cause"]) == (1, "ValueError: bad")


def test_nothing_is_imported_once_the_supervisor_has_started(runs: Runs, tmp_path: Path) -> None:
    late = tmp_path / "late"
    before = f"""
from console.jobs import supervisor
run = supervisor.Supervisor.run
def watched(self):
    late = open({str(late)!r}, "w", buffering=1)
    sys.addaudithook(lambda event, arguments: late.write(f"{{arguments[0]}}\\n") if event == "import" else None)
    run(self)
supervisor.Supervisor.run = watched
"""
    code = """
import os, time
if os.fork() == 0:
    os.setsid()
    time.sleep(1000)
raise ValueError('bad')
"""
    run_dir = runs.python(code, grace_s=0.1, options={"log_limit_bytes": 8 << 20, "memory_bytes": 1 << 30})
    Path(runs.home, "daemon.json").write_text(json.dumps({"argv": ["/bin/true"]}))
    process = runs.start(run_dir, before=before)
    runs.wait(process, run_dir)
    assert final_status(run_dir)["cause"] == "ValueError: bad"
    assert late.read_text() == ""


def test_an_unforeseen_fault_of_the_supervisor_is_written_down_and_ends_no_job(runs: Runs) -> None:
    before = """
from console.jobs import command
def fail(*_):
    raise ZeroDivisionError("unforeseen")
command.StartedCommand.sample = fail
"""
    run_dir = runs.make("sh", "-c", "sleep 0.3; exit 6")
    process = runs.start(run_dir, before=before)
    wait_until(lambda: process.poll() is not None)
    assert (process.returncode, final_status(run_dir)["exit_code"]) == (0, 6)
    assert "ZeroDivisionError: unforeseen" in errors_of(run_dir)


def test_every_file_that_the_supervisor_writes_has_a_format(runs: Runs) -> None:
    run_dir = runs.make("sleep", "1000")
    process = runs.start(run_dir)
    wait_state(run_dir, "running")
    for name in ("status.json", "attempt-1.claim"):
        assert json.loads(Path(run_dir, name).read_text())["format"] == 1
    process.kill()
    assert len(tagged(run_dir)) == 1
    assert (status_of(run_dir)["state"], log_of(run_dir)) == ("running", "")
