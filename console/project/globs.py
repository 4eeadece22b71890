"""Patterns for files of a project: which paths they mean, and whether two of them can mean the same. Pure.

Paths are relative to the project's folder, with `/`. `*` and `?` stay within one name, `**` as a whole name stands for
any number of folders, `[a-z]` and `[!a-z]` for one character. A pattern that means a folder means all that is in it.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from typing import Final

PATTERN_MAX_CHARACTERS: Final = 200
_WILD: Final = re.compile(r"[*?\[]")
_CLASS: Final = re.compile(r"\[(!?)(\]?[^\]/]*)\]")

Characters = frozenset[str] | tuple[str, frozenset[str]]
"""One of a set, or `("not", set)`: any other."""
Part = str | Characters
"""What stands for one character, or one of the three words below."""
_ANY: Final = ("not", frozenset("/"))
_EVERY: Final[tuple[str, frozenset[str]]] = ("not", frozenset())
_SOME: Final = "*"
"""Any characters of one name."""
_FOLDERS: Final = "**/"
"""Any number of folders."""
_REST: Final = "/**"
"""Nothing, or what is in the folder that the pattern means so far."""


def problem(pattern: str) -> str:
    """What is wrong with a pattern; empty for one that can be used."""
    if not pattern or len(pattern) > PATTERN_MAX_CHARACTERS:
        return "is empty" if not pattern else f"is longer than {PATTERN_MAX_CHARACTERS} characters"
    if pattern.startswith(("/", "~")):
        return "leads out of the project's folder"
    names = pattern.rstrip("/").split("/")
    if ".." in names:
        return "leads out of the project's folder"
    if "" in names or "\0" in pattern:
        return "has an empty name in it" if "" in names else "has a NUL in it"
    if any("**" in name and name != "**" for name in names):
        return "has ** beside other characters of a name"
    return ""


def matches(pattern: str, path: str) -> bool:
    """Whether a pattern means this path or a folder that it lies in."""
    return _compiled(pattern).fullmatch(path) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    forms = []
    for part in _parts(pattern):
        if part == _SOME:
            forms.append("[^/]*")
        elif part == _FOLDERS:
            forms.append("(?:[^/]+/)*")
        elif part == _REST:
            forms.append("(?:/.*)?")
        elif not isinstance(part, str):
            negated, characters = ("^", part[1]) if isinstance(part, tuple) else ("", part)
            forms.append(f"[{negated}{''.join(map(re.escape, sorted(characters)))}]" if characters else "(?!)")
    return re.compile("".join(forms), re.DOTALL)


@lru_cache(maxsize=4096)
def _parts(pattern: str) -> tuple[Part, ...]:
    """A pattern as a row of parts; it ends in `_REST`."""
    names = [name for name in pattern.split("/") if name not in ("", ".")]
    parts: list[Part] = []
    for position, name in enumerate(names):
        last = position == len(names) - 1
        if name == "**":
            parts += [_FOLDERS, _SOME] if last else [_FOLDERS]
            continue
        at = 0
        while at < len(name):
            found = _CLASS.match(name, at)
            if found is not None:
                parts.append(_character_set(found.group(2), negated=bool(found.group(1))))
                at = found.end()
                continue
            character = name[at]
            parts.append(_SOME if character == "*" else _ANY if character == "?" else frozenset(character))
            at += 1
        if not last:
            parts.append(frozenset("/"))
    return (*parts, _REST)


def _character_set(text: str, *, negated: bool) -> Part:
    characters: set[str] = set()
    at = 0
    while at < len(text):
        if text[at + 1 : at + 2] == "-" and at + 2 < len(text):
            low, high = ord(text[at]), ord(text[at + 2])
            characters.update(map(chr, range(low, min(high, low + 512) + 1)))
            at += 3
        else:
            characters.add(text[at])
            at += 1
    characters.discard("/")
    return ("not", frozenset(characters | {"/"})) if negated else frozenset(characters)


def cost(one: str, other: str) -> int:
    """About how much work `meet` is, in steps; 0 for patterns that differ before their first wildcard."""
    first, second = _before_wildcard(one), _before_wildcard(other)
    if not (first.startswith(second) or second.startswith(first)):
        return 0
    return len(_parts(one)) * len(_parts(other))


def _before_wildcard(pattern: str) -> str:
    plain = "/".join(name for name in pattern.split("/") if name not in ("", "."))
    return _WILD.split(plain, maxsplit=1)[0]


def meet(one: str, other: str) -> bool:
    """Whether there can be a path that both patterns mean; names with a suffix are taken for files here."""
    if not cost(one, other):
        return False
    first, second = _automaton(one), _automaton(other)
    waiting = [(0, 0)]
    seen = set(waiting)
    while waiting:
        here, there = waiting.pop()
        if first.accepting[here] and second.accepting[there]:
            return True
        steps = [(target, there) for target in first.free[here]] + [(here, target) for target in second.free[there]]
        for eaten, target in first.eating[here]:
            steps += [(target, reached) for also, reached in second.eating[there] if _common(eaten, also)]
        for step in steps:
            if step not in seen:
                seen.add(step)
                waiting.append(step)
    return False


class _Automaton:
    """A pattern as states and what leads from one to the next."""

    def __init__(self) -> None:
        self.eating: list[list[tuple[Characters, int]]] = [[]]
        self.free: list[list[int]] = [[]]
        self.accepting = [False]

    def add(self) -> int:
        """A new state, after the last one."""
        self.eating.append([])
        self.free.append([])
        self.accepting.append(False)
        return len(self.eating) - 1


@lru_cache(maxsize=1024)
def _automaton(pattern: str) -> _Automaton:
    made = _Automaton()
    here = 0
    for part in _parts(pattern):
        if part == _SOME:
            made.eating[here].append((_ANY, here))
        elif part == _FOLDERS:
            inside = made.add()
            made.eating[here].append((_ANY, inside))
            made.eating[inside] += [(_ANY, inside), (frozenset("/"), here)]
        elif part == _REST:
            made.accepting[here] = True
            if not _may_be_folder(pattern):
                break
            below = made.add()
            made.accepting[below] = True
            made.eating[here].append((frozenset("/"), below))
            made.eating[below].append((_EVERY, below))
            break
        after = made.add()
        if isinstance(part, str):
            made.free[here].append(after)
        else:
            made.eating[here].append((part, after))
        here = after
    return made


def _may_be_folder(pattern: str) -> bool:
    """Whether what a pattern means is a folder, by its last name: one with a suffix is taken for a file."""
    return pattern.endswith("/") or not os.path.splitext(os.path.basename(pattern))[1]


def _common(one: Characters, other: Characters) -> bool:
    if isinstance(one, tuple):
        return isinstance(other, tuple) or bool(other - one[1])
    return bool(one - other[1]) if isinstance(other, tuple) else bool(one & other)
