"""What was asked of each sweep, in `sweeps/s<n>.json`: an empty file while its runs are being made.

The file is written whole when every run directory is there, which is the moment that the sweep exists. What a daemon
that was killed before that has left is taken away by the next one.
"""

from __future__ import annotations

import json
import os
import re
import time
from typing import Any, Final

from store import paths

FORMAT: Final = 1
NAME: Final = re.compile(r"s(\d{1,9})\.json")


def sweeps_dir(home: str) -> str:
    """Where they are."""
    return os.path.join(home, "sweeps")


def path_of(home: str, label: str) -> str:
    """The file of one sweep."""
    return os.path.join(sweeps_dir(home), f"{label}.json")


def claim(home: str) -> str:
    """A label that no sweep has, such as s3. Raises OSError."""
    folder = sweeps_dir(home)
    paths.make_private_dir(folder)
    number = max((int(match[1]) for name in os.listdir(folder) if (match := NAME.fullmatch(name))), default=0) + 1
    while True:
        try:
            os.close(os.open(path_of(home, f"s{number}"), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            return f"s{number}"
        except FileExistsError:
            number += 1  # of another host that shares the home


def commit(home: str, label: str, asked: dict[str, Any]) -> None:
    """All runs are there: from now on the sweep exists. Raises OSError."""
    content = {"format": FORMAT, "label": label, "created_at_s": time.time(), **asked}
    paths.write_atomically(path_of(home, label), json.dumps(content).encode())


def drop(home: str, label: str) -> None:
    """Its runs could not be made."""
    try:
        os.unlink(path_of(home, label))
    except FileNotFoundError:
        return


def read(home: str, label: str) -> dict[str, Any] | None:
    """What was asked of a sweep; None when there is none of that label, or nothing that can be read."""
    if not NAME.fullmatch(f"{label}.json"):
        return None
    try:
        with open(path_of(home, label), "rb") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def labels(home: str) -> list[str]:
    """Every sweep, oldest first."""
    folder = sweeps_dir(home)
    if not os.path.isdir(folder):
        return []
    numbers = sorted(int(match[1]) for name in os.listdir(folder) if (match := NAME.fullmatch(name)))
    return [f"s{number}" for number in numbers]


def is_unfinished(home: str, label: str) -> bool:
    """Whether the runs of a sweep were being made when the daemon died."""
    try:
        return os.stat(path_of(home, label)).st_size == 0
    except FileNotFoundError:
        return False
