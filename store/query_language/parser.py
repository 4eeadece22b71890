"""From the text of a query to its tree, by recursive descent.

    query   = [ either ]
    either  = both { "or" both }
    both    = term { [ "and" ] term }
    term    = "not" term | "(" either ")" | field operator value | "has:" key | fact ":" text { "," text }
            | "pinned" | "archived" | "r12" | word | quoted
    field   = [ "metric." | "param." ] key | form "(" key [ "," alpha ] ")"
    form    = "last" | "best" | "min" | "max" | "smooth"
    operator = "=" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~"

Words of the grammar may be in any case. Which keys there are is not known here: see `resolve`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from store.query_language.errors import QueryError, shown
from store.query_language.facts import FACTS, TEXT_KINDS
from store.query_language.tokens import Token, tokens
from store.query_language.tree import (
    FORMS,
    And,
    Comparison,
    Field,
    Flag,
    Has,
    Node,
    Not,
    Operator,
    Or,
    Query,
    RunNumber,
    Value,
    Word,
)

if TYPE_CHECKING:
    from typing import Literal

DEPTH_MAX: Final = 40
JOINS: Final = ("and", "or")
RUN_NUMBER: Final = re.compile(r"r(\d{1,9})", re.IGNORECASE | re.ASCII)
ALPHA: Final = re.compile(r"0?\.\d+|0|0\.", re.ASCII)
PREFIXES: Final = ("metric.", "param.")


def parse(text: str) -> Query:
    """A query from its text. Raises QueryError with the columns of what is wrong."""
    parser = Parser(tokens(text))
    if parser.next.kind == "end":
        return Query(text, None)
    root = parser.either(0)
    token = parser.next
    if token.kind != "end":
        raise QueryError("this parenthesis closes nothing", token.start, token.end, "take it away, or quote it")
    return Query(text, root)


def parse_field(text: str) -> Field:
    """A field alone, as to sort by. Raises QueryError."""
    parser = Parser(tokens(text))
    token = parser.take()
    if token.kind not in ("word", "quoted"):
        raise QueryError("the name of a field is missing", token.start, token.end, "such as started, lr or best(loss)")
    field = parser.field(token)
    if parser.next.kind != "end":
        rest = parser.next
        raise QueryError(f"{shown(rest.text)} is too much after a field", rest.start, len(text), "one field to sort by")
    return field


class Parser:
    """Reads tokens from left to right."""

    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._position = 0

    @property
    def next(self) -> Token:
        """The token that is read next."""
        return self._tokens[self._position]

    def take(self) -> Token:
        """Read a token; the end is never passed."""
        token = self.next
        if token.kind != "end":
            self._position += 1
        return token

    def either(self, depth: int) -> Node:
        """What `or` joins."""
        parts = [self.both(depth)]
        while self._at_word("or"):
            self.take()
            parts.append(self.both(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def both(self, depth: int) -> Node:
        """What `and`, or nothing, joins."""
        parts = [self.term(depth)]
        while self.next.kind not in ("end", "close") and not self._at_word("or"):
            if self._at_word("and"):
                self.take()
            parts.append(self.term(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def term(self, depth: int) -> Node:
        """What stands between `and` and `or`."""
        token = self.take()
        if depth > DEPTH_MAX:
            raise QueryError(f"more than {DEPTH_MAX} parentheses or `not` in each other", token.start, token.end)
        if token.kind == "open":
            inner = self.either(depth + 1)
            if self.next.kind != "close":
                raise QueryError("this parenthesis is not closed", token.start, token.end, "a `)` is missing")
            self.take()
            return inner
        if token.kind in ("end", "close"):
            raise QueryError(self._missing(), token.start, token.end, "a condition is expected, such as `lr < 1e-3`")
        if token.kind == "operator":
            before = f"the name of a field is missing before {shown(token.text)}"
            raise QueryError(before, token.start, token.end, "such as `lr < 1e-3`; quote a text that begins like this")
        if token.kind == "word" and self.next.kind != "operator" and not self._names_quoted(token):
            word = token.text.lower()
            if word in JOINS:
                hint = f'a condition is expected before it; "{word}" in quotes is a text'
                raise QueryError(f"nothing stands before {shown(token.text)}", token.start, token.end, hint)
            if word == "not":
                return Not(self.term(depth + 1))
            if node := self._with_colon(token) or self._alone(token):
                return node
        elif token.kind == "quoted" and self.next.kind != "operator":
            return Word(token.text)
        return self._comparison(self.field(token))

    def field(self, token: Token) -> Field:
        """A field that begins with a token that was read."""
        if token.kind == "quoted":
            return Field(token.text, token.start, token.end, quoted=True)
        if self.next.kind == "open" and self.next.glued:
            return self._form(token)
        prefix = next((each for each in PREFIXES if token.text.lower().startswith(each)), "")
        if not prefix:
            return Field(token.text, token.start, token.end)
        of = cast("Literal['metric', 'param']", prefix[:-1])
        rest, end = token.text[len(prefix) :], token.end
        if not rest and self.next.kind == "quoted" and self.next.glued:
            quoted = self.take()
            return Field(quoted.text, token.start, quoted.end, of=of, quoted=True)
        if not rest:
            raise QueryError(f"the name of a {of} is missing", token.start, end, f"such as {prefix}lr")
        return Field(rest, token.start, end, of=of)

    def _form(self, token: Token) -> Field:
        """`best(key)`; alpha of `smooth(key, alpha)` may follow."""
        form = next((each for each in FORMS if each == token.text.lower()), None)
        opening = self.take()
        if form is None:
            words = f"there is no form {shown(token.text)} of a metric"
            hint = f'one of: {", ".join(FORMS)}; quote a text with parentheses: "a(b)"'
            raise QueryError(words, token.start, token.end, hint)
        first = self.take()
        if first.kind not in ("word", "quoted"):
            words = f"the name of a metric is missing in {shown(f'{form}()')}"
            raise QueryError(words, first.start, first.end, f"such as {form}(val/loss)")
        if first.kind == "word":
            first, rest = self._cut_alpha(first, form)
        else:
            rest = []
        field = replace(self.field(first), form=form)
        while self.next.kind == "word":
            rest.append(self.take())
        closing = self.take()
        if closing.kind != "close":
            raise QueryError("this parenthesis is not closed", opening.start, opening.end, "a `)` is missing")
        if rest and form != "smooth":
            hint = "quote a key with blanks or commas"
            raise QueryError(f"{form}() takes the name of one metric", rest[0].start, rest[-1].end, hint)
        if rest:
            field = replace(field, alpha=_alpha(rest))
        return replace(field, start=token.start, end=closing.end)

    @staticmethod
    def _cut_alpha(token: Token, form: str) -> tuple[Token, list[Token]]:
        """`loss,0.9` and `loss,` of smooth() are a key and what follows the comma."""
        key, comma, alpha = token.text.rpartition(",")
        if form != "smooth" or not comma or not key or (alpha and not ALPHA.fullmatch(alpha)):
            return token, []
        cut = token.start + len(key)
        rest = Token("word", comma + alpha, cut, token.end, glued=True)
        return Token("word", key, token.start, cut, token.glued), [rest]

    def _comparison(self, field: Field) -> Comparison:
        token = self.take()
        if token.kind != "operator":
            words = f"a comparison is missing after {shown(field.name)}"
            raise QueryError(words, token.start, token.end, "one of: = != < <= > >= ~ !~")
        operator = cast("Operator", "=" if token.text == "==" else token.text)
        value = self.next
        if value.kind not in ("word", "quoted") or (value.kind == "word" and value.text.lower() in (*JOINS, "not")):
            raise QueryError(f"a value is missing after {shown(token.text)}", value.start, value.end, "quote a text")
        self.take()
        return Comparison(field, operator, Value(value.text, value.start, value.end, value.kind == "quoted"))

    def _with_colon(self, token: Token) -> Node | None:
        """`state:failed,stopped`, `tag:x`, `has:note`; None where no such fact is named."""
        prefix, colon, rest = token.text.partition(":")
        name = prefix.lower()
        if not colon or (name != "has" and not (name in FACTS and FACTS[name].kind in TEXT_KINDS)):
            return None
        start, end, quoted = token.start + len(prefix) + 1, token.end, False
        if not rest and self.next.kind == "quoted" and self.next.glued:
            following = self.take()
            rest, start, end, quoted = following.text, following.start, following.end, True
        if not rest:
            raise QueryError(f"a value is missing after {shown(token.text)}", token.end, token.end)
        if name == "has":
            prefix = next((each for each in PREFIXES if rest.lower().startswith(each) and not quoted), "")
            of = cast("Literal['', 'metric', 'param']", prefix[:-1])
            return Has(Field(rest[len(prefix) :], start, end, of=of, quoted=quoted))
        field = Field(name, token.start, token.start + len(prefix))
        values = [Value(rest, start, end, quoted=True)] if quoted else list(_listed(rest, start))
        if not values:
            raise QueryError(f"a value is missing after {shown(token.text)}", start, end)
        parts = [Comparison(field, ":", value) for value in values]
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _alone(self, token: Token) -> Node | None:
        """A word that is compared with nothing; None where a form of a metric begins."""
        if self.next.kind == "open" and self.next.glued:
            return None
        if match := RUN_NUMBER.fullmatch(token.text):
            return RunNumber(int(match[1]))
        match token.text.lower():
            case "pinned":
                return Flag("pinned")
            case "archived":
                return Flag("archived")
        return Word(token.text)

    def _names_quoted(self, token: Token) -> bool:
        """Whether a key in quotes follows its prefix: `param."a b"`."""
        return token.text.lower() in PREFIXES and self.next.kind == "quoted" and self.next.glued

    def _missing(self) -> str:
        before = self._tokens[self._position - 1] if self._position else None
        if before is None or before.kind == "end":
            return "a condition is missing"
        return f"a condition is missing after {shown(before.text)}"

    def _at_word(self, word: str) -> bool:
        """Whether a word of the grammar comes next; compared with something it is a name."""
        token = self.next
        if token.kind != "word" or token.text.lower() != word:
            return False
        return self._tokens[self._position + 1].kind != "operator"


def _listed(text: str, start: int) -> list[Value]:
    """The texts between commas, those that are empty left out."""
    found = []
    for part in text.split(","):
        if part:
            found.append(Value(part, start, start + len(part)))
        start += len(part) + 1
    return found


def _alpha(rest: list[Token]) -> float:
    text = "".join(token.text for token in rest)
    if text.startswith(",") and ALPHA.fullmatch(text[1:]):
        return float(text[1:])
    words = f"{shown(text)} is no alpha of smooth()"
    raise QueryError(words, rest[0].start, rest[-1].end, "a comma and a number from 0 to below 1: smooth(loss, 0.9)")
