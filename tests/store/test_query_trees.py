"""Queries made by chance: a tree that is written down is read again, and any text is a query or one error."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.query_language.errors import QueryError
from store.query_language.parser import parse
from store.query_language.tree import And, Comparison, Field, Flag, Has, Node, Not, Or, RunNumber, Value, Word
from tests.store.query_runs import holds
from tests.store.query_samples import RUNS, numbers

if TYPE_CHECKING:
    from store.database import Cursor


PLAIN = st.text("abcxyz_./", min_size=1, max_size=6).filter(lambda text: text.lower() not in ("and", "or", "not"))
ANY_TEXT = st.text(min_size=1, max_size=12) | st.text('\\"a ', min_size=1, max_size=6)
OPERATORS = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
NUMBERS = st.sampled_from(["0", "0.1", "1e-4", "-1", "inf", "0.81", "2", "1e-3"])


def field(name: str, **changes: object) -> Field:
    """A field without columns."""
    return Field(name, 0, 0, **changes)  # type: ignore[arg-type]


def value(text: str, *, quoted: bool = False) -> Value:
    """A value without columns."""
    return Value(text, 0, 0, quoted)


LEAVES = st.one_of(
    st.builds(Word, ANY_TEXT),
    st.builds(RunNumber, st.integers(0, 15)),
    st.just(Flag("pinned")),
    st.builds(lambda name: Has(field(name)), st.sampled_from(["tag", "note", "metric", "lr", "job", "loss", "ended"])),
    st.builds(
        lambda name, form, of, op, given: Comparison(field(name, form=form, of="" if form else of), op, value(given)),
        st.sampled_from(["val/acc", "loss", "lr"]),
        st.sampled_from(["", "last", "best", "min", "max"]),
        st.sampled_from(["", "metric"]),
        OPERATORS,
        NUMBERS,
    ),
    st.builds(
        lambda name, op, given: Comparison(field(name), op, value(given, quoted=True)),
        st.sampled_from(["lr", "optimizer", "clip"]),
        OPERATORS,
        st.sampled_from(["0.1", "adam", "SGD", "auto", "", "1e-4"]),
    ),
    st.builds(
        lambda name, op, given: Comparison(field(name), op, value(given, quoted=True)),
        st.sampled_from(["name", "project", "tag", "job"]),
        st.sampled_from(["=", "!=", "~", "!~"]),
        st.sampled_from(["vit-l", "^b", "demo", "eval", "a.*e$", "baseline"]),
    ),
    st.builds(
        lambda name, op, given: Comparison(field(name), op, value(given)),
        st.sampled_from(["age", "duration"]),
        OPERATORS,
        st.sampled_from(["30m", "1h", "1d12h", "0s", "3w"]),
    ),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(lambda parts: And(tuple(parts)), st.lists(inner, min_size=2, max_size=3)),
        st.builds(lambda parts: Or(tuple(parts)), st.lists(inner, min_size=2, max_size=3)),
    ),
    max_leaves=8,
)


def written(node: Node) -> str:
    """A tree as somebody could type it."""
    match node:
        case And(parts):
            return "(" + " and ".join(map(written, parts)) + ")"
        case Or(parts):
            return "(" + " or ".join(map(written, parts)) + ")"
        case Not(part):
            return f"not {written(part)}"
        case Word(text):
            return quote(text)
        case RunNumber(no):
            return f"r{no}"
        case Flag(flag):
            return flag
        case Has(named):
            return f"has:{named.name}"
        case Comparison(named, op, given):
            name = f"{named.of}." * bool(named.of) + named.name
            name = f"{named.form}({name})" if named.form else name
            return f"{name} {op} {quote(given.text) if given.quoted else given.text}"


def quote(text: str) -> str:
    """In double quotes: backslashes before a quote are doubled."""
    return '"' + re.sub(r'(\\*)"', r'\1\1\\"', re.sub(r"(\\+)$", r"\1\1", text)) + '"'


def bare(node: Node) -> Node:
    """A tree without columns."""
    match node:
        case And(parts):
            return And(tuple(map(bare, parts)))
        case Or(parts):
            return Or(tuple(map(bare, parts)))
        case Not(part):
            return Not(bare(part))
        case Has(named):
            return Has(field(named.name))
        case Comparison(named, op, given):
            return Comparison(
                field(named.name, form=named.form, of=named.of), op, value(given.text, quoted=given.quoted)
            )
    return node


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TREES)
def test_a_tree_that_is_written_down_is_read_again_and_finds_what_plain_python_finds(
    sampled: Cursor, tree: Node
) -> None:
    text = written(tree)
    found = parse(text).root
    assert found is not None
    assert bare(found) == tree
    assert numbers(sampled, text) == [run.no for run in RUNS if holds(tree, run, RUNS)]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.sampled_from(" ()<>=!~\"'`\\,.:abnotrlLR1é🚂\x00\n"), max_size=30))
def test_any_text_is_a_query_or_one_error_within_it(sampled: Cursor, text: str) -> None:
    found: QueryError | None = None
    try:
        numbers(sampled, text)
    except QueryError as error:
        found = error
    if found is not None:
        assert 0 <= found.column_start <= len(text)
        assert found.column_start < found.column_end <= max(len(text), found.column_start + 1)
