"""What a person left behind in the console, in one small file for each host whose daemon it shows.

The file lies in the state directory of the machine that the console runs on. Two consoles may write it: the last one
wins, and a reader sees the whole of one or of the other.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from store import paths

if TYPE_CHECKING:
    from console.protocol import Json

FORMAT: Final = 1
FILE_MAX_BYTES: Final = 1 << 20
"""More than the screens ever keep."""


class Found(NamedTuple):
    """What a file held."""

    content: dict[str, Json]
    """Empty when there was no file, or none that can be used."""
    problem: str
    """One sentence when a file is there that cannot be used; else empty."""


def path_for(host: str) -> str:
    """Where what concerns a host is kept."""
    return os.path.join(paths.state_dir(), f"console-{re.sub(r'[^A-Za-z0-9._-]', '_', host)[:100] or 'host'}.json")


def load(path: str) -> Found:
    """What was kept."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        return Found({}, "")
    except OSError as error:
        return Found({}, f"{path} cannot be read: {error.strerror}")
    try:
        with open(descriptor, "rb") as file:
            content: Any = json.loads(file.read(FILE_MAX_BYTES + 1))
    except OSError as error:
        return Found({}, f"{path} cannot be read: {error.strerror}")
    except (ValueError, RecursionError):
        return Found({}, f"{path} is damaged, so the console starts anew; it is written again")
    if not isinstance(content, dict) or not isinstance(content.get("format"), int):
        return Found({}, f"{path} holds something else, so the console starts anew; it is written again")
    if content["format"] > FORMAT:
        return Found({}, f"{path} was written by a newer footplate, so the console starts anew")
    return Found(content, "")


def save(path: str, content: dict[str, Json]) -> None:
    """Replace the file, with mode 0600. Raises OSError."""
    paths.make_private_dir(os.path.dirname(path))
    text = json.dumps({"format": FORMAT, **content}, separators=(",", ":"))
    paths.write_atomically(path, text.encode("utf-8", "backslashreplace"))
