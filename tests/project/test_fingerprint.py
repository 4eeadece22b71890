"""Fingerprints on real folders: what counts, what is read again, and what stands in the way."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from console.project import fingerprint, fingerprint_cache, globs
from console.project.file_sets import FileSet
from console.project.fingerprint import SetResult, Unreadable
from tests.support import wait_until

if TYPE_CHECKING:
    from console.project.fingerprint import Fingerprint
    from tests.support import Home

CHECKOUT = Path(__file__).resolve().parents[2]
EVERYTHING = FileSet(("**",))
HOUR_S = 3600.0


def write(path: Path, text: str | bytes = "", *, age_s: float = 60.0) -> Path:
    """A file that was written so long ago; its ctime is always now."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    os.utime(path, (time.time() - age_s,) * 2)
    return path


class Folder:
    """A project folder with a cache beside it, and a wall clock that stands where it is put."""

    def __init__(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = base / "project"
        self.root.mkdir()
        self.cache = str(base / "cache.sqlite")
        self._monkeypatch = monkeypatch

    def look(self, later_s: float = HOUR_S, **sets: FileSet) -> Fingerprint:
        """Several sets, as seen `later_s` from now: what was just written is old enough by then."""
        with self._monkeypatch.context() as patch:
            real = time.time_ns
            patch.setattr(time, "time_ns", lambda: real() + int(later_s * 1e9))
            return fingerprint.scan(str(self.root), self.cache, sets or {"files": EVERYTHING})

    def id(self, *patterns: str) -> str:
        """The id of these files."""
        return self.look(files=FileSet(patterns or ("**",))).sets["files"].id


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """An empty one."""
    return Folder(tmp_path, monkeypatch)


def tree_id(**entries: Any) -> str:
    """The definition, written down once more: a text is a file, a dict a folder; in names `__` stands for a dot."""
    lines = []
    for name, content in entries.items():
        is_folder = isinstance(content, dict)
        its_id = tree_id(**content) if is_folder else blake3(content.encode()).hexdigest()
        lines.append((name.replace("__", "."), "folder" if is_folder else "file", its_id))
    text = "".join(f"{kind}\0{name}\0{each}\n" for name, kind, each in sorted(lines))
    return str(blake3(text.encode()).hexdigest())


def test_the_id_is_what_the_docs_say(folder: Folder) -> None:
    assert folder.id() == tree_id()
    write(folder.root / "b", "two")
    write(folder.root / "a" / "x", "one")
    write(folder.root / "a" / "deep" / "er" / "y__", "three")
    (folder.root / "empty" / "too").mkdir(parents=True)
    (folder.root / "a" / "deep" / "er" / "y__").rename(folder.root / "a" / "deep" / "er" / "y.")
    assert folder.id() == tree_id(b="two", a={"x": "one", "deep": {"er": {"y__": "three"}}})
    assert folder.id("b") == tree_id(b="two")
    assert folder.id("nothing/*") == tree_id()


def test_content_and_names_count_and_times_and_modes_do_not(folder: Folder) -> None:
    path = write(folder.root / "a", "same")
    first = folder.id()
    os.utime(path, (1_700_000_000,) * 2)
    path.chmod(0o755)
    touched = folder.look()
    assert (touched.sets["files"].id, touched.hashed_count) == (first, 1)
    assert touched.sets["files"].changed == touched.sets["files"].added == []
    path.rename(folder.root / "b")
    renamed = folder.look().sets["files"]
    assert (renamed.id == first, renamed.added, renamed.removed) == (False, ["b"], ["a"])
    (folder.root / "b").rename(path)
    assert folder.id() == first
    write(path, "else")
    assert folder.id() != first


def test_one_changed_file_is_one_file_read(folder: Folder) -> None:
    for number in range(200):
        write(folder.root / f"d{number % 7}" / f"{number}", str(number))
    first = folder.look()
    assert (first.file_count, first.hashed_count, first.hashed_bytes) == (200, 200, 490)
    again = folder.look()
    assert (again.sets["files"].id, again.hashed_count, again.total_bytes) == (first.sets["files"].id, 0, 490)
    assert again.sets["files"].changed_at_s is None
    before_s = time.time()
    write(folder.root / "d3" / "3", "changed")
    changed = folder.look()
    assert (changed.hashed_count, changed.sets["files"].changed) == (1, ["d3/3"])
    assert changed.sets["files"].id != first.sets["files"].id
    # By ctime: the mtime of that file lies a minute back.
    assert changed.sets["files"].changed_at_s is not None
    assert abs(changed.sets["files"].changed_at_s - before_s) < 30
    write(folder.root / "d3" / "3", "3")
    assert folder.id() == first.sets["files"].id


def test_a_copy_that_restores_the_mtime_is_seen(folder: Folder) -> None:
    path = write(folder.root / "a", "before")
    first = folder.id()
    facts = path.stat()
    with path.open("r+b") as file:
        file.write(b"behind")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert (path.stat().st_mtime_ns, path.stat().st_size) == (facts.st_mtime_ns, facts.st_size)
    assert folder.id() != first


def test_a_file_moved_into_the_place_of_another_is_seen(folder: Folder) -> None:
    path = write(folder.root / "a", "one")
    first = folder.id()
    facts = path.stat()
    other = write(folder.root.parent / "other", "two")
    os.utime(other, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    other.replace(path)
    assert folder.id() != first


def test_a_file_that_was_young_when_it_was_read_is_read_once_more(folder: Folder) -> None:
    write(folder.root / "young", "x", age_s=0.0)
    first = folder.look(later_s=0.0)
    assert folder.look(later_s=1.0).hashed_count == 1
    assert folder.look(later_s=60.0).hashed_count == 1
    last = folder.look(later_s=90.0)
    assert (last.sets["files"].id, last.hashed_count) == (first.sets["files"].id, 0)
    write(folder.root / "ahead", "x", age_s=-100_000.0)
    assert (folder.look().hashed_count, folder.look().hashed_count) == (1, 1)


def test_files_moved_away_and_back_are_told_twice(folder: Folder) -> None:
    write(folder.root / "data" / "a", "x")
    first = folder.id()
    (folder.root / "data").rename(folder.root.parent / "away")
    assert folder.look().sets["files"].removed == ["data/a"]
    (folder.root.parent / "away").rename(folder.root / "data")
    back = folder.look().sets["files"]
    assert (back.id, back.added) == (first, ["data/a"])


def test_a_look_for_other_files_does_not_answer_for_these(folder: Folder) -> None:
    write(folder.root / "a", "x")
    write(folder.root / "b", "y")
    both = folder.look(one=FileSet(("a",)), other=FileSet(("b",)))
    turned = folder.look(one=FileSet(("b",)), other=FileSet(("a",)))
    assert turned.sets["one"].id == both.sets["other"].id != turned.sets["other"].id == both.sets["one"].id
    write(folder.root / "b", "z")
    assert folder.id("a") == both.sets["one"].id
    assert folder.look(one=FileSet(("a",)), other=FileSet(("b",))).sets["other"].changed == ["b"]


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


def test_large_files_are_read_whole(folder: Folder) -> None:
    content = random.Random(7).randbytes(fingerprint.CHUNK_BYTES * 2 + 4567)
    write(folder.root / "a", content)
    text = f"file\0a\0{blake3(content).hexdigest()}\n"
    assert folder.id() == blake3(text.encode()).hexdigest()


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


def test_several_sets_in_one_walk(folder: Folder) -> None:
    write(folder.root / "data" / "train.csv", "1")
    sets = {"train": FileSet(("**",), ("out/**", "*.log")), "eval": FileSet(("out/model.txt",))}
    before = folder.look(HOUR_S, **sets)
    assert before.sets["eval"].id == tree_id()
    write(folder.root / "out" / "model.txt", "weights")
    write(folder.root / "train.log", "epoch 1")
    after = folder.look(HOUR_S, **sets)
    assert after.sets["train"] == SetResult(before.sets["train"].id, 1)
    assert (after.sets["eval"].id, after.sets["eval"].added) == (
        tree_id(out={"model.txt": "weights"}),
        ["out/model.txt"],
    )
    # Nobody wants the log: it is not read.
    assert (after.hashed_count, after.file_count) == (1, 2)
    (folder.root / "data" / "train.csv").unlink()
    last = folder.look(HOUR_S, **sets)
    assert (last.sets["train"].removed, last.sets["eval"].removed) == (["data/train.csv"], [])


def test_what_another_look_asked_for_stays_known(folder: Folder) -> None:
    for name in ("a.csv", "b.txt", ".venv/c.csv"):
        write(folder.root / name, name)
    folder.look(files=FileSet(("**", ".venv/*")))
    narrow = folder.look(files=FileSet(("*.csv",)))
    assert (narrow.hashed_count, narrow.sets["files"].removed) == (0, [])
    wide = folder.look()
    assert (wide.file_count, wide.hashed_count, wide.sets["files"].removed) == (2, 0, [])
    (folder.root / "b.txt").unlink()
    assert folder.look(files=FileSet(("*.csv",))).sets["files"].removed == []
    assert folder.look().sets["files"].removed == ["b.txt"]
    assert folder.look().sets["files"].removed == []


def test_installed_and_generated_folders_are_passed_over_unless_named(folder: Folder) -> None:
    write(folder.root / "train.py", "x")
    plain = folder.id()
    for name in (".git/HEAD", ".venv/x", "node_modules/x", "a/__pycache__/x", "a/ckpt/x", "wandb/x", ".dvc/cache/ab/x"):
        write(folder.root / name, "x")
    assert folder.id() == plain
    assert folder.id(".git/HEAD") == tree_id(__git={"HEAD": "x"})
    assert folder.id("**/ckpt/*") == tree_id(a={"ckpt": {"x": "x"}})
    assert folder.id("node_modules") == tree_id(node_modules={"x": "x"})
    # Hidden files are files as any other.
    write(folder.root / ".env", "x")
    assert folder.id() == tree_id(**{"train.py": "x", "__env": "x"})


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (SetResult("", 1), "its files changed"),
        (SetResult("", 1, changed=["a"]), "a changed"),
        (SetResult("", 1, added=["b"], changed=["a"], removed=["c", "d"]), "a changed; b added; c, d removed"),
        (SetResult("", 9, changed=["a", "b", "c", "d", "e"]), "a, b, c and 2 more changed"),
    ],
)
def test_what_changed_in_words(result: SetResult, expected: str) -> None:
    assert result.words == expected


def test_what_could_not_be_read_is_told_in_few_words() -> None:
    lost = [Unreadable(f"{number}", "Permission denied") for number in range(1000)]
    found = fingerprint.Fingerprint({"a": SetResult("", 0, unreadable=lost)}, 0, 0, 0, 0, 0.0)
    assert len(fingerprint.as_json(found)["sets"]["a"]["problem"]) < 1000


# Few of them, so that a pattern often means a path.
NAMES = (
    "a",
    "b.py",
    "data",
    "a-b",
    "[x]",
    "x",
    ".git",
    "venv",
    "*",
    "?",
    "[ab]",
    "[!a]",
    "*.py",
    "d*",
    "[]a]",
    "[a",
    ".",
)
# No file and no folder can have the name ".".
PATHS = st.lists(
    st.sampled_from((*(name for name in NAMES if name != "."), "b", "]", "-", "!", "é")), min_size=1, max_size=4
)
PATTERNS = st.lists(
    st.one_of(st.sampled_from((*NAMES, "**", "*")), st.text(st.sampled_from("ab[]!-*"), min_size=1, max_size=5)),
    min_size=1,
    max_size=3,
)


@given(st.lists(PATTERNS.map("/".join).filter(lambda each: not globs.problem(each)), max_size=2), PATHS)
@settings(max_examples=300, deadline=None)
def test_a_walk_meets_every_file_that_a_set_holds(patterns: list[str], names: list[str]) -> None:
    files = FileSet(tuple(patterns))
    named = {name for pattern in patterns for name in pattern.split("/")}
    skipped = [name for name in names[:-1] if name not in named and (name.startswith(".") or name == "venv")]
    if not files.holds("/".join(names)) or skipped:
        return
    for count in range(len(names)):
        assert files.may_lie_below("/".join(names[:count]))
    assert files.reaches("/".join(names))


@pytest.mark.parametrize(
    ("pattern", "within", "outside"),
    [
        ("data/*.csv", ["", "data"], ["src", "data2"]),
        ("src/**/*.py", ["", "src", "src/a/b"], ["a", "src/.git", "src/a/venv"]),
        ("labels", ["", "labels", "labels/deep"], ["other", "labels/.cache"]),
        ("**", ["", "a/b/c"], [".venv", "a/node_modules"]),
        (".venv/lib/*", ["", ".venv", ".venv/lib"], [".venv/bin", ".git"]),
        ("d?ta/[ab]/x", ["data/a", "dota/b"], ["daata/a", "data/c"]),
    ],
)
def test_folders_that_can_hold_files_of_a_set(pattern: str, within: list[str], outside: list[str]) -> None:
    files = FileSet((pattern,))
    assert [each for each in within if not files.may_lie_below(each)] == []
    assert [each for each in outside if files.may_lie_below(each)] == []


def worker(**asked: Any) -> subprocess.CompletedProcess[str]:
    """The worker as the daemon starts it."""
    command = [sys.executable, "-I", "-m", "console.worker", "fingerprint"]
    return subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=False, timeout=60)


def worker_of(folder: Folder) -> subprocess.CompletedProcess[str]:
    """The same for everything in a folder."""
    return worker(root=str(folder.root), cache=folder.cache, sets={"a": {"globs": ["**"], "leave_out": []}})


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
