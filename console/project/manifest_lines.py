"""On which line each key of a TOML text stands: `tomllib` gives values without places. Standard library only.

The text is not checked here. Of one that `tomllib` refuses, as much is found as can be read up to there.
"""

from __future__ import annotations

import contextlib
import re
from typing import Final, NoReturn

Key = tuple[str | int, ...]
"""Names of tables and keys from the top; positions in arrays are numbers."""

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_BLANK: Final = re.compile(r"(?:[ \t]|\r?\n|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_SCALAR: Final = re.compile(r"[^,\]}\n#]*")
_STRINGS: Final = (
    re.compile(r'"""(?:\\.|[^\\])*?"{3,5}', re.DOTALL),
    re.compile(r"'''.*?'{3,5}", re.DOTALL),
    re.compile(r'"(?:\\.|[^"\\\n])*"'),
    re.compile(r"'[^'\n]*'"),
)
_ESCAPE: Final = re.compile(r'\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|x([0-9A-Fa-f]{2})|([btnfre"\\]))')
_SHORT: Final = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b", '"': '"', "\\": "\\"}
DEPTH_MAX: Final = 50
"""Names of one key, and values in each other: `tomllib` takes very long for many of the one, and fails at the other."""


class _Unreadable(Exception):
    """The text does not go on as TOML does."""


class KeyLines:
    """The places of keys, counted from line 1."""

    def __init__(self, text: str) -> None:
        self.first: dict[Key, int] = {}
        """Line of the first mention of a key or table."""
        self.on_line: dict[int, Key] = {}
        """The last key or table that is mentioned on a line."""
        self.too_deep = 0
        """The line of the first key or value that goes deeper than DEPTH_MAX; 0 when there is none."""
        self._text = text
        self._at = 0
        self._line = 1
        self._counted = 0
        self._arrays: dict[Key, int] = {}
        with contextlib.suppress(_Unreadable, IndexError):
            self._document()

    def line(self, key: Key) -> int:
        """The line of a key, else of the nearest table around it, else 1."""
        while key:
            for form in (key, tuple(part for part in key if isinstance(part, str))):
                if form in self.first:
                    return self.first[form]
            key = key[:-1]
        return 1

    def _document(self) -> None:
        table: Key = ()
        while True:
            self._skip(_BLANK)
            if self._at >= len(self._text):
                return
            if self._text.startswith("[[", self._at):
                self._at += 2
                table = self._array_header()
            elif self._text[self._at] == "[":
                self._at += 1
                line = self._here()
                table = self._note((), self._key(), line)
                self._expect("]")
            else:
                self._pair(table, 0)

    def _array_header(self) -> Key:
        line = self._here()
        names = self._key()
        self._expect("]]")
        base = self._note((), names[:-1], line)
        array = (*base, names[-1])
        self.first.setdefault(array, line)
        self._arrays[array] = self._arrays.get(array, -1) + 1
        element = (*array, self._arrays[array])
        self.first[element] = line
        return element

    def _note(self, table: Key, names: list[str], line: int) -> Key:
        for name in names:
            table = (*table, name)
            self.first.setdefault(table, line)
            if table in self._arrays:
                table = (*table, self._arrays[table])
        self.on_line[line] = table
        return table

    def _pair(self, table: Key, depth: int) -> None:
        line = self._here()
        key = self._note(table, self._key(), line)
        self._expect("=")
        self._skip(_SPACE)
        self._value(key, depth)

    def _key(self) -> list[str]:
        names = []
        while True:
            self._skip(_SPACE)
            opening = self._text[self._at]
            found = (_STRINGS[2] if opening == '"' else _STRINGS[3] if opening == "'" else _BARE).match(
                self._text, self._at
            )
            if found is None:
                raise _Unreadable
            self._at = found.end()
            names.append(_unquoted(found.group()))
            if len(names) > DEPTH_MAX:
                self._stop_too_deep()
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return names
            self._at += 1

    def _value(self, key: Key, depth: int) -> None:
        opening = self._text[self._at]
        if depth > DEPTH_MAX:
            self._stop_too_deep()
        if opening in "\"'":
            found = next((found for form in _STRINGS if (found := form.match(self._text, self._at))), None)
            if found is None:
                raise _Unreadable
            self._at = found.end()
        elif opening == "[":
            self._items(key, "]", depth)
        elif opening == "{":
            self._items(key, "}", depth)
        else:
            self._skip(_SCALAR)

    def _items(self, key: Key, closing: str, depth: int) -> None:
        self._at += 1
        count = 0
        while True:
            self._skip(_BLANK)
            if self._text[self._at] == closing:
                self._at += 1
                return
            if self._text[self._at] == ",":
                self._at += 1
            elif closing == "}":
                self._pair(key, depth + 1)
            else:
                self.first.setdefault((*key, count), self._here())
                before = self._at
                self._value((*key, count), depth + 1)
                if self._at == before:
                    raise _Unreadable
                count += 1

    def _stop_too_deep(self) -> NoReturn:
        self.too_deep = self._here()
        raise _Unreadable

    def _skip(self, form: re.Pattern[str]) -> None:
        found = form.match(self._text, self._at)
        if found is not None:
            self._at = found.end()

    def _expect(self, text: str) -> None:
        self._skip(_SPACE)
        if not self._text.startswith(text, self._at):
            raise _Unreadable
        self._at += len(text)

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line


def _unquoted(name: str) -> str:
    if name[0] == "'":
        return name[1:-1]
    if name[0] != '"':
        return name
    return _ESCAPE.sub(_unescaped, name[1:-1])


def _unescaped(found: re.Match[str]) -> str:
    digits = found.group(1) or found.group(2) or found.group(3)
    if digits is None:
        return _SHORT[found.group(4)]
    code = int(digits, 16)
    return chr(code) if code <= 0x10FFFF else found.group()
