"""What the files of a folder hold, as one id: BLAKE3 of each file, and a Merkle tree over the folders.

The id of a folder is the BLAKE3 of the lines "kind NUL name NUL id", sorted by name, of what lies in it. A link to a
file counts with where it leads and with what lies there; links to folders are not followed, so there are no loops.
What is neither file nor link is passed over, and so are empty folders.
"""

from __future__ import annotations

import errno
import json
import marshal
import os
import stat
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from blake3 import blake3

from console.project.fingerprint_cache import Cache, Facts, Row, Settled, counts_for
from store import paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from console.project.file_sets import FileSet

CHUNK_BYTES: Final = 8 << 20
"""Smaller files are read at once and hashed by one thread: threads cost more than they bring."""
UNREADABLE_SHOWN: Final = 20
CHANGES_SHOWN: Final = 3
SAVE_EVERY_S: Final = 5.0
"""What was read is kept that often, so that a look that is interrupted was not for nothing."""
MISSING: Final = "n/a"


class Unreadable(NamedTuple):
    """A file or folder that could not be read, and why."""

    path: str
    reason: str


@dataclass(slots=True)
class SetResult:
    """The files of one set."""

    id: str
    file_count: int
    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    changed_at_s: float | None = None
    """Unix time of the last change of one of its files since the last look (ctime, which no program can set)."""

    @property
    def words(self) -> str:
        """What has changed since the last look, for people."""
        parts = []
        for said, names in (("changed", self.changed), ("added", self.added), ("removed", self.removed)):
            if names:
                more = f" and {len(names) - CHANGES_SHOWN} more" if len(names) > CHANGES_SHOWN else ""
                parts.append(f"{', '.join(names[:CHANGES_SHOWN])}{more} {said}")
        return "; ".join(parts) or "its files changed"


@dataclass(slots=True)
class Fingerprint:
    """What one look at a folder came to."""

    sets: dict[str, SetResult]
    file_count: int
    hashed_count: int
    """Files whose content had to be read."""
    hashed_bytes: int
    total_bytes: int
    took_s: float


Found: TypeAlias = tuple[str, Facts, str]
"""A file on the way to its id: its path, what tells it from what it was, and where it leads when it is a link."""


def scan_once(root: str, files: FileSet) -> Fingerprint:
    """One set of files, with a cache of its own in the state directory. Raises OSError."""
    home = paths.state_dir()
    paths.ensure_state_dir(home)
    name = f"{blake3(os.fsencode(root)).hexdigest(length=16)}.sqlite"
    return scan(root, os.path.join(home, "fingerprints", name), {"files": files})


def scan(root: str, cache_path: str, sets: Mapping[str, FileSet]) -> Fingerprint:
    """One walk for several sets of files. Raises OSError when the folder itself cannot be read."""
    began_s = time.perf_counter()
    cache = Cache(cache_path)
    try:
        return look(root, cache, sets, began_s)
    finally:
        cache.close()


def look(root: str, cache: Cache, sets: Mapping[str, FileSet], began_s: float) -> Fingerprint:
    """As `scan`, with a cache that is open."""
    unreadable: list[Unreadable] = []
    wanted = list(sets.values())
    found = list(walk(root, wanted, unreadable))
    question = json.dumps(sorted({question_of(files) for files in wanted}))
    # Version 2 of marshal writes equal lists alike.
    facts_id = blake3(marshal.dumps(found, 2)).hexdigest()
    last = cache.looks.get(question)
    if last is not None and not unreadable and last.facts_id == facts_id:
        kept = json.loads(last.sets)
        known = {name: SetResult(*kept[question_of(files)]) for name, files in sets.items()}
        return Fingerprint(known, last.file_count, 0, 0, last.total_bytes, time.perf_counter() - began_s)
    ids: dict[str, str] = {}
    fresh: dict[str, Row] = {}
    hashed_count = hashed_bytes = total_bytes = 0
    is_settled = True
    rows, unsaved, save_at_s = cache.rows, dict[str, Row](), time.monotonic() + SAVE_EVERY_S
    for path, facts, link in found:
        row = rows.get(path)
        total_bytes += facts[1]
        if row is not None and counts_for(row, facts):
            ids[path] = row[5]
            continue
        try:
            row = read_file(os.path.join(root, path), facts, link)
        except FileNotFoundError:
            is_settled = False
            continue  # it vanished meanwhile
        except OSError as error:
            unreadable.append(Unreadable(path, error.strerror or str(error)))
            ids[path] = MISSING
            continue
        ids[path] = row[5]
        is_settled = is_settled and counts_for(row, facts)
        fresh[path] = unsaved[path] = row
        if time.monotonic() > save_at_s:
            cache.write(unsaved.items(), ())
            unsaved, save_at_s = {}, time.monotonic() + SAVE_EVERY_S
        hashed_count += 1
        hashed_bytes += row[1]
    before = {path: rows[path][5] for path in fresh if path in rows}
    # What no set asks for now stays known: the next look may ask for it.
    gone = [path for path in rows if path not in ids and any(files.reaches(path) for files in wanted)]
    results = {}
    for name, files in sets.items():
        members = ids if is_everything(files) else {path: ids[path] for path in ids if files.holds(path)}
        results[name] = SetResult(
            id=merkle(members),
            file_count=len(members),
            added=sorted(path for path in fresh if path in members and path not in before),
            changed=sorted(
                path for path in fresh if path in members and before.get(path, members[path]) != members[path]
            ),
            removed=sorted(path for path in gone if files.reaches(path)),
            unreadable=[each for each in unreadable if concerns(each.path, files, is_file=each.path in ids)],
        )
        new = [fresh[path][3] for path in (*results[name].added, *results[name].changed)]
        results[name].changed_at_s = max(new) / 1e9 if new else None
    cache.write(unsaved.items(), gone)
    if is_settled and not unreadable:
        kept = {question_of(files): (results[name].id, results[name].file_count) for name, files in sets.items()}
        cache.write_look(question, Settled(facts_id, len(ids), total_bytes, json.dumps(kept)))
    took_s = time.perf_counter() - began_s
    return Fingerprint(results, len(ids), hashed_count, hashed_bytes, total_bytes, took_s)


def question_of(files: FileSet) -> str:
    """What a cache knows a set by."""
    return json.dumps([files.patterns, files.leave_out])


def concerns(path: str, files: FileSet, *, is_file: bool) -> bool:
    """Whether what could not be read may be, or hold, a file of a set."""
    return files.holds(path) or (not is_file and files.may_lie_below(path))


def is_everything(files: FileSet) -> bool:
    """Whether a set leaves no file out that the walk finds."""
    return files.patterns == ("**",) and not files.leave_out


def walk(root: str, sets: list[FileSet], unreadable: list[Unreadable]) -> Iterator[Found]:
    """Files of any of the sets; what cannot be read is added to `unreadable`. Raises OSError for the root itself."""
    everything = any(is_everything(files) for files in sets)
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            entries = list(os.scandir(os.path.join(root, folder) if folder else root))
        except FileNotFoundError:
            if not folder:
                raise
            continue
        except OSError as error:
            if not folder:
                raise
            unreadable.append(Unreadable(folder, error.strerror or str(error)))
            continue
        prefix = f"{folder}/" if folder else ""
        for entry in entries:
            path = prefix + entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    if any(files.may_lie_below(path) for files in sets):
                        waiting.append(path)
                elif everything or any(files.holds(path) for files in sets):
                    facts = entry.stat(follow_symlinks=False)
                    if facts.st_mode & 0o170000 == stat.S_IFREG:
                        yield path, (facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns), ""
                    elif stat.S_ISLNK(facts.st_mode):
                        yield from follow(entry, path, facts_of(facts))
            except FileNotFoundError:
                continue
            except OSError as error:
                unreadable.append(Unreadable(path, error.strerror or str(error)))


def follow(entry: os.DirEntry[str], path: str, facts: Facts) -> Iterator[Found]:
    """A link, unless it leads to something that is no file. Raises OSError."""
    link = os.readlink(entry.path)
    try:
        target = entry.stat(follow_symlinks=True)
    except OSError:
        yield path, facts, link  # it leads nowhere, or in a circle: then the link is all there is
        return
    if stat.S_ISREG(target.st_mode):
        yield path, facts_of(target), link


def facts_of(found: os.stat_result) -> Facts:
    """What of a stat tells a file from what it was."""
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def read_file(path: str, facts: Facts, link: str) -> Row:
    """Hash a file; one that changes meanwhile gets a row that counts for nothing. Raises OSError."""
    hasher = blake3(max_threads=blake3.AUTO) if facts[1] > CHUNK_BYTES else blake3()
    if link:
        hasher.update(b"link\0" + os.fsencode(link) + b"\0")
    read_at_ns = time.time_ns()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if link else os.O_NOFOLLOW))
    except OSError as error:
        if link and error.errno in (errno.ENOENT, errno.ELOOP):
            return (*facts, read_at_ns, hasher.hexdigest())
        raise
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise FileNotFoundError(errno.ENOENT, "is no regular file any more", path)
        while data := os.read(descriptor, CHUNK_BYTES):
            hasher.update(data)
        after = facts_of(os.fstat(descriptor))
    finally:
        os.close(descriptor)
    is_steady = after == facts_of(before) == facts
    return (*after, read_at_ns if is_steady else 0, hasher.hexdigest())


def merkle(ids: Mapping[str, str]) -> str:
    """The id of a folder with these files, by their paths."""
    folders: dict[str, list[tuple[str, str, str]]] = {"": []}
    for path, content_id in ids.items():
        folder, _, name = path.rpartition("/")
        above = folder
        while above not in folders:
            folders[above] = []
            above = above.rpartition("/")[0]
        folders[folder].append((name, "file", content_id))
    for folder in sorted(folders, key=lambda each: each.count("/") if each else -1, reverse=True):
        lines = [f"{kind}\0{name}\0{content_id}\n" for name, kind, content_id in sorted(folders[folder])]
        folder_id = blake3("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
        if not folder:
            return folder_id
        above, _, name = folder.rpartition("/")
        folders[above].append((name, "folder", folder_id))
    raise AssertionError("the root is among the folders")


def as_json(found: Fingerprint) -> dict[str, Any]:
    """For the caller of a worker: what of each set a trigger needs."""
    sets = {}
    for name, each in found.sets.items():
        lost = [f"{path}: {reason}" for path, reason in each.unreadable[:UNREADABLE_SHOWN]]
        problem = f"n/a: {'; '.join(lost)}" if lost else ""
        sets[name] = {"id": each.id, "file_count": each.file_count, "words": each.words, "problem": problem}
        sets[name]["changed_at_s"] = each.changed_at_s
    return {
        "sets": sets,
        "file_count": found.file_count,
        "hashed_count": found.hashed_count,
        "hashed_bytes": found.hashed_bytes,
        "total_bytes": found.total_bytes,
        "took_s": found.took_s,
    }
