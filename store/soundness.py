"""Whether a record of `derived.jsonl` holds what such a record must: a right checksum says who wrote it, not what.

A record that is not sound is passed over and counted, as a damaged line is, so that one line harms no other.
"""

from __future__ import annotations

from typing import Any, Final

from store.readers.carry import Carry

INTEGER_MAX: Final = 2**63 - 1
ATTEMPT_MAX: Final = 2**15 - 1
"""As the index stores it."""
NUMBERS: Final = frozenset({int, float})
WORDS: Final = ("NaN", "nan", "Infinity", "inf", "-Infinity", "-inf")
"""Values that JSON numbers cannot be."""


def is_sound(record: Any) -> bool:
    """Whether every field that is read is of the right kind and fits into the index; unknown kinds are sound."""
    if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
        return False
    kind = record["kind"]
    if kind not in ("metrics", "log"):
        return True
    if not (_is_count(record.get("end")) and _is_count(record.get("at_us"))):
        return False
    attempt = record.get("attempt", 1)
    if not (_is_count(attempt) and 1 <= attempt <= ATTEMPT_MAX):
        return False
    return _is_count(record.get("generation")) if kind == "metrics" else _is_sound_log(record)


def has_sound_carry(record: dict[str, Any]) -> bool:
    """Whether reading the log can go on from a record; any other kind has nothing to go on from."""
    if record["kind"] != "log":
        return True
    try:
        Carry.from_json(record["carry"])
    except (KeyError, TypeError, ValueError):
        return False
    return True


def _is_sound_log(record: dict[str, Any]) -> bool:
    if "values" not in record:
        return True
    step, values = record.get("step"), record["values"]
    return (
        type(step) is int
        and -INTEGER_MAX - 1 <= step <= INTEGER_MAX
        and isinstance(values, dict)
        and (set(map(type, values.values())) <= NUMBERS or all(map(_is_number, values.values())))
    )


def _is_number(value: Any) -> bool:
    return type(value) in NUMBERS or (isinstance(value, str) and value in WORDS)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= INTEGER_MAX
