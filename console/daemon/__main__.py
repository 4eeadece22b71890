"""`python -I -m console.daemon STATE_DIR [--take-over]`: the one process per user that owns the index.

The lock is taken before anything heavy is imported: a loser of a start race must be gone before the winner can end, or
it would become a daemon that nobody asked for.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import json
import os
import signal
import sys
import time

from console import daemon_process
from console.version import VERSION
from store import identity, local_home, paths

DYING_TIMEOUT_S = 5.0
"""How long the lock of a killed daemon is waited for."""
NOTE_BYTES = 512
TAKE_OVERS_MAX = 5
"""How often a daemon is asked to make room, when clients keep starting others."""


def take_lock(home: str) -> int | None:
    """The descriptor that holds `daemon.lock`; None when another daemon holds it."""
    path = paths.lock_path(home)
    deadline_s = time.monotonic() + DYING_TIMEOUT_S
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder_lives = is_running(noted_pid(descriptor))
            os.close(descriptor)
            if holder_lives or time.monotonic() > deadline_s:
                return None
            # Killed, but some thread of it is still on its way out of a write and keeps the lock so long.
            time.sleep(0.005)
            continue
        # The file may have been removed between open and lock: then the lock holds nothing.
        if os.path.exists(path) and os.path.samestat(os.fstat(descriptor), os.stat(path)):
            break
        os.close(descriptor)
    me = identity.identify(os.getpid())
    note = {
        "host": os.uname().nodename,
        "started_at_s": time.time(),
        "version": VERSION,
        **(me.to_json() if me else {}),
    }
    # Written over what is there, always as long: this takes no new block of a disk that may be full.
    os.pwrite(descriptor, json.dumps(note).encode().ljust(NOTE_BYTES), 0)
    os.ftruncate(descriptor, NOTE_BYTES)
    return descriptor


def noted_pid(descriptor: int) -> int | None:
    """The pid in the lock file; None while its holder has not written it yet."""
    try:
        return int(json.loads(os.pread(descriptor, 4096, 0))["pid"])
    except (ValueError, KeyError, TypeError):
        return None


def is_running(pid: int | None) -> bool:
    """Whether a process has this pid and is not a zombie; an unknown one may be."""
    if pid is None:
        return True
    fields = identity.stat_fields(pid)
    return fields is not None and fields[0] not in ("Z", "X")


def main() -> int:
    """Become the daemon, or end with 0 when there is one."""
    words = [word for word in sys.argv[1:] if word != "--take-over"]
    home = words[0] if words else paths.state_dir()
    os.umask(0o077)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        paths.ensure_state_dir(home)
        said = local_home.settle(home)
        if said:
            print(said, file=sys.stderr)
        lock = take_lock(home)
        for _ in range(TAKE_OVERS_MAX if "--take-over" in sys.argv else 0):
            if lock is None:
                daemon_process.end(home)
                lock = take_lock(home)
    except (OSError, daemon_process.DaemonProcessError) as error:
        print(f"cannot use the state directory {home}: {error}", file=sys.stderr)
        return 1
    if lock is None:
        return 0
    gc.disable()  # until it serves: what is made on the way there stays, and collecting takes a twentieth of the time
    from console.daemon import lifecycle

    return lifecycle.serve(home, lock)


if __name__ == "__main__":
    exit_code = main()
    # Threads are waited for before that. To take DuckDB and all other modules down one by one would be 70 ms more in
    # which nobody has the index, and a page of the log about what DuckDB leaks.
    atexit.register(os._exit, exit_code)
    sys.exit(exit_code)
