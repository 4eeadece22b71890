"""Deterministic tar files with holes, written and read back with content hashes; plain enough for GNU tar."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import stat
import tarfile
import zlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from blake3 import blake3

from store.holes import data_segments
from store.removal import InterruptedRemoval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LEVEL: Final = 6
CHUNK_BYTES: Final = 1 << 20
DAMAGE: Final = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError)
MISPLACED: Final = (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError)
"""A member without its folder, with a file in place of it, or there twice."""


class ArchiveError(Exception):
    """A pack that could not be made or read; the message says which and why."""


class Member(NamedTuple):
    """One entry of a run directory."""

    name: str
    """Relative to the run directory."""
    facts: os.stat_result


class Progress:
    """Counts bytes and ends the work when told to."""

    def __init__(self, ending: Callable[[], bool], progress: Callable[[int], None]) -> None:
        self._ending, self._progress = ending, progress
        self._count = 0

    def add(self, count: int) -> None:
        """More bytes. Raises InterruptedRemoval."""
        if self._ending():
            raise InterruptedRemoval
        self._count += count
        self._progress(self._count)


def write_pack(path: str, run_dir: str, members: list[Member], written: Progress) -> list[tuple[str, str]]:
    """Write one pack, durably; returns name and content hash of every member."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with (
        os.fdopen(descriptor, "wb") as raw,
        gzip.GzipFile("", "wb", LEVEL, raw, mtime=0) as packed,
        tarfile.TarFile(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as tar,
    ):
        hashes = [(member.name, add_member(tar, run_dir, member, written)) for member in members]
        tar.close()
        packed.close()
        raw.flush()
        os.fsync(raw.fileno())
    return hashes


def add_member(tar: tarfile.TarFile, run_dir: str, member: Member, written: Progress) -> str:
    """One entry; returns its content hash."""
    name, facts = member
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = stat.S_IMODE(facts.st_mode), facts.st_mtime_ns / 1e9
    full = os.path.join(run_dir, name)
    if stat.S_ISDIR(facts.st_mode):
        info.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(facts.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink(full)
    else:
        descriptor = os.open(full, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            source = Segments(descriptor, facts.st_size, written)
            source.describe(info, name)
            tar.addfile(info, source)
            return source.digest()
        finally:
            os.close(descriptor)
    tar.addfile(info)
    return info.linkname


class Segments(io.RawIOBase):
    """A file as tar wants it: the stretches that are no holes, behind a map of them when there are holes."""

    def __init__(self, descriptor: int, size: int, written: Progress) -> None:
        super().__init__()
        self._descriptor, self._size, self._written = descriptor, size, written
        self._segments = data_segments(descriptor, size)
        self._hash = hash_of_segments(self._segments)
        self._pending = b""
        self._position = 0
        self._left = list(self._segments)

    def describe(self, info: tarfile.TarInfo, name: str) -> None:
        """Set size and headers of the member."""
        if self._segments == ([(0, self._size)] if self._size else []):
            info.size = self._size
            return
        entries = [*self._segments, (self._size, 0)]
        numbers = [len(entries), *(number for entry in entries for number in entry)]
        sparse_map = "".join(f"{number}\n" for number in numbers).encode()
        self._pending = sparse_map + b"\0" * (-len(sparse_map) % tarfile.BLOCKSIZE)
        info.size = len(self._pending) + sum(length for _, length in self._segments)
        # Short and ASCII: a name that needs a header of its own would win over GNU.sparse.name.
        info.name = "GNUSparseFile.0/data"
        info.pax_headers = {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": name,
            "GNU.sparse.realsize": str(self._size),
        }

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes; fewer only when the file became shorter meanwhile, which tarfile reports."""
        parts: list[bytes] = []
        while size > 0 and (data := self._piece(size)):
            parts.append(data)
            size -= len(data)
        return b"".join(parts)

    def _piece(self, size: int) -> bytes:
        if self._pending:
            data, self._pending = self._pending[:size], self._pending[size:]
            return data
        while self._left and self._left[0][1] == self._position:
            self._left.pop(0)
            self._position = 0
        if not self._left:
            return b""
        offset, length = self._left[0]
        data = os.pread(self._descriptor, min(size, length - self._position), offset + self._position)
        self._position += len(data)
        self._hash.update(data)
        self._written.add(len(data))
        return data

    def digest(self) -> str:
        """The hash of what was read."""
        return str(self._hash.hexdigest())


def hash_of_segments(segments: list[tuple[int, int]]) -> Any:
    """A hash that has begun with where the data of a file lie."""
    return blake3(repr([entry for entry in segments if entry[1]]).encode())


def read_back(path: str, hashes: list[tuple[str, str]], written: Progress) -> None:
    """Make sure that a pack holds what was put into it. Raises ArchiveError."""
    found: list[tuple[str, str]] = []
    for tar, info in entries_of(path):
        if not info.isreg():
            found.append((info.name, info.linkname))
            continue
        segments, source = segments_of(tar, info)
        digest = hash_of_segments(segments)
        for offset, length in segments:
            source.seek(offset)
            for data in chunks(source, length):
                written.add(0)
                digest.update(data)
        found.append((info.name, digest.hexdigest()))
    if found != hashes:
        raise ArchiveError(f"{path} does not read back as it was written; the disk may be failing")


def entries_of(path: str) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """The members of a pack, forward only. Raises ArchiveError for a damaged pack, OSError.

    Whoever goes through to the end knows that the checksum of the whole pack was right.
    """
    try:
        with gzip.open(path, "rb") as packed, tarfile.TarFile(fileobj=packed, errors="surrogateescape") as tar:
            while (info := tar.next()) is not None:
                yield tar, info
                tar.members = []  # type: ignore[attr-defined]  # or every member stays in memory
            while packed.read(CHUNK_BYTES):
                pass
    except DAMAGE as error:
        raise ArchiveError(f"{path} is damaged: {error}") from error


def segments_of(tar: tarfile.TarFile, info: tarfile.TarInfo) -> tuple[list[tuple[int, int]], Any]:
    """Where the data of a regular member lie, and the file to read them from."""
    sparse: Sequence[tuple[int, int]] | None = getattr(info, "sparse", None)
    found = [(0, info.size)] if sparse is None else sparse
    return [entry for entry in found if entry[1]], tar.extractfile(info)


def chunks(source: Any, length: int) -> Iterator[bytes]:
    """`length` bytes of a file. Raises EOFError when it has fewer."""
    while length:
        data = source.read(min(length, CHUNK_BYTES))
        if not data:
            raise EOFError("it ends early")
        length -= len(data)
        yield data


def extract(
    path: str,
    target: str,
    wanted: Callable[[str], bool],
    ending: Callable[[], bool],
    *,
    stop_at: tuple[str, ...] = (),
    sync: bool = False,
) -> list[tarfile.TarInfo]:
    """Unpack the wanted members into a fresh folder of ours; returns the folders, whose modes are still ours to set.

    Links are made last: nothing is ever written through one. Raises ArchiveError, OSError, InterruptedRemoval.
    """
    folders: list[tarfile.TarInfo] = []
    links: list[tarfile.TarInfo] = []
    for tar, info in entries_of(path):
        if info.name in stop_at:
            break
        if not wanted(info.name):
            continue
        if os.path.isabs(info.name) or ".." in info.name.split("/"):
            raise ArchiveError(f"{path} holds a member named {info.name!r}: it was not made by footplate")
        place = os.path.join(target, info.name)
        if info.isdir():
            with placing(path, info):
                os.mkdir(place, 0o700)
            folders.append(info)
        elif info.issym():
            links.append(info)
        elif info.isreg():
            with placing(path, info):
                os.makedirs(os.path.dirname(place), 0o700, exist_ok=True)  # which may not be wanted itself
                extract_file(tar, info, place, ending, sync=sync)
    for info in links:
        with placing(path, info):
            os.symlink(info.linkname, os.path.join(target, info.name))
        os.utime(os.path.join(target, info.name), (info.mtime, info.mtime), follow_symlinks=False)
    return folders


@contextlib.contextmanager
def placing(path: str, info: tarfile.TarInfo) -> Iterator[None]:
    """Make a member in its place. Raises ArchiveError where it has none: nobody else writes into a fresh folder."""
    try:
        yield
    except MISPLACED as error:
        raise ArchiveError(f"{path} is damaged: no place for {info.name!r}: {error.strerror}") from error


def extract_file(
    tar: tarfile.TarFile, info: tarfile.TarInfo, place: str, ending: Callable[[], bool], *, sync: bool
) -> None:
    """One regular file with its holes, mode and time."""
    segments, source = segments_of(tar, info)
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for offset, length in segments:
            source.seek(offset)
            file.seek(offset)
            for data in chunks(source, length):
                if ending():
                    raise InterruptedRemoval
                file.write(data)
        file.truncate(info.size)
        file.flush()
        os.fchmod(file.fileno(), info.mode)
        os.utime(file.fileno(), (info.mtime, info.mtime))
        if sync:
            os.fsync(file.fileno())
