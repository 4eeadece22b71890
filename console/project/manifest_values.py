"""Checks of single values of a manifest: each returns the value in its final form or raises Wrong. No pydantic here."""

from __future__ import annotations

import difflib
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from console import quantities
from console.jobs.options import is_signal
from console.project import cron as cron_times
from console.project import globs
from console.project.manifest_model import Value, value_text
from console.project.placeholders import PARAM_NAME, PYTHON, variable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

TEXT_MAX_CHARACTERS: Final = 4096
LIST_MAX: Final = 100
JOBS_MAX: Final = 200
JOB_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
VARIABLE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OWN_VARIABLES: Final = "FOOTPLATE_"
KINDS: Final = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "a table"}


class Wrong(ValueError):
    """A value that cannot be used; `below` leads from the checked key to the part that is wrong."""

    def __init__(self, problem: str, expected: str, *below: str | int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.expected = expected
        self.below = below


def shown(value: Any) -> str:
    """A value in an error message, cut where it is long."""
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    whole = repr(value) if isinstance(value, str) else value_text(value) if isinstance(value, Value) else str(value)
    return whole if len(whole) <= 60 else f"{whole[:56]}…{whole[-1]}"


def kind_of(value: Any) -> str:
    """What a value is, in words."""
    return KINDS.get(type(value), "a number" if isinstance(value, float) else "a date or time")


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that was probably meant, or ""."""
    return next(iter(difflib.get_close_matches(name[:64], list(known), 1, 0.6)), "")


def text(value: Any) -> str:
    """Text of a sensible length."""
    if not isinstance(value, str):
        raise Wrong(f"{shown(value)} is {kind_of(value)}", "text in quotes")
    if len(value) > TEXT_MAX_CHARACTERS or "\0" in value:
        problem = "has a NUL in it" if "\0" in value else f"has {len(value)} characters"
        raise Wrong(problem, f"text of at most {TEXT_MAX_CHARACTERS} characters")
    return value


def log_pattern(value: Any) -> str:
    """A regular expression for lines of logs."""
    found = text(value)
    problem, _, expected = pattern_problem(found).partition("; expected ")
    if problem:
        raise Wrong(problem, expected)
    return found


@lru_cache(maxsize=64)
def pattern_problem(found: str) -> str:
    """What is wrong with a pattern and what was expected; empty when it is taken. The trial takes a while."""
    from store.readers.pinned_pattern import PatternError, PinnedPattern

    try:
        PinnedPattern(found)
    except PatternError as error:
        return str(error)
    return ""


def flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise Wrong(f"{shown(value)} is {kind_of(value)}", "true or false, without quotes")
    return value


def whole(least: int, most: int) -> Callable[[Any], int]:
    """A whole number within bounds."""

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise Wrong(f"cannot take {shown(value)}", f"a whole number from {least} to {most}")
        return value

    return check


def duration(least_s: float, most_s: float) -> Callable[[Any], float]:
    """A time such as "2h", in seconds."""

    def check(value: Any) -> float:
        expected = 'a time such as "90s", "15m", "2h" or "1d"'
        try:
            time_s = quantities.seconds("", value) if isinstance(value, str) else None
        except ValueError:
            time_s = None
        if time_s is None:
            raise Wrong(f"cannot read {shown(value)}", expected)
        if not least_s <= time_s <= most_s:
            raise Wrong(
                f"{shown(value)} is too {'short' if time_s < least_s else 'long'}", f"at most {most_s / 86400:g}d"
            )
        return time_s

    return check


def size(least_bytes: int) -> Callable[[Any], int]:
    """A size such as "2GB", in bytes."""

    def check(value: Any) -> int:
        try:
            found = quantities.size_bytes("", value) if isinstance(value, str) else None
        except (ValueError, OverflowError):
            found = None
        if found is None:
            raise Wrong(f"cannot read {shown(value)}", 'a size such as "500MB", "2GB" or "2GiB"')
        if not least_bytes <= found <= 2**62:
            raise Wrong(f"{shown(value)} is out of range", f"at least {least_bytes >> 20}MiB")
        return found

    return check


def one_of(*known: str) -> Callable[[Any], str]:
    """One of these words."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in known:
            meant = nearest(value, known) if isinstance(value, str) else ""
            listed = ", ".join(f'"{word}"' for word in known)
            raise Wrong(
                f"cannot take {shown(value)}" + (f" (did you mean {meant!r}?)" if meant else ""),
                listed if len(known) == 1 else f"one of {listed}",
            )
        return value

    return check


def some_of(*known: str) -> Callable[[Any], tuple[str, ...]]:
    """A list of these words, or one of them."""

    def check(value: Any) -> tuple[str, ...]:
        given = [value] if isinstance(value, str) else value
        if not isinstance(given, list) or not given:
            raise Wrong(f"cannot take {shown(value)}", f"a list of {', '.join(known)}")
        single = one_of(*known)
        return tuple(dict.fromkeys(located(single, word, position) for position, word in enumerate(given)))

    return check


def located(check: Callable[[Any], Any], value: Any, *below: str | int) -> Any:
    """The checked value; what is wrong with it is said to be at `below`."""
    try:
        return check(value)
    except Wrong as wrong:
        raise Wrong(wrong.problem, wrong.expected, *below, *wrong.below) from None


def many(value: Any, check: Callable[[Any], str], expected: str) -> tuple[str, ...]:
    """A list of texts, or one."""
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list):
        raise Wrong(f"{shown(value)} is {kind_of(value)}", expected)
    if len(given) > LIST_MAX:
        raise Wrong(f"has {len(given)} entries", f"at most {LIST_MAX}")
    return tuple(dict.fromkeys(located(check, entry, position) for position, entry in enumerate(given)))


def names(value: Any) -> tuple[str, ...]:
    """Names of groups."""
    return many(value, one_name, "a name or a list of names, each in quotes")


def one_name(value: Any) -> str:
    """A name as jobs and groups have it."""
    if not isinstance(value, str) or not JOB_NAME.fullmatch(value):
        raise Wrong(f"{shown(value)} is no name", "letters, digits, _ - and . (at most 64)")
    return value


def patterns(value: Any) -> tuple[str, ...]:
    """Patterns for files of the project."""
    return many(value, one_pattern, "a pattern or a list of patterns, each in quotes")


def one_pattern(value: Any) -> str:
    """A pattern, with its folder in a plain form."""
    pattern = text(value)
    problem = globs.problem(pattern.removeprefix("./"))
    if problem:
        raise Wrong(
            f"{shown(pattern)} {problem}", 'a pattern relative to the project\'s folder, such as "data/*.parquet"'
        )
    return pattern.removeprefix("./")


def command(value: Any) -> str | tuple[str, ...]:
    """A command template: text, or a list of words. Placeholders are checked where the parameters are known."""
    if isinstance(value, list) and value:
        words = tuple(located(word, entry, position) for position, entry in enumerate(value))
        if words[0]:
            return words
    elif isinstance(value, str) and value.strip():
        return word(value)
    raise Wrong(f"{shown(value)} is empty" if value in ("", []) else f"cannot take {shown(value)}", "a command")


def word(value: Any) -> str:
    """Text of any length without NUL."""
    if not isinstance(value, str) or "\0" in value:
        raise Wrong("has a NUL in it" if isinstance(value, str) else f"{shown(value)} is {kind_of(value)}", "text")
    return value


def table(value: Any) -> dict[str, Any]:
    """A table, as it is."""
    if not isinstance(value, dict):
        raise Wrong(f"{shown(value)} is {kind_of(value)}", "a table")
    return value


def tables(value: Any) -> dict[str, Any]:
    """A table of tables, as it is."""
    for name, entry in table(value).items():
        located(table, entry, name)
    return dict(value)


def params(value: Any) -> dict[str, Value]:
    """Parameters with their defaults."""
    carried: dict[str, str] = {}
    for name, entry in table(value).items():
        if not PARAM_NAME.fullmatch(name) or name == PYTHON:
            problem = "{python} has a meaning of its own" if name == PYTHON else f"{shown(name)} is no name"
            raise Wrong(problem, "letters, digits, _ - and . (at most 64, no digit first)", name)
        other = carried.setdefault(variable(name), name)
        if other != name:
            raise Wrong(f"has the same variable {variable(name)} as {other}", "names that differ in letters", name)
        if not isinstance(entry, Value):
            raise Wrong(f"{shown(entry)} is {kind_of(entry)}", "text, a number, true or false", name)
        if isinstance(entry, str):
            located(word, entry, name)
    return dict(value)


def env(value: Any) -> dict[str, str]:
    """Variables; numbers and booleans become text."""
    for name, entry in table(value).items():
        if not VARIABLE_NAME.fullmatch(name) or name.startswith(OWN_VARIABLES):
            own = name.startswith(OWN_VARIABLES)
            problem = "is a variable of footplate's own" if own else f"{shown(name)} is no name of a variable"
            raise Wrong(problem, "letters, digits and _, no digit first, not FOOTPLATE_…", name)
        if not isinstance(entry, Value):
            raise Wrong(f"{shown(entry)} is {kind_of(entry)}", "text in quotes", name)
        if isinstance(entry, str):
            located(word, entry, name)
    return {name: value_text(entry) for name, entry in value.items()}


def folder(value: Any) -> str:
    """A folder inside the project, relative to it; "" for the project's own."""
    path = text(value)
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith(("/", "~")) or ".." in parts:
        raise Wrong(f"{shown(path)} leads out of the project's folder", 'a folder inside it, such as "training"')
    return "/".join(parts)


def cron(value: Any) -> str:
    """Times at which something is started."""
    expression = " ".join(text(value).split())
    problem = cron_times.problem(expression)
    if problem:
        raise Wrong(f"{shown(expression)} {problem}", 'five fields such as "0 3 * * *", or "@daily"')
    return expression


def signal_name(value: Any) -> str:
    """A signal, with SIG before it."""
    name = "SIG" + text(value).upper().removeprefix("SIG")
    if not is_signal(name):
        raise Wrong(f"{shown(value)} is no signal", 'a signal such as "USR1"')
    return name


def after(value: Any) -> Any:
    """Entries of `after` in their long form; what is in them is checked as tables."""
    given = value if isinstance(value, list) else [value]
    if len(given) > LIST_MAX:
        raise Wrong(f"has {len(given)} entries", f"at most {LIST_MAX}")
    for position, entry in enumerate(given):
        if not isinstance(entry, str | dict):
            expected = 'the name of a job, or { job = "train", on = "any" }, or a list of both'
            raise Wrong(f"{shown(entry)} is {kind_of(entry)}", expected, position)
    return tuple({"job": entry} if isinstance(entry, str) else entry for entry in given)


def job_names(value: Any) -> Any:
    """The table of jobs, with names that can be typed."""
    if len(table(value)) > JOBS_MAX:
        raise Wrong(f"has {len(value)} jobs", f"at most {JOBS_MAX}")
    for name, entry in value.items():
        if not JOB_NAME.fullmatch(name):
            raise Wrong(f"{shown(name)} is no name for a job", "letters, digits, _ - and . (at most 64)", name)
        if not isinstance(entry, dict):
            raise Wrong(f"{shown(entry)} is {kind_of(entry)}", f"a table [jobs.{name}]", name)
    return value
