"""Fingerprints on real folders: what counts, and what is read again."""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING

import pytest
from blake3 import blake3

from console.project import fingerprint
from console.project.file_sets import FileSet
from console.project.fingerprint import SetResult, Unreadable
from tests.project.fingerprinting import Folder, tree_id, write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """An empty one."""
    return Folder(tmp_path, monkeypatch)


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


def test_large_files_are_read_whole(folder: Folder) -> None:
    content = random.Random(7).randbytes(fingerprint.CHUNK_BYTES * 2 + 4567)
    write(folder.root / "a", content)
    text = f"file\0a\0{blake3(content).hexdigest()}\n"
    assert folder.id() == blake3(text.encode()).hexdigest()


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
