"""Where footplate keeps its state, and how private those places are. Standard library only."""

from __future__ import annotations

import json
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


def local_dirs(home: str) -> dict[str, str]:
    """What `local.json` says: by host name, the directory on a local disk for a home on a network file system.

    Empty when there is no such file, or none that can be read: the choice is made anew then.
    """
    try:
        with open(os.path.join(home, "local.json"), "rb") as file:
            hosts = json.load(file)["hosts"]
        return {str(host): path for host, path in hosts.items() if isinstance(path, str) and os.path.isabs(path)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def local_dir(home: str) -> str:
    """Where index, lock, socket and notes of this host's daemon lie: the state directory, or as `local.json` says."""
    return local_dirs(home).get(os.uname().nodename, home)


def lock_path(home: str) -> str:
    """The file that the daemon of this host holds locked (flock(2)) as long as it lives."""
    return os.path.join(local_dir(home), "daemon.lock")


def database_path(home: str) -> str:
    """The DuckDB file: an index of the run directories that can be rebuilt."""
    return os.path.join(local_dir(home), "index.duckdb")


def command_journal_path(home: str) -> str:
    """The audit trail that the daemon of this host writes; hosts that share a home have one each."""
    host = os.uname().nodename
    name = f"commands-{host}.jsonl" if host in local_dirs(home) else "commands.jsonl"
    return os.path.join(home, name)


def launch_note_path(home: str) -> str:
    """How a daemon is started: the argv of the newest installed version."""
    return os.path.join(local_dir(home), "daemon.json")


def stopped_path(home: str) -> str:
    """Is there after `footplate daemon stop`: nobody but the next client command may start a daemon."""
    return os.path.join(local_dir(home), "daemon.stopped")


def failing_path(home: str) -> str:
    """Is there when supervisors gave up starting a daemon that died again and again."""
    return os.path.join(local_dir(home), "daemon.failing")


def presence_path(home: str) -> str:
    """When each person last looked at a console."""
    return os.path.join(local_dir(home), "presence.json")


def socket_path(home: str) -> str:
    """Where the daemon of this state directory listens.

    Beside the index, or where that path is too long for a socket, at the place noted in `socket.path`.
    """
    folder = local_dir(home)
    direct = os.path.join(folder, "daemon.sock")
    if len(os.fsencode(direct)) <= SUN_PATH_BYTES:
        return direct
    try:
        with open(os.path.join(folder, "socket.path"), encoding="utf-8", errors="surrogateescape") as note:
            return note.read().strip() or direct
    except FileNotFoundError:
        return os.path.join(folder, "socket.path")  # nothing listens there: connecting says FileNotFoundError


def choose_socket_path(home: str) -> str:
    """The path to bind, by the daemon that holds the lock; makes and notes a short 0700 directory where needed."""
    beside = local_dir(home)
    direct = os.path.join(beside, "daemon.sock")
    if len(os.fsencode(direct)) <= SUN_PATH_BYTES:
        return direct
    noted = socket_path(home)
    folder = os.path.dirname(noted)
    try:
        facts = os.lstat(folder)
        usable = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid() and stat.S_IMODE(facts.st_mode) == 0o700
    except FileNotFoundError:
        usable = False
    if usable and folder != beside:
        return noted
    import tempfile  # here, because it costs every command 7 ms and hardly any needs it

    folder = tempfile.mkdtemp(prefix="footplate-", dir=SHORT_SOCKET_DIR)
    path = os.path.join(folder, "daemon.sock")
    write_atomically(os.path.join(beside, "socket.path"), os.fsencode(path))
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
