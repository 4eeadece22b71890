"""pyte, three times as quick where it goes through escape sequences and cells one by one; it draws the same."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any, Final

import pyte
from pyte import charsets, modes, screens

COMMAND: Final = re.compile(r"\x1b\[([0-9;]*)([A-Za-z@`])")
"""A whole sequence without anything but parameters; all others are left to pyte."""
PARAMETER_MAX: Final = 9999
_narrow: set[str] = set()
"""Characters that are known to take one cell."""


class QuickScreen(pyte.Screen):
    """Draws what fits onto the line, one cell a character, without a look at each of them."""

    def __init__(self, columns: int, lines: int) -> None:
        super().__init__(columns, lines)
        self._cells: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        """By how they look, then by what is in them."""

    def draw(self, data: str) -> None:
        """Put text at the cursor."""
        cursor = self.cursor
        end = cursor.x + len(data)
        as_it_is = self.charset == 0 and self.g0_charset is charsets.LAT1_MAP and modes.IRM not in self.mode
        if end > self.columns or not as_it_is or not is_narrow(data):
            super().draw(data)
            return
        line, cells = self.buffer[cursor.y], self._cells[cursor.attrs]
        for column, character in enumerate(data, cursor.x):
            cell = cells.get(character)
            if cell is None:
                cell = cells[character] = cursor.attrs._replace(data=character)
            line[column] = cell
        cursor.x = end
        self.dirty.add(cursor.y)


class QuickStream(pyte.ByteStream):
    """Takes a sequence as a whole when it has come as a whole."""

    def feed(self, data: bytes) -> None:  # type: ignore[override]  # as pyte's own stream of bytes
        """Draw what a program wrote."""
        if not self.use_utf8:
            super().feed(data)
            return
        assert self.listener is not None
        text = self.utf8_decoder.decode(data)
        offset = 0
        while offset < len(text):
            if self._taking_plain_text:
                if plain := self._text_pattern.match(text, offset):
                    self.listener.draw(plain.group())
                    offset = plain.end()
                    continue
                command = COMMAND.match(text, offset)
                if command and (name := self.csi.get(command[2])):
                    words = command[1].split(";")
                    getattr(self.listener, name)(*(min(int(word or 0), PARAMETER_MAX) for word in words))
                    offset = command.end()
                    continue
            self._taking_plain_text = self._send_to_parser(text[offset])
            offset += 1


def is_narrow(text: str) -> bool:
    """Whether every character takes one cell."""
    if _narrow.issuperset(text):
        return True
    new = {character for character in text if character not in _narrow and screens.wcwidth(character) == 1}
    _narrow.update(new)
    return _narrow.issuperset(text)
