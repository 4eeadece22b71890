"""A full disk: jobs go on, no acknowledged point is lost, the store says that it is paused, and goes on by itself."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import WAIT_S

ROOT = Path(__file__).resolve().parent.parent


# What DuckDB does when it is dead is the same on both.
@pytest.mark.parametrize(
    ("kind", "scenario"),
    [("tmpfs", "alive"), ("tmpfs", "killed"), ("tmpfs", "dead"), ("ext4", "alive"), ("ext4", "killed")],
)
def test_a_full_disk_is_survived(kind: str, scenario: str, tmp_path: Path) -> None:
    disk, outside, image = tmp_path / "disk", tmp_path / "outside", tmp_path / "image"
    disk.mkdir()
    outside.mkdir()
    mount = f"mount -t tmpfs -o size=24m none {shlex.quote(str(disk))}"
    if kind == "ext4":
        with image.open("wb") as file:
            file.truncate(32 << 20)
        made = subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], capture_output=True, check=False)
        mount = f"mount -o loop {shlex.quote(str(image))} {shlex.quote(str(disk))}"
        if made.returncode:
            pytest.skip("no mkfs.ext4 here")
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, check=False).returncode:
        pytest.skip("may not mount a file system of its own here")
    script = f'{mount} && cd {shlex.quote(str(ROOT))} && exec "$@"'
    command = [sys.executable, "-m", "tests.full_disk", scenario, str(disk), str(outside)]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S * 5,
    )
    assert done.returncode == 0, done.stdout + done.stderr
