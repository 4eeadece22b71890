"""Project folders for tests: real git, a run directory without a daemon, the worker as the daemon starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from ulid import ULID

from console.jobs import spec
from console.project import capture
from store import paths

if TYPE_CHECKING:
    from pathlib import Path

GIT_ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "Ana",
    "GIT_AUTHOR_EMAIL": "ana@example.org",
    "GIT_COMMITTER_NAME": "Ana",
    "GIT_COMMITTER_EMAIL": "ana@example.org",
}


def git(folder: Path | str, *arguments: str) -> str:
    """What git says."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=os.environ | GIT_ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def repository(folder: Path, **files: str) -> Path:
    """A repository with one commit; in names of files `__` stands for a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "-b", "main")
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    return folder


def new_run(home: Path, folder: Path, *argv: str, **options: Any) -> str:
    """The directory of a run that no daemon knows."""
    paths.ensure_state_dir(str(home))
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": "/x", "SECRET_TOKEN": "abc"}
    asked = {"argv": list(argv), "working_dir": str(folder), "environment": environment, "options": options}
    request = spec.parse_request(asked)
    new = spec.Spec(
        format=spec.FORMAT,
        id=str(ULID()),
        no=1,
        name=request.name,
        project=request.project,
        argv=request.argv,
        working_dir=request.working_dir,
        grace_s=1.0,
        params={},
        created_at_s=time.time(),
        host=os.uname().nodename,
        options=request.options,
    )
    spec.write_run_dirs(str(home), [(new, request)])
    return paths.run_dir(str(home), new.id)


def work(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the worker."""
    return subprocess.run(
        [sys.executable, "-I", "-m", "console.worker", *arguments],
        cwd="/",
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def captured(run_dir: str, stage: str = "enqueue", **variables: str) -> dict[str, Any]:
    """The record that the worker writes; fails with what it said when it wrote none."""
    done = work("capture", run_dir, stage, **variables)
    assert done.returncode == 0, done.stderr
    record = capture.read_record(run_dir, 0 if stage == "enqueue" else int(stage))
    assert record is not None
    return record


def tree_of(folder: Path | str) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder with its time and content: what must not change."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            with open(path, "rb") as file:
                found[path] = (os.stat(path).st_mtime_ns, file.read())
    return found


def note_of(run_dir: str) -> dict[str, Any]:
    """What is known about the copy of a run."""
    with open(f"{run_dir}/code/worktree.json", "rb") as file:
        note: dict[str, Any] = json.load(file)
    return note
