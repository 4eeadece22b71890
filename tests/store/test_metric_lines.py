from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.readers.metric_lines import MAX_EXCERPT_CHARS, MAX_KEY_CHARS, MetricLineError, ParsedLine, parse_metric_line


def read(text: str) -> ParsedLine:
    return parse_metric_line(text.encode("utf-8", "surrogatepass"))


def test_plain_line() -> None:
    assert read('{"step": 3, "loss": 0.41, "n": 7}') == ParsedLine(3, None, {"loss": 0.41, "n": 7.0}, ())


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ('{"step": 3}', 3),
        ('{"step": 3.0}', 3),
        ('{"step": -1}', -1),
        ('{"step": "12"}', 12),
        ('{"step": "9007199254740993"}', 9007199254740993),
        ('{"step": null, "_step": 4}', 4),
        ('{"epoch": 2}', 2),
        ('{"iter": 5, "epoch": 2}', 5),
        ('{"iteration": 6, "iter": 5}', 6),
        ('{"global_step": 7, "iteration": 6}', 7),
        ('{"_step": 8, "global_step": 7}', 8),
        ('{"step": 9, "_step": 8}', 9),
        ('{"epoch": 0.25}', None),
        ('{"epoch": "0.25"}', None),
        ('{"loss": 1}', None),
        ('{"step": 9223372036854775807}', 2**63 - 1),
        ('{"step": -9223372036854775808}', -(2**63)),
    ],
)
def test_step(text: str, step: int | None) -> None:
    assert read(text).step == step


@pytest.mark.parametrize(
    "step",
    [
        "1.5", "NaN", "Infinity", "true", '"three"', "[1]", "{}", '"1.5"', "9223372036854775808", "1" * 30, "1" * 400,
        "-9223372036854775809", "1e300", '"\\ud800"',
    ],
)  # fmt: skip
def test_bad_step(step: str) -> None:
    with pytest.raises(MetricLineError, match=r"^step is not a 64-bit integer") as caught:
        read(f'{{"step": {step}, "loss": 1}}')
    assert len(str(caught.value)) < MAX_EXCERPT_CHARS + 40


def test_step_keys_are_no_metrics_but_epoch_is() -> None:
    several = '{"step": 9, "_step": 8, "global_step": 7, "epoch": 1, "loss": 2}'
    assert read(several).values == {"epoch": 1.0, "loss": 2.0}
    assert read('{"epoch": 1, "loss": 2}').values == {"loss": 2.0}
    assert read('{"epoch": 0.5, "loss": 2}').values == {"epoch": 0.5, "loss": 2.0}


@pytest.mark.parametrize(
    ("text", "at_s", "ignored"),
    [
        ('{"_timestamp": 1763737200.5}', 1763737200.5, ()),
        ('{"timestamp": 1763737200}', 1763737200.0, ()),
        ('{"_timestamp": 1763737200, "timestamp": 1763737201}', 1763737200.0, ()),
        ('{"timestamp": 1763737200000}', None, ("timestamp",)),
        ('{"timestamp": 12.5}', None, ("timestamp",)),
        ('{"timestamp": "2026-11-20T15:00:00"}', None, ("timestamp",)),
        ('{"timestamp": true}', None, ("timestamp",)),
        ('{"timestamp": NaN}', None, ("timestamp",)),
    ],
)
def test_time(text: str, at_s: float | None, ignored: tuple[str, ...]) -> None:
    parsed = read(text)
    assert (parsed.at_s, parsed.ignored, parsed.values) == (at_s, ignored, {})


def test_values_of_every_kind() -> None:
    parsed = read(
        '{"t": true, "f": false, "i": 3, "big": 123456789012345678901234567890, "s": "0.5", "e": "1e-4", "p": "+2.",'
        ' "dot": ".5", "nan": NaN, "snan": "NaN", "inf": Infinity, "minf": "-Infinity", "sinf": "inf"}'
    )
    assert parsed.ignored == ()
    assert math.isnan(parsed.values.pop("nan"))
    assert math.isnan(parsed.values.pop("snan"))
    assert parsed.values == {
        "t": 1.0, "f": 0.0, "i": 3.0, "big": 1.2345678901234568e29, "s": 0.5, "e": 1e-4, "p": 2.0, "dot": 0.5,
        "inf": math.inf, "minf": -math.inf, "sinf": math.inf,
    }  # fmt: skip
    assert all(type(value) is float for value in parsed.values.values())


def test_entries_without_a_number_are_named() -> None:
    parsed = read(
        '{"a": "text", "b": null, "c": [1, 2], "": 3, "d": "", "e": "1_000", "f": "0x10", "g": "٣", "h": " 1", "x": {}}'
    )
    assert (parsed.values, parsed.ignored) == ({}, ("a", "b", "c", "", "d", "e", "f", "g", "h"))


@pytest.mark.parametrize("digits", [310, 400, 401, 5000])
def test_integers_beyond_float_are_ignored(digits: int) -> None:
    parsed = read(f'{{"huge": {"9" * digits}, "loss": 1}}')
    assert (parsed.values, parsed.ignored) == ({"loss": 1.0}, ("huge",))


def test_long_numeric_strings_are_refused_quickly() -> None:
    started = time.perf_counter()
    assert read(f'{{"a": "{"1" * 100_000}x"}}').ignored == ("a",)
    assert time.perf_counter() - started < 1


def test_nesting() -> None:
    assert read('{"val": {"loss": 1, "by": {"north": "2"}, "": 5}}').values == {"val/loss": 1.0, "val/by/north": 2.0}
    eight = '{"a":' * 8 + "1" + "}" * 8
    nine = '{"a":' * 9 + "1" + "}" * 9
    assert read(eight).values == {"/".join("a" * 8): 1.0}
    assert (read(nine).values, read(nine).ignored) == ({}, ("/".join("a" * 8),))


def test_last_duplicate_wins() -> None:
    assert read('{"loss": 1, "loss": 2}').values == {"loss": 2.0}
    assert read('{"loss": 1, "x": NaN, "loss": 2}').values["loss"] == 2.0


def test_keys() -> None:
    values = read('{"\\ud800x": 1, "valid_0\'s auc": 2, "späť": 3, "😀": 4, "a\\u0000b": 5}').values
    assert values == {"\ufffdx": 1.0, "valid_0's auc": 2.0, "späť": 3.0, "😀": 4.0, "a\0b": 5.0}
    assert list(read(f'{{"{"k" * 5000}": 1}}').values) == ["k" * MAX_KEY_CHARS]
    assert parse_metric_line(b'{"caf\xe9": 1}').values == {"caf\ufffd": 1.0}
    assert parse_metric_line(b'\xef\xbb\xbf{"loss": 1}\r\n').values == {"loss": 1.0}


def test_long_parent_keys_are_not_multiplied() -> None:
    children = ",".join(f'"{n}": 1' for n in range(10_000))
    started = time.perf_counter()
    parsed = read(f'{{"{"p" * 1_000_000}": {{{children}}}}}')
    assert list(parsed.values) == ["p" * MAX_KEY_CHARS]
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("shape", ["{%s}", '{"a": {%s}}'])
def test_value_limit(shape: str) -> None:
    def line(count: int) -> str:
        return shape % ",".join(f'"k{n}": {n}' for n in range(count))

    assert len(read(line(20_000)).values) == 20_000
    with pytest.raises(MetricLineError, match="more than 20000 values"):
        read(line(20_001))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "empty"),
        (b" \r\n", "empty"),
        (b'{"loss": 0.4', "not JSON"),
        (b"loss=0.3", "not JSON"),
        (b"\0" * 4096, "not JSON"),
        (b"\xff\xfe{", "not JSON"),
        (b"{'loss': 1}", "not JSON"),
        (b'{"loss": 1} {"loss": 2}', "not JSON"),
        (b"[1, 2]", "not an object but an array"),
        (b"3", "not an object but a number"),
        (b"NaN", "not an object but a number"),
        (b"null", "not an object but null"),
        (b'"loss"', "not an object but a string"),
        (b"true", "not an object but a boolean"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b"x" * 10_000_000, "not JSON"),
    ],
    ids=lambda value: repr(value[:12]),
)
def test_lines_without_metrics(line: bytes, reason: str) -> None:
    with pytest.raises(MetricLineError, match=reason) as caught:
        parse_metric_line(line)
    assert len(str(caught.value)) <= MAX_EXCERPT_CHARS + 80
    assert "\0" not in str(caught.value)


def check(line: bytes) -> None:
    try:
        parsed = parse_metric_line(line)
    except MetricLineError:
        return
    assert all(type(value) is float for value in parsed.values.values())
    for key in (*parsed.values, *parsed.ignored):
        key.encode("utf-8")
        assert len(key) <= MAX_KEY_CHARS
    assert parsed.step is None or -(2**63) <= parsed.step < 2**63


@settings(deadline=None)
@given(st.binary())
def test_any_bytes(line: bytes) -> None:
    check(line)


KEYS = st.sampled_from(["step", "epoch", "_timestamp", "iter", "loss", "", "\ud800"]) | st.text(
    st.characters(exclude_categories=())
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["NaN", "1e9", "-inf"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(KEYS, VALUES), st.booleans(), st.integers(0, 400))
def test_any_object_whole_or_torn(record: dict[str, Any], ascii_only: bool, cut: int) -> None:
    line = json.dumps(record, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    check(line)
    check(line[:cut])
    check(line[cut:])


@settings(deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=40), st.floats(allow_nan=False)))
def test_floats_come_back(values: dict[str, float]) -> None:
    values = {f"m/{key}": value for key, value in values.items()}
    assert read(json.dumps({**values, "step": 1})) == ParsedLine(1, None, values, ())
