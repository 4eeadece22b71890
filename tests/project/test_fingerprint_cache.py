"""The cache of fingerprints: which rows count, what damages it, and who may use it at once."""

from __future__ import annotations

import contextlib
import json
import os
import random
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from console.project import fingerprint_cache
from tests.project.fingerprinting import CHECKOUT, Folder, tree_id, write
from tests.support import wait_until


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """An empty one."""
    return Folder(tmp_path, monkeypatch)


def test_a_row_counts_only_for_the_same_facts_and_when_it_was_not_racy() -> None:
    facts = (1, 2, 10_000_000_000, 11_000_000_000)
    late = (*facts, 13_000_000_000, "id")
    assert fingerprint_cache.counts_for(late, facts)
    assert not fingerprint_cache.counts_for((*facts, 12_999_999_999, "id"), facts)
    for position in range(4):
        other = tuple(value + (position == at) for at, value in enumerate(facts))
        assert not fingerprint_cache.counts_for(late, other)  # type: ignore[arg-type]


def test_a_file_that_changes_while_it_is_read_is_not_remembered(folder: Folder) -> None:
    path = write(folder.root / "a", b"x" * (32 << 20))
    ending = threading.Event()

    def keep_writing() -> None:
        with path.open("r+b") as file:
            while not ending.is_set():
                file.truncate(1 << 20)
                file.truncate(32 << 20)

    def is_unsteady() -> bool:
        folder.look()
        with contextlib.closing(sqlite3.connect(folder.cache)) as cache:
            return bool(cache.execute("select read_at_ns = 0 from file").fetchone()[0])

    thread = threading.Thread(target=keep_writing)
    thread.start()
    try:
        wait_until(is_unsteady)
    finally:
        ending.set()
        thread.join()
    last = folder.look()
    assert last.sets["files"].id == tree_id(a=path.read_text())
    assert folder.look().hashed_count == 0


@pytest.mark.parametrize("kind", ["torn", "noise", "middle", "foreign", "texts", "newer", "empty"])
def test_a_damaged_or_foreign_cache_is_begun_anew(folder: Folder, kind: str) -> None:
    for number in range(300):
        write(folder.root / f"{number}", str(number))
    first = folder.look()
    damage(kind, Path(folder.cache))
    write(folder.root / "more", "x")
    second = folder.look()
    (folder.root / "more").unlink()
    third = folder.look()
    assert (second.hashed_count, third.hashed_count) == (301, 0)
    assert third.sets["files"].id == first.sets["files"].id != second.sets["files"].id
    assert stat.S_IMODE(os.lstat(folder.cache).st_mode) == 0o600


def damage(kind: str, path: Path) -> None:
    """Do something to a cache."""
    if kind == "torn":
        os.truncate(path, path.stat().st_size // 2)
    elif kind == "noise":
        path.write_bytes(random.Random(1).randbytes(50_000))
    elif kind == "middle":
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * 4096)
    elif kind == "empty":
        path.write_bytes(b"")
        path.chmod(0o600)
    else:
        if kind != "newer":
            path.unlink()
        with contextlib.closing(sqlite3.connect(path)) as other, other:
            if kind == "newer":
                other.execute("pragma user_version = 99")
            elif kind == "foreign":
                other.execute("create table file (whatever)")
                other.execute(f"pragma user_version = {fingerprint_cache.VERSION}")
            else:
                columns = "path, inode, size_bytes, mtime_ns, ctime_ns, read_at_ns, id"
                other.execute(f"create table file ({columns})")
                other.execute("insert into file values ('1', 0, 0, 0, 0, 0, '')")
                other.execute(f"pragma user_version = {fingerprint_cache.VERSION}")


def test_a_cache_that_cannot_be_made_is_one_clear_error(folder: Folder) -> None:
    write(folder.root / "a", "x")
    code = """
import resource, sys
from console.project import fingerprint
from console.project.file_sets import FileSet
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    fingerprint.scan(sys.argv[1], sys.argv[2], {"files": FileSet(("**",))})
except OSError as error:
    print(error.strerror, error.filename)
"""
    command = [sys.executable, "-c", code, str(folder.root), folder.cache]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=CHECKOUT)
    assert done.stdout.startswith("the cache cannot be written: ")
    assert done.stdout.endswith(f" {folder.cache}\n")


def test_several_processes_may_look_at_once(folder: Folder) -> None:
    for number in range(500):
        write(folder.root / f"{number}", str(number))
    command = [sys.executable, "-I", "-m", "console.worker", "fingerprint"]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    asked = {"root": str(folder.root), "cache": folder.cache, "sets": {"a": {"globs": ["**"], "leave_out": []}}}
    said = []
    for each in workers:
        assert each.stdin is not None
        each.stdin.write(json.dumps(asked))
        each.stdin.close()
        each.stdin = None
    for each in workers:
        out, err = each.communicate(timeout=60)
        assert (each.returncode, err) == (0, "")
        said.append(json.loads(out)["sets"]["a"]["id"])
    assert set(said) == {folder.id()}


def test_what_was_read_is_kept_when_a_look_is_killed(folder: Folder) -> None:
    for number in range(40):
        write(folder.root / f"{number:02}", str(number))
    code = """
import os, sys, time
from console.project import fingerprint
from console.project.file_sets import FileSet
fingerprint.SAVE_EVERY_S = 0.0
real, count = fingerprint.read_file, 0
def read_file(*arguments):
    global count
    count += 1
    if count == 25:
        os.kill(os.getpid(), 9)
    return real(*arguments)
fingerprint.read_file = read_file
now = time.time_ns
time.time_ns = lambda: now() + 3600 * 10**9
fingerprint.scan(sys.argv[1], sys.argv[2], {"files": FileSet(("**",))})
"""
    command = [sys.executable, "-c", code, str(folder.root), folder.cache]
    assert subprocess.run(command, check=False, timeout=60, cwd=CHECKOUT).returncode == -9
    found = folder.look()
    assert found.hashed_count == 40 - 24
    assert found.sets["files"].id == tree_id(**{f"{number:02}": str(number) for number in range(40)})
