"""A file for a report of a fault: what was found, the end of the daemon's log, the configuration; without secrets."""

from __future__ import annotations

import io
import ipaddress
import json
import os
import re
import tarfile
import time
from typing import TYPE_CHECKING, Any, Final

from console.person import whoami
from console.project import masking

if TYPE_CHECKING:
    from collections.abc import Mapping

LOG_TAIL_BYTES: Final = 256 << 10
VARIABLES: Final = re.compile(
    r"(FOOTPLATE|TEXTUAL|XDG|LC)_.*|TERM|COLORTERM|NO_COLOR|LANG|SHELL|TMUX|STY|SSH_CONNECTION|SSH_TTY|PATH|PYTHON.*"
)
"""Of the environment only these are taken."""
ADDRESSES: Final = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")
LONG_ADDRESSES: Final = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:]*(?![\w:])")
"""What may be one of IPv6, as 12:34:56 may not."""
README: Final = """\
Made by `footplate doctor --bundle`. Look through it before you pass it on.

doctor.json         what every check found, versions, kernel
environment.json    variables of the terminal, the locale and footplate; nothing else of the environment
daemon.json         what the daemon says of itself
daemon.log          its last 256 KiB
config.toml         your configuration, and system-config.toml that of the box, where they are there

Replaced everywhere: your home directory by ~, your name by USER, the host's by HOST, IP addresses by ADDRESS,
and what looks like a secret by ***. Runs, their names, logs and metrics are not in it,
except where daemon.log names them.
"""


def write(path: str, facts: Mapping[str, Any], daemon: Mapping[str, Any] | None, files: Mapping[str, str]) -> None:
    """A new tar.gz that only we can read; `files` are paths by the name in it. Raises OSError, FileExistsError too."""
    parts = {
        "README.txt": README,
        "doctor.json": json.dumps(facts, indent=2),
        "environment.json": json.dumps(variables(os.environ), indent=2),
        "daemon.json": json.dumps(daemon, indent=2),
    }
    parts = {name: redacted(text) if name != "README.txt" else text for name, text in parts.items()}
    for name, source in files.items():
        text = tail(source)
        if text is not None:
            parts[name] = redacted(text)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as packed:
            for name, text in parts.items():
                content = text.encode("utf-8", "replace")
                entry = tarfile.TarInfo(f"footplate-doctor/{name}")
                entry.size, entry.mode, entry.mtime = len(content), 0o600, int(time.time())
                packed.addfile(entry, io.BytesIO(content))
    except BaseException:
        os.unlink(path)
        raise


def variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that matter, masked."""
    chosen = {name: value for name, value in sorted(environ.items()) if VARIABLES.fullmatch(name)}
    return masking.mask_mapping(chosen)


def redacted(text: str) -> str:
    """A text without secrets and without names of person and machine."""
    # What a key of several lines holds looks like nothing, line by line.
    text = masking.PRIVATE_KEY.sub(masking.MASK, text)
    text = "\n".join(map(masking.mask_text, text.split("\n")))
    home, user, host = os.path.expanduser("~"), whoami(), os.uname().nodename
    if len(home) > 1:
        text = re.sub(re.escape(home) + r"(?=[/\"'\s:]|$)", "~", text, flags=re.MULTILINE)
    for name, stands_for in ((host, "HOST"), (user, "USER")):
        if name:
            text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", stands_for, text)
    return LONG_ADDRESSES.sub(
        lambda found: "ADDRESS" if is_address(found[0]) else found[0], ADDRESSES.sub("ADDRESS", text)
    )


def is_address(text: str) -> bool:
    """Whether a text is an address of IPv6."""
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def tail(path: str) -> str | None:
    """The end of a file in whole lines; None where it cannot be read."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - LOG_TAIL_BYTES))
            data = file.read(LOG_TAIL_BYTES)
    except OSError:
        return None
    if size > LOG_TAIL_BYTES:
        data = data.partition(b"\n")[2]
    return data.decode("utf-8", "replace")
