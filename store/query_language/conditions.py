"""From the tree of a query to a condition in SQL over the alias `run` of the run table.

Every text that a person typed is a parameter; numbers of keys, which come from the index, stand in the SQL. A condition
is true or false, never NULL, so that `not` is what logic says. Texts compare without regard to case.
"""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple, assert_never

from store.query_language.errors import QueryError, shown
from store.query_language.facts import FLAGS, HAVING, STATES, Fact
from store.query_language.fields import MetricField, ParamField, resolve
from store.query_language.tree import And, Comparison, Flag, Has, Node, Not, Operator, Or, Query, RunNumber, Value, Word
from store.query_language.values import duration_s_of, number_of, span_of

if TYPE_CHECKING:
    from store.query_language.names import Names

CONDITIONS_MAX: Final = 60
WORD_SQL: Final = """(contains(run.search_text, {word})
    or run.id in (select run_id from tag where contains('tag:' || lower(name), {word}))
    or run.id in (select run_id from note where contains(lower(text), {word})))"""
"""Whether a run holds a word in lower case."""
SQL_OPERATORS: Final = {"=": "=", ":": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
PATTERN_HINT: Final = "a pattern has the syntax of RE2 (github.com/google/re2/wiki/Syntax); quote one with blanks"


class Condition(NamedTuple):
    """A condition, and the parameters that it names."""

    sql: str
    parameters: dict[str, Any]


def condition_of(query: Query, names: Names, now_s: float) -> Condition:
    """The condition that a query is. Raises QueryError for names and values that mean nothing, duckdb.Error."""
    if query.root is None:
        return Condition("true", {})
    writer = _Writer(names, now_s)
    sql = writer.node(query.root)
    if "$now_s" in sql:
        writer.parameters["now_s"] = now_s
    return Condition(sql, writer.parameters)


class _Writer:
    def __init__(self, names: Names, now_s: float) -> None:
        self._names = names
        self._now_s = now_s
        self._count = 0
        self.parameters: dict[str, Any] = {}

    def node(self, node: Node) -> str:
        match node:
            case And(parts):
                return f"({' and '.join(map(self.node, parts))})"
            case Or(parts):
                return f"({' or '.join(map(self.node, parts))})"
            case Not(part):
                return f"(not {self.node(part)})"
        self._count += 1
        if self._count > CONDITIONS_MAX:
            raise QueryError(f"the query has more than {CONDITIONS_MAX} conditions", 0, 1, "ask for less at once")
        match node:
            case Word(text):
                return WORD_SQL.format(word=self._given(text.lower()))
            case Flag(name):
                return f"({FLAGS[name]})"
            case RunNumber(no):
                return f"(run.no = {no})"
            case Has():
                return self._has(node)
            case Comparison():
                return self._comparison(node)
        assert_never(node)

    def _given(self, value: Any) -> str:
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f"${name}"

    def _has(self, node: Has) -> str:
        field = node.field
        word = field.name.lower()
        if not field.quoted and not field.of and word in HAVING:
            return f"({HAVING[word]})"
        if not field.of:
            # Under the same name a run may have a param and another one a metric.
            keys = (self._names.param(field.name), self._names.metric(field.name))
            tables = zip(("param", "metric_latest"), keys, strict=True)
            parts = [_in_rows(table, key_id, "true") for table, key_id in tables if key_id is not None]
            if len(parts) == 2:
                return f"({' or '.join(parts)})"
        found = resolve(field, self._names)
        if isinstance(found, ParamField):
            return _in_rows("param", found.key_id, "true")
        if isinstance(found, MetricField):
            return f"(run.no in (select run_no from ({found.rows})))"
        if found.kind in ("text", "words"):
            return f"({found.sql} <> '')"
        return f"({found.sql} is not null)"

    def _comparison(self, node: Comparison) -> str:
        found = resolve(node.field, self._names)
        operator, value = node.operator, node.value
        if operator in ("~", "!~"):
            problem = self._names.problem_of_pattern(value.text)
            if problem:
                words = f"{shown(value.text)} is no pattern: {problem}"
                raise QueryError(words, value.start, value.end, PATTERN_HINT)
        if isinstance(found, ParamField):
            return _in_rows("param", found.key_id, self._param(operator, value))
        if isinstance(found, MetricField):
            return f"(run.no in (select run_no from ({found.rows}) where {self._metric(node)}))"
        if found.kind == "many":
            return self._many(found, operator, value, node)
        if found.kind in ("text", "words"):
            test = self._text(found.sql, node, contains=found.kind == "words")
            return f"({found.sql} <> '' and {test})"
        if operator in ("~", "!~"):
            words = f"{shown(node.field.name)} is no text: {shown(operator)} cannot look into it"
            raise QueryError(words, node.field.start, node.field.end, "one of: = != < <= > >=")
        return f"coalesce({self._measured(found, node)}, false)"

    def _param(self, operator: Operator, value: Value) -> str:
        number = number_of(value)
        if number is None or math.isnan(number) or operator in ("~", "!~"):
            return self._text_test("text", operator, value.text)
        test = f"number {SQL_OPERATORS[operator]} {self._given(number)}::double"
        return f"(number is null or {test})" if operator == "!=" else test

    def _metric(self, node: Comparison) -> str:
        name, operator, value = node.field.name, node.operator, node.value
        number = number_of(value)
        if operator in ("~", "!~"):
            hint = "one of: = != < <= > >="
            raise QueryError(f"{shown(name)} is a metric, no text", node.field.start, node.field.end, hint)
        if number is None:
            words = f"{shown(name)} is a metric, and {shown(value.text)} is no number"
            raise QueryError(
                words, value.start, value.end, f"a number is expected, such as 0.8, 1e-3, inf or nan{_of_key(name)}"
            )
        if math.isnan(number):
            if operator not in ("=", "!="):
                raise QueryError("nothing is below or above nan", value.start, value.end, "`= nan` or `!= nan`")
            return "isnan(value)" if operator == "=" else "not isnan(value)"
        test = f"value {SQL_OPERATORS[operator]} {self._given(number)}::double"
        # DuckDB has nan above everything.
        return f"({test} and not isnan(value))" if operator in (">", ">=") else test

    def _many(self, fact: Fact, operator: Operator, value: Value, node: Comparison) -> str:
        negated: dict[str, Operator] = {"!=": "=", "!~": "~"}
        positive = negated.get(operator, operator)
        if positive == ":" and node.field.name == "tag":
            test = f"starts_with(lower(text), {self._given(value.text.lower())})"
        elif positive == ":":
            test = f"contains(lower(text), {self._given(value.text.lower())})"
        else:
            test = self._text("text", Comparison(node.field, positive, value), contains=False)
        found = f"run.id in (select run_id from ({fact.sql}) where {test})"
        return f"(run.id in (select run_id from ({fact.sql})) and not {found})" if operator in negated else f"({found})"

    def _text(self, sql: str, node: Comparison, *, contains: bool) -> str:
        operator, value = node.operator, node.value
        if operator in ("<", "<=", ">", ">="):
            hint = "one of: = != ~ !~"
            raise QueryError(f"{shown(node.field.name)} has no order", node.field.start, node.field.end, hint)
        if node.field.name == "state" and operator in ("=", "!=", ":") and value.text.lower() not in STATES:
            near = difflib.get_close_matches(value.text.lower(), STATES, 1)
            hint = f"did you mean {shown(near[0])}?" if near else f"one of: {', '.join(STATES)}"
            raise QueryError(f"there is no state {shown(value.text)}", value.start, value.end, hint)
        if operator == ":" and contains:
            return f"contains(lower({sql}), {self._given(value.text.lower())})"
        return self._text_test(sql, operator, value.text)

    def _text_test(self, sql: str, operator: Operator, text: str) -> str:
        given = self._given(text)
        match operator:
            case "~":
                return f"regexp_matches({sql}, {given}, 'i')"
            case "!~":
                return f"not regexp_matches({sql}, {given}, 'i')"
        return f"lower({sql}) {SQL_OPERATORS[operator]} lower({given})"

    def _measured(self, fact: Fact, node: Comparison) -> str:
        """A fact that is a number, a duration, a moment or the number of the run."""
        sql, operator, value = fact.sql, node.operator, node.value
        compared = SQL_OPERATORS[operator]
        match fact.kind:
            case "duration":
                return f"({sql}) {compared} {self._given(duration_s_of(value))}::double"
            case "time":
                return self._time(sql, operator, value)
            case "run":
                return self._run(operator, value)
        number = number_of(value)
        if number is None or math.isnan(number):
            words = f"{shown(node.field.name)} is a number, and {shown(value.text)} is none"
            raise QueryError(words, value.start, value.end, "such as 0, 1 or 137")
        return f"{sql} {compared} {self._given(number)}::double"

    def _time(self, sql: str, operator: Operator, value: Value) -> str:
        """A day is as long as it is: after it is from its end on."""
        span = span_of(value, self._now_s)
        match operator:
            case "<" | ">=":
                return f"{sql} {operator} {self._given(span.start_s)}"
            case "<=":
                return f"{sql} < {self._given(span.end_s)}"
            case ">":
                return f"{sql} >= {self._given(span.end_s)}"
        within = f"({sql} >= {self._given(span.start_s)} and {sql} < {self._given(span.end_s)})"
        return f"not {within}" if operator == "!=" else within

    def _run(self, operator: Operator, value: Value) -> str:
        digits = value.text[1:] if value.text[:1] in ("r", "R") else value.text
        if digits.isascii() and digits.isdigit() and len(digits) < 10:
            return f"run.no {SQL_OPERATORS[operator]} {int(digits)}"
        if len(value.text) >= 4 and value.text.isascii() and value.text.isalnum() and operator in ("=", "!=", ":"):
            test = f"starts_with(run.id, {self._given(value.text.upper())})"
            return f"not {test}" if operator == "!=" else test
        words = f"{shown(value.text)} is no run"
        raise QueryError(words, value.start, value.end, "such as r12, 12, or four characters of its ULID at least")


def _in_rows(table: str, key_id: int, test: str) -> str:
    return f"(run.no in (select run_no from {table} where key_id = {key_id} and {test}))"


def _of_key(name: str) -> str:
    return f"; a param of that name is `param.{name}`" if name.isascii() and name.isidentifier() else ""
