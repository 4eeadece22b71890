"""The daemon as a process, seen from outside: who holds the lock, how to start one, how to end one.

Standard library only: clients use it when they find no daemon, or one that is older than they are.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import sys
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from console.version import VERSION, is_newer
from store import identity, paths

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping

    from store.identity import ProcessIdentity

FORMAT: Final = 1
END_TIMEOUT_S: Final = 60.0
"""How long a daemon may take to finish its requests and to write its index into the file proper."""
NOTE_TIMEOUT_S: Final = 5.0
"""How long a daemon may take from taking the lock to writing who it is."""
OF_A_RUN: Final = ("RUN_ID", "RUN_DIR", "METRICS", "ATTEMPT", "RESUME")
"""FOOTPLATE_ variables of a run; a daemon that a job happens to start is no part of that job, and not ended with it."""

_spawned: list[subprocess.Popen[bytes]] = []
"""Daemons that this process started; kept to be reaped, as they are its children while both live."""


class DaemonProcessError(Exception):
    """A daemon could not be started or ended; the words are for the person at the terminal."""


class Holder(NamedTuple):
    """Who holds the lock, by its own word."""

    process: ProcessIdentity | None
    """None while it has not written who it is."""
    host: str
    version: str
    started_at_s: float | None


def holder(home: str) -> Holder | None:
    """The daemon that holds the lock of this state directory on this host; None when nobody does. Raises OSError."""
    try:
        descriptor = os.open(paths.lock_path(home), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        note = decoded(os.pread(descriptor, 4096, 0))
        started_at_s = note.get("started_at_s")
        return Holder(
            identity.from_json(note),
            str(note.get("host", "")),
            str(note.get("version", "")),
            started_at_s if isinstance(started_at_s, int | float) else None,
        )
    finally:
        os.close(descriptor)


def is_alive(found: Holder) -> bool:
    """Whether the process that a lock names lives."""
    return found.process is not None and identity.is_alive(found.process)


def end(home: str, *, only_version: str | None = None, timeout_s: float = END_TIMEOUT_S) -> int | None:
    """Ask the daemon to finish and wait until the lock is free; returns its pid, None when there was nothing to end.

    With `only_version` a daemon of another version is left alone. Runs are not touched. Raises DaemonProcessError.
    """
    deadline_s, note_by_s = time.monotonic() + timeout_s, time.monotonic() + NOTE_TIMEOUT_S
    found = holder(home)
    # Who has just taken the lock leaves the name of the one before for a moment.
    while found is not None and not is_alive(found) and time.monotonic() < note_by_s:
        time.sleep(0.01)
        found = holder(home)
    if found is None or (only_version is not None and found.version != only_version):
        return None
    process = found.process
    if process is None or not is_alive(found):
        where = f"pid {process.pid} on {found.host}" if process else "who has not said so"
        raise DaemonProcessError(
            f"{paths.lock_path(home)} is held by a process that cannot be seen from here ({where})"
        )
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return process.pid
    try:
        identity.send_signal(process, 15)
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        if not waiting.poll(max(0.0, deadline_s - time.monotonic()) * 1000):
            raise DaemonProcessError(
                f"the daemon (pid {process.pid}) was asked to end and did not within {timeout_s:.0f} s"
            )
    finally:
        os.close(descriptor)
    # A thread that is still on its way out of a write keeps the lock a moment longer.
    while (after := holder(home)) is not None and after.process == process and time.monotonic() < deadline_s:
        time.sleep(0.005)
    return process.pid


def environment(of: Mapping[str, str]) -> dict[str, str]:
    """The environment of a daemon: ours, without what marks the processes of a run."""
    dropped = {f"FOOTPLATE_{name}" for name in OF_A_RUN}
    return {key: value for key, value in of.items() if key not in dropped} | {"FOOTPLATE_PROCESS": "daemon"}


def own_argv(home: str) -> list[str]:
    """How a daemon of this installation is started."""
    return [sys.executable, "-I", "-m", "console.daemon", home]


def launch_argv(home: str) -> list[str]:
    """The daemon to start: that of the newest installed version, as far as `daemon.json` knows it."""
    noted = newer_note(home)
    return noted["argv"] if noted is not None else own_argv(home)


def newer_note(home: str) -> dict[str, Any] | None:
    """What `daemon.json` says when it names a newer version than ours that is still installed; else None."""
    try:
        with open(paths.launch_note_path(home), "rb") as file:
            note = json.load(file)
        argv, package = note["argv"], note["package"]
        sound = note["format"] == FORMAT and len(argv) > 1 and all(isinstance(word, str) for word in argv)
        # A state directory that was copied or moved still names the old place.
        ours = sound and argv[-1] == home and argv != own_argv(home)
        if ours and is_newer(str(note["version"]), VERSION) and os.path.exists(argv[0]) and os.path.exists(package):
            return dict(note)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None


def write_launch_note(home: str) -> None:
    """Say in `daemon.json` how a daemon of this version is started, unless it names a newer one. Raises OSError."""
    if newer_note(home) is not None:
        return
    package = os.path.join(os.path.dirname(os.path.abspath(__file__)), "daemon", "__main__.py")
    note = {"format": FORMAT, "argv": own_argv(home), "version": VERSION, "package": package}
    # A disk that may be full is not touched when nothing has changed.
    if note_at(paths.launch_note_path(home)) != note:
        paths.write_atomically(paths.launch_note_path(home), json.dumps(note).encode())


def spawn(home: str, ask: Callable[[str], str] | None, say: Callable[[str], None]) -> subprocess.Popen[bytes]:
    """Start a daemon that outlives us; when one already runs, the new one ends by itself with exit code 0.

    `ask` puts a question to the person at the terminal, `say` tells what was decided. Raises OSError.
    """
    import subprocess  # here, because a command that finds a daemon does not need its 5 ms

    from store import local_home

    paths.ensure_state_dir(home)
    words = local_home.settle(home, ask)
    if words:
        say(words)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(paths.stopped_path(home))
    log = os.open(log_path(home), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    _spawned[:] = [process for process in _spawned if process.poll() is None]
    try:
        process = subprocess.Popen(
            launch_argv(home),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=environment(os.environ),
            start_new_session=True,
        )
    finally:
        os.close(log)
    _spawned.append(process)
    return process


def write_stopped(home: str, actor: str) -> None:
    """Say that no daemon is to be started until a person needs one. Raises OSError."""
    from store import local_home

    paths.ensure_state_dir(home)
    local_home.settle(home)
    note = {"format": FORMAT, "actor": actor, "at_s": time.time()}
    paths.write_atomically(paths.stopped_path(home), json.dumps(note).encode())


def state_dir() -> str:
    """The state directory, for commands, which know nothing of the store."""
    return paths.state_dir()


def notes(home: str) -> dict[str, dict[str, Any] | None]:
    """What keeps others from starting a daemon: who stopped it, and whether it died too often; None for neither."""
    return {"stopped": note_at(paths.stopped_path(home)), "failing": note_at(paths.failing_path(home))}


def note_at(path: str) -> dict[str, Any] | None:
    """The object in a note such as `daemon.stopped`, empty when it holds none; None when there is no such file."""
    try:
        with open(path, "rb") as file:
            return decoded(file.read())
    except OSError:
        return None


def decoded(content: bytes) -> dict[str, Any]:
    """The JSON object in a note; empty while it has not been written, and when it is damaged."""
    try:
        value = json.loads(content)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def log_path(home: str) -> str:
    """Where a daemon that nobody sees writes what it has to say."""
    return os.path.join(home, "daemon.log")


def last_words(home: str) -> str:
    """The last line of the daemon's log, which says why it ended."""
    try:
        with open(log_path(home), "rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - 4096))
            lines = log.read().decode("utf-8", "replace").split("\n")
    except OSError as error:
        return f"its log cannot be read ({error.strerror})"
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def clear_notes(home: str) -> None:
    """A person wants the daemon: what kept others from starting it goes. Raises OSError."""
    for path in (paths.stopped_path(home), paths.failing_path(home)):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
