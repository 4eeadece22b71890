"""Which captured files (`blobs/`) no run refers to any more; each content is shared by all runs that used it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from store import archive, paths, removal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DIGEST: Final = re.compile(r"[0-9a-f]{64}")
REFERENCE: Final = re.compile(rb'"blob": ?"([0-9a-f]{64})"')


def unused(home: str, ending: Callable[[], bool] = removal.never) -> dict[str, int]:
    """Path and bytes of disk of every captured file that no run refers to; reads the captures of all runs.

    Raises OSError or ArchiveError when one cannot be read: then nothing counts as unused. Raises InterruptedRemoval.
    """
    found = dict(blobs(home))
    if not found:
        return {}
    used: set[str] = set()
    for run_id in sorted(os.listdir(paths.runs_dir(home))):
        if ending():
            raise removal.InterruptedRemoval
        used.update(references(paths.run_dir(home, run_id)))
    for run_id in archive.archived_runs(home):
        if ending():
            raise removal.InterruptedRemoval
        with archive.index_source(home, run_id, facts_only=True) as unpacked:
            used.update(references(unpacked))
    return {path: size for path, size in found.items() if os.path.basename(path) not in used}


def referenced_since(home: str, since_s: float) -> set[str]:
    """Hashes in captures of run directories that changed after a Unix time."""
    used: set[str] = set()
    for run_id in os.listdir(paths.runs_dir(home)):
        run_dir = paths.run_dir(home, run_id)
        try:
            changed = os.stat(os.path.join(run_dir, "code")).st_mtime >= since_s
        except (FileNotFoundError, NotADirectoryError):
            continue
        if changed:
            used.update(references(run_dir))
    return used


def references(run_dir: str) -> Iterator[str]:
    """Hashes that the captures of one run name."""
    folder = os.path.join(run_dir, "code")
    for name in os.listdir(folder) if os.path.isdir(folder) and not os.path.islink(folder) else ():
        path = os.path.join(folder, name)
        if name.endswith(".json") and os.path.isfile(path):
            with open(path, "rb") as file:
                yield from (match.decode() for match in REFERENCE.findall(file.read()))


def blobs(home: str) -> Iterator[tuple[str, int]]:
    """Path and bytes of disk of every captured file."""
    top = os.path.join(home, "blobs")
    for folder in sorted(os.listdir(top)) if os.path.isdir(top) else ():
        with os.scandir(os.path.join(top, folder)) as entries:
            for entry in entries:
                if DIGEST.fullmatch(entry.name):
                    yield entry.path, entry.stat(follow_symlinks=False).st_blocks * 512
