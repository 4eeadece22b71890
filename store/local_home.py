"""A state directory on a network file system: index, lock and socket go to a local disk, chosen once per host.

DuckDB, flock(2) and Unix sockets need a local disk; run directories do not. Standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from store import paths

if TYPE_CHECKING:
    from collections.abc import Callable

FORMAT: Final = 1
MOUNTINFO: Final = "/proc/self/mountinfo"
NETWORK_TYPES: Final = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "ncpfs",
        "afs",
        "coda",
        "ceph",
        "lustre",
        "beegfs",
        "beegfs_nodev",
        "fhgfs",
        "gpfs",
        "mmfs",
        "glusterfs",
        "pvfs2",
        "orangefs",
        "panfs",
        "wekafs",
        "gfs2",
        "ocfs2",
        "acfs",
        "9p",
        "virtiofs",
        "vboxsf",
        "vmhgfs",
        "prl_fs",
        "davfs",
    }
)
"""File systems that several hosts may share, as the kernel names them in mountinfo (proc_pid_mountinfo(5))."""
NETWORK_FUSE: Final = frozenset(
    {
        "sshfs",
        "glusterfs",
        "ceph-fuse",
        "ceph",
        "s3fs",
        "goofys",
        "gcsfuse",
        "blobfuse",
        "blobfuse2",
        "rclone",
        "juicefs",
        "mfs",
        "moosefs",
        "lizardfs",
        "saunafs",
        "seaweedfs",
        "weed",
        "afpfs",
        "smbnetfs",
        "curlftpfs",
        "davfs",
        "cvmfs2",
        "dfuse",
        "vmhgfs-fuse",
        "gvfsd-fuse",
    }
)
"""What follows `fuse.` for those that live in a process."""
LOCAL_TYPES: Final = frozenset(
    {
        "ext2",
        "ext3",
        "ext4",
        "xfs",
        "btrfs",
        "zfs",
        "tmpfs",
        "ramfs",
        "rootfs",
        "overlay",
        "aufs",
        "f2fs",
        "bcachefs",
        "jfs",
        "reiserfs",
        "nilfs2",
        "ufs",
        "vfat",
        "exfat",
        "ntfs3",
        "fuseblk",
    }
)
"""File systems of this machine alone."""
SURVIVING: Final = "/var/tmp"
REAPED: Final = "/tmp"


class Mount(NamedTuple):
    """One line of mountinfo, as far as it matters here."""

    point: str
    type: str
    source: str


def settle(home: str, ask: Callable[[str], str] | None = None) -> str:
    """Make sure that index, lock and socket have a local place; returns what to say about a choice just made, else "".

    `ask` puts a question to a person and returns the answer; without it the proposal is taken. Raises OSError.
    """
    noted = paths.local_dirs(home).get(os.uname().nodename)
    if noted is not None:
        make_own_dir(noted)  # it may have been reaped since
        return ""
    mounts = mountinfo()
    mount = mount_of(mounts, os.path.realpath(home))
    if mount is None or not is_network(mount.type):
        return ""
    paths.ensure_state_dir(home)
    chosen = propose(home, mounts)
    where = f"{home} is on a network file system ({mount.type}, {mount.source})"
    if ask is not None:
        question = f"{where}; index, lock and socket need a local disk.\nWhere should they go?"
        while True:
            answered = os.path.expanduser(ask(f"{question} [{chosen}] ").strip()) or chosen
            problem = unusable(answered, mounts)
            if not problem:
                chosen = answered
                break
            question = problem
    make_own_dir(chosen)
    remember(home, chosen)
    return f"{where}: index, lock and socket of this host are kept in {chosen} from now on; {fate(chosen)}"


def fate(path: str) -> str:
    """What becomes of a chosen directory when nobody looks."""
    if within(path, SURVIVING):
        return "it survives a reboot, is not backed up, and may be cleaned when unused for a month: then it is rebuilt"
    if within(path, REAPED):
        return "it is emptied at a reboot and may be cleaned when unused for days: the index is then rebuilt"
    return "see that nothing cleans it; when it is lost, the index is rebuilt"


def remember(home: str, chosen: str) -> None:
    """Note the choice of this host in `local.json`. Raises OSError."""
    hosts = {**paths.local_dirs(home), os.uname().nodename: chosen}
    content = json.dumps({"format": FORMAT, "hosts": hosts}, indent=1).encode()
    paths.write_atomically(os.path.join(home, "local.json"), content)


def propose(home: str, mounts: str) -> str:
    """The first place on a local disk that is ours or can be. Raises OSError."""
    import hashlib

    digest = hashlib.blake2b(os.fsencode(os.path.realpath(home)), digest_size=6).hexdigest()
    problems = []
    for parent in (SURVIVING, REAPED):
        path = os.path.join(parent, f"footplate-{os.getuid()}-{digest}")
        problem = unusable(path, mounts)
        if not problem:
            return path
        problems.append(problem)
    raise OSError(errno.EROFS, f"needs a directory on a local disk for its index, and {'; '.join(problems)}", home)


def unusable(path: str, mounts: str) -> str:
    """Why a directory cannot hold index, lock and socket; empty when it can, and then it is there, 0700 and ours."""
    if not os.path.isabs(path):
        return f"{path} is not an absolute path"
    mount = mount_of(mounts, os.path.realpath(path))
    if mount is not None and is_network(mount.type):
        return f"{path} is on a network file system, too ({mount.type})"
    try:
        make_own_dir(path)
    except OSError as error:
        return f"{path} cannot be used: {error.strerror or error}"
    return ""


def make_own_dir(path: str) -> None:
    """A directory 0700 of ours where others may write beside it; what is there already must be one. Raises OSError."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    # lstat, so that nobody can lead us elsewhere by a link.
    facts = os.lstat(path)
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid():
        raise PermissionError(1, "is not a directory of ours", path)
    if stat.S_IMODE(facts.st_mode) != 0o700:
        os.chmod(path, 0o700)


def is_shared(home: str) -> bool:
    """Whether other hosts may use this state directory: it is on a network, or nobody knows on what."""
    if os.uname().nodename in paths.local_dirs(home):
        return True
    mount = mount_of(mountinfo(), os.path.realpath(home))
    return mount is None or mount.type not in LOCAL_TYPES


def claim_numbers(home: str, wanted: int, count: int) -> list[int]:
    """So many run numbers from `wanted` on, rising, that no host takes again. Raises OSError."""
    if os.uname().nodename not in paths.local_dirs(home):
        return list(range(wanted, wanted + count))
    claimed: list[int] = []
    while len(claimed) < count:
        claimed.append(claim_number(home, wanted))
        wanted = claimed[-1] + 1
    return claimed


def claim_number(home: str, wanted: int) -> int:
    """A run number from `wanted` on that no host takes again. Raises OSError."""
    if os.uname().nodename not in paths.local_dirs(home):
        return wanted
    folder = os.path.join(home, "numbers")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    while True:
        try:
            # O_EXCL holds between hosts as well (open(2), NFSv3 and later).
            os.close(os.open(os.path.join(folder, str(wanted)), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            return wanted
        except FileExistsError:
            wanted += 1


def is_network(file_system: str) -> bool:
    """Whether a file system type is one that several hosts may share."""
    kind, _, name = file_system.partition(".")
    return file_system in NETWORK_TYPES or (kind == "fuse" and name in NETWORK_FUSE)


def file_system_of(path: str) -> str:
    """The type of the file system that holds a path without links; empty where that cannot be told."""
    mount = mount_of(mountinfo(), path)
    return mount.type if mount is not None else ""


def mountinfo() -> str:
    """The mounts that this process sees; empty where /proc does not say."""
    try:
        with open(MOUNTINFO, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


def mount_of(text: str, path: str) -> Mount | None:
    """The mount that holds an absolute path without links, by the text of mountinfo; None when none does."""
    found: Mount | None = None
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, behind = before.split(" "), after.split(" ")
        if len(fields) < 6 or len(behind) < 2:
            continue
        point = unescaped(fields[4])
        # Of two mounts at one point the later one hides the earlier.
        if within(path, point) and (found is None or len(point) >= len(found.point)):
            found = Mount(point, behind[0], unescaped(behind[1]))
    return found


def within(path: str, folder: str) -> bool:
    """Whether a path is a folder or below it."""
    return folder == "/" or path == folder or path.startswith(folder.rstrip("/") + "/")


def unescaped(text: str) -> str:
    """A field of mountinfo with its octal escapes (space, tab, newline, backslash) resolved."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text
