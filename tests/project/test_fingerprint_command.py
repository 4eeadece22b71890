"""Fingerprints by the worker and by the command."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.project.fingerprinting import Folder, tree_id, worker, worker_of, write

if TYPE_CHECKING:
    from tests.support import Home


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """An empty one."""
    return Folder(tmp_path, monkeypatch)


def test_the_worker_answers_for_several_sets(folder: Folder) -> None:
    write(folder.root / "a.csv", "1")
    write(folder.root / "b.txt", "2")
    sets = {"all": {"globs": ["**"], "leave_out": ["*.txt"]}, "txt": {"globs": ["*.txt"], "leave_out": []}}
    done = worker(root=str(folder.root), cache=folder.cache, sets=sets)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["sets"]["all"]["id"] == tree_id(**{"a.csv": "1"})
    assert found["sets"]["txt"]["words"] == "b.txt added"
    assert (found["file_count"], found["hashed_count"], found["total_bytes"]) == (2, 2, 2)
    assert found["sets"]["txt"]["problem"] == ""


def test_the_worker_says_in_a_line_that_a_folder_is_gone(folder: Folder) -> None:
    folder.root.rmdir()
    done = worker_of(folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{folder.root} cannot be read: No such file or directory\n"


def test_the_command_needs_no_daemon(home: Home, tmp_path: Path) -> None:
    root = tmp_path / "project"
    write(root / "a.csv", "1")
    write(root / "b.txt", "2")
    os.symlink("elsewhere", root / "evil\x1b[31m")
    found = json.loads(home.footplate("fingerprint", str(root), "--glob", "*.csv", "--json").stdout)
    assert (found["id"], found["file_count"], found["unreadable"]) == (tree_id(**{"a.csv": "1"}), 1, [])
    assert (found["root"], found["hashed_count"], found["words"]) == (str(root), 1, "a.csv added")
    shown = home.footplate("fingerprint", "--leave-out", "*.txt", cwd=root).stdout
    assert "2 files" in shown
    assert "\x1b" not in shown
    assert home.daemon_pid() is None
    folder = os.path.join(home.path, "fingerprints")
    assert len(os.listdir(folder)) == 1
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700


def test_the_command_says_what_is_wrong(home: Home, tmp_path: Path) -> None:
    for arguments, words in (
        (["--glob", "../x"], "the pattern '../x' leads out of the project's folder"),
        (["--leave-out", "a**"], "the pattern 'a**' has ** beside other characters of a name"),
        (["--glob", ""], "the pattern '' is empty"),
        ([str(tmp_path / "none")], f"{tmp_path / 'none'} cannot be read: No such file or directory"),
    ):
        refused = home.footplate("fingerprint", *arguments, check=False, cwd=tmp_path)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert words in refused.stderr
        assert "Traceback" not in refused.stderr


def test_the_command_ends_with_1_when_something_could_not_be_read() -> None:
    if os.getuid() != 0:
        pytest.skip("needs root, to become another user")
    code = """
import contextlib, io, os, sys
from console.__main__ import main
home, *arguments = sys.argv[1:]
# Once as root, which may import everything.
os.environ["FOOTPLATE_HOME"] = home + "-root"
with contextlib.redirect_stdout(io.StringIO()):
    main(arguments)
os.setgroups([]); os.setgid(65534); os.setuid(65534)
os.environ["FOOTPLATE_HOME"] = home
sys.exit(main(arguments))
"""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place, "project")
        write(root / "closed\x1b" / "a", "x")
        (root / "closed\x1b").chmod(0o700)
        Path(place, "state").mkdir()
        for path, mode in ((Path(place), 0o755), (root, 0o755), (Path(place, "state"), 0o777)):
            path.chmod(mode)
        command = [sys.executable, "-c", code, f"{place}/state/footplate", "fingerprint", str(root)]
        for option in ([], ["--json"]):
            done = subprocess.run([*command, *option], capture_output=True, text=True, check=False, timeout=60)
            assert (done.returncode, done.stderr) == (1, "")
            assert "Permission denied" in done.stdout
            assert "\x1b" not in done.stdout
