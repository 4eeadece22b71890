"""What `footplate uninstall` finds and takes away; the daemon is not needed, and must not run for the last part."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, NamedTuple

from console import daemon_process
from console.client import ClientError
from store import paths, removal, state_names

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = "config.toml"


class Places(NamedTuple):
    """Where footplate has put things; empty strings and lists for what is not there."""

    state: str
    config: str
    """The directory of config.toml."""
    outside: tuple[str, ...]
    """Directories outside of the state: for the socket, and for the index of a home on a network."""
    other_hosts: tuple[str, ...]
    """Hosts that use the same state directory."""


def places() -> Places:
    """What is there now."""
    home = daemon_process.state_dir()
    base = os.environ.get("XDG_CONFIG_HOME", "")
    config = os.path.join(base if os.path.isabs(base) else os.path.expanduser("~/.config"), "footplate")
    if not os.path.isdir(home):
        return Places("", config if os.path.isdir(config) else "", (), ())
    others = tuple(sorted(host for host in paths.local_dirs(home) if host != os.uname().nodename))
    outside = tuple(state_names.outside_dirs(home))
    return Places(home, config if os.path.isdir(config) else "", outside, others)


def refuse_obstacles(found: Places) -> None:
    """Before anything is done. Raises ClientError for what cannot be taken away whole."""
    if found.other_hosts:
        words = f"{found.state} is also used on {', '.join(found.other_hosts)}"
        raise ClientError(words, "stop the daemon there, take the host out of local.json, then repeat the command")
    for path in state_names.own_entries(found.state):
        obstacle = removal.obstacle(path) if os.path.isdir(path) else ""
        if obstacle:
            raise ClientError(f"not everything could be removed: {obstacle}", "nothing was changed")


def purge(found: Places, progress: Callable[[int], None]) -> list[str]:
    """Take away state, configuration and what lies outside; returns what stays because it is not ours.

    Raises ClientError, OSError.
    """
    left: list[str] = []
    if found.state:
        lock = take_lock(found.state)
        try:
            for outside in found.outside:
                left += state_names.take_away(outside)
            left += state_names.take_away(found.state, progress)
        finally:
            os.close(lock)
    if found.config and not os.path.islink(found.config):
        config = os.path.join(found.config, CONFIG)
        if os.path.isfile(config) and not os.path.islink(config):
            os.unlink(config)
        names = os.listdir(found.config)
        if not names:
            os.rmdir(found.config)
        left += [os.path.join(found.config, name) for name in sorted(names)]
    return left


def take_lock(home: str) -> int:
    """The daemon's lock, so that none starts meanwhile. Raises ClientError when one runs, OSError."""
    descriptor = os.open(paths.lock_path(home), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise ClientError(
            "a daemon was started meanwhile", "close consoles that are open, then repeat the command"
        ) from error
    return descriptor
