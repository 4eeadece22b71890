"""A query in tokens: words, quoted texts, operators and parentheses, each with its columns."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from store.query_language.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = Literal["word", "quoted", "operator", "open", "close", "end"]
TEXT_MAX_CHARACTERS: Final = 4000
TOKENS_MAX: Final = 400
QUOTES: Final = "\"'`"
OPERATOR: Final = re.compile(r"!=|!~|<=|>=|==|=|<|>|~")
WORD: Final = re.compile(r"(?:(?!!=|!~|(?<=[:.])')[^\s()=<>~\"`])+")
"""An apostrophe within a word is part of it, unless a value or a key may begin there: `tag:'a b'`."""
BACKSLASHES: Final = re.compile(r"\\+")
PATTERN_OPERATORS: Final = ("~", "!~")


class Token(NamedTuple):
    """A piece of a query; `text` is without quotes."""

    kind: Kind
    text: str
    start: int
    end: int
    glued: bool
    """No blank stands before it."""


def tokens(text: str) -> list[Token]:
    """The tokens of a query, the last of kind `end`. Raises QueryError."""
    if len(text) > TEXT_MAX_CHARACTERS:
        words = f"the query has {len(text):,} characters; at most {TEXT_MAX_CHARACTERS:,} are taken"
        raise QueryError(words, TEXT_MAX_CHARACTERS, TEXT_MAX_CHARACTERS + 1)
    found = []
    for token in _scan(text):
        found.append(token)
        if len(found) > TOKENS_MAX:
            words = f"the query has more than {TOKENS_MAX} words and operators"
            raise QueryError(words, token.start, token.end, "ask for less at once")
    return [*found, Token("end", "", len(text), len(text), glued=False)]


def _scan(text: str) -> Iterator[Token]:
    position, size, before = 0, len(text), -1
    pattern_next = False
    while position < size:
        character = text[position]
        if character.isspace():
            position += 1
            continue
        glued = position == before
        if character in QUOTES:
            token = _quoted(text, position, glued)
        elif pattern_next:
            end = _pattern_end(text, position)
            token = Token("word", text[position:end], position, end, glued)
        elif character in "()":
            token = Token("open" if character == "(" else "close", character, position, position + 1, glued)
        elif match := OPERATOR.match(text, position):
            token = Token("operator", match[0], position, match.end(), glued)
        else:
            match = WORD.match(text, position)
            end = match.end() if match else position + 1
            token = Token("word", text[position:end], position, end, glued)
        yield token
        pattern_next = token.kind == "operator" and token.text in PATTERN_OPERATORS
        position = before = token.end


def _quoted(text: str, start: int, glued: bool) -> Token:
    """A text up to the same quote, which a backslash before it takes in.

    Of backslashes that stand before a quote two are one; all others are themselves, as patterns need them.
    """
    quote, parts, position = text[start], [], start + 1
    while position < len(text):
        if match := BACKSLASHES.match(text, position):
            count, position = len(match[0]), match.end()
            if text[position : position + 1] != quote:
                parts.append(match[0])
                continue
            parts.append("\\" * (count // 2))
            if count % 2:
                parts.append(quote)
                position += 1
        elif text[position] == quote:
            return Token("quoted", "".join(parts), start, position + 1, glued)
        else:
            parts.append(text[position])
            position += 1
    raise QueryError(f"the quote {quote} is not closed", start, len(text), f"end the text with {quote}")


def _pattern_end(text: str, start: int) -> int:
    """A pattern without quotes goes to the next blank, or to a parenthesis that it has not opened itself."""
    depth, position = 0, start
    while position < len(text) and not text[position].isspace():
        if text[position] == "\\":
            position += 1
        elif text[position] == "(":
            depth += 1
        elif text[position] == ")":
            if depth == 0:
                break
            depth -= 1
        position += 1
    return min(position, len(text))
