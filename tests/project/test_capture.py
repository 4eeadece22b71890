"""What is captured of real repositories and folders, good and bad, and that nothing of them is executed or written."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from console.project import blobs, capture
from store import identity
from tests.project.folders import captured, git, new_run, repository, tree_of, work

if TYPE_CHECKING:
    from pathlib import Path


def test_commit_diff_untracked_files_and_machine_are_captured(tmp_path: Path) -> None:
    folder = repository(tmp_path / "p", train__py="print(1)\n", cfg__yaml="lr: 1\n", gone__py="x\n")
    (folder / "cfg.yaml").write_text("lr: 2\napi_key: 'abcdef123'\n")
    (folder / "gone.py").unlink()
    (folder / "new.py").write_text("a = 1\n")
    (folder / "data.csv").write_text("1,2\n")
    (folder / ".env").write_text("TOKEN=abc\n")
    (folder / "image.raw").write_bytes(b"\0" * 10)
    before = tree_of(folder)
    run_dir = new_run(tmp_path / "home", folder, "python", "train.py", "--password", "hunter2")
    record = captured(run_dir)
    assert tree_of(folder) == before
    assert record["git"] == {
        "root": str(folder),
        "commit": git(folder, "rev-parse", "HEAD"),
        "branch": "main",
        "dirty": True,
    }
    assert {each["path"]: each["size_bytes"] for each in record["changed"]} == {"cfg.yaml": 27, "gone.py": None}
    assert sorted(name for name, _ in record["untracked"]["names"]) == [".env", "data.csv", "image.raw", "new.py"]
    (kept,) = record["files"]
    assert kept["path"] == "new.py"
    assert blobs.load(str(tmp_path / "home"), kept["blob"]) == b"a = 1\n"
    assert dict(record["left_out"]) == {".env": "may hold secrets", "data.csv": "data", "image.raw": "not text"}
    with open(f"{run_dir}/code/diff.patch", encoding="utf-8") as file:
        patch = file.read()
    assert "+lr: 2" in patch
    assert "abcdef123" not in patch
    assert record["diff"]["masked_line_count"] == 1
    assert record["argv"] == ["python", "train.py", "--password", "***"]
    assert record["environment"]["PYTHONPATH"] == "/x"
    assert "SECRET_TOKEN" not in record["environment"]
    assert record["hardware"]["core_count"] == os.cpu_count()
    assert record["interpreter"]["path"]
    for name in os.listdir(f"{run_dir}/code"):
        assert stat.S_IMODE(os.stat(f"{run_dir}/code/{name}").st_mode) == 0o600
    assert stat.S_IMODE(os.stat(blobs.blob_path(str(tmp_path / "home"), kept["blob"])).st_mode) == 0o600


def test_the_patch_gives_the_files_back_binary_ones_too(tmp_path: Path) -> None:
    folder = repository(tmp_path / "p", a__py="1\n", b__bin="x")
    (folder / "b.bin").write_bytes(bytes(range(256)) * 10)
    (folder / "a.py").write_text("2\n")
    git(folder, "config", "diff.noprefix", "true")
    git(folder, "config", "color.ui", "always")
    git(folder, "config", "diff.renames", "copies")
    run_dir = new_run(tmp_path / "home", folder, "true")
    captured(run_dir)
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(folder), str(clone)], check=True)
    git(clone, "apply", f"{run_dir}/code/diff.patch")
    assert (clone / "b.bin").read_bytes() == bytes(range(256)) * 10
    assert (clone / "a.py").read_text() == "2\n"


def test_nothing_that_a_repository_names_is_executed(tmp_path: Path) -> None:
    folder = repository(tmp_path / "p", a__py="1\n", b__txt="1\n")
    program = tmp_path / "evil"
    program.write_text(f"#!/bin/sh\necho $0 $* >> {tmp_path}/executed\ncat\n")
    program.chmod(0o755)
    (folder / ".gitattributes").write_text("*.py filter=evil diff=evil\n*.txt filter=ev.il diff=evil\n")
    for name, value in {
        "core.fsmonitor": str(program),
        "core.sshCommand": str(program),
        "core.pager": str(program),
        "core.editor": str(program),
        "diff.external": str(program),
        "diff.evil.command": str(program),
        "diff.evil.textconv": str(program),
        "filter.evil.clean": str(program),
        "filter.evil.smudge": str(program),
        "filter.ev.il.process": str(program),
        "filter.ev.il.required": "true",
        "filter.evil.required": "true",
        "gpg.program": str(program),
        "remote.origin.url": f"ext::{program}",
        "remote.origin.promisor": "true",
        "remote.origin.uploadpack": str(program),
        "extensions.partialClone": "origin",
        "core.askPass": str(program),
        "credential.helper": f"!{program}",
        "alias.diff": f"!{program}",
        "submodule.recurse": "true",
    }.items():
        git(folder, "config", name, value)
    hooks = folder / ".git" / "hooks"
    for name in ("post-checkout", "post-index-change", "reference-transaction", "fsmonitor-watchman"):
        shutil.copy(program, hooks / name)
    (folder / "a.py").write_text("2\n")
    (folder / "b.txt").write_text("2\n")
    (tmp_path / "executed").unlink(missing_ok=True)
    run_dir = new_run(tmp_path / "home", folder, "true", isolate="worktree")
    record = captured(run_dir)
    assert not (tmp_path / "executed").exists(), (tmp_path / "executed").read_text()
    assert record["git"]["dirty"]
    assert sorted(each["path"] for each in record["changed"]) == ["a.py", "b.txt"]
    home = tmp_path / "home"
    copy = home / "worktrees" / os.path.basename(run_dir)
    assert (copy / "a.py").read_text() == "2\n"
    assert work("forget-copy", run_dir).returncode == 0
    assert not copy.exists()
    assert not (tmp_path / "executed").exists()


def test_a_filter_that_cannot_be_switched_off_makes_the_repository_refused(tmp_path: Path) -> None:
    folder = repository(tmp_path / "p", a__py="1\n")
    with open(folder / ".git" / "config", "a", encoding="utf-8") as file:
        file.write(f'[filter "a=b"]\n\tclean = touch {tmp_path}/executed\n')
    (folder / ".gitattributes").write_text("*.py filter=a=b\n")
    (folder / "a.py").write_text("2\n")
    record = captured(new_run(tmp_path / "home", folder, "python", "a.py"))
    assert "cannot be switched off" in record["git"]["reason"]
    assert [each["path"] for each in record["files"]] == ["a.py", ".gitattributes"]
    assert not (tmp_path / "executed").exists()


def test_a_repository_of_another_user_is_left_to_gits_judgement(tmp_path: Path) -> None:
    if os.getuid():
        pytest.skip("needs root to give a folder away")
    folder = repository(tmp_path / "p", a__py="1\n")
    for place, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            os.chown(os.path.join(place, name), 12345, 12345)
    os.chown(folder, 12345, 12345)
    record = captured(new_run(tmp_path / "home", folder, "python", "a.py"), HOME=str(tmp_path))
    assert "belongs to another user" in record["git"]["reason"]
    assert [each["path"] for each in record["files"]] == ["a.py"]


def test_no_commit_bare_no_git_and_a_folder_of_git(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    (empty / "a.py").write_text("1\n")
    (empty / "b.py").write_text("1\n")
    git(empty, "add", "a.py")
    record = captured(new_run(tmp_path / "home", empty, "python", "a.py"))
    assert record["git"]["commit"] == ""
    assert record["diff"] == {"reason": "no commit yet"}
    assert [each["path"] for each in record["files"]] == ["a.py", "b.py"]

    bare = tmp_path / "bare.git"
    subprocess.run(["git", "init", "-q", "--bare", str(bare)], check=True)
    for folder in (bare, repository(tmp_path / "p") / ".git"):
        record = captured(new_run(tmp_path / "home", folder, "true"))
        assert record["git"] == {"reason": "a bare repository, or the inside of .git"}

    plain = tmp_path / "plain"
    plain.mkdir()
    record = captured(new_run(tmp_path / "home", plain, "true"))
    assert record["git"] == {"reason": "no git repository"}
    assert record["left_out"] == [[".", "the command names no script in this folder"]]


def test_git_missing_and_git_hanging(tmp_path: Path) -> None:
    folder = repository(tmp_path / "p", a__py="1\n")
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    record = captured(new_run(tmp_path / "home", folder, "python", "a.py"), PATH=str(nowhere))
    assert record["git"] == {"reason": "git is not installed"}
    assert [each["path"] for each in record["files"]] == ["a.py"]
    slow = nowhere / "git"
    slow.write_text(f"#!/bin/sh\necho $$ >> {tmp_path}/pids\n/bin/sleep 1000 &\necho $! >> {tmp_path}/pids\nwait\n")
    slow.chmod(0o755)
    started_s = time.monotonic()
    record = captured(new_run(tmp_path / "home", folder, "python", "a.py"), PATH=str(nowhere))
    assert record["git"] == {"reason": "git did not answer within 5 s"}
    assert time.monotonic() - started_s < 25
    for pid in (tmp_path / "pids").read_text().split():
        fields = identity.stat_fields(int(pid))
        assert fields is None or fields[0] == "Z"


def test_worktrees_and_submodules(tmp_path: Path) -> None:
    inner = repository(tmp_path / "inner", lib__py="1\n")
    folder = repository(tmp_path / "p", a__py="1\n")
    git(folder, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "libs/inner")
    git(folder, "commit", "-q", "-m", "submodule")
    (folder / "libs" / "inner" / "lib.py").write_text("changed\n")
    tree = tmp_path / "tree"
    git(folder, "worktree", "add", "-q", str(tree), "-b", "side")
    (tree / "a.py").write_text("2\n")
    record = captured(new_run(tmp_path / "home", tree, "python", "a.py"))
    assert (record["git"]["root"], record["git"]["branch"]) == (str(tree), "side")
    assert [each["path"] for each in record["changed"]] == ["a.py"]
    record = captured(new_run(tmp_path / "home", folder, "python", "a.py"))
    assert record["submodules"] == [{"path": "libs/inner", "commit": git(inner, "rev-parse", "HEAD")}]
    inside = captured(new_run(tmp_path / "home", folder / "libs" / "inner", "true"))
    assert inside["git"]["root"] == str(folder / "libs" / "inner")
    assert inside["git"]["dirty"]


@pytest.mark.slow
def test_a_hundred_thousand_untracked_files(tmp_path: Path) -> None:
    folder = repository(tmp_path / "p", a__py="1\n")
    for number in range(100):
        part = folder / f"out{number}"
        part.mkdir()
        for name in range(1000):
            os.close(os.open(part / f"{name}.txt", os.O_CREAT | os.O_WRONLY))
    record = captured(new_run(tmp_path / "home", folder, "python", "a.py"))
    assert len(record["untracked"]["names"]) == capture.NAMES_MAX
    assert record["untracked"]["count"] == 100_000 or not record["untracked"]["complete"]
    shutil.rmtree(folder)


def test_too_large_a_diff_leaves_names_and_hashes(tmp_path: Path) -> None:
    folder = repository(tmp_path / "p", a__bin="1\n", b__py="1\n")
    (folder / "a.bin").write_bytes(os.urandom(25_000_000))
    (folder / "b.py").write_text("2\n")
    record = captured(new_run(tmp_path / "home", folder, "python", "b.py"))
    assert "the changed files are known by their hashes" in record["diff"]["reason"]
    assert [(each["path"], len(each["blake3"])) for each in record["changed"]] == [("a.bin", 64), ("b.py", 64)]


def test_names_that_are_not_utf_8_unreadable_files_pipes_and_links(tmp_path: Path) -> None:
    folder = repository(tmp_path / "p", a__py="1\n")
    odd = os.fsencode(folder) + b"/caf\xe9 \n.py"
    with open(odd, "wb") as file:
        file.write(b"x = '\xe9'\n")
    os.mkfifo(folder / "pipe.py")
    (folder / "link.py").symlink_to("/etc/passwd")
    (folder / "big.py").write_bytes(b"#" * (1 << 20) + b"#")
    (folder / "locked.py").write_text("1\n")
    (folder / "locked.py").chmod(0)
    record = captured(new_run(tmp_path / "home", folder, "python", "a.py"))
    kept = {each["path"] for each in record["files"]}
    assert "caf\udce9 \n.py" in kept
    left_out = dict(record["left_out"])
    assert left_out["link.py"] == "no regular file"
    assert left_out["big.py"] == "larger than 1 MiB"
    assert "pipe.py" not in kept
    if os.getuid():
        assert left_out["locked.py"].startswith("cannot be read")


def test_without_git_the_import_tree_and_the_files_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    for path, text in {
        "train.py": "import os, helpers.data as d\nfrom models import net\nfrom . import missing\nimport broken\n",
        "helpers/__init__.py": "",
        "helpers/data.py": "from .inner import x\nfrom ..outside import y\n",
        "helpers/inner.py": "import train\n",
        "models/net.py": "1\n",
        "models/unused.py": "1\n",
        "broken.py": "def (:\n",
        "conf/lr.yaml": "lr: 1\n",
        "data/x.yaml": "x: 1\n",
        ".venv/lib/python3.11/site-packages/os2.py": "1\n",
        "node_modules/a.js": "1\n",
        "train.csv": "1,2\n",
        "credentials.json": "{}\n",
        "token.py": "password = 'hunter2'\n",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    home = tmp_path / "home"
    record = captured(new_run(home, folder, sys.executable, "-u", "train.py", "--lr", "1"))
    kept = {each["path"]: each for each in record["files"]}
    assert next(iter(kept)) == "train.py"
    assert sorted(kept) == [
        "broken.py",
        "conf/lr.yaml",
        "helpers/__init__.py",
        "helpers/data.py",
        "helpers/inner.py",
        "models/net.py",
        "models/unused.py",
        "token.py",
        "train.py",
    ]
    assert kept["token.py"]["blob"] != kept["token.py"]["blake3"]
    assert blobs.load(str(home), kept["token.py"]["blob"]) == b"password = '***'\n"
    as_module = captured(new_run(home, folder, sys.executable, "-m", "helpers.data"))
    assert as_module["files"][0]["path"] == "helpers/data.py"


def test_a_home_directory_is_no_project_to_look_through(tmp_path: Path) -> None:
    folder = tmp_path / "ana"
    folder.mkdir()
    (folder / "letter.txt").write_text("dear diary\n")
    (folder / "job.py").write_text("import tool\n")
    (folder / "tool.py").write_text("1\n")
    record = captured(new_run(tmp_path / "home", folder, "python", "job.py"), HOME=str(folder))
    assert [each["path"] for each in record["files"]] == ["job.py", "tool.py"]
    repository(folder)
    (folder / "letter2.txt").write_text("dear diary\n")
    record = captured(new_run(tmp_path / "home", folder, "python", "job.py"), HOME=str(folder))
    assert record["files"] == []
    assert record["untracked"]["count"] == 1


def test_the_same_content_is_kept_once_and_a_damaged_one_is_noticed(tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    digest = blobs.keep(home, b"x = 1\n")
    assert blobs.keep(home, b"x = 1\n") == digest
    assert blobs.load(home, digest) == b"x = 1\n"
    with open(blobs.blob_path(home, digest), "wb") as file:
        file.write(b"")
    assert blobs.load(home, digest) is None
    assert blobs.keep(home, b"x = 1\n") == digest
    assert blobs.load(home, digest) == b"x = 1\n"
    assert blobs.load(home, "0" * 64) is None


def test_a_worker_goes_on_with_the_next_run_and_says_what_is_wrong(tmp_path: Path) -> None:
    folder = repository(tmp_path / "p", a__py="1\n")
    gone, sound = new_run(tmp_path / "home", folder, "true"), new_run(tmp_path / "home", folder, "true")
    shutil.rmtree(gone)
    done = work("capture", gone, "enqueue", sound, "enqueue")
    assert done.returncode == 1
    assert "FileNotFoundError" in done.stderr
    assert capture.read_record(sound, 0) is not None
    assert work("dance").returncode == 1
