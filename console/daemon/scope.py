"""Starting supervisors in systemd scopes of the user, where there are any.

Where logind is told to end a user's processes at logout (KillUserProcesses), it ends everything in the session's
control group. A scope of the user's own service manager is outside of it, and delegated to us it lets the supervisor
make groups with a memory limit of its own.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
from typing import Final

PROBE_TIMEOUT_S: Final = 3.0


@functools.cache
def prefix() -> tuple[str, ...]:
    """What to put before a command line to run it in a scope of its own; empty where that does not work.

    Tried once in the life of a daemon. `systemd-run --scope` registers the scope and then executes the command in
    its own place: pid, descriptors and environment stay (systemd-run(1)).
    """
    program = shutil.which("systemd-run")
    if program is None:
        return ()
    words = (program, "--user", "--scope", "--quiet", "--collect", "-p", "Delegate=yes", "--")
    try:
        tried = subprocess.run(
            [*words, "true"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PROBE_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return words if tried.returncode == 0 else ()
