"""What takes the disk: real blocks (holes cost nothing, a file with two names counts once) by run and by purpose."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from store import archive, paths, removal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK_BYTES: Final = 512
"""The unit of st_blocks (stat(2)), whatever the block size of the file system."""
CATEGORIES: Final = ("log", "metrics", "derived", "code", "other", "archive")
FILES: Final = {"output.log": "log", "metrics.jsonl": "metrics", "derived.jsonl": "derived", "code": "code"}
"""First part of a path in a run directory -> category; everything else is `other`."""
PROGRESS_RUNS: Final = 500


@dataclass(slots=True)
class RunUse:
    """Bytes of disk that one run takes, by category; `archive` is what it takes packed."""

    log: int = 0
    metrics: int = 0
    derived: int = 0
    code: int = 0
    other: int = 0
    archive: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return sum(getattr(self, name) for name in CATEGORIES)

    def add(self, more: RunUse) -> None:
        """Count another run in."""
        for name in CATEGORIES:
            setattr(self, name, getattr(self, name) + getattr(more, name))

    def to_json(self) -> dict[str, int]:
        """Every category and the total."""
        return {**{f"{name}_bytes": getattr(self, name) for name in CATEGORIES}, "total_bytes": self.total}


@dataclass(slots=True)
class HomeUse:
    """What a state directory takes."""

    runs: dict[str, RunUse] = field(default_factory=dict)
    """By run id; those the index does not know too."""
    shared: dict[str, int] = field(default_factory=dict)
    """Bytes by purpose: index, backups, quarantine, code, cache, worktrees, projects, queue, leftovers, journal, other.
    """
    free_bytes: int = 0
    """What we may still write to the file system (statvfs f_bavail)."""
    unreadable_count: int = 0
    """Directories that could not be looked into; what they hold is not counted."""

    @property
    def total(self) -> int:
        """Bytes of all runs and everything else."""
        return sum(use.total for use in self.runs.values()) + sum(self.shared.values())


class Walk:
    """One measurement; remembers files with several names."""

    def __init__(self, ending: Callable[[], bool]) -> None:
        self._seen: set[tuple[int, int]] = set()
        self._ending = ending
        self.unreadable_count = 0

    def size(self, path: str) -> int:
        """Bytes of a file, or of a directory with all in it; links are not followed. 0 for what is gone."""
        return sum(size for _, size in self.parts(path))

    def parts(self, path: str) -> Iterator[tuple[str, int]]:
        """Every entry at and below `path` with its own bytes; names are relative, the first is empty."""
        waiting = [""]
        while waiting:
            if self._ending():
                raise removal.InterruptedRemoval
            name = waiting.pop()
            full = os.path.join(path, name) if name else path
            try:
                facts = os.lstat(full)
                is_dir = stat.S_ISDIR(facts.st_mode)
                if facts.st_nlink > 1 and not is_dir:
                    if (facts.st_dev, facts.st_ino) in self._seen:
                        continue
                    self._seen.add((facts.st_dev, facts.st_ino))
                yield name, facts.st_blocks * BLOCK_BYTES
                if not is_dir:
                    continue
                with os.scandir(full) as entries:
                    for entry in entries:
                        relative = os.path.join(name, entry.name)
                        facts = entry.stat(follow_symlinks=False)
                        if entry.is_dir(follow_symlinks=False) or facts.st_nlink > 1:
                            waiting.append(relative)
                        else:
                            yield relative, facts.st_blocks * BLOCK_BYTES
            except FileNotFoundError:
                continue
            except OSError:
                self.unreadable_count += 1


def measure(
    home: str, ending: Callable[[], bool] = removal.never, progress: Callable[[int], None] = lambda _: None
) -> HomeUse:
    """Look at every file of a state directory; `progress` hears how many runs were counted.

    Takes about a second for 10,000 runs: not for the thread that writes. Raises InterruptedRemoval, OSError.
    """
    walk = Walk(ending)
    found = HomeUse()
    for name in sorted(os.listdir(home)):
        path = os.path.join(home, name)
        if name == "runs":
            _measure_runs(walk, path, found, progress)
        elif name == archive.FOLDER:
            for packed in _names(path):
                run_id = archive.run_id_of(packed)
                if run_id:
                    found.runs.setdefault(run_id, RunUse()).archive += walk.size(os.path.join(path, packed))
                else:
                    _count(found, "leftovers", walk.size(os.path.join(path, packed)))
        else:
            _count(found, purpose_of(name), walk.size(path))
    local = paths.local_dir(home)
    if local != home:
        for name in _names(local):
            _count(found, purpose_of(name), walk.size(os.path.join(local, name)))
    found.free_bytes = free_bytes(home)
    found.unreadable_count = walk.unreadable_count
    return found


def purpose_of(name: str) -> str:
    """What an entry of the state directory is for."""
    for start, purpose in (
        ("index.duckdb", "index"),
        ("backup", "backups"),
        ("quarantine", "quarantine"),
        ("blobs", "code"),
        ("packages", "cache"),
        ("fingerprints", "cache"),
        ("projects", "projects"),
        ("sweeps", "queue"),
        ("queue.json", "queue"),
        ("leases", "queue"),
        ("worktrees", "worktrees"),
        ("commands", "journal"),
    ):
        if name.startswith(start):
            return purpose
    return "other"


def free_bytes(home: str) -> int:
    """What we may still write to the file system of a directory (statvfs f_bavail). Raises OSError."""
    facts = os.statvfs(home)
    return facts.f_bavail * facts.f_frsize


def size_of(path: str) -> int:
    """Bytes of disk of a file, or of a directory with all in it."""
    return Walk(removal.never).size(path)


def measure_run(home: str, run_id: str) -> RunUse:
    """What one run takes."""
    walk = Walk(removal.never)
    use = _measure_run(walk, paths.run_dir(home, run_id))
    use.archive = sum(map(walk.size, (archive.path_of(home, run_id), archive.code_path_of(home, run_id))))
    return use


def _measure_runs(walk: Walk, folder: str, found: HomeUse, progress: Callable[[int], None]) -> None:
    _count(found, "other", os.lstat(folder).st_blocks * BLOCK_BYTES)
    for position, name in enumerate(_names(folder)):
        path = os.path.join(folder, name)
        if name.startswith("."):
            _count(found, "leftovers", walk.size(path))
        elif not os.path.isdir(path) or os.path.islink(path):
            _count(found, "other", walk.size(path))
        else:
            found.runs.setdefault(name, RunUse()).add(_measure_run(walk, path))
        if position % PROGRESS_RUNS == 0:
            progress(position)


def _measure_run(walk: Walk, run_dir: str) -> RunUse:
    use = RunUse()
    for name, size in walk.parts(run_dir):
        category = FILES.get(name.partition("/")[0], "other")
        setattr(use, category, getattr(use, category) + size)
    return use


def _names(folder: str) -> list[str]:
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def _count(found: HomeUse, purpose: str, size: int) -> None:
    found.shared[purpose] = found.shared.get(purpose, 0) + size
