"""Sets of files: several in one walk, what patterns hold, and which folders a walk enters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.project import globs
from console.project.file_sets import FileSet
from console.project.fingerprint import SetResult
from tests.project.fingerprinting import HOUR_S, Folder, tree_id, write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """An empty one."""
    return Folder(tmp_path, monkeypatch)


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
