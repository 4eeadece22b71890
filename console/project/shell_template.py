"""Scripts for `/bin/sh` with placeholders, each of which becomes a reference to a variable in double quotes. Pure.

Where quotes begin and end is followed as the shell does it, so that a reference is quoted whatever stands around it.
Where a shell would take a variable's value for more than text (arithmetic) or for less (single quotes, here-documents),
a placeholder is refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from console.project.placeholders import TemplateError, check_placeholder, variable

if TYPE_CHECKING:
    from collections.abc import Collection

_NAME: Final = re.compile(r"\{([^{}]*)\}")
ARITHMETIC: Final = "(("
_WORD_START: Final = frozenset(" \t\n;&|()")


def shell_script(template: str, names: Collection[str]) -> str:
    """The script with references in place of placeholders; raises TemplateError."""
    return _Script(template, names).written()


class _Script:
    """One pass over a template. The stack says what the shell is inside of, innermost last."""

    def __init__(self, template: str, names: Collection[str]) -> None:
        self._text = template
        self._names = names
        self._inside: list[str] = ["code"]
        self._here_document = False
        self._in_test = False
        self._at = 0

    def written(self) -> str:
        """The script."""
        pieces = []
        while self._at < len(self._text):
            start = self._at
            pieces.append(self._piece())
            if self._at == start:
                self._at += 1
        if self._inside[-1] in ("'", '"'):
            raise TemplateError(f"no closing {self._inside[-1]}", "quotes in pairs")
        return "".join(pieces)

    def _piece(self) -> str:
        text, at, state = self._text, self._at, self._inside[-1]
        character, two = text[at], text[at : at + 2]
        if two in ("{{", "}}"):
            return self._take(2)[0]
        if character == "\\" and state != "'":
            if text[at + 1 : at + 2] == "{" and text[at + 1 : at + 3] != "{{":
                raise TemplateError("a backslash stands before a placeholder", "{{ where a brace itself is meant")
            # What is escaped begins nothing.
            return self._take(1) if text[at + 1 : at + 2] in ("{", "}") else self._take(2)
        if two == "${" and state != "'":
            return self._expansion()
        if character in "{}":
            return self._placeholder()
        if state == "'":
            if character == "'":
                self._inside.pop()
            return self._take(1)
        if character == "#" and state in ("code", "(") and (at == 0 or text[at - 1] in _WORD_START):
            return self._comment()
        if two in ("[[", "]]"):
            self._in_test = two == "[["
        if two == "$[":
            raise TemplateError("$[ is not understood", "$(( )) for arithmetic")
        if text.startswith("$((", at) or (two == "((" and state != '"'):
            # One for each of the two that close it.
            self._inside += [ARITHMETIC, ARITHMETIC]
            return self._take(3 if character == "$" else 2)
        if two == "$(":
            self._inside.append("(")
            return self._take(2)
        if two == "<<" and state != '"':
            self._here_document = self._here_document or state != ARITHMETIC
            return self._take(2)
        self._follow(character, state)
        return self._take(1)

    def _follow(self, character: str, state: str) -> None:
        """Go into or out of what a single character opens or closes."""
        if character == "'" and state != '"':
            self._inside.append("'")
        elif character in ('"', "`"):
            if state == character:
                self._inside.pop()
            else:
                self._inside.append(character)
        elif character == "(" and state in ("code", "(", ARITHMETIC):
            self._inside.append(ARITHMETIC if state == ARITHMETIC else "(")
        elif character == ")" and state in ("(", ARITHMETIC):
            self._inside.pop()

    def _take(self, count: int) -> str:
        taken = self._text[self._at : self._at + count]
        self._at += count
        return taken

    def _comment(self) -> str:
        end = self._text.find("\n", self._at)
        taken = self._text[self._at :] if end < 0 else self._text[self._at : end]
        self._at += len(taken)
        return taken

    def _expansion(self) -> str:
        """A variable of the shell's own, `${HOME}`."""
        end = self._text.find("}", self._at)
        taken = self._text[self._at : end + 1]
        if end < 0 or "{" in taken[2:]:
            raise TemplateError(f"{taken or self._text[self._at :]!r} is not understood", "${NAME}, with no { in it")
        self._at = end + 1
        return taken

    def _placeholder(self) -> str:
        found = _NAME.match(self._text, self._at)
        check_placeholder(found.group() if found else self._text[self._at], found and found.group(1), self._names)
        assert found is not None
        self._at = found.end()
        reference = f"${{{variable(found.group(1))}}}"
        state = self._inside[-1]
        if state == "'":
            raise TemplateError(
                f"{found.group()} stands in single quotes, where a shell fills in nothing", "it outside"
            )
        if ARITHMETIC in self._inside or "`" in self._inside or self._in_test:
            # In arithmetic, and in comparisons inside of [[ ]], some shells execute what a value holds.
            raise TemplateError(f"{found.group()} stands in (( )), [[ ]] or backquotes", "it outside, in [ ] or $( )")
        if self._here_document:
            raise TemplateError(f"{found.group()} stands after <<", "the command without a here-document")
        return reference if state == '"' else f'"{reference}"'
