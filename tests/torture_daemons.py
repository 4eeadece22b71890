"""Which daemon the clients of a torture start: a plain one, or once the one that is to die at a point."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from console import client as client_module
from tests import killpoints

if TYPE_CHECKING:
    from collections.abc import Iterator


class WantedDaemons:
    """Belongs to one torture; its clients may be in several threads."""

    def __init__(self) -> None:
        self.following: list[str] | None = None
        """Arguments for killpoints.py: the next daemon is to be this one."""
        self.started: list[subprocess.Popen[bytes]] = []
        """Those that were started so; ours to reap."""
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def spawning(self) -> Iterator[None]:
        """Clients of this process start `following` in place of a plain daemon, once."""
        plain = client_module.spawn_daemon

        def spawn(home: str) -> subprocess.Popen[bytes]:
            with self._lock:
                wanted, self.following = self.following, None
                if wanted is not None:
                    self.started.append(special(home, wanted))
                # While it is on its way no plain daemon may take the lock before it.
                if self.started and self.started[-1].poll() is None:
                    return self.started[-1]
            return plain(home)

        client_module.spawn_daemon = spawn
        try:
            yield
        finally:
            client_module.spawn_daemon = plain


def special(home: str, wanted: list[str]) -> subprocess.Popen[bytes]:
    """Start a daemon of killpoints.py."""
    with open(f"{home}/daemon.log", "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-I", killpoints.__file__, *wanted],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
