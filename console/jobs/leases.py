"""A run's hold on devices of a declared list: an flock(2) that the run inherits, so it ends with its last process.

A lease is an exclusive lock on a file, held by an open file description that daemon, supervisor and command share:
nobody has to free it, and killing the daemon takes none away. The files lie in a directory that nobody but root and us
may write to; one that was replaced after it was opened does not count. Standard library only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NAME: Final = re.compile(r"[A-Za-z0-9][\w.:-]{0,63}")
INDEX_OR_UUID: Final = re.compile(r"\d+|(GPU|MIG)-[\w.:/-]+")
"""What CUDA_VISIBLE_DEVICES takes."""


class LeaseError(OSError):
    """Devices that cannot be declared; the message says why."""


class Lease:
    """One device that is ours. No dataclass: importing what makes those is a fifth of a supervisor's start."""

    __slots__ = ("descriptor", "name", "path")

    def __init__(self, name: str, descriptor: int, path: str) -> None:
        self.name = name
        self.descriptor = descriptor
        self.path = path

    def close(self) -> None:
        """Let go of our share; the device stays taken while somebody else has one."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def declare(folder: str, names: Sequence[str]) -> None:
    """Make what stands for the devices. Raises LeaseError for a folder that others can write to, OSError."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    facts = os.stat(folder)
    if facts.st_uid not in (0, os.getuid()):
        raise LeaseError(f"{folder} belongs to uid {facts.st_uid}; it must be root's or ours")
    if stat.S_IMODE(facts.st_mode) & 0o022:
        raise LeaseError(f"{folder} can be written to by others: chmod go-w {folder}")
    for name in names:
        with contextlib.suppress(FileExistsError):
            # Readable to all where the folder is: locking needs no more.
            os.close(os.open(path_of(folder, name), os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))


def path_of(folder: str, name: str) -> str:
    """The file that stands for a device."""
    return os.path.join(folder, f"{name}.lease")


def take(folder: str, name: str) -> Lease | None:
    """The device when nobody has it; None when somebody has, or what stands for it is not there."""
    path = path_of(folder, name)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return Lease(name, descriptor, path)
    except OSError:
        pass
    os.close(descriptor)
    return None


def is_taken(folder: str, name: str) -> bool | None:
    """Whether somebody has a device; None when what stands for it is not there."""
    if not os.path.exists(path_of(folder, name)):
        return None
    lease = take(folder, name)
    if lease is None:
        return True
    lease.close()
    return False


def holders(paths: Iterable[str]) -> dict[str, int]:
    """By path, the pid that /proc/locks names for it: the first that locked it, which may have ended since."""
    places: dict[str, str] = {}
    for path in paths:
        with contextlib.suppress(OSError):
            facts = os.stat(path)
            device = facts.st_dev
            places[f"{os.major(device):02x}:{os.minor(device):02x}:{facts.st_ino}"] = path
    found: dict[str, int] = {}
    with contextlib.suppress(OSError), open("/proc/locks", encoding="ascii") as file:
        for line in file:
            words = line.split()
            if len(words) >= 6 and words[1] == "FLOCK" and words[5] in places and words[4].isdigit():
                found[places[words[5]]] = int(words[4])
    return found


def to_json(leases: Iterable[Lease]) -> list[list[Any]]:
    """Leases as an argument of the supervisor, which inherits their descriptors."""
    return [[lease.name, lease.descriptor, lease.path] for lease in leases]


def from_json(data: list[list[Any]]) -> list[Lease]:
    """The leases that a supervisor was started with. Raises LeaseError when one is lost.

    What stands between daemon and supervisor, such as a tool that makes a systemd scope, may close descriptors.
    """
    found = []
    for name, descriptor, path in data:
        try:
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                found.append(Lease(name, descriptor, path))
                continue
        except OSError:
            pass
        lease = take(os.path.dirname(path), name)
        if lease is None:
            raise LeaseError(f"the device {name} is taken by somebody else")
        found.append(lease)
    return found


def variables(leases: Sequence[Lease]) -> dict[str, str]:
    """What the command sees of its devices; those of CUDA when they are named as it names them."""
    if not leases:
        return {}
    names = [lease.name for lease in leases]
    seen = {"FOOTPLATE_DEVICES": ",".join(names)}
    if all(INDEX_OR_UUID.fullmatch(name) for name in names):
        seen |= {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(names)}
    return seen
