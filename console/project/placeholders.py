"""`{lr}` and `{python}` in a command: which are known, and the variables that carry their values. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

PYTHON: Final = "python"
PARAM_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
PARAM_VARIABLE: Final = "FOOTPLATE_PARAM_"
PYTHON_VARIABLE: Final = "FOOTPLATE_PYTHON"
_BRACES: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class TemplateError(ValueError):
    """A command template, or a value for it, that cannot be used: what is wrong, and what was expected."""

    def __init__(self, problem: str, expected: str) -> None:
        super().__init__(f"{problem}; expected {expected}")
        self.problem = problem
        self.expected = expected


def variable(name: str) -> str:
    """The environment variable that carries a parameter: letters that a variable cannot have become `_`."""
    return PYTHON_VARIABLE if name == PYTHON else PARAM_VARIABLE + re.sub(r"[.-]", "_", name)


def check_placeholder(text: str, name: str | None, names: Collection[str]) -> None:
    """Raise TemplateError for braces that stand for nothing."""
    if name is None or not PARAM_NAME.fullmatch(name):
        raise TemplateError(f"{text[:80]!r} is no placeholder", "{{ or }} where a brace itself is meant")
    if name not in names:
        known = ", ".join(f"{{{known}}}" for known in sorted({*names, PYTHON}))
        raise TemplateError(f"unknown placeholder {text!r}", f"one of {known}, or an entry {name!r} in params")


def fill_word(word: str, values: Mapping[str, str]) -> str:
    """A word with the value of each placeholder in its place; raises TemplateError."""

    def replaced(found: re.Match[str]) -> str:
        if found.group() in ("{{", "}}"):
            return found.group()[0]
        check_placeholder(found.group(), found.group(1), values)
        return values[found.group(1)]

    return _BRACES.sub(replaced, word)
