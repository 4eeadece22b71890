"""A process started by hand, looked at before it becomes a run: who it is, what it runs, where it writes."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

from console.jobs import spec
from console.jobs.options import Adopted
from store import identity

if TYPE_CHECKING:
    from collections.abc import Iterable

OWN_VARIABLES = ("FOOTPLATE_RUN_ID", "FOOTPLATE_PROCESS")


class AdoptionError(ValueError):
    """A process that cannot become a run; the message says which and why."""


def look_at(pid: int, asked: dict[str, Any], adopted: Iterable[dict[str, Any]]) -> tuple[spec.Request, Adopted]:
    """A run of this process, with name and project as `asked`; `adopted` are the processes that live runs took over.

    Raises AdoptionError: no such process, not ours, already part of a run, a part of footplate, a kernel thread; and
    SpecError for a name or project that cannot be.
    """
    process = identity.identify(pid)
    if process is None or not identity.is_alive(process):
        raise AdoptionError(f"there is no process {pid}")
    if pid in (1, os.getpid()):
        raise AdoptionError(f"process {pid} cannot become a run")
    owner = os.stat(f"/proc/{pid}").st_uid
    if owner != os.getuid():
        raise AdoptionError(f"process {pid} belongs to uid {owner}, not to us: it could be neither watched nor stopped")
    if process.to_json() in list(adopted):
        raise AdoptionError(f"process {pid} is a run already")
    try:
        variables = variables_of(pid)
        argv = split_nul(f"/proc/{pid}/cmdline")
        working_dir = os.readlink(f"/proc/{pid}/cwd")
    except OSError as error:
        raise AdoptionError(f"process {pid} cannot be looked at: {error.strerror}") from error
    if "FOOTPLATE_RUN_ID" in variables:
        raise AdoptionError(f"process {pid} is part of run {variables['FOOTPLATE_RUN_ID']} already")
    if "FOOTPLATE_PROCESS" in variables:
        raise AdoptionError(f"process {pid} is a part of footplate")
    if not argv or not argv[0]:
        raise AdoptionError(f"process {pid} has no command line: a kernel thread, or one that hides it")
    if identity.identify(pid) != process:
        raise AdoptionError(f"process {pid} ended while it was looked at")
    request = spec.parse_request(
        {
            "argv": argv,
            "working_dir": working_dir.removesuffix(" (deleted)"),
            "environment": {},
            "name": asked.get("name"),
            "project": asked.get("project"),
        }
    )
    return request, Adopted(process.to_json(), log_path_of(pid))


def variables_of(pid: int) -> dict[str, str]:
    """Those of our own variables that a process was started with."""
    pairs = (entry.partition("=") for entry in split_nul(f"/proc/{pid}/environ"))
    return {name: value for name, _, value in pairs if name in OWN_VARIABLES}


def split_nul(path: str) -> list[str]:
    """The strings of a file of /proc that ends each with a NUL."""
    with open(path, "rb") as file:
        data = file.read()
    return [os.fsdecode(entry) for entry in data.removesuffix(b"\0").split(b"\0")] if data else []


def log_path_of(pid: int) -> str:
    """The regular file that stdout goes to; empty when it goes elsewhere (a terminal, a pipe) or is deleted."""
    link = f"/proc/{pid}/fd/1"
    try:
        path, facts = os.readlink(link), os.stat(link)
        same = os.path.samestat(facts, os.lstat(path))
    except OSError:
        return ""
    return path if stat.S_ISREG(facts.st_mode) and same else ""
