"""A home's daemon as other processes see it, a second user, and what a refusal must look like."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from console.client import Client
from store import identity

if TYPE_CHECKING:
    from tests.support import Home

NOBODY = 65534

as_second_user = pytest.mark.skipif(os.getuid() != 0, reason="only root can act as a second user")


def daemons_of(home: Home) -> list[int]:
    """Every daemon of a home, the losers of a start race included while they live."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
                if b"console.daemon" in words and os.fsencode(home.path) in words:
                    found.append(int(name))
    return found


def ask_at_once(home: Home, count: int, argv: list[str]) -> list[str]:
    """What so many processes of a command say that are started together; each must succeed."""
    environment, pipe = home.environment(), subprocess.PIPE
    clients = [subprocess.Popen(argv, env=environment, stdout=pipe, stderr=pipe, text=True) for _ in range(count)]
    answers = []
    for client in clients:
        said, complaint = client.communicate()
        assert client.returncode == 0, complaint
        answers.append(said)
    return answers


def pid_of_daemon(home: Home) -> int:
    """The daemon's pid by its own word, over a connection of its own."""
    client = Client()
    try:
        pid = int(client.get("/ping")["pid"])
    finally:
        client.close()
    assert pid == home.daemon_pid()
    return pid


def sleeping_run(home: Home) -> tuple[str, int, int]:
    """Id of a run that sleeps, and the pids of its command and its supervisor."""
    run_id = home.submit("sleep", "1000")
    detail = home.wait_run(run_id, lambda detail: detail.row.state == "running" and detail.pid is not None)
    assert detail.pid is not None
    assert detail.supervisor_pid is not None
    return run_id, detail.pid, detail.supervisor_pid


def is_gone(pid: int) -> bool:
    fields = identity.stat_fields(pid)
    return fields is None or fields[0] in ("Z", "X")


def assert_one_sentence(done: subprocess.CompletedProcess[str], exit_code: int = 1) -> None:
    """Said on stderr: what is wrong, and perhaps a hint; no traceback."""
    assert done.returncode == exit_code, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0].startswith("footplate: "), done.stderr
    assert 1 <= len(lines) <= 2
    assert len(lines) == 1 or lines[1].startswith("    ")
