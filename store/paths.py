"""Where footplate keeps its state, and how private those places are. Standard library only."""

from __future__ import annotations

import os
import stat
from typing import Final

SUN_PATH_BYTES: Final = 107
"""Longest path of a Unix socket on Linux: `sun_path` has 108 bytes with the final NUL (unix(7))."""
SHORT_SOCKET_DIR: Final = "/tmp"
"""Where mkdtemp makes a folder with mode 0700 and a name that nobody can guess."""


def state_dir() -> str:
    """FOOTPLATE_HOME, else $XDG_STATE_HOME/footplate, else ~/.local/state/footplate; absolute, not created."""
    override = os.environ.get("FOOTPLATE_HOME")
    if override:
        return os.path.abspath(os.path.expanduser(override))
    base = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):  # the XDG specification: relative paths are invalid and to be ignored
        base = os.path.expanduser("~/.local/state")
    return os.path.join(base, "footplate")


def ensure_state_dir(home: str) -> None:
    """Create the state directory with mode 0700, or make sure that the one there is ours alone.

    Raises OSError: not writable, not a directory, or owned by somebody else.
    """
    make_private_dir(home)
    make_private_dir(runs_dir(home))


def make_private_dir(path: str) -> None:
    """`mkdir -p` with mode 0700 for the last folder, whatever the umask; an existing one is tightened."""
    parent = os.path.dirname(path)
    os.makedirs(parent, exist_ok=True)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        facts = os.stat(path)
        if not stat.S_ISDIR(facts.st_mode):
            raise NotADirectoryError(20, "is not a directory", path) from None
        if facts.st_uid != os.getuid():
            raise PermissionError(1, f"belongs to uid {facts.st_uid}, not to us", path) from None
        if stat.S_IMODE(facts.st_mode) & 0o077:
            os.chmod(path, 0o700)
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(13, "not writable", path)


def runs_dir(home: str) -> str:
    """The folder that holds one run directory per run."""
    return os.path.join(home, "runs")


def run_dir(home: str, run_id: str) -> str:
    """The directory of one run: the truth about it."""
    return os.path.join(home, "runs", run_id)


def database_path(home: str) -> str:
    """The DuckDB file: an index of the run directories that can be rebuilt."""
    return os.path.join(home, "index.duckdb")


def socket_path(home: str) -> str:
    """Where the daemon of this state directory listens.

    Beside the state, or where that path is too long for a socket, at the place noted in `socket.path`.
    """
    direct = os.path.join(home, "daemon.sock")
    if len(os.fsencode(direct)) <= SUN_PATH_BYTES:
        return direct
    try:
        with open(os.path.join(home, "socket.path"), encoding="utf-8", errors="surrogateescape") as note:
            return note.read().strip() or direct
    except FileNotFoundError:
        return os.path.join(home, "socket.path")  # nothing listens there: connecting says FileNotFoundError


def choose_socket_path(home: str) -> str:
    """The path to bind, by the daemon that holds the lock; makes and notes a short 0700 directory where needed."""
    direct = os.path.join(home, "daemon.sock")
    if len(os.fsencode(direct)) <= SUN_PATH_BYTES:
        return direct
    noted = socket_path(home)
    folder = os.path.dirname(noted)
    try:
        facts = os.lstat(folder)
        usable = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid() and stat.S_IMODE(facts.st_mode) == 0o700
    except FileNotFoundError:
        usable = False
    if usable and folder != home:
        return noted
    import tempfile  # here, because it costs every command 7 ms and hardly any needs it

    folder = tempfile.mkdtemp(prefix="footplate-", dir=SHORT_SOCKET_DIR)
    path = os.path.join(folder, "daemon.sock")
    write_atomically(os.path.join(home, "socket.path"), os.fsencode(path))
    return path


def write_atomically(path: str, content: bytes, *, sync: bool = True) -> None:
    """Replace the file at `path` by one with mode 0600: readers see the old or the new content, never a part."""
    temporary = f"{path}.{os.getpid()}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        try:
            os.fchmod(descriptor, 0o600)
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    if sync:
        sync_dir(os.path.dirname(path))


def sync_dir(path: str) -> None:
    """Make the entries of a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
