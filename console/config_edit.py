"""Changes one key of the person's configuration and leaves the rest of the text as it is."""

from __future__ import annotations

import os
import re
import stat
import tomllib


class ConfigEditError(ValueError):
    """The file cannot be changed; the words say why."""


def with_key(text: str, key: str, value: str) -> str:
    """The text with `key = "value"` at its top level. Raises ConfigEditError where that cannot be done safely."""
    line = f'{key} = "{value}"'
    head, table, rest = split_at_tables(text)
    present = re.compile(rf"^[ \t]*{re.escape(key)}[ \t]*=[^\n#]*?(?=[ \t]*(#|$))", re.MULTILINE)
    if present.search(head):
        head = present.sub(line, head, count=1)
    else:
        head = f"{head}{'' if not head or head.endswith(chr(10)) else chr(10)}{line}\n"
        if table:
            head += "\n"
    changed = head + table + rest
    try:
        fits = tomllib.loads(changed).get(key) == value
    except tomllib.TOMLDecodeError as error:
        raise ConfigEditError(f"it is no TOML: {error}") from error
    if not fits:
        raise ConfigEditError(f"{key} could not be set in it")
    return changed


def split_at_tables(text: str) -> tuple[str, str, str]:
    """What comes before the first table, its opening bracket, and what follows."""
    found = re.search(r"^[ \t]*\[", text, re.MULTILINE)
    if found is None:
        return text, "", ""
    return text[: found.start()], found.group(), text[found.end() :]


def remember(path: str, key: str, value: str) -> None:
    """Set a key in a file, which is made for us alone where there is none. Raises ConfigEditError, OSError."""
    mode = 0o600
    try:
        with open(path, encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read()
    except FileNotFoundError:
        text = ""
    except UnicodeDecodeError as error:
        raise ConfigEditError("it is not UTF-8") from error
    changed = with_key(text, key, value)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    target = os.path.realpath(path)  # a link into somebody's dotfiles stays one
    temporary = f"{target}.{os.getpid()}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8", opener=private) as file:
            file.write(changed)
            os.fchmod(file.fileno(), mode)
        os.replace(temporary, target)
    except OSError:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def private(path: str, flags: int) -> int:
    """Opens a file that nobody else can read, whatever the umask."""
    return os.open(path, flags, 0o600)
