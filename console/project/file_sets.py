"""Which files a trigger looks at: patterns for them, patterns for what is left out, folders that can hold any. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from console.project import globs
from console.project.skipped import is_skipped


@dataclass(frozen=True)
class FileSet:
    """Files of a project, as `console.project.globs` reads patterns."""

    patterns: tuple[str, ...]
    leave_out: tuple[str, ...] = ()

    def holds(self, path: str) -> bool:
        """Whether a file belongs to it; the path is relative to the project's folder."""
        wanted = any(globs.matches(pattern, path) for pattern in self.patterns)
        return wanted and not any(globs.matches(pattern, path) for pattern in self.leave_out)

    def reaches(self, path: str) -> bool:
        """Whether a look would come upon a file at this path and take it: skipped folders are passed over."""
        return self.holds(path) and self.may_lie_below(path.rpartition("/")[0])

    def may_lie_below(self, folder: str) -> bool:
        """Whether a file of it can lie in a folder or below it; skipped folders only where a pattern names them."""
        names = folder.split("/") if folder else []
        return any(leads_into(parts, names) for parts in self._parts)

    @cached_property
    def _parts(self) -> list[list[str]]:
        return [[name for name in pattern.split("/") if name not in ("", ".")] for pattern in self.patterns]


def leads_into(parts: list[str], names: list[str]) -> bool:
    """Whether a pattern, as names, can mean something below the folder with these names."""
    free = False
    """Past a `**`, or past the end: everything below is meant."""
    for at, name in enumerate(names):
        free = free or at >= len(parts) or parts[at] == "**"
        if free:
            if is_skipped(name) and name not in parts:
                return False
        elif not globs.matches(parts[at], name) or (is_skipped(name) and parts[at] != name):
            return False
    return True


def from_json(data: Any) -> FileSet:
    """As it crosses to a worker."""
    return FileSet(tuple(data["globs"]), tuple(data["leave_out"]))
