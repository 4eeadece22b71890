from __future__ import annotations

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.readers.pinned_pattern import LINE_MAX_CHARACTERS, PatternError, PinnedPattern

NAMED = PinnedPattern(r"it (?P<step>\S+) loss (?P<loss>\S+)(?: acc (?P<acc>\S+))?")
PAIRS = PinnedPattern(r"\[(?P<epoch>\d+)\]|(?P<key>\w+)=(?P<value>[^\s,]+)")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("it 3 loss 0.5", (3, {"loss": 0.5})),
        ("x it 3 loss 5e-1 acc 91.5%", (3, {"loss": 0.5, "acc": 91.5})),
        ("it 3.0 loss .5", (3, {"loss": 0.5})),
        ("it three loss 1", (None, {"loss": 1.0})),
        ("it 3 loss none", (3, {})),
        ("it 3 loss 1_0", (3, {})),
        ("it 3 loss ٣", (3, {})),
        ("it 9223372036854775808 loss -inf", (None, {"loss": -math.inf})),
        ("it x loss y", None),
        ("nothing", None),
        ("", None),
        ("it 3 loss 1" + " " * LINE_MAX_CHARACTERS, None),
    ],
)
def test_named_groups(line: str, expected: object) -> None:
    assert NAMED.read(line) == expected


def test_pairs_are_found_again_and_again() -> None:
    assert PAIRS.read("[7] a=1, b=2e3 c=x a=4") == (7, {"a": 4.0, "b": 2000.0})
    assert PAIRS.read("c=x") is None


def test_step_wins_over_epoch_and_nan_is_a_value() -> None:
    pattern = PinnedPattern(r"(?P<epoch>\d+)/(?P<step>\d+) (?P<loss>\S+)")
    read = pattern.read("2/40 nan")
    assert read is not None
    assert read[0] == 40
    assert math.isnan(read[1]["loss"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("(?P<x>a)" + "b" * 1000, "1008 characters; expected at most 1000"),
        (r"loss (\d+)", "no named groups"),
        (r"(?P<step>\d+)", "names no metric"),
        (r"(?P<key>\w+)", "group key and no group value"),
        (r"(?P<key>a)(?P<value>b)(?P<loss>c)", "and loss; expected"),
        ("(?P<x>", "cannot be read: .* at character"),
        ("(?P<x>a{99999999999999999999})", "cannot be read"),
        ("(?P<x>(a+)+)b", "a repetition within a repetition"),
        ("(?P<x>(?:a?){9}a{9})b", "a repetition within a repetition"),
        ("(?P<x>(?:a|aa)*)b", "alternatives within a repetition"),
        (r"(?P<x>(?=(\s+x)*)\d)", "a repetition within a repetition"),
        ("a?" * 30 + "a" * 30 + "(?P<x>b)", "in a row"),
        ("(?:a?a)" * 25 + "(?P<x>b)", "takes .* s for a line"),
        (r".*.*.*.*.*=(?P<x>\d+)", "takes .* s for a line"),
    ],
)
def test_refused_in_one_sentence(text: str, words: str) -> None:
    started_s = time.thread_time()
    with pytest.raises(PatternError, match=words) as caught:
        PinnedPattern(text)
    assert "\n" not in str(caught.value)
    assert "expected" in str(caught.value)
    assert time.thread_time() - started_s < 10


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_line(line: str) -> None:
    for pattern in (NAMED, PAIRS):
        read = pattern.read(line)
        assert read is None or read[0] is not None or read[1]


@given(st.text(alphabet="(?P<x>)ab|*+{}[]1,^\\d", max_size=24))
@settings(max_examples=150, deadline=None)
def test_any_pattern(text: str) -> None:
    try:
        pattern = PinnedPattern(text)
    except PatternError:
        return
    pattern.read("ab1")


@given(
    st.integers(-(10**12), 10**12),
    st.dictionaries(
        st.from_regex(r"[a-z]\w{0,5}", fullmatch=True).filter(str.isascii), st.floats(), min_size=1, max_size=5
    ),
)
def test_what_was_printed_is_read(step: int, values: dict[str, float]) -> None:
    read = PRINTED.read(f"{step}: " + " ".join(f"{key}={value!r}" for key, value in values.items()))
    assert read is not None
    assert read[0] == step
    assert {key: repr(value) for key, value in read[1].items()} == {key: repr(value) for key, value in values.items()}


PRINTED = PinnedPattern(r"^(?P<step>-?\d+):|(?P<key>\w+)=(?P<value>\S+)")
