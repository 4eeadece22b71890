"""A regular expression that a user pins to a project, for log lines that the grammar does not know.

    step (?P<step>\\d+) .* loss (?P<loss>\\S+)             every named group is a metric of that name
    (?P<key>\\w+)=(?P<value>[\\d.]+)                       for each place where it matches: a name and its value

`step` is the step; `epoch` is the step of a line without one, and never a metric.

Python's matcher tries every way to match, and some patterns have more ways than time. Refused are a repetition within
one, and alternatives within one: there the ways double with each character. What remains can be slow by a power of the
line's length, so lines longer than `LINE_MAX_CHARACTERS` are not read, and a new pattern has to stand a trial on lines
made to defeat it. That is no proof: a pattern can pass and still be slow on a line that nobody thought of.
"""

from __future__ import annotations

import re
import time
import warnings
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any, Final

from store.readers.foreign import STEP_LIMIT
from store.readers.metric_lines import MAX_KEY_CHARS
from store.readers.stdout_grammar import without_colours

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from store.readers.carry import Carry

PATTERN_MAX_CHARACTERS: Final = 1000
LINE_MAX_CHARACTERS: Final = 2000
VALUES_MAX: Final = 500
"""Of one line."""
FEW: Final = 8
"""A repetition of at most so many may hold others."""
IN_A_ROW_MAX: Final = 8
"""Repetitions with nothing fixed between them."""
TRIAL_LIMIT_S: Final = 0.2
"""Of processor time, for one line of the trial."""
SHORT_CHARACTERS: Final = 64
SHORT_LIMIT_S: Final = 0.01
"""For lines so short: where ways double with each character, a few more would take years."""
_NUMBER: Final = re.compile(
    r"[-+]?(?:(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eE][-+]?\d++)?+|nan|inf(?:inity)?+)", re.ASCII | re.IGNORECASE
)
_REPEATS: Final = (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT)
_EXPECTED: Final = r"expected a regular expression such as step (?P<step>\d+) loss (?P<loss>\S+)"
_TRIAL_LENGTHS: Final = (
    *range(4, SHORT_CHARACTERS + 1),
    *(80, 96, 112, 128, 160, 192, 256, 320, 384, 512, 640, 768, 1024, 1280, 1536, LINE_MAX_CHARACTERS),
)


class PatternError(ValueError):
    """A pattern that is not taken; the message says in one sentence what is wrong and what was expected."""


class PinnedPattern:
    """A pattern that may be used on lines of strangers."""

    def __init__(self, text: str, *, tried: bool = False) -> None:
        """Raises PatternError; `tried` says that it has stood its trial before."""
        self.text = text
        self._pattern, tree = _compiled(text)
        names = self._pattern.groupindex.keys()
        self._has_pairs = "key" in names and "value" in names
        self._names = tuple(sorted(names - {"step", "epoch"}, key=self._pattern.groupindex.__getitem__))
        _check_groups(frozenset(names))
        try:
            _check_repeats(tree, "")
            _check_row(tree, 0)
            if not tried:
                self._stand_trial(tree)
        except RecursionError:
            raise PatternError(f"the pattern is nested too deep; {_EXPECTED}") from None

    def read(self, line: str) -> tuple[int | None, dict[str, float]] | None:
        """The step that a line names and its metrics; None for a line that has neither."""
        if len(line) > LINE_MAX_CHARACTERS:
            return None
        step = epoch = None
        values: dict[str, float] = {}
        for match in self._matches(line):
            groups = match.groupdict()
            step = _step_of(groups.get("step")) if step is None else step
            epoch = _step_of(groups.get("epoch")) if epoch is None else epoch
            for name, text in self._pairs_of(groups):
                value = _number_of(text)
                if name and value is not None and len(values) < VALUES_MAX:
                    values[name[:MAX_KEY_CHARS]] = value
        step = epoch if step is None else step
        return None if step is None and not values else (step, values)

    def point(self, line: str, carry: Carry) -> tuple[int, dict[str, float]] | None:
        """The step and the metrics of one printed line, or None; `carry` is brought up to date.

        A line without a step takes the carried one; when none was ever named, such lines are counted from 0.
        """
        found = self.read(without_colours(line))
        if found is None:
            return None
        step, values = found
        if step is not None:
            carry.step = step
        if not values:
            return None
        if carry.step is not None:
            return carry.step, values
        carry.auto_step += 1
        return carry.auto_step - 1, values

    def _matches(self, line: str) -> Iterable[re.Match[str]]:
        if self._has_pairs:
            return self._pattern.finditer(line)
        match = self._pattern.search(line)
        return () if match is None else (match,)

    def _pairs_of(self, groups: dict[str, str | None]) -> Iterator[tuple[str, str | None]]:
        if self._has_pairs:
            yield groups["key"] or "", groups["value"]
        else:
            for name in self._names:
                yield name, groups[name]

    def _stand_trial(self, tree: Any) -> None:
        whole = "".join(_sample(tree))
        units = [*dict.fromkeys(whole), *_pumped(tree), whole, whole[:-1]]
        for unit in dict.fromkeys(filter(None, units)):
            for length in _TRIAL_LENGTHS:
                line = (whole[:-1] + unit * (length // len(unit) + 1))[-length:] + "\0"
                limit_s = SHORT_LIMIT_S if length <= SHORT_CHARACTERS else TRIAL_LIMIT_S
                # Twice, because a machine can stumble.
                if self._time_of(line) > limit_s and (spent_s := self._time_of(line)) > limit_s:
                    raise PatternError(
                        f"the pattern takes {spent_s:.2f} s for a line of {length} characters; "
                        "expected one with fewer repetitions such as .* and \\s*"
                    )

    def _time_of(self, line: str) -> float:
        start_s = time.thread_time()
        for _ in self._matches(line):
            pass
        return time.thread_time() - start_s


def _compiled(text: str) -> tuple[re.Pattern[str], Any]:
    if not text.strip():
        raise PatternError(f"the pattern is empty; {_EXPECTED}")
    if len(text) > PATTERN_MAX_CHARACTERS:
        raise PatternError(f"the pattern has {len(text)} characters; expected at most {PATTERN_MAX_CHARACTERS}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.compile(text), _parser.parse(text)
    except re.error as error:
        where = "" if error.pos is None else f" at character {error.pos + 1}"
        raise PatternError(f"the pattern cannot be read: {error.msg}{where}; {_EXPECTED}") from None
    except (OverflowError, RecursionError, ValueError) as error:
        raise PatternError(f"the pattern cannot be read: {str(error)[:80]}; {_EXPECTED}") from None


def _check_groups(names: frozenset[str]) -> None:
    if not names:
        raise PatternError(f"the pattern has no named groups; {_EXPECTED}")
    if names <= {"step", "epoch"}:
        raise PatternError(f"the pattern names no metric; {_EXPECTED}")
    if "key" in names and "value" not in names:
        raise PatternError("the pattern has a group key and no group value; expected both, or neither")
    if {"key", "value"} <= names and (others := names - {"key", "value", "step", "epoch"}):
        other = min(others)
        raise PatternError(
            f"the pattern has the groups key and value, and {other}; expected step and epoch beside them"
        )


def _check_repeats(tree: Any, outer: str) -> None:
    """Refuse what can be matched in ways that double with each character."""
    for kind, argument in tree:
        if kind in _REPEATS:
            low, high, inner = argument
            if outer and high != low:
                raise PatternError(
                    f"the pattern has a repetition within {outer}; expected none, "
                    "or the groups key and value, which are looked for again and again"
                )
            _check_repeats(inner, outer or ("a repetition" if high > FEW else ""))
        elif kind is _constants.BRANCH:
            if outer:
                raise PatternError(f"the pattern has alternatives within {outer}; expected none, or a set such as [ab]")
            for branch in argument[1]:
                _check_repeats(branch, outer)
        else:
            for part in _parts(kind, argument):
                _check_repeats(part, outer)


def _check_row(tree: Any, count: int) -> int:
    """Refuse many repetitions with nothing fixed between them; returns how many the tree ends with."""
    for kind, argument in tree:
        if kind in _REPEATS and argument[0] != argument[1]:
            count += 1
            if count > IN_A_ROW_MAX:
                raise PatternError(
                    f"the pattern has over {IN_A_ROW_MAX} repetitions in a row; expected fixed characters between them"
                )
            _check_row(argument[2], 0)
        elif kind is _constants.BRANCH:
            count = max(_check_row(branch, count) for branch in argument[1])
        elif kind in _REPEATS or kind is _constants.SUBPATTERN or kind is _constants.ATOMIC_GROUP:
            inner = argument[2] if kind in _REPEATS else next(_parts(kind, argument))
            count = _check_row(inner, count)
        elif kind in (_constants.LITERAL, _constants.NOT_LITERAL, _constants.IN, _constants.ANY):
            count = 0
    return count


def _parts(kind: Any, argument: Any) -> Iterator[Any]:
    """Trees that stand within one item other than a repetition and alternatives."""
    if kind is _constants.SUBPATTERN:
        yield argument[-1]
    elif kind in (_constants.ASSERT, _constants.ASSERT_NOT):
        yield argument[1]
    elif kind is _constants.ATOMIC_GROUP:
        yield argument
    elif kind is _constants.GROUPREF_EXISTS:
        yield from filter(None, argument[1:])


def _sample(tree: Any) -> Iterator[str]:
    """Characters that the pattern matches, roughly."""
    for kind, argument in tree:
        if kind is _constants.LITERAL:
            yield chr(argument)
        elif kind is _constants.IN:
            yield _member(argument)
        elif kind in (_constants.ANY, _constants.NOT_LITERAL):
            yield "a"
        elif kind in _REPEATS:
            yield from list(_sample(argument[2])) * min(max(argument[0], 1), FEW)
        elif kind is _constants.BRANCH:
            yield from _sample(argument[1][0])
        elif kind not in (_constants.ASSERT, _constants.ASSERT_NOT):
            for part in _parts(kind, argument):
                yield from _sample(part)


def _member(items: list[tuple[Any, Any]]) -> str:
    kind, argument = items[0]
    if kind is _constants.LITERAL:
        return chr(argument)
    if kind is _constants.RANGE:
        return chr(argument[0])
    if kind is _constants.CATEGORY and argument is _constants.CATEGORY_DIGIT:
        return "0"
    return " " if kind is _constants.CATEGORY and argument is _constants.CATEGORY_SPACE else "a"


def _pumped(tree: Any) -> Iterator[str]:
    """What each repetition repeats."""
    for kind, argument in tree:
        if kind in _REPEATS:
            yield "".join(_sample(argument[2]))
            yield from _pumped(argument[2])
        elif kind is _constants.BRANCH:
            for branch in argument[1]:
                yield from _pumped(branch)
        else:
            for part in _parts(kind, argument):
                yield from _pumped(part)


def _number_of(text: str | None) -> float | None:
    text = (text or "").strip().removesuffix("%")
    return float(text) if _NUMBER.fullmatch(text) else None


def _step_of(text: str | None) -> int | None:
    value = _number_of(text)
    if value is None or not value.is_integer() or abs(value) > STEP_LIMIT:
        return None
    plain = (text or "").strip()
    return int(plain) if plain.isdigit() and len(plain) < 19 else int(value)
