"""What kind of project a folder is, and which projects lie below one. Reads names and the beginnings of scripts.

Nothing is executed, no link to a folder is followed, no other file system is entered, and everything is bounded.
"""

from __future__ import annotations

import os
import re
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from console.project.code_files import SKIPPED_FOLDERS
from console.project.manifest_model import FILE_NAME
from console.project.skipped import is_skipped
from store.run_files import read_stretch

if TYPE_CHECKING:
    from collections.abc import Callable

ENTRIES_MAX: Final = 5000
"""Of one folder; what comes after is not looked at."""
SCRIPTS_MAX: Final = 100
SCRIPT_MAX_BYTES: Final = 256 << 10
SCRIPT_NAMES: Final = re.compile(r"(?!(test_|conftest\.py|setup\.py|__)).*\.(py|sh|bash)", re.DOTALL)
MAIN: Final = re.compile(rb"^\s*if\s+__name__\s*==\s*['\"]__main__['\"]|^if\s+['\"]__main__['\"]\s*==", re.MULTILINE)
FLAG_PACKAGES: Final = re.compile(rb"^(?:import|from)\s+(argparse|click|absl|typer|fire|hydra|tyro)\b", re.MULTILINE)
MAKEFILES: Final = ("GNUmakefile", "makefile", "Makefile")
EVENT_FILE: Final = "events.out.tfevents."


class Script(NamedTuple):
    """A file that can be started."""

    path: str
    """Relative to the project's folder."""
    flags: str
    """The package that reads its command line, such as argparse; empty when none was seen."""


class Tracker(NamedTuple):
    """A place where a tracker of runs has written."""

    kind: str
    """mlflow, wandb, lightning, tensorboard, trainer or dvc."""
    path: str
    """Relative to the project's folder."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found in one folder."""

    folder: str
    has_manifest: bool = False
    has_git: bool = False
    scripts: tuple[Script, ...] = ()
    trackers: tuple[Tracker, ...] = ()
    pipeline: str = ""
    """`dvc.yaml` where there is one."""
    makefile: str = ""
    """Its name where there is one."""
    problem: str = ""
    """Why the folder could not be looked at, or only in part."""

    @property
    def is_root(self) -> bool:
        """Whether the folder says by itself that it is a project, also inside of another one."""
        return self.has_manifest or self.has_git

    @property
    def is_project(self) -> bool:
        """Whether there is anything to run or to read."""
        return bool(self.is_root or self.scripts or self.trackers or self.pipeline)


class Limits(NamedTuple):
    """How far a search goes."""

    depth: int = 4
    """Folders below the root."""
    directories: int = 20_000
    time_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Discovery:
    """What a search found."""

    projects: tuple[Findings, ...]
    """By path."""
    left_out: tuple[tuple[str, str], ...] = ()
    """Folders that could not be looked at or were not entered, each with the reason."""
    stopped: str = ""
    """Which limit ended the search early; empty when it went through."""


class Listing(NamedTuple):
    """The names in a folder, in order."""

    folders: tuple[str, ...]
    files: tuple[str, ...]
    problem: str = ""


def list_folder(path: str) -> Listing:
    """Folders and regular files of a folder; links to folders count as neither. Raises nothing."""
    folders, files, problem = [], [], ""
    try:
        with os.scandir(path) as scan:
            for count, entry in enumerate(scan):
                if count >= ENTRIES_MAX:
                    problem = f"has more than {ENTRIES_MAX} entries"
                    break
                try:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.name)
                    elif entry.is_file():
                        files.append(entry.name)
                except OSError:
                    continue
    except FileNotFoundError:
        problem = "is gone"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    return Listing(tuple(sorted(folders)), tuple(sorted(files)), problem)


def examine(folder: str) -> Findings:
    """What kind of project a folder is, with the scripts of the folder and of those in it."""
    listing = list_folder(folder)
    return with_scripts_below(findings_of(folder, listing), listing)


def findings_of(folder: str, listing: Listing) -> Findings:
    """What lies in the folder itself."""
    return Findings(
        folder=folder,
        has_manifest=FILE_NAME in listing.files,
        has_git=".git" in listing.folders or ".git" in listing.files,
        scripts=scripts_of(folder, [name for name in listing.files if SCRIPT_NAMES.fullmatch(name)]),
        trackers=tuple(trackers_of(folder, listing)),
        pipeline="dvc.yaml" if "dvc.yaml" in listing.files else "",
        makefile=next((name for name in MAKEFILES if name in listing.files), ""),
        problem=listing.problem,
    )


def with_scripts_below(found: Findings, listing: Listing) -> Findings:
    """The findings with the scripts of the folders in this one, but for those that are projects of their own."""
    paths: list[str] = []
    for name in listing.folders:
        if is_skipped(name) or SKIPPED_FOLDERS.fullmatch(name) or len(paths) >= SCRIPTS_MAX:
            continue
        below = list_folder(os.path.join(found.folder, name))
        if not own_root(below):
            paths += [os.path.join(name, file) for file in below.files if SCRIPT_NAMES.fullmatch(file)]
    return replace(found, scripts=(*found.scripts, *scripts_of(found.folder, paths)))


def scripts_of(folder: str, paths: list[str]) -> tuple[Script, ...]:
    """Those of some files that can be started."""
    return tuple(script for path in paths[:SCRIPTS_MAX] if (script := script_of(folder, path)) is not None)


def script_of(folder: str, path: str) -> Script | None:
    """The script at a path; None for a module that does nothing by itself, and for what cannot be read."""
    if not path.endswith(".py"):
        return Script(path, "")
    try:
        text = read_stretch(os.path.join(folder, path), 0, SCRIPT_MAX_BYTES).data
    except OSError:
        return None
    flags = FLAG_PACKAGES.search(text)
    if flags is None and MAIN.search(text) is None:
        return None
    return Script(path, flags.group(1).decode() if flags else "")


def trackers_of(folder: str, listing: Listing) -> list[Tracker]:
    """The trackers that have written into a folder."""
    named = {"mlruns": "mlflow", "wandb": "wandb", "lightning_logs": "lightning", ".dvc": "dvc"}
    found = [Tracker(kind, name) for name, kind in named.items() if name in listing.folders]
    if "mlflow.db" in listing.files:
        found.append(Tracker("mlflow", "mlflow.db"))
    if "trainer_state.json" in listing.files:
        found.append(Tracker("trainer", "trainer_state.json"))
    for name in listing.folders:
        if name.startswith("checkpoint-") or name in ("runs", "logs", "tb_logs", "output", "outputs", "results"):
            kind = tracker_below(os.path.join(folder, name))
            if kind:
                found.append(Tracker(kind, name))
    return found


def tracker_below(path: str) -> str:
    """Whether event files of TensorBoard, or states of a Trainer, lie in a folder or in the first ones below it."""
    waiting, looked_at = deque([(path, 0)]), 0
    while waiting and looked_at < 30:
        place, depth = waiting.popleft()
        looked_at += 1
        listing = list_folder(place)
        if "trainer_state.json" in listing.files:
            return "trainer"
        if any(name.startswith(EVENT_FILE) for name in listing.files):
            return "tensorboard"
        if depth < 2:
            waiting.extend((os.path.join(place, name), depth + 1) for name in listing.folders[:20])
    return ""


USUAL: Final = Limits()


def discover(root: str, limits: Limits = USUAL, clock: Callable[[], float] = time.monotonic) -> Discovery:
    """The projects in a folder and below it: each with a manifest, a repository, scripts, trackers or a pipeline.

    Inside of a project, only a folder with a manifest or a repository of its own is another one.
    """
    deadline_s = clock() + limits.time_s
    projects: list[Findings] = []
    left_out: list[tuple[str, str]] = []
    stopped = ""
    try:
        device = os.stat(root).st_dev
    except OSError as error:
        return Discovery((), ((root, f"cannot be read: {error.strerror}"),))
    waiting = deque([(root, 0, False)])
    looked_at = 0
    while waiting:
        path, depth, inside = waiting.popleft()
        if looked_at >= limits.directories or clock() > deadline_s:
            most = f"{limits.directories} folders" if looked_at >= limits.directories else f"{limits.time_s:g} s"
            stopped = f"after {most}, {len(waiting) + 1} and what is below them were not looked at"
            break
        looked_at += 1
        listing = list_folder(path)
        if listing.problem and listing.problem != "is gone":
            left_out.append((path, listing.problem))
        found = Findings(path) if inside and not own_root(listing) else findings_of(path, listing)
        if found.is_project:
            projects.append(with_scripts_below(found, listing))
        if depth < limits.depth:
            for name in listing.folders:
                below = os.path.join(path, name)
                if is_skipped(name) or (found.is_project and SKIPPED_FOLDERS.fullmatch(name)):
                    continue
                if on_device(below, device):
                    waiting.append((below, depth + 1, inside or found.is_project))
                elif os.path.isdir(below):
                    left_out.append((below, "is on another file system"))
    return Discovery(tuple(sorted(projects, key=lambda one: one.folder)), tuple(left_out), stopped)


def own_root(listing: Listing) -> bool:
    """Whether a folder inside of a project is a project of its own."""
    return FILE_NAME in listing.files or ".git" in listing.folders or ".git" in listing.files


def on_device(path: str, device: int) -> bool:
    """Whether a folder is there, on this file system."""
    try:
        return os.lstat(path).st_dev == device
    except OSError:
        return False
