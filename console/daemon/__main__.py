"""`python -I -m console.daemon STATE_DIR`: the one process per user that owns the index.

The lock is taken before anything heavy is imported: a loser of a start race must be gone before the winner can end, or
it would become a daemon that nobody asked for.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time

from store import identity, paths

DYING_TIMEOUT_S = 5.0
"""How long the lock of a killed daemon is waited for."""


def take_lock(home: str) -> int | None:
    """The descriptor that holds `daemon.lock`; None when another daemon holds it."""
    path = os.path.join(home, "daemon.lock")
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
    note = {"pid": os.getpid(), "host": os.uname().nodename, "started_at_s": time.time()}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(note).encode(), 0)
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
    home = sys.argv[1] if len(sys.argv) > 1 else paths.state_dir()
    os.umask(0o077)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        paths.ensure_state_dir(home)
        lock = take_lock(home)
    except OSError as error:
        print(f"cannot use the state directory {home}: {error}", file=sys.stderr)
        return 1
    if lock is None:
        return 0
    from console.daemon import lifecycle

    return lifecycle.serve(home, lock)


if __name__ == "__main__":
    sys.exit(main())
