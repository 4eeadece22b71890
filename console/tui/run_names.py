"""What a run is called in a list: its name, and those of its params that tell it from the others there. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from console.protocol import RunRow

    Alike: TypeAlias = Mapping[str, frozenset[tuple[str, str]]]
    """By project: params with their values that all its runs in a list have."""

NOTHING: Final[Alike] = {}


def name_of(row: RunRow, alike: Alike = NOTHING) -> str:
    """Name, and the params that it does not hold already; runs of one script have one name."""
    return named(row.name, row.project, row.params, alike)


def named(name: str, project: str, params: Mapping[str, str], alike: Alike = NOTHING) -> str:
    """As `name_of`."""
    words, common = name.split(), alike.get(project, frozenset())
    telling = [f"{key}={value}" for key, value in params.items() if (key, value) not in common]
    return " ".join([name, *(text for text in telling if text not in words)])


def params_alike(runs: Iterable[tuple[str, str, Mapping[str, str]]]) -> Alike:
    """What runs of a list have in common, by project; `runs` are project, name and params of each.

    A param is common when several runs have it, all with one value, and none of the others bears the name of one of
    them, which only the param would tell apart.
    """
    projects: dict[str, list[tuple[str, Mapping[str, str]]]] = {}
    for project, name, params in runs:
        projects.setdefault(project, []).append((name, params))
    found = {}
    for project, members in projects.items():
        items = Counter(item for _, params in members for item in params.items())
        values = Counter(key for key, _ in items)
        several = [(key, value) for (key, value), count in items.items() if count > 1 and values[key] == 1]
        found[project] = frozenset(item for item in several if not tells_one_name_apart(item[0], members))
    return found


def tells_one_name_apart(key: str, members: Sequence[tuple[str, Mapping[str, str]]]) -> bool:
    """Whether runs of one name differ in having a param at all."""
    having = {name for name, params in members if key in params}
    return any(name in having for name, params in members if key not in params)
