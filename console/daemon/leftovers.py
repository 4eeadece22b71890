"""What deleted, packed and half-made runs leave behind, known by names; and what the command journal says."""

from __future__ import annotations

import contextlib
import os
import re
import time
import traceback
from typing import TYPE_CHECKING, Final

from console.daemon.command_journal import lines_of, record_of
from store import archive, paths, removal
from store.state_names import ULID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DIRECTORY: Final = re.compile(rf"\.(gone|packed|new|index)-({ULID})")
PACK: Final = re.compile(rf"\.(gone|new)-({ULID})(?:\.code)?\.tar\.gz")
NUMBER: Final = re.compile(rb'"no":(\d{1,9})[,}]')
"""Inside a JSON string the quotes would have backslashes before them, so no text of a user looks like this."""
SHARED_NEW_AGE_S: Final = 3600.0
"""On a home that several hosts share, a younger `.new-*` may be under way on another one."""


def list_dir(path: str) -> list[str]:
    """The names in a directory; none where there is no directory."""
    try:
        return sorted(os.listdir(path))
    except FileNotFoundError:
        return []


def leftover_path(home: str, kind: str, run_id: str) -> str:
    """Where a run directory lies that is one no longer, or not yet."""
    return os.path.join(paths.runs_dir(home), f".{kind}-{run_id}")


def leftovers(home: str) -> list[tuple[str, str]]:
    """Kind and run id of every leftover among the run directories."""
    found = (DIRECTORY.fullmatch(name) for name in list_dir(paths.runs_dir(home)))
    return [(match.group(1), match.group(2)) for match in found if match]


def gone_runs(home: str) -> set[str]:
    """Ids of runs that were deleted and whose files are not all gone yet."""
    packs = (PACK.fullmatch(name) for name in list_dir(archive.folder(home)))
    return {run_id for kind, run_id in leftovers(home) if kind == "gone"} | {
        match.group(2) for match in packs if match and match.group(1) == "gone"
    }


def leftover_paths(home: str) -> list[str]:
    """What nobody needs any more, in the folders of runs and packs."""
    shared = bool(paths.local_dirs(home))
    found = []
    for kind, run_id in leftovers(home):
        path = leftover_path(home, kind, run_id)
        with contextlib.suppress(FileNotFoundError):
            if kind != "new" or not shared or time.time() - os.lstat(path).st_mtime > SHARED_NEW_AGE_S:
                found.append(path)
    folder = archive.folder(home)
    return found + [os.path.join(folder, name) for name in list_dir(folder) if PACK.fullmatch(name)]


def remove_all(found: Iterable[str], ending: Callable[[], bool]) -> None:
    """Remove these directories and files; what cannot be removed is said in the daemon's log and tried again later."""
    with contextlib.suppress(removal.InterruptedRemoval):
        for path in found:
            try:
                if os.path.isdir(path):
                    removal.remove_tree(path, ending)
                else:
                    os.unlink(path)
            except FileNotFoundError:
                continue
            except OSError:
                traceback.print_exc()


def highest_recorded_no(path: str) -> int:
    """The highest run number that the command journal speaks of; 0 for none."""
    highest = 0
    for line in lines_of(path):
        match = NUMBER.search(line.raw)
        if match is not None and int(match.group(1)) > highest and line.body is not None:
            no = record_of(line).get("no")
            highest = no if isinstance(no, int) and no > highest else highest
    return highest


def reparsed_runs(path: str) -> set[str]:
    """Ids of the runs whose logs the command journal says were read once more."""
    records = (record_of(line) for line in lines_of(path) if b'"action":"reparse"' in line.raw)
    return {record["run"] for record in records if isinstance(record.get("run"), str)}


def deleted_runs(path: str) -> set[str]:
    """Ids of the runs that the command journal says were to be deleted."""
    found: set[str] = set()
    for line in lines_of(path):
        if b'"action":"delete"' in line.raw or b'"action":"remove"' in line.raw:
            record = record_of(line)
            ids = [record.get("run")] if record.get("action") == "delete" else record.get("runs") or []
            found.update(each for each in ids if isinstance(each, str))
    return found
