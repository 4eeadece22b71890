"""What is wrong with a configuration file: line, key, what was expected. Import this late, as it needs pydantic."""

from __future__ import annotations

import os
import tomllib
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from console.config import CHOICES, FILE_MAX_BYTES, FLAGS, TABLES, key_list
from console.config_model import ConfigFile
from console.project.manifest_lines import DEPTH_MAX, KeyLines
from console.project.manifest_model import ManifestError
from console.project.manifest_values import kind_of, nearest, shown
from console.project.toml_errors import dotted, syntax_error

if TYPE_CHECKING:
    from console.config import Loaded

EXPECTED: Final = {
    "keys": 'a key such as "X" or "F8", or a list of keys',
    "hosts": "the name to show, in quotes",
}


def complaints(loaded: Loaded) -> list[str]:
    """One sentence for each thing that was left out of the files that were read."""
    return [str(problem) for file in loaded.files for problem in problems(file.path)]


def problems(path: str) -> list[ManifestError]:
    """Everything that is wrong with a file, in the order of its lines; nothing where there is no file."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            data = file.read(FILE_MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        words = f"cannot be read ({error.strerror or error})"
        return [ManifestError(path, 0, "", words, "a file that you may read")]
    if len(data) > FILE_MAX_BYTES:
        return [ManifestError(path, 0, "", "is too long", f"at most {FILE_MAX_BYTES >> 20} MiB")]
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return [ManifestError(path, line, "", "is not UTF-8", "text in UTF-8")]
    return of_text(text, path)


def of_text(text: str, path: str) -> list[ManifestError]:
    """Everything that is wrong with the text of a file."""
    lines = KeyLines(text)
    if lines.too_deep:
        words = "lists, tables or names lie too deep in each other"
        return [ManifestError(path, lines.too_deep, "", words, f"at most {DEPTH_MAX}")]
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return [syntax_error(str(error), text, path, lines)]
    found: dict[str, ManifestError] = {}
    try:
        ConfigFile.model_validate(tables)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            problem = explained(detail["loc"], detail["type"], tables, path, lines)
            found.setdefault(problem.key, problem)
    for problem in unbindable(tables, path, lines):
        found.setdefault(problem.key, problem)
    return sorted(found.values(), key=lambda problem: problem.line)


def explained(
    place: tuple[int | str, ...], kind: str, tables: dict[str, Any], path: str, lines: KeyLines
) -> ManifestError:
    """One of pydantic's findings in our words."""
    top = str(place[0])
    key = place[:2] if top in TABLES else place[:1]
    line = lines.line(key)
    if kind == "extra_forbidden":
        known = list(ConfigFile.model_fields)
        meant = nearest(top, known)
        problem = "is no key that footplate knows" + (f" (did you mean {meant!r}?)" if meant else "")
        return ManifestError(path, line, dotted(key), problem, f"one of {', '.join(known)}")
    given = tables[top]
    if len(key) > 1:
        given = given[key[1]]
    if top in CHOICES:
        return ManifestError(
            path, line, top, f"{shown(given)} is none of its words", f"one of {', '.join(CHOICES[top])}"
        )
    expected = "true or false" if top in FLAGS else "a table" if len(key) == 1 else EXPECTED[top]
    return ManifestError(path, line, dotted(key), f"{shown(given)} is {kind_of(given)}", expected)


def unbindable(tables: dict[str, Any], path: str, lines: KeyLines) -> list[ManifestError]:
    """Entries of `[keys]` whose action or key does not exist, or whose key is taken; empty texts."""
    from console.tui import actions, keymap

    found = []
    entries = tables.get("keys")
    wishes = {name: key_list(entry) for name, entry in entries.items()} if isinstance(entries, dict) else {}
    refused = [keymap.Refused(name, "is empty", EXPECTED["keys"]) for name, keys in wishes.items() if not keys]
    refused += keymap.fitting(actions.ACTIONS, {name: keys for name, keys in wishes.items() if keys})[1]
    for one in refused:
        key = ("keys", one.name)
        found.append(ManifestError(path, lines.line(key), dotted(key), one.problem, one.expected))
    hosts = tables.get("hosts")
    for host in [name for name, shown_as in hosts.items() if shown_as == ""] if isinstance(hosts, dict) else ():
        key = ("hosts", host)
        found.append(ManifestError(path, lines.line(key), dotted(key), "is empty", EXPECTED["hosts"]))
    return found
