"""The params of a sweep: `lr=1e-3,1e-4`, `seed=1..5`, `lr=log(1e-5..1e-1)`, as a grid, side by side, or at random.

Values stay the texts that were typed: `1e-3` reaches the command as `1e-3`.
"""

from __future__ import annotations

import itertools
import math
import random
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

RUNS_MAX: Final = 10_000
"""Of one sweep."""
AXES_MAX: Final = 100
NUMBER: Final = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
RANGE: Final = re.compile(rf"({NUMBER}?)\.\.({NUMBER}?)(?:\.\.({NUMBER}))?")
PLAIN: Final = re.compile(r"[-+]?\d+(\.\d+)?")
DISTRIBUTION: Final = re.compile(rf"(log|uniform|int)\(\s*({NUMBER})\s*(?:\.\.|,)\s*({NUMBER})\s*\)")
NAME: Final = re.compile(r"[^\s=]+")
TRIES: Final = 50
"""How often a random set that was drawn already is drawn anew."""


class SweepError(ValueError):
    """What cannot be swept; `hint` is the next step."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Axis:
    """One param and what it takes: values, or a distribution to draw from."""

    name: str
    values: tuple[str, ...] = ()
    distribution: str = ""
    """`log`, `uniform` or `int`; then the values lie between `low` and `high`."""
    low: float = 0.0
    high: float = 0.0


def parse_axis(text: str) -> Axis:
    """One `-p` of the command line. Raises SweepError."""
    name, equals, values = text.partition("=")
    if not equals or not NAME.fullmatch(name):
        raise SweepError(f"{text!r} names no param", "write -p lr=1e-3,1e-4 or -p seed=1..5")
    drawn = DISTRIBUTION.fullmatch(values)
    if drawn:
        low, high = float(drawn[2]), float(drawn[3])
        if not low < high or (drawn[1] == "log" and low <= 0):
            above = " and above 0" if drawn[1] == "log" else ""
            raise SweepError(f"{name}={values}: the first bound must be smaller than the second{above}")
        return Axis(name, (), drawn[1], low, high)
    found: list[str] = []
    for part in split_list(values):
        found += span(name, part)
        if len(found) > RUNS_MAX:
            raise SweepError(f"{name} takes more than {RUNS_MAX:,} values", f"at most {RUNS_MAX:,}")
    return Axis(name, tuple(found))


def split_list(text: str) -> list[str]:
    """The parts between commas; a comma that belongs to a value is written `\\,`, a backslash `\\\\`."""
    parts, part, escaped = [], "", False
    for character in text:
        if escaped:
            part += character if character in ",\\" else "\\" + character
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == ",":
            parts.append(part)
            part = ""
        else:
            part += character
    return [*parts, part + "\\" * escaped]


def span(name: str, text: str) -> list[str]:
    """`1..5`, `5..1`, `0..1..0.25`: the values from one end to the other; any other text is one value."""
    parts = text.split("..")
    if len(parts) not in (2, 3) or not all(PLAIN.fullmatch(part) for part in parts):
        return [text]
    first, last = Decimal(parts[0]), Decimal(parts[1])
    if len(parts) == 2:
        if first != first.to_integral_value() or last != last.to_integral_value():
            raise SweepError(f"{name}={text}: a range of fractions needs a step", f"such as {text}..0.1")
        step = Decimal(1 if last >= first else -1)
    else:
        step = Decimal(parts[2])
    try:
        steps = (last - first) / step
    except (InvalidOperation, ZeroDivisionError) as error:
        raise SweepError(f"{name}={text}: the step must not be 0") from error
    if steps < 0:
        raise SweepError(f"{name}={text}: the step leads away from the end")
    if steps >= RUNS_MAX:
        raise SweepError(f"{name}={text} has {int(steps) + 1:,} values", f"at most {RUNS_MAX:,}")
    return [f"{first + step * index:f}" for index in range(int(steps) + 1)]


def expand(
    axes: Sequence[Axis],
    *,
    zipped: bool = False,
    random_count: int = 0,
    seed: int = 0,
    rows: Sequence[dict[str, str]] = (),
) -> list[dict[str, str]]:
    """The sets of params, in order: every combination, or as asked. Raises SweepError.

    `rows`: sets that were listed one by one; with axes, every one of them with every combination.
    """
    names = [axis.name for axis in axes]
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled is not None:
        raise SweepError(f"the param {doubled} is given twice", f"list its values once: -p {doubled}=1,2,3")
    if len(axes) > AXES_MAX:
        raise SweepError(f"{len(axes)} params; at most {AXES_MAX}")
    clash = next((name for row in rows for name in row if name in names), None)
    if clash is not None:
        raise SweepError(f"the param {clash} is given by -p and by the list", "leave one of them out")
    if random_count:
        found = draw(axes, random_count, seed)
    else:
        drawn = next((axis for axis in axes if axis.distribution), None)
        if drawn is not None:
            hint = "--random 20 draws twenty sets"
            raise SweepError(f"{drawn.name} is to be drawn from a distribution, which a grid cannot list", hint)
        found = side_by_side(axes) if zipped else grid(axes, len(rows) or 1)
    if not rows:
        return found
    too_many(len(rows) * len(found), "rows x sets")
    return [{**row, **each} for row in rows for each in found]


def grid(axes: Sequence[Axis], factor: int) -> list[dict[str, str]]:
    """Every combination, the last param fastest."""
    total = math.prod(len(axis.values) for axis in axes)
    too_many(total * factor, " x ".join(f"{axis.name} {len(axis.values):,}" for axis in axes))
    names = [axis.name for axis in axes]
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*(axis.values for axis in axes))]


def side_by_side(axes: Sequence[Axis]) -> list[dict[str, str]]:
    """The first values together, then the second ones, and so on."""
    lengths = {axis.name: len(axis.values) for axis in axes}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise SweepError(f"--zip needs as many values of each param: {said}")
    names = list(lengths)
    return [dict(zip(names, values, strict=True)) for values in zip(*(axis.values for axis in axes), strict=True)]


def draw(axes: Sequence[Axis], count: int, seed: int) -> list[dict[str, str]]:
    """Random sets, the same for the same seed; none twice as long as others can be found."""
    if not axes:
        raise SweepError("there is nothing to draw", "name params: -p lr=log(1e-5..1e-1) -p layers=2,4,8")
    too_many(count, f"--random {count}")
    chance = random.Random(seed)
    found: list[dict[str, str]] = []
    seen: set[tuple[str, ...]] = set()
    while len(found) < count:
        for _ in range(TRIES):
            values = tuple(draw_one(axis, chance) for axis in axes)
            if values not in seen:
                break
        else:
            said = f"only {len(found)} different sets were found for --random {count}"
            raise SweepError(said, f"--random {len(found)}, or leave --random out for the grid")
        seen.add(values)
        found.append({axis.name: value for axis, value in zip(axes, values, strict=True)})
    return found


def draw_one(axis: Axis, chance: random.Random) -> str:
    """One value of one param."""
    if not axis.distribution:
        return chance.choice(axis.values)
    if axis.distribution == "int":
        return str(chance.randint(math.ceil(axis.low), math.floor(axis.high)))
    if axis.distribution == "log":
        return f"{math.exp(chance.uniform(math.log(axis.low), math.log(axis.high))):.4g}"
    return f"{chance.uniform(axis.low, axis.high):.4g}"


def too_many(count: int, words: str) -> None:
    """Refuse more runs than one sweep may have."""
    if count > RUNS_MAX:
        said = f"{count:,} combinations ({words}); at most {RUNS_MAX:,} are enqueued at once"
        raise SweepError(said, "--random 200 draws some of them, or give fewer values")


def parse_rows(data: Any) -> list[dict[str, str]]:
    """Sets that were listed one by one, as decoded from JSON. Raises SweepError."""
    if not isinstance(data, list):
        raise SweepError("the list of params must be a list of objects")
    rows = []
    for number, row in enumerate(data, 1):
        if not isinstance(row, dict) or not all(isinstance(value, str | int | float | bool) for value in row.values()):
            raise SweepError(f"row {number} of the list is no object of plain values: {str(row)[:80]}")
        rows.append({str(name): value_text(value) for name, value in row.items()})
    return rows


def value_text(value: str | float | bool) -> str:
    """A value of a list or a manifest as a command gets it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
