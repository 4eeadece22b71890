"""What to say about a TOML text that `tomllib` refuses, and how a key in it is written for people."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from console.project.manifest_model import ManifestError
from console.project.manifest_values import shown

if TYPE_CHECKING:
    from console.project.manifest_lines import Key, KeyLines

PLACE: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
TWICE: Final = re.compile(r"Cannot (?:declare \(.*\) twice|overwrite a value|mutate immutable namespace .*)")


def syntax_error(message: str, text: str, path: str, lines: KeyLines) -> ManifestError:
    """What to say when `tomllib` refuses a text."""
    found = PLACE.search(message)
    line = int(found.group(1)) if found and found.group(1) else max(1, len(text.rstrip("\n").splitlines()))
    problem = PLACE.sub("", message)
    at_end = found is not None and found.group(1) is None
    key = next(reversed(lines.on_line.values()), ()) if at_end else lines.on_line.get(line, ())
    if TWICE.match(problem):
        first = lines.first.get(key, line)
        before = f", first on line {first}" if first != line else ""
        return ManifestError(path, line, dotted(key), f"is defined twice{before}", "each table and key once")
    if text.startswith("\ufeff"):
        problem = "begins with a byte order mark"
    return ManifestError(path, line, dotted(key), f"is no TOML: {problem}", 'lines such as name = "value"')


def dotted(key: Key) -> str:
    """A key as a person would write it; what cannot stand bare is quoted. The line tells positions in lists."""
    names = [part for part in key if isinstance(part, str)]
    return ".".join(name if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) else shown(name) for name in names)
