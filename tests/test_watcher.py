"""The watcher on real folders and a real inotify instance."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from console.daemon.watcher import Watcher
from console.project.file_sets import FileSet
from tests.support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = (FileSet(("data/*.csv", "src/**/*.py")),)


class Heard:
    """What the watcher said."""

    def __init__(self) -> None:
        self.roots: list[str] = []
        self.lock = threading.Lock()

    def __call__(self, root: str) -> None:
        with self.lock:
            self.roots.append(root)

    def count(self, root: Path) -> int:
        with self.lock:
            return self.roots.count(str(root))


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def watcher(heard: Heard) -> Iterator[Watcher]:
    made = Watcher(heard)
    yield made
    made.close()


def watch(watcher: Watcher, heard: Heard, root: Path, sets: tuple[FileSet, ...] = DATA) -> None:
    """Watch a folder, and wait until it is; the first look counts as settled."""
    before = heard.count(root)
    watcher.watch(str(root), sets)
    wait_until(lambda: heard.count(root) > before)


def settles(heard: Heard, root: Path) -> None:
    before = heard.count(root)
    wait_until(lambda: heard.count(root) > before)


def test_files_of_interest_are_noticed_and_others_are_not(watcher: Watcher, heard: Heard, tmp_path: Path) -> None:
    for name in ("data", "src/deep", "other", ".venv/lib"):
        (tmp_path / name).mkdir(parents=True)
    watch(watcher, heard, tmp_path)
    state = watcher.state(str(tmp_path))
    # The folder itself, data, src, src/deep.
    assert (state.mode, state.watch_count, state.reason) == ("inotify", 4, "")
    count = heard.count(tmp_path)
    for ignored in ("other/a.csv", "data/a.txt", "notes.txt", ".venv/lib/x.py"):
        (tmp_path / ignored).write_text("x")
    (tmp_path / "data" / "a.csv").write_text("x")
    wait_until(lambda: heard.count(tmp_path) == count + 1)
    (tmp_path / "footplate.toml").write_text("")
    wait_until(lambda: heard.count(tmp_path) == count + 2)
    (tmp_path / "src" / "deep" / "m.py").write_text("x")
    wait_until(lambda: heard.count(tmp_path) == count + 3)


def test_a_new_folder_is_watched_and_one_that_moved_away_is_not(watcher: Watcher, heard: Heard, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    watch(watcher, heard, tmp_path)
    (tmp_path / "src" / "new" / "deep").mkdir(parents=True)
    settles(heard, tmp_path)
    wait_until(lambda: watcher.state(str(tmp_path)).watch_count == 4)
    (tmp_path / "src" / "new" / "deep" / "m.py").write_text("x")
    settles(heard, tmp_path)
    (tmp_path / "src" / "new").rename(tmp_path / "elsewhere")
    wait_until(lambda: watcher.state(str(tmp_path)).watch_count == 2)


def test_a_storm_is_one_change(watcher: Watcher, heard: Heard, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    watch(watcher, heard, tmp_path)
    before = heard.count(tmp_path)
    for number in range(3000):
        (tmp_path / "data" / f"{number}.csv").write_text("x")
    wait_until(lambda: heard.count(tmp_path) > before)
    # A pause of half a second in the storm, on a busy machine, ends it for the watcher.
    assert heard.count(tmp_path) - before <= 3


def test_a_folder_that_vanishes_and_comes_back(watcher: Watcher, heard: Heard, tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / "data").mkdir(parents=True)
    watch(watcher, heard, root)
    for name in "abcde":
        shutil.rmtree(root)
        # Also when it went away between the look at it and its watch: then not only the look a minute later sees it.
        wait_until(lambda: watcher.state(str(root)).mode == "gone", timeout_s=30.0)
        assert watcher.state(str(root)) == ("gone", 0, "its folder is gone")
        (root / "data").mkdir(parents=True)
        wait_until(lambda: watcher.state(str(root)).mode == "inotify", timeout_s=30.0)
        (root / "data" / f"{name}.csv").write_text("x")
        settles(heard, root)


def test_a_folder_that_is_replaced_by_another_one(watcher: Watcher, heard: Heard, tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / "data").mkdir(parents=True)
    watch(watcher, heard, root)
    os.rename(root, tmp_path / "old")
    (root / "data").mkdir(parents=True)
    settles(heard, root)
    wait_until(lambda: watcher.state(str(root)).watch_count == 2)
    before = heard.count(root)
    (tmp_path / "old" / "data" / "a.csv").write_text("x")
    (root / "data" / "a.csv").write_text("x")
    wait_until(lambda: heard.count(root) == before + 1)


def test_loops_of_links_and_names_that_are_not_utf8(watcher: Watcher, heard: Heard, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "loop").symlink_to(tmp_path / "src")
    strange = os.path.join(os.fsencode(tmp_path), b"src", b"\xff\xfe")
    os.mkdir(strange)
    watch(watcher, heard, tmp_path)
    assert watcher.state(str(tmp_path)).watch_count == 3
    with open(os.path.join(strange, b"m.py"), "w", encoding="ascii") as file:
        file.write("x")
    settles(heard, tmp_path)


def test_beyond_its_share_a_project_is_polled_and_says_so(heard: Heard, tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / "src" / f"d{number}").mkdir(parents=True)
    watcher = Watcher(heard, most_watches=5, poll_s=0.2)
    try:
        watch(watcher, heard, tmp_path)
        state = watcher.state(str(tmp_path))
        assert (state.mode, state.watch_count) == ("mixed", 5)
        assert state.reason.startswith("7 folders are not watched: 5 watches")
        before = heard.count(tmp_path)
        wait_until(lambda: heard.count(tmp_path) > before + 1)
        watcher.unwatch(str(tmp_path))
        watch(watcher, heard, tmp_path, ())
        assert watcher.state(str(tmp_path)) == ("inotify", 1, "")
    finally:
        watcher.close()


WITHOUT_INSTANCES = """
import ctypes, sys, threading
from console.daemon.watcher import Watcher
library = ctypes.CDLL(None, use_errno=True)
taken = 0
while library.inotify_init() >= 0:
    taken += 1
heard = threading.Event()
watcher = Watcher(lambda root: heard.set())
watcher.watch(sys.argv[1])
heard.wait(30)
print(taken, *watcher.state(sys.argv[1]), sep="|")
"""


def test_without_an_inotify_instance_a_project_is_polled(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_INSTANCES, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    taken, mode, count, reason = done.stdout.strip().split("|")
    assert int(taken) > 0
    assert (mode, count, reason) == ("poll", "0", "no inotify instance is left for the user")


AS_NOBODY = """
import os, sys, threading
import console.daemon.inotify  # nobody may be unable to read where Python lies
from console.daemon.watcher import Watcher
from console.project.file_sets import FileSet
os.setuid(65534)
heard = threading.Event()
watcher = Watcher(lambda root: heard.set())
watcher.watch(sys.argv[1], [FileSet(("data/*",))])
heard.wait(30)
print(*watcher.state(sys.argv[1]), sep="|")
"""


def test_a_folder_that_cannot_be_read() -> None:
    if os.getuid() != 0:
        pytest.skip("needs root, to become another user")
    # Outside of pytest's folder, which no other user may enter.
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        secret = Path(place, "project")
        (secret / "data").mkdir(parents=True)
        os.chmod(secret, 0o755)
        said = []
        for path, mode in ((secret / "data", 0o700), (secret, 0o700)):
            os.chmod(path, mode)
            done = subprocess.run(
                [sys.executable, "-c", AS_NOBODY, str(secret)], capture_output=True, text=True, check=True, timeout=60
            )
            said.append(done.stdout.strip())
    assert said == [
        "mixed|1|1 folder is not watched: it cannot be read",
        "unreadable|0|its folder cannot be read: Permission denied",
    ]
