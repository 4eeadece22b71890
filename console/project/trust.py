"""Whether a manifest may start commands by itself: only the text that somebody trusted, safe from other users.

Everything is read from one opened file; what lies at the path a moment later does not count. Nothing is executed.
"""

from __future__ import annotations

import difflib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from console.project import manifest_file
from console.project.manifest_model import FILE_NAME, ManifestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.project.manifest_model import Manifest

DIFF_MAX_LINES: Final = 400
DIFF_LINE_MAX_CHARACTERS: Final = 400
DIFF_MAX_INPUT_LINES: Final = 5000
"""difflib is quadratic; a longer text is shown as replaced."""


@dataclass(frozen=True, slots=True)
class TrustRecord:
    """What somebody trusted."""

    text_hash: str
    """blake3 of the bytes, in hexadecimal."""
    text: str
    """For the diff to a later text."""


@dataclass(frozen=True, slots=True)
class Trust:
    """The judgement about a project's manifest at one moment."""

    state: str
    """`none`: there is no manifest; `broken`: it cannot be used; `unsafe`: others may change it; `untrusted`: nobody
    has trusted it; `changed`: it is not the text that was trusted; `trusted`."""
    reason: str = ""
    """A sentence for people; empty for `none` and `trusted`."""
    text_hash: str = ""
    """Of the text that was judged; empty when it could not be read."""
    diff: tuple[str, ...] = ()
    """Lines of a unified diff from the trusted text to this one, for `changed`; text from outside."""
    manifest: Manifest | None = None
    """What was read, where it could be."""


def judge(folder: str, record: TrustRecord | None) -> Trust:
    """Read the manifest of a folder and say whether it may start commands by itself; raises nothing for a bad one."""
    from blake3 import blake3

    from console.project import manifest

    path = os.path.join(folder, FILE_NAME)
    try:
        descriptor = manifest_file.open_manifest(folder)
    except FileNotFoundError:
        return Trust("none")
    except ManifestError as error:
        return Trust("unsafe", str(error))
    try:
        reason = danger(descriptor, folder)
        text = manifest_file.read_text(descriptor, path)
    except ManifestError as error:
        return Trust("broken", str(error))
    finally:
        os.close(descriptor)
    text_hash = blake3(text.encode()).hexdigest()
    try:
        read = manifest.parse(text, path)
    except ManifestError as error:
        return Trust("broken", str(error), text_hash)
    if reason:
        return Trust("unsafe", reason, text_hash, manifest=read)
    if record is None:
        return Trust("untrusted", f"{path} has not been trusted: footplate trust", text_hash, manifest=read)
    if text_hash != record.text_hash:
        reason = f"{path} is not the text that was trusted: look at the changes, then footplate trust"
        return Trust("changed", reason, text_hash, difference(record.text, text), read)
    return Trust("trusted", "", text_hash, manifest=read)


def danger(descriptor: int, folder: str) -> str:
    """Why somebody else might change the opened manifest; empty when nobody but its owner, or root, can."""
    real_path = os.readlink(f"/proc/self/fd/{descriptor}")
    problem = unsafe(os.fstat(descriptor), real_path)
    for place in folders_between(os.path.realpath(folder), os.path.dirname(real_path)):
        problem = problem or unsafe_folder(place)
    return problem


def folders_between(top: str, bottom: str) -> Iterator[str]:
    """The folder that holds the file and each one above it, up to the project's."""
    yield bottom
    while bottom != top and bottom != os.path.dirname(bottom):
        bottom = os.path.dirname(bottom)
        yield bottom


def unsafe_folder(path: str) -> str:
    """Why others might replace what is in a folder; empty when they cannot."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        return f"{path} cannot be looked at: {error.strerror}"
    try:
        return unsafe(os.fstat(descriptor), path)
    finally:
        os.close(descriptor)


def unsafe(facts: os.stat_result, path: str) -> str:
    """Why a file or folder is open to others, by owner and mode. The sticky bit does not help: files may be added."""
    if facts.st_uid not in (os.geteuid(), 0):
        return f"{path} belongs to {owner_name(facts.st_uid)}, neither to you nor to root: chown it or copy it"
    if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        who = "everybody" if facts.st_mode & stat.S_IWOTH else "its group"
        return f"{path} can be written by {who}: chmod go-w {path}"
    return ""


def owner_name(uid: int) -> str:
    """The name of a user, else the number."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def difference(before: str, after: str) -> tuple[str, ...]:
    """A unified diff of two texts, cut where it is long."""
    old, new = before.splitlines(), after.splitlines()
    if max(len(old), len(new)) > DIFF_MAX_INPUT_LINES:
        return (f"the text has {len(new)} lines, the trusted one {len(old)}: too many to compare",)
    lines = [
        line if len(line) <= DIFF_LINE_MAX_CHARACTERS else f"{line[:DIFF_LINE_MAX_CHARACTERS]}…"
        for line in difflib.unified_diff(old, new, "trusted", "now", lineterm="")
    ]
    if not lines:
        return ("only line ends differ",)
    if len(lines) > DIFF_MAX_LINES:
        return (*lines[:DIFF_MAX_LINES], f"… {len(lines) - DIFF_MAX_LINES} more lines")
    return tuple(lines)
