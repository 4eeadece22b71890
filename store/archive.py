"""Packing the directory of an ended run into `archive/<id>.tar.gz` and back: plain tar that GNU tar reads as well.

Captured code goes into `<id>.code.tar.gz` beside it, so that it can be given up without packing the rest again. Equal
directories give equal packs: members in a fixed order, no times of packing, no owners. Small files come first, the
output last, so that what an index or a view needs is read without unpacking a log. Holes stay holes (PAX sparse
format 1.0). Each pack is read back and compared by content hashes before anybody relies on it.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from store import paths
from store.removal import never, remove_tree
from store.state_names import ULID
from store.tarballs import ArchiveError, Member, Progress, extract, read_back, write_pack

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Callable, Iterator

FOLDER: Final = "archive"
NAME: Final = re.compile(rf"({ULID})(?:\.code)?\.tar\.gz")
LARGE_LAST: Final = ("derived.jsonl", "metrics.jsonl", "output.log")
"""The end of every pack, in this order."""
FACTS_ONLY: Final = re.compile(r"[^/]+\.(json|claim)|code|code/[^/]+\.json")
"""What a view of one run needs of its directory."""


class Packed(NamedTuple):
    """Packs that were made and read back, under the temporary names that `temporary_of` gives."""

    left_out: tuple[str, ...]
    """Sockets, pipes and devices: they have no content."""
    size_bytes: int
    fingerprint: tuple[Any, ...]
    """Of the directory as it was packed; see `fingerprint_of`."""


def folder(home: str) -> str:
    """Where packs lie."""
    return os.path.join(home, FOLDER)


def path_of(home: str, run_id: str) -> str:
    """The pack of a run. While it exists and the run directory does not, the run is archived."""
    return os.path.join(home, FOLDER, f"{run_id}.tar.gz")


def code_path_of(home: str, run_id: str) -> str:
    """The pack of the code that was captured for a run; not every run has one."""
    return os.path.join(home, FOLDER, f"{run_id}.code.tar.gz")


def temporary_of(path: str) -> str:
    """The name under which a pack is made."""
    return os.path.join(os.path.dirname(path), f".new-{os.path.basename(path)}")


def run_id_of(name: str) -> str:
    """The run that a file in the folder of packs belongs to; empty for a file that is no pack."""
    match = NAME.fullmatch(name)
    return match.group(1) if match else ""


def archived_runs(home: str) -> dict[str, float]:
    """Run id and Unix time of packing of every archived run."""
    found: dict[str, float] = {}
    if not os.path.isdir(folder(home)):
        return found
    for name in os.listdir(folder(home)):
        run_id = run_id_of(name)
        if run_id and name == f"{run_id}.tar.gz" and not os.path.lexists(paths.run_dir(home, run_id)):
            found[run_id] = os.stat(os.path.join(folder(home), name)).st_mtime
    return found


def pack(
    home: str, run_id: str, ending: Callable[[], bool] = never, progress: Callable[[int], None] = lambda _: None
) -> Packed:
    """Pack the directory of a run under temporary names and read that back; the directory stays as it is.

    `progress` hears how many bytes were packed. Raises ArchiveError, OSError, InterruptedRemoval; then no pack is left.
    """
    paths.make_private_dir(folder(home))
    run_dir = paths.run_dir(home, run_id)
    members = members_of(run_dir)
    left_out = [member.name for member in members if not packable(member)]
    kept = [member for member in members if packable(member)]
    code = [member for member in kept if member.name.startswith("code/") and not FACTS_ONLY.fullmatch(member.name)]
    parts = [(path_of(home, run_id), [member for member in kept if member not in set(code)])]
    parts += [(code_path_of(home, run_id), code)] if code else []
    written = Progress(ending, progress)
    try:
        for path, chosen in parts:
            hashes = write_pack(temporary_of(path), run_dir, chosen, written)
            read_back(temporary_of(path), hashes, written)
        if fingerprint_of(run_dir) != fingerprint(members):
            raise ArchiveError(f"{run_dir} changed while it was packed; a process of the run may still write into it")
    except BaseException:
        discard(home, run_id)
        raise
    size = sum(os.stat(temporary_of(path)).st_size for path, _ in parts)
    return Packed(tuple(left_out), size, fingerprint(members))


def publish(home: str, run_id: str) -> float:
    """Give fresh packs their names, for good; returns the Unix time of archiving. Raises OSError."""
    code, path = code_path_of(home, run_id), path_of(home, run_id)
    if os.path.exists(temporary_of(code)):
        os.rename(temporary_of(code), code)
    os.rename(temporary_of(path), path)
    paths.sync_dir(folder(home))
    return os.stat(path).st_mtime


def discard(home: str, run_id: str) -> None:
    """Remove packs that did not get their names. Raises OSError."""
    for path in (path_of(home, run_id), code_path_of(home, run_id)):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary_of(path))


def remove_packs(home: str, run_id: str) -> None:
    """Remove the packs of a run; the one whose presence says that the run is archived goes first. Raises OSError."""
    for path in (path_of(home, run_id), code_path_of(home, run_id)):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def unpack(home: str, run_id: str, target: str, ending: Callable[[], bool] = never) -> None:
    """Make the directory `target`, which must not exist, with all that was packed; durable when this returns.

    Raises ArchiveError for a damaged pack, OSError, InterruptedRemoval; then there is no such directory.
    """
    os.mkdir(target, 0o700)
    try:
        folders: list[tarfile.TarInfo] = []
        for path in (path_of(home, run_id), code_path_of(home, run_id)):
            if os.path.exists(path):
                folders += extract(path, target, lambda _: True, ending, sync=True)
        for info in reversed(folders):
            place = os.path.join(target, info.name)
            os.chmod(place, info.mode)
            os.utime(place, (info.mtime, info.mtime))
        paths.sync_dir(target)
    except BaseException:
        remove_tree(target)
        raise


@contextlib.contextmanager
def index_source(home: str, run_id: str, *, facts_only: bool = False) -> Iterator[str]:
    """A temporary run directory (its name is the run id) with all of an archived run that an index is built from.

    That is everything but the output and captured code; with `facts_only` just the small JSON files, for a view.
    Raises ArchiveError, OSError.
    """
    with tempfile.TemporaryDirectory(prefix="footplate-") as outer:
        yield extract_index_source(home, run_id, outer, facts_only=facts_only)


def extract_index_source(home: str, run_id: str, outer: str, *, facts_only: bool = False) -> str:
    """As `index_source`, into the folder `outer`, which the caller removes; returns the run directory."""
    target = os.path.join(outer, run_id)
    os.mkdir(target, 0o700)

    def wanted(name: str) -> bool:
        return FACTS_ONLY.fullmatch(name) is not None or (not facts_only and name in LARGE_LAST[:2])

    extract(path_of(home, run_id), target, wanted, never, stop_at=LARGE_LAST if facts_only else ("output.log",))
    return target


def members_of(run_dir: str) -> list[Member]:
    """Everything in a run directory in the order of packing; links are entries, not ways. Raises OSError."""
    found: list[Member] = []
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        with os.scandir(os.path.join(run_dir, inside)) as entries:
            for entry in entries:
                name = os.path.join(inside, entry.name)
                found.append(Member(name, entry.stat(follow_symlinks=False)))
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(name)
    return sorted(found, key=lambda member: order_of(member.name))


def order_of(name: str) -> tuple[int, str]:
    """Small facts first, what grows large last; folders before what is in them."""
    if name in LARGE_LAST:
        return 2 + LARGE_LAST.index(name), name
    return (0 if FACTS_ONLY.fullmatch(name) else 1), name


def packable(member: Member) -> bool:
    """Whether an entry has a content that can be packed."""
    mode = member.facts.st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)


def fingerprint(members: list[Member]) -> tuple[Any, ...]:
    """What changes when anything in the directory does."""
    return tuple(
        (name, facts.st_ino, facts.st_mode, facts.st_size, 0 if stat.S_ISDIR(facts.st_mode) else facts.st_mtime_ns)
        for name, facts in members
    )


def fingerprint_of(run_dir: str) -> tuple[Any, ...]:
    """The fingerprint of a run directory as it is now. Raises OSError."""
    return fingerprint(members_of(run_dir))
