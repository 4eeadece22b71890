"""Lines of the file that $FOOTPLATE_METRICS names: one JSON object a line, from any language, trusted by nobody."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

import orjson

STEP_KEYS: Final = ("step", "_step", "global_step", "iteration", "iter", "epoch")
"""Keys that hold the step, the first one present wins."""
TIME_KEYS: Final = ("_timestamp", "timestamp")
MAX_VALUES: Final = 20_000
"""Most entries of one line, ignored ones included."""
MAX_KEY_CHARS: Final = 512
MAX_DEPTH: Final = 8
"""Most parts of a flattened key."""
MAX_EXCERPT_CHARS: Final = 80

EARLIEST_S: Final = 946_684_800.0  # 2000-01-01; milliseconds and nanoseconds of today lie far above the latest
LATEST_S: Final = 4_102_444_800.0  # 2100-01-01
_INT64_LIMIT: Final = 2**63
_MAX_NUMERIC_STRING_CHARS: Final = 64
_MAX_INT_DIGITS: Final = 400  # a float ends at 309 digits; int() refuses more than 4,300 and would take the line along
_NUMERIC_STRING: Final = re.compile(
    r"[-+]?(?:(?:\d++(?:\.\d*+)?+|\.\d++)(?:e[-+]?\d++)?+|nan|inf(?:inity)?+)", re.ASCII | re.IGNORECASE
)
_LONE_SURROGATES: Final = re.compile("[\ud800-\udfff]")


class MetricLineError(ValueError):
    """A line that holds no metrics; the message says why, with at most MAX_EXCERPT_CHARS of the line."""


@dataclass(frozen=True, slots=True)
class ParsedLine:
    """What one line says. `at_s` is Unix time in seconds; `ignored` names the entries that hold no number."""

    step: int | None
    at_s: float | None
    values: dict[str, float]
    ignored: tuple[str, ...]


def parse_metric_line(line: bytes) -> ParsedLine:
    """Read one line of a metrics file. Raises MetricLineError, and nothing else, when it cannot be used."""
    return read_record(load_object(line))


def load_object(line: bytes) -> dict[str, Any]:
    """The JSON object in `line`; NaN, Infinity, a byte order mark and bytes that are not UTF-8 are let through.

    Raises MetricLineError: not JSON, nested too deeply, or not an object.
    """
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        record = _load_leniently(line)
    if type(record) is not dict:
        raise MetricLineError(f"not an object but {_json_type(record)}: {_excerpt(line)}")
    return record


def read_record(record: dict[str, Any], *, booleans: bool = True) -> ParsedLine:
    """Take step, time and numbers out of a decoded object, which is used up.

    With `booleans` true and false count as 1 and 0, else they are ignored.
    Raises MetricLineError: a step that is no 64-bit integer, or more than MAX_VALUES entries.
    """
    if len(record) > MAX_VALUES:
        raise MetricLineError(f"more than {MAX_VALUES} values")
    step = _take_step(record)
    ignored: list[str] = []
    at_s = _take_time(record, ignored)
    values: dict[str, float] = {}
    for key, value in record.items():
        if type(value) is float and 0 < len(key) <= MAX_KEY_CHARS and key.isascii():
            values[key] = value
        else:
            _add(values, ignored, "", key, value, booleans, 1)
    return ParsedLine(step, at_s, values, tuple(ignored))


def to_number(value: Any, *, booleans: bool = True) -> float | None:
    """The float a decoded JSON value stands for, numeric strings included, or None."""
    kind = type(value)
    if kind is float:
        return value  # type: ignore[no-any-return]  # orjson and json give exact built-in types
    if kind is int:
        try:
            return float(value)
        except OverflowError:
            return None
    if kind is str:
        return _number_in_string(value)
    if kind is bool and booleans:
        return 1.0 if value else 0.0
    return None


def _load_leniently(line: bytes) -> Any:
    if not line.strip():
        raise MetricLineError("the line is empty")
    try:
        return json.loads(line.decode("utf-8-sig", "replace"), parse_int=_int_or_none)
    except json.JSONDecodeError as error:
        raise MetricLineError(f"not JSON ({error.msg} at character {error.pos}): {_excerpt(line)}") from None
    except RecursionError:
        raise MetricLineError(f"nested too deeply: {_excerpt(line)}") from None


def _int_or_none(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MAX_INT_DIGITS else None


def _take_step(record: dict[str, Any]) -> int | None:
    """Remove the step keys and return the step; an epoch stays a metric unless it is the step."""
    step: int | None = None
    for key in STEP_KEYS:
        if key not in record:
            continue
        if step is None and record[key] is not None:
            number = _integer(record[key])
            if number is not None:
                step = number
                del record[key]
                continue
            # Trainers count epochs in fractions (0.25); as a step that is no use, as a metric it is.
            if not (key == "epoch" and _is_fractional(record[key])):
                raise MetricLineError(f"{key} is not a 64-bit integer: {_excerpt(record[key])}")
        elif key != "epoch":
            del record[key]
    return step


def _integer(value: Any) -> int | None:
    if type(value) is str:
        number = _number_in_string(value)
        if number is None:
            return None
        value = int(value) if value.isascii() and value.lstrip("+-").isdigit() else number
    if type(value) is int:
        return value if -_INT64_LIMIT <= value < _INT64_LIMIT else None
    if type(value) is float and value.is_integer() and abs(value) < _INT64_LIMIT:
        return int(value)
    return None


def _is_fractional(value: Any) -> bool:
    number = _number_in_string(value) if type(value) is str else value
    return type(number) is float and not number.is_integer()


def _take_time(record: dict[str, Any], ignored: list[str]) -> float | None:
    at_s: float | None = None
    for key in TIME_KEYS:
        if key not in record:
            continue
        value = record.pop(key)
        if type(value) in (int, float) and EARLIEST_S <= value <= LATEST_S:
            at_s = float(value) if at_s is None else at_s
        else:
            ignored.append(key)
    return at_s


def _add(
    values: dict[str, float], ignored: list[str], prefix: str, key: str, value: Any, booleans: bool, depth: int
) -> None:
    # Cut before joining: otherwise a long parent key is multiplied by the number of its children.
    path = (prefix + key[:MAX_KEY_CHARS])[:MAX_KEY_CHARS]
    if not path.isascii():
        path = _LONE_SURROGATES.sub("\ufffd", path)
    number = to_number(value, booleans=booleans)
    if number is not None and key:
        values[path] = number
    elif type(value) is dict and key and depth < MAX_DEPTH:
        for child_key, child in value.items():
            _add(values, ignored, path + "/", child_key, child, booleans, depth + 1)
    else:
        ignored.append(path)
    if len(values) + len(ignored) > MAX_VALUES:
        raise MetricLineError(f"more than {MAX_VALUES} values")


def _number_in_string(value: str) -> float | None:
    if len(value) <= _MAX_NUMERIC_STRING_CHARS and _NUMERIC_STRING.fullmatch(value):
        return float(value)
    return None


def _json_type(value: object) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _excerpt(value: object) -> str:
    # An int of hundreds of digits or a string of megabytes: cut first, so that repr has little to do.
    short = value[:MAX_EXCERPT_CHARS] if isinstance(value, (bytes, str)) else value
    text = f"{_json_type(short)}" if isinstance(short, (dict, list)) else repr(short)
    return text if len(text) <= MAX_EXCERPT_CHARS else text[: MAX_EXCERPT_CHARS - 1] + "…"
