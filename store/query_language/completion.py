"""What may come next in a query: names, operators and values that begin as what was typed."""

from __future__ import annotations

import math
import re
import time
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from store.query_language.errors import QueryError
from store.query_language.facts import FACTS, FLAGS, HAVING, STATES, Fact
from store.query_language.fields import ParamField, resolve
from store.query_language.names import Names
from store.query_language.tokens import TEXT_MAX_CHARACTERS, Token, tokens
from store.query_language.tree import FORMS, Field

if TYPE_CHECKING:
    from collections.abc import Iterable

    from store.database import Cursor

Kind = Literal["fact", "metric", "param", "form", "operator", "word", "value"]
ANSWER_MAX: Final = 50
OPERATORS: Final = {
    "text": ("=", "!=", "~", "!~"),
    "words": ("~", "!~", "=", "!="),
    "many": ("=", "!=", "~", "!~"),
    "param": ("=", "!=", "<", "<=", ">", ">=", "~", "!~"),
}
"""By kind of fact; of all others only that they are ordered."""
ORDERED: Final = ("<", "<=", ">", ">=", "=", "!=")
PLAIN: Final = re.compile(
    r"(?!(?:metric|param)\.|not$|and$|or$|r\d+$)[^\s()=<>~!\"'`,:][^\s()=<>~!\"`,:]*", re.IGNORECASE
)
"""A key that needs no quotes."""
MOMENTS: Final = ("today", "yesterday")
SAMPLES: Final = {"duration": ("30m", "1h", "1d", "7d", "30d"), "time": MOMENTS}
KEYS_SQL: Final = """
    select id, name from {table} where contains(lower(name), $typed) and length(name) between 1 and 200
    order by starts_with(lower(name), $typed) desc,
        contains(replace(replace(replace(lower(name), '/', ' '), '_', ' '), '.', ' '), ' ' || $typed) desc,
        length(name), name
    limit {limit}
"""
COUNTS_SQL: Final = "select key_id, count(*) from {table} group by key_id"
COUNTS_FRESH_S: Final = 30.0
"""Counts serve to choose between keys: a run more or less does not matter, and not to count at every letter does."""
VALUES_SQL: Final = """
    select text, count(*) as run_count from ({source}) where text <> '' and contains(lower(text), $typed)
        and length(text) <= 200
    group by text order by starts_with(lower(text), $typed) desc, run_count desc, text limit {limit}
"""


class Completion(NamedTuple):
    """Something that may stand where `Completions.start` to `end` is now."""

    text: str
    kind: Kind
    run_count: int | None
    """How many runs have it; None where that is not counted."""
    words: str
    """What it is; empty for keys and values."""


class Completions(NamedTuple):
    """At most 50, the likeliest first, and the columns that each of them replaces."""

    start: int
    end: int
    items: tuple[Completion, ...]


class Place(NamedTuple):
    """What stands before the cursor: the token that is being typed, and those before it."""

    typed: str
    start: int
    quoted: bool
    before: list[Token]


def complete(cursor: Cursor, text: str, at: int, counts: KeyCounts) -> Completions:
    """What may come at column `at` of a query, whatever is right or wrong with the rest of it. Raises duckdb.Error."""
    at = max(0, min(at, len(text)))
    if at > TEXT_MAX_CHARACTERS:
        return Completions(at, at, ())
    try:
        place = _place(text[:at])
    except QueryError:
        return Completions(at, at, ())
    completer = _Completer(cursor, Names(cursor), counts)
    start, items = completer.at(place)
    return Completions(start, at, tuple(items[:ANSWER_MAX]))


def written_key(name: str, prefix: str = "") -> str:
    """A key as a query takes it: in quotes where it needs them."""
    if PLAIN.fullmatch(name) and (prefix or (name.lower() not in FACTS and name.lower() not in FLAGS)):
        return prefix + name
    return prefix + quoted(name)


def quoted(text: str) -> str:
    """A text in double quotes; backslashes before a quote are doubled."""
    inner = re.sub(r'(\\*)"', r"\1\1\\" + '"', re.sub(r"(\\+)$", r"\1\1", text))
    return f'"{inner}"'


def _place(text: str) -> Place:
    try:
        found = tokens(text)[:-1]
    except QueryError as error:
        if error.column_start >= len(text) or text[error.column_start] not in "\"'`":
            raise
        # A quote that is still open is what is being typed.
        start = error.column_start
        return Place(text[start + 1 :], start, True, tokens(text[:start])[:-1])
    if found and found[-1].end == len(text) and found[-1].kind == "word":
        return Place(found[-1].text, found[-1].start, False, found[:-1])
    return Place("", len(text), False, found)


class KeyCounts:
    """How many runs have each key, counted now and then. Several threads may use it."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, dict[int, int]]] = {}

    def of(self, cursor: Cursor, table: str) -> dict[int, int]:
        """By the number of the key, for `param` or `metric_latest`. Raises duckdb.Error."""
        counted_at_s, counts = self._kept.get(table, (-math.inf, {}))
        if time.monotonic() - counted_at_s > COUNTS_FRESH_S:
            counts = dict(cursor.execute(COUNTS_SQL.format(table=table)).fetchall())
            self._kept[table] = (time.monotonic(), counts)
        return counts


class _Completer:
    def __init__(self, cursor: Cursor, names: Names, counts: KeyCounts) -> None:
        self._cursor = cursor
        self._names = names
        self._counts = counts

    def at(self, place: Place) -> tuple[int, list[Completion]]:
        typed, before = place.typed, place.before
        last = before[-1] if before else None
        fact, colon, value = typed.partition(":")
        if not place.quoted and colon and (fact.lower() == "has" or fact.lower() in FACTS):
            value = value.rpartition(",")[2]
            start = place.start + len(typed) - len(value)
            if fact.lower() == "has":
                return start, [*self._having(value), *self._keys(value, "")]
            return start, self._values(Field(fact, 0, 0), value, after_colon=True)
        if last is not None and last.kind == "operator":
            return place.start, self._after_operator(before, typed)
        if last is not None and last.kind == "open" and len(before) > 1 and before[-2].text.lower() in FORMS:
            return place.start, self._keys(typed, "metric")
        if place.quoted:
            return place.start, self._keys(typed, "")
        for of in ("metric", "param"):
            if typed.lower().startswith(f"{of}."):
                return place.start, self._keys(typed[len(of) + 1 :], of, prefix=f"{of}.")
        if typed == "" and last is not None and last.kind in ("word", "quoted", "close"):
            return place.start, self._after(before)
        return place.start, self._names_from(typed)

    def _after(self, before: list[Token]) -> list[Completion]:
        """After a blank: an operator where a name stands alone, else what joins conditions."""
        joins = [Completion(word, "word", None, "") for word in ("and", "or")]
        compared = len(before) > 1 and before[-2].kind == "operator"
        field = None if compared else _field_of(before)
        if field is None:
            return joins
        try:
            found = resolve(field, self._names)
        except QueryError:
            return joins
        kind = found.kind if isinstance(found, Fact) else "param" if isinstance(found, ParamField) else ""
        return [Completion(each, "operator", None, "") for each in OPERATORS.get(kind, ORDERED)]

    def _after_operator(self, before: list[Token], typed: str) -> list[Completion]:
        field = _field_of(before[:-1])
        if field is None or before[-1].text in ("~", "!~"):
            return []
        return self._values(field, typed, after_colon=False)

    def _values(self, field: Field, typed: str, *, after_colon: bool) -> list[Completion]:
        try:
            found = resolve(field, self._names)
        except QueryError:
            return []
        if isinstance(found, ParamField):
            return self._counted(f"select text from param where key_id = {found.key_id}", typed)
        if not isinstance(found, Fact):
            return []
        if found.kind in SAMPLES:
            return [Completion(each, "value", None, "") for each in SAMPLES[found.kind] if each.startswith(typed)]
        if found.kind == "many":
            return self._counted(found.sql, typed)
        if found.kind not in ("text", "words") or (found.kind == "words" and after_colon):
            return []
        counted = self._counted(f"select {found.sql} as text from run", typed)
        if field.name.lower() != "state":
            return counted
        there = {each.text for each in counted}
        others = [state for state in STATES if state.startswith(typed.lower()) and state not in there]
        return [*counted, *(Completion(state, "value", 0, "") for state in others)]

    def _counted(self, source: str, typed: str) -> list[Completion]:
        sql = VALUES_SQL.format(source=source, limit=ANSWER_MAX)
        rows = self._cursor.execute(sql, {"typed": typed.lower()}).fetchall()
        return [Completion(written_value(text), "value", count, "") for text, count in rows]

    def _names_from(self, typed: str) -> list[Completion]:
        small = typed.lower()
        facts = [Completion(name, "fact", None, fact.words) for name, fact in FACTS.items() if name.startswith(small)]
        if not small:
            return [*facts, *self._keys("", "")]
        words: Iterable[tuple[str, Kind, str]] = (
            *((f"{form}(", "form", "of a metric") for form in FORMS if form),
            *((flag, "fact", "") for flag in FLAGS),
            ("has:", "fact", "runs that have something at all"),
            ("not", "word", "the contrary of what follows"),
        )
        others = [Completion(text, kind, None, said) for text, kind, said in words if text.startswith(small)]
        keys = self._keys(typed, "")
        starting = [each for each in keys if _begins(each, typed)]
        return [*starting, *facts, *others, *(each for each in keys if each not in starting)]

    def _having(self, typed: str) -> list[Completion]:
        found = [*HAVING, *(name for name in FACTS if name not in HAVING)]
        return [Completion(name, "fact", None, "") for name in found if name.startswith(typed.lower())]

    def _keys(self, typed: str, of: str, *, prefix: str = "") -> list[Completion]:
        """Params before metrics, as a name without prefix means them."""
        found: dict[str, Completion] = {}
        if of != "metric":
            for name, count in self._named("param_key", "param", typed):
                found[name] = Completion(written_key(name, prefix), "param", count, "")
        if of != "param":
            for name, count in self._named("metric_key", "metric_latest", typed):
                written = written_key(name, prefix or "metric." * (name in found))
                found[f"metric.{name}" if name in found else name] = Completion(written, "metric", count, "")

        return sorted(found.values(), key=lambda each: not _begins(each, typed))

    def _named(self, keys: str, table: str, typed: str) -> list[tuple[str, int]]:
        given = {"typed": typed.lower()}
        rows = self._cursor.execute(KEYS_SQL.format(table=keys, limit=ANSWER_MAX), given).fetchall()
        counts = self._counts.of(self._cursor, table)
        return [(name, counts.get(key_id, 0)) for key_id, name in rows]


def _begins(completion: Completion, typed: str) -> bool:
    """Whether a key begins with what was typed, its prefix and quotes aside."""
    name = completion.text.lower().removeprefix("metric.").removeprefix("param.")
    return name.removeprefix('"').startswith(typed.lower())


def written_value(text: str) -> str:
    """A value as a query takes it: in quotes where it needs them."""
    return text if re.fullmatch(r"(?!not$|and$|or$)[^\s()=<>~!\"'`,][^\s()=<>~\"`,]*", text) else quoted(text)


def _field_of(before: list[Token]) -> Field | None:
    """The field that ends where `before` ends."""
    if not before:
        return None
    last = before[-1]
    if last.kind == "close" and len(before) >= 4 and before[-3].kind == "open" and before[-4].text.lower() in FORMS:
        form = next(form for form in FORMS if form == before[-4].text.lower())
        return Field(before[-2].text, 0, 0, form=form, quoted=before[-2].kind == "quoted")
    if last.kind not in ("word", "quoted"):
        return None
    for of in ("metric", "param"):
        if last.kind == "word" and last.text.lower().startswith(f"{of}.") and len(last.text) > len(of) + 1:
            return Field(last.text[len(of) + 1 :], 0, 0, of=of)
    if last.kind == "quoted" and len(before) > 1 and last.glued and before[-2].text.lower() in ("metric.", "param."):
        return Field(last.text, 0, 0, of="metric" if before[-2].text.lower() == "metric." else "param", quoted=True)
    return Field(last.text, 0, 0, quoted=last.kind == "quoted")
