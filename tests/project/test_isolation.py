"""A copy of the code for one run: made from what was captured, taken away at the end, without a loss."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from tests.project.folders import captured, git, new_run, note_of, repository, tree_of, work

if TYPE_CHECKING:
    from pathlib import Path


def test_a_worktree_has_commit_changes_and_untracked_files(tmp_path: Path) -> None:
    folder = repository(tmp_path / "p", a__py="1\n", gone__py="1\n", b__bin="x")
    sub = folder / "sub"
    sub.mkdir()
    (sub / "new.py").write_text("api_key = 'abcdef1234'\n")
    (folder / "a.py").write_text("password = 'hunter2'\n")
    (folder / "b.bin").write_bytes(bytes(range(256)))
    (folder / "gone.py").unlink()
    (folder / ".gitignore").write_text("ignored\n.venv\n")
    (folder / "ignored").write_text("x\n")
    (folder / ".venv").mkdir()
    git(folder, "add", "a.py")
    status, before = git(folder, "status", "--porcelain"), tree_of(folder)
    run_dir = new_run(tmp_path / "home", sub, "../.venv/bin/python", "new.py", isolate="worktree")
    captured(run_dir)
    note = note_of(run_dir)
    copy = tmp_path / "home" / "worktrees" / os.path.basename(run_dir)
    assert note["working_dir"] == str(copy / "sub")
    assert (copy / "sub" / "new.py").read_text() == "api_key = 'abcdef1234'\n"
    assert (copy / "a.py").read_text() == "password = 'hunter2'\n"
    assert (copy / "b.bin").read_bytes() == bytes(range(256))
    assert not (copy / "gone.py").exists()
    assert not (copy / "ignored").exists()
    assert os.readlink(copy / ".venv") == str(folder / "sub" / ".." / ".venv")
    assert git(copy, "rev-parse", "HEAD") == git(folder, "rev-parse", "HEAD")
    after = {path: facts for path, facts in tree_of(folder).items() if "/.git/worktrees/" not in path}
    assert after == before
    (copy / "model.txt").write_text("weights\n")
    (copy / "a.py").write_text("changed by the run\n")
    (copy / "out").mkdir()
    (copy / "out" / "step.ckpt").write_text("1\n")
    assert work("forget-copy", run_dir).returncode == 0
    assert not copy.exists()
    assert "worktrees" not in git(folder, "worktree", "list")
    kept = tree_of(f"{run_dir}/worktree-files")
    assert sorted(os.path.relpath(path, run_dir) for path in kept) == [
        "worktree-files/a.py",
        "worktree-files/model.txt",
        "worktree-files/out/step.ckpt",
    ]
    assert note_of(run_dir)["kept_count"] == 3
    assert git(folder, "status", "--porcelain") == status
    assert work("forget-copy", run_dir).returncode == 0


def test_files_that_git_keeps_elsewhere_are_copied(tmp_path: Path) -> None:
    inner = repository(tmp_path / "inner", lib__py="1\n")
    folder = repository(tmp_path / "p", a__py="1\n", big__pt="pointer\n")
    (folder / ".gitattributes").write_text("*.pt filter=lfs diff=lfs -text\n")
    git(folder, "config", "filter.lfs.clean", "false")
    git(folder, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "libs/inner")
    git(folder, "add", ".gitattributes")
    git(folder, "commit", "-q", "-m", "second")
    (folder / "big.pt").write_bytes(b"\0" * 5000)
    (folder / "libs" / "inner" / "lib.py").write_text("changed\n")
    run_dir = new_run(tmp_path / "home", folder, "true", isolate="worktree")
    record = captured(run_dir)
    assert record["diff"]["without"] == ["big.pt"]
    copy = tmp_path / "home" / "worktrees" / os.path.basename(run_dir)
    assert (copy / "big.pt").read_bytes() == b"\0" * 5000
    assert (copy / "libs" / "inner" / "lib.py").read_text() == "changed\n"
    assert work("forget-copy", run_dir).returncode == 0
    assert not os.path.exists(f"{run_dir}/worktree-files")


def test_without_git_the_captured_files_are_copied(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "a.py").write_text("import b\n")
    (folder / "b.py").write_text("1\n")
    run_dir = new_run(tmp_path / "home", folder, sys.executable, "a.py", isolate="worktree")
    captured(run_dir)
    copy = tmp_path / "home" / "worktrees" / os.path.basename(run_dir)
    assert sorted(os.listdir(copy)) == ["a.py", "b.py"]
    assert work("forget-copy", run_dir).returncode == 0
    assert not copy.exists()


@pytest.mark.parametrize("kind", ["nothing", "too large"])
def test_what_cannot_be_copied_is_one_clear_cause(tmp_path: Path, kind: str) -> None:
    if kind == "nothing":
        folder = tmp_path / "p"
        folder.mkdir()
    else:
        folder = repository(tmp_path / "p", a__bin="1\n")
        (folder / "a.bin").write_bytes(os.urandom(25_000_000))
    run_dir = new_run(tmp_path / "home", folder, "true", isolate="worktree")
    captured(run_dir)
    error = note_of(run_dir)["error"]
    assert error.startswith("isolate: ")
    assert ("neither a git commit nor a script" if kind == "nothing" else "commit them first") in error
