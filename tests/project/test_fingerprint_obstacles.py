"""What stands in the way of a fingerprint: files that vanish, that may not be read, that lead elsewhere or are none."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from blake3 import blake3

from console.project import fingerprint
from console.project.file_sets import FileSet
from tests.project.fingerprinting import CHECKOUT, EVERYTHING, Folder, tree_id, worker, worker_of, write

if TYPE_CHECKING:
    from tests.support import Home


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """An empty one."""
    return Folder(tmp_path, monkeypatch)


def test_files_that_vanish_meanwhile_were_not_there(folder: Folder) -> None:
    for number in range(300):
        write(folder.root / f"{number % 10}" / f"{number:03}", "x")
    ending = threading.Event()

    def churn() -> None:
        while not ending.is_set():
            for number in range(5):
                shutil.rmtree(folder.root / f"{number}", ignore_errors=True)
            for number in range(300):
                with contextlib.suppress(OSError):
                    write(folder.root / f"{number % 5}" / f"n{number}", "y", age_s=0.0)

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(20):
            found = folder.look()
            assert found.sets["files"].unreadable == []
            assert found.file_count >= 150
    finally:
        ending.set()
        thread.join()


AS_NOBODY = """
import json, os, sys
from console.project import fingerprint
from console.project.file_sets import FileSet
os.setgroups([]); os.setgid(65534); os.setuid(65534)
sets = {"all": FileSet(("**",)), "b": FileSet(("b",)), "py": FileSet(("**/*.py",))}
for _ in range(2):
    found = fingerprint.scan(sys.argv[1], sys.argv[2], sets)
said = {name: [each.unreadable, each.file_count, each.id] for name, each in found.sets.items()}
print(json.dumps([said, fingerprint.as_json(found)["sets"]["all"]["problem"]]))
os.chmod(sys.argv[2], 0)
os.rename(sys.argv[1] + "/mine", sys.argv[1] + "/mine-too")
try:
    fingerprint.scan(sys.argv[1] + "/closed", sys.argv[2], sets)
except OSError as error:
    print(type(error).__name__)
"""


def test_what_cannot_be_read_is_told_and_the_rest_counts() -> None:
    if os.getuid() != 0:
        pytest.skip("needs root, to become another user")
    # Outside of pytest's folder, which no other user may enter.
    with tempfile.TemporaryDirectory() as place:
        root = Path(place, "project")
        for each in ("a.csv", "b", "closed/c"):
            write(root / each, "x")
        (root / "mine").mkdir()
        Path(place, "state").mkdir()
        for path in (Path(place), root, root / "mine", Path(place, "state")):
            path.chmod(0o777)
        (root / "a.csv").chmod(0)
        (root / "closed").chmod(0o700)
        command = [sys.executable, "-c", AS_NOBODY, str(root), f"{place}/state/c.sqlite"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=CHECKOUT)
    lines = done.stdout.splitlines()
    said, problem = json.loads(lines[0])
    denied = "Permission denied"
    assert sorted(said["all"][0]) == [["a.csv", denied], ["closed", denied]]
    text = f"file\0a.csv\0n/a\nfile\0b\0{blake3(b'x').hexdigest()}\n"
    assert said["all"][1:] == [2, blake3(text.encode()).hexdigest()]
    assert said["b"][0] == []
    # A closed folder may hold Python files; a file of another name is of no interest to that set.
    assert said["py"][0] == [["closed", denied]]
    assert problem.startswith("n/a: ")
    assert f"a.csv: {denied}" in problem
    assert lines[1] == "PermissionError"


def test_a_root_that_is_gone_or_no_folder(folder: Folder) -> None:
    for path, expected in (("missing", FileNotFoundError), ("file", NotADirectoryError)):
        if path == "file":
            write(folder.root / path)
        with pytest.raises(expected):
            fingerprint.scan(str(folder.root / path), folder.cache, {"files": EVERYTHING})


def test_a_link_to_a_file_counts_with_its_text_and_what_it_leads_to(folder: Folder) -> None:
    target = write(folder.root.parent / "elsewhere" / "data.csv", "1")
    link = folder.root / "data.csv"
    link.symlink_to("../elsewhere/data.csv")
    first = folder.id()
    assert folder.look().hashed_count == 0
    write(target, "2")
    second = folder.id()
    shutil.copy2(target, target.with_name("same.csv"))
    link.unlink()
    link.symlink_to("../elsewhere/same.csv")
    third = folder.id()
    link.unlink()
    link.write_text("2")
    assert len({first, second, third, folder.id()}) == 4


def test_links_lead_into_no_folder_and_into_no_circle(folder: Folder) -> None:
    write(folder.root / "a", "x")
    plain = folder.id()
    write(folder.root.parent / "outside" / "secret", "x")
    (folder.root / "data").symlink_to("../outside")
    (folder.root / "loop").symlink_to(".")
    (folder.root / "deep").mkdir()
    (folder.root / "deep" / "up").symlink_to("..")
    assert folder.id() == plain
    (folder.root / "self").symlink_to("self")
    (folder.root / "dangling").symlink_to("nowhere")
    found = folder.look()
    assert (found.file_count, found.sets["files"].unreadable) == (3, [])
    (folder.root / "dangling").unlink()
    (folder.root / "dangling").symlink_to("nobody")
    assert folder.id() != found.sets["files"].id


def test_what_is_no_file_neither_blocks_nor_counts(folder: Folder) -> None:
    write(folder.root / "a", "x")
    before = folder.id()
    os.mkfifo(folder.root / "pipe")
    (folder.root / "link").symlink_to("pipe")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as server, contextlib.chdir(folder.root):
        server.bind("socket")
    found = folder.look()
    assert (found.sets["files"].id, found.file_count, found.sets["files"].unreadable) == (before, 1, [])


def test_a_file_that_becomes_a_pipe_before_it_is_opened_was_not_there(folder: Folder) -> None:
    path = write(folder.root / "a", "x")
    facts = fingerprint.facts_of(path.stat())
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(FileNotFoundError):
        fingerprint.read_file(str(path), facts, "")


def test_names_that_are_not_utf8(folder: Folder, home: Home) -> None:
    name = os.fsdecode(b"caf\xe9 \n\t\x1b[31m")
    write(folder.root / name, "x")
    assert folder.look().sets["files"].added == [name]
    assert folder.look().hashed_count == 0
    assert folder.look(files=FileSet(("caf*",))).file_count == 1
    text = b"file\0" + os.fsencode(name) + b"\0" + blake3(b"x").hexdigest().encode() + b"\n"
    assert folder.id() == blake3(text).hexdigest()
    done = worker(root=str(folder.root), cache=folder.cache, sets={"a": {"globs": ["**"], "leave_out": []}})
    assert json.loads(done.stdout)["sets"]["a"]["id"] == folder.id()
    write(folder.root / name, "y")
    assert json.loads(worker_of(folder).stdout)["sets"]["a"]["words"] == f"{name} changed"
    odd = folder.root / os.fsdecode(b"d\xe9\x1b")
    odd.mkdir()
    shown = home.footplate("fingerprint", str(odd)).stdout
    assert shown.startswith(tree_id())
    assert "\x1b" not in shown
