"""Saved views of the run table: filter, order and columns, a text file each that a person may write and share.

They lie in `$XDG_CONFIG_HOME/footplate/views/NAME.toml`. Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tomllib
from typing import Any, Final, NamedTuple

from console.run_columns import COLUMNS_MAX, ColumnError, parse_column

AUTOMATIC: Final = "automatic"
"""What a file says of columns that choose themselves."""
DEFAULT_NAME: Final = "default"
"""The view that the console opens with, if there is one of that name."""
FILE_MAX_BYTES: Final = 1 << 16
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
PLACE: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
KINDS: Final[dict[str, type | tuple[type, ...]]] = {"descending": bool, "columns": (list, str)}
"""What keys hold that hold no text."""
EXPECTED: Final = {
    "filter": "a text, as after `/`",
    "sort": "a text, such as started, lr or best(val/acc)",
    "descending": "true or false",
    "columns": 'a list such as ["param:lr", "metric:val/acc:best"], or "automatic"',
}


class ViewError(Exception):
    """A view that cannot be read or written, in one sentence with the file."""


class View(NamedTuple):
    """What of the runs is shown, and how."""

    name: str
    filter: str = ""
    sort: str = "started"
    """A field of the query language."""
    descending: bool = True
    columns: tuple[str, ...] | None = None
    """Names as in `console.run_columns`; None for those that choose themselves."""


class Broken(NamedTuple):
    """A file that is no view, and why."""

    name: str
    problem: str


def folder() -> str:
    """Where the views lie."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(base, "footplate", "views")


def path_of(name: str) -> str:
    """The file of a view. Raises ViewError for what is no name of one."""
    if not NAME.fullmatch(name):
        raise ViewError(f"{name!r} is no name of a view: letters, digits, - _ . and at most 64 of them")
    return os.path.join(folder(), f"{name}.toml")


def default() -> View | Broken | None:
    """The view that the table opens with; None where there is none."""
    if not os.path.exists(path_of(DEFAULT_NAME)):
        return None
    try:
        return read(DEFAULT_NAME)
    except ViewError as error:
        return Broken(DEFAULT_NAME, str(error))


def names() -> list[str]:
    """The names of all views; files with other names are left out."""
    try:
        found = os.listdir(folder())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ViewError(f"{folder()}: {error.strerror}") from error
    stems = (name.removesuffix(".toml") for name in found if name.endswith(".toml"))
    return sorted(stem for stem in stems if NAME.fullmatch(stem))


def read_all() -> list[View | Broken]:
    """Every view, by name. Raises ViewError when the folder cannot be read."""
    found: list[View | Broken] = []
    for name in names():
        try:
            found.append(read(name))
        except ViewError as error:
            found.append(Broken(name, str(error)))
    return found


def read(name: str) -> View:
    """One view. Raises ViewError with file, line and key of what is wrong."""
    path = path_of(name)
    try:
        with open(path, "rb") as file:
            content = file.read(FILE_MAX_BYTES + 1)
    except FileNotFoundError:
        raise ViewError(f"there is no view {name!r}; `footplate views` lists them") from None
    except OSError as error:
        raise ViewError(f"{path}: {error.strerror}") from error
    if len(content) > FILE_MAX_BYTES:
        raise ViewError(f"{path}: longer than {FILE_MAX_BYTES} bytes, which no view is")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ViewError(f"{path}, line {line}: not UTF-8") from error
    return parse(name, text, path)


def parse(name: str, text: str, path: str) -> View:
    """A view from the text of its file. Raises ViewError."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = PLACE.search(str(error))
        line = int(said[1]) if said and said[1] else max(1, len(text.rstrip("\n").splitlines()))
        raise ViewError(f"{path}, line {line}: is no TOML: {PLACE.sub('', str(error))}") from None
    for key, value in table.items():
        if key not in EXPECTED:
            raise wrong(path, text, key, "is unknown", f"one of {', '.join(EXPECTED)}")
        if not isinstance(value, KINDS.get(key, str)):
            raise wrong(path, text, key, f"is {json.dumps(value, default=str)}", EXPECTED[key])
    columns = table.get("columns", AUTOMATIC)
    chosen = None if columns == AUTOMATIC else checked_columns(columns, path, text)
    known = {key: value for key, value in table.items() if key != "columns"}
    return View(name, **known, columns=chosen)


def checked_columns(columns: Any, path: str, text: str) -> tuple[str, ...]:
    """The names of columns in a file. Raises ViewError."""
    if isinstance(columns, str) or not all(isinstance(each, str) for each in columns):
        raise wrong(path, text, "columns", f"is {json.dumps(columns, default=str)}", EXPECTED["columns"])
    try:
        found = tuple(dict.fromkeys(parse_column(each).name for each in columns))
    except ColumnError as error:
        raise wrong(path, text, "columns", str(error), EXPECTED["columns"]) from error
    if len(found) > COLUMNS_MAX:
        raise wrong(path, text, "columns", f"are {len(found)}", f"at most {COLUMNS_MAX}")
    return found


def wrong(path: str, text: str, key: str, problem: str, expected: str) -> ViewError:
    """The error for a key with its line."""
    begins = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*[=.\]]|\s*\[+\s*{re.escape(key)}""")
    line = next((number for number, each in enumerate(text.splitlines(), 1) if begins.match(each)), 1)
    return ViewError(f"{path}, line {line}: {key} {problem}; expected {expected}")


def text_of(view: View) -> str:
    """The file of a view."""
    columns = AUTOMATIC if view.columns is None else list(view.columns)
    values = {"filter": view.filter, "sort": view.sort, "descending": view.descending, "columns": columns}
    # A text in JSON is one in TOML as well, save for DEL, which TOML wants escaped.
    return "".join(
        f"{key} = {json.dumps(value, ensure_ascii=False)}\n".replace("\x7f", "\\u007f") for key, value in values.items()
    )


def write(view: View) -> str:
    """Keep a view in place of one of the same name; returns the path. Raises ViewError."""
    path = path_of(view.name)
    scratch = f"{path}.{os.getpid()}.new"
    try:
        content = text_of(view).encode()
    except UnicodeEncodeError as error:
        raise ViewError(f"the view {view.name!r} holds text that is no Unicode") from error
    try:
        os.makedirs(folder(), mode=0o700, exist_ok=True)
        with open(scratch, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(scratch)
        raise ViewError(f"{path}: {error.strerror}") from error
    return path


def delete(name: str) -> None:
    """Take a view away. Raises ViewError."""
    try:
        os.unlink(path_of(name))
    except FileNotFoundError:
        raise ViewError(f"there is no view {name!r}") from None
    except OSError as error:
        raise ViewError(f"{path_of(name)}: {error.strerror}") from error
