"""What a query says, before it is known which keys the index has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Form: TypeAlias = Literal["", "last", "best", "min", "max", "smooth"]
"""What of a metric is compared; empty where nothing is said: a param, else the last value of a metric."""
Operator: TypeAlias = Literal["=", "!=", "<", "<=", ">", ">=", "~", "!~", ":"]
FORMS: Final[tuple[Form, ...]] = ("last", "best", "min", "max", "smooth")
SMOOTHING: Final = 0.9
"""The alpha of `smooth(x)`: s' = alpha s + (1 - alpha) x, divided by 1 - alpha^n."""


@dataclass(frozen=True, slots=True)
class Field:
    """What is compared, or sorted by."""

    name: str
    start: int
    end: int
    form: Form = ""
    alpha: float = SMOOTHING
    of: Literal["", "metric", "param"] = ""
    """What the prefix says it is."""
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Value:
    """What it is compared with; a quoted one is a text, whatever it looks like."""

    text: str
    start: int
    end: int
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """`field operator value`."""

    field: Field
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True)
class Word:
    """A text that a run, one of its tags or one of its notes holds."""

    text: str


@dataclass(frozen=True, slots=True)
class Has:
    """A run that has something at all."""

    field: Field


@dataclass(frozen=True, slots=True)
class Flag:
    """`pinned` or `archived`."""

    name: Literal["pinned", "archived"]


@dataclass(frozen=True, slots=True)
class RunNumber:
    """A bare `r12`."""

    no: int


@dataclass(frozen=True, slots=True)
class Not:
    """What does not hold."""

    part: Node


@dataclass(frozen=True, slots=True)
class And:
    """What all hold; of nothing, everything."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Of which one holds."""

    parts: tuple[Node, ...]


Node: TypeAlias = Comparison | Word | Has | Flag | RunNumber | Not | And | Or


@dataclass(frozen=True, slots=True)
class Query:
    """A query that is well formed; `root` is None for an empty one, which every run fits."""

    text: str
    root: Node | None
