"""What kind of project a folder is, and which projects lie below a root that is nobody's showcase."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from console.project import discovery
from console.project.discovery import Limits, Script, Tracker, discover, examine
from console.project.skipped import is_skipped

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent.parent
MAIN = "import argparse\n\nif __name__ == '__main__':\n    print(1)\n"


def write(folder: Path, *paths: str, text: str = MAIN) -> Path:
    """Files below a folder, which are made with it."""
    for path in paths:
        whole = folder / path
        whole.parent.mkdir(parents=True, exist_ok=True)
        whole.write_text(text, encoding="utf-8")
    return folder


def found(root: Path, limits: Limits = discovery.USUAL) -> list[str]:
    """Folders of the projects below a root, relative to it."""
    return [os.path.relpath(one.folder, root) for one in discover(str(root), limits).projects]


def test_the_churn_sample() -> None:
    churn = examine(str(ROOT / "sample_projects" / "churn"))
    assert churn.scripts == (
        Script("eval.py", "argparse"),
        Script("generate.py", "argparse"),
        Script("history.py", "argparse"),
        Script("train.py", "argparse"),
    )
    assert (churn.has_manifest, churn.trackers, churn.problem) == (False, (), "")
    assert churn.is_project


def test_everything_that_a_folder_can_hold(tmp_path: Path) -> None:
    write(tmp_path, "footplate.toml", "dvc.yaml", "Makefile", "mlflow.db", "trainer_state.json", text="")
    write(tmp_path, "train.py", "run.sh", "tools/prepare.py", "test_x.py", "setup.py", ".venv/bin/x.py", "wandb/y.py")
    write(tmp_path, "library.py", text="def f(): ...\n")
    write(tmp_path, "mlruns/0/meta.yaml", "lightning_logs/version_0/hparams.yaml", ".dvc/config", ".git/HEAD", text="")
    write(tmp_path, "runs/exp1/events.out.tfevents.1.host", "checkpoint-500/trainer_state.json", "logs/x.log", text="")
    here = examine(str(tmp_path))
    assert (here.has_manifest, here.has_git, here.pipeline, here.makefile) == (True, True, "dvc.yaml", "Makefile")
    assert here.scripts == (
        Script("run.sh", ""),
        Script("train.py", "argparse"),
        Script("tools/prepare.py", "argparse"),
    )
    assert set(here.trackers) == {
        Tracker("mlflow", "mlruns"),
        Tracker("mlflow", "mlflow.db"),
        Tracker("wandb", "wandb"),
        Tracker("lightning", "lightning_logs"),
        Tracker("dvc", ".dvc"),
        Tracker("trainer", "trainer_state.json"),
        Tracker("trainer", "checkpoint-500"),
        Tracker("tensorboard", "runs"),
    }


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("import click\n", "click"),
        ("from absl import flags\n", "absl"),
        ("from hydra import main\n", "hydra"),
        ('if __name__ == "__main__":\n    pass\n', ""),
        ("import argparser_of_mine\n", None),
        ("x = 1\n", None),
        ("\0\xff\n", None),
    ],
)
def test_what_makes_a_python_file_a_script(tmp_path: Path, text: str, flags: str | None) -> None:
    write(tmp_path, "x.py", text=text)
    assert examine(str(tmp_path)).scripts == (() if flags is None else (Script("x.py", flags),))


def test_projects_below_a_root(tmp_path: Path) -> None:
    write(tmp_path, "churn/train.py", "churn/tools/more/deep.py", "churn/data/x.csv", "notes/todo.txt", "a/b/c/fit.py")
    write(tmp_path, "mono/.git/HEAD", "mono/one/footplate.toml", "mono/two/train.py", "mono/sub/.git", text="")
    write(tmp_path, "imported/mlruns/0/meta.yaml", "piped/dvc.yaml", text="")
    write(tmp_path, ".hidden/train.py", "venv/x/train.py", "node_modules/p/train.py", "churn/wandb/run-1/train.py")
    write(tmp_path, "a/b/c/d/e/too_deep.py")
    assert found(tmp_path) == ["a/b/c", "churn", "imported", "mono", "mono/one", "mono/sub", "piped"]
    assert found(tmp_path / "churn") == ["."]
    assert found(tmp_path, Limits(depth=1)) == ["churn", "imported", "mono", "piped"]


def test_links_between_folders_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path, "one/train.py")
    (tmp_path / "one" / "loop").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to("one")
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "gone").symlink_to("nowhere")
    assert found(tmp_path) == ["one"]


def test_limits_end_a_search_and_say_so(tmp_path: Path) -> None:
    for number in range(30):
        write(tmp_path, f"p{number:02}/train.py")
    search = discover(str(tmp_path), Limits(directories=11))
    assert len(search.projects) == 10
    assert search.stopped == "after 11 folders, 20 and what is below them were not looked at"
    seconds = itertools.count()
    search = discover(str(tmp_path), Limits(time_s=5), clock=lambda: float(next(seconds)))
    assert search.stopped.startswith("after 5 s, ")
    assert discover(str(tmp_path)).stopped == ""


def test_a_folder_of_very_many_files_is_looked_at_in_part(tmp_path: Path) -> None:
    for number in range(discovery.ENTRIES_MAX + 10):
        (tmp_path / f"{number}.txt").touch()
    search = discover(str(tmp_path))
    assert search.left_out == ((str(tmp_path), f"has more than {discovery.ENTRIES_MAX} entries"),)


def test_what_is_not_there_or_no_folder(tmp_path: Path) -> None:
    assert discover(str(tmp_path / "gone")).left_out[0][1] == "cannot be read: No such file or directory"
    assert examine(str(tmp_path / "gone")).problem == "is gone"
    (tmp_path / "file").touch()
    assert discover(str(tmp_path / "file")).left_out[0][1] == "cannot be read: Not a directory"


def test_a_pipe_named_like_a_script_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train.py")
    (tmp_path / "eval.py").symlink_to("/dev/zero")
    assert examine(str(tmp_path)).scripts == ()


def test_folders_that_may_not_be_read_are_named(tmp_path: Path) -> None:
    """As an unprivileged user, where this test runs as root: root may read everything."""
    write(tmp_path, "open/train.py", "closed/train.py")
    (tmp_path / "closed").chmod(0)
    code = (
        "import os, sys\n"
        "from console.project.discovery import discover\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        f"search = discover({str(tmp_path)!r})\n"
        "print([p.folder for p in search.projects], search.left_out)"
    )
    for folder in (tmp_path, *tmp_path.parents):
        if folder == Path("/tmp"):
            break
        folder.chmod(folder.stat().st_mode | 0o055)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    (tmp_path / "closed").chmod(0o755)
    open_folder, closed = str(tmp_path / "open"), str(tmp_path / "closed")
    assert done.stdout.strip() == f"[{open_folder!r}] (({closed!r}, 'cannot be read: Permission denied'),)"


@pytest.fixture
def changing(tmp_path: Path) -> Iterator[Path]:
    """A root whose folders come and go."""
    over = threading.Event()

    def change() -> None:
        while not over.is_set():
            for number in range(20):
                write(tmp_path, f"p{number}/deep/train.py")
            for number in range(20):
                os.rename(tmp_path / f"p{number}", tmp_path / "gone")
                (tmp_path / "gone" / "deep" / "train.py").unlink()
                (tmp_path / "gone" / "deep").rmdir()
                (tmp_path / "gone").rmdir()

    write(tmp_path, "steady/train.py")
    thread = threading.Thread(target=change)
    thread.start()
    yield tmp_path
    over.set()
    thread.join()


def test_folders_that_vanish_meanwhile_do_no_harm(changing: Path) -> None:
    for _ in range(50):
        search = discover(str(changing))
        assert "steady" in [os.path.basename(one.folder) for one in search.projects]
        assert search.left_out == ()


def test_names_that_are_hard_to_read(tmp_path: Path) -> None:
    names = ["с пробелом", "new\nline", os.fsdecode(b"caf\xe9"), "-rf", "a'b\"c"]
    for name in names:
        write(tmp_path / name, "train.py")
    assert sorted(found(tmp_path)) == sorted(names)


def test_names_of_skipped_folders() -> None:
    skipped = [".venv", "venv", "node_modules", ".git", "__pycache__", "site-packages", "checkpoints", "wandb"]
    assert [name for name in [*skipped, "data", "src", "models"] if is_skipped(name)] == skipped
