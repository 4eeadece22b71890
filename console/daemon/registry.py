"""Which folders are watched, as `projects/<id>/project.json` says. May be used from any thread."""

from __future__ import annotations

import json
import os
import queue
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from ulid import ULID

from store import paths, removal

if TYPE_CHECKING:
    from collections.abc import Callable

FORMAT: Final = 1
PROJECTS_MAX: Final = 1000
QUESTIONS_MAX: Final = 4 * PROJECTS_MAX


@dataclass(frozen=True, slots=True)
class WatchedProject:
    """One watched folder."""

    id: str
    root: str
    """Absolute, links resolved."""
    name: str
    """As its manifest says, or as given, else that of the folder."""
    given_name: str
    by: str
    since_s: float
    log_pattern: str = ""
    """Of its manifest as it was last read, so that a run that is enqueued before the first look has it."""

    def dir(self, home: str) -> str:
        """Where what is known of it lies."""
        return os.path.join(home, "projects", self.id)


class Registry:
    """All of them, by root."""

    def __init__(self, home: str, report: Callable[[str], None]) -> None:
        self.home = home
        self.questions: queue.Queue[str] = queue.Queue(QUESTIONS_MAX)
        """Folders whose manifest somebody wants looked at."""
        self.wake: Callable[[], None] = no_wake
        """Tells whoever looks at manifests that there is a question."""
        self.tell_watched: Callable[[str, str], None] = no_reader
        """Told of each watched folder and who asked for it, when it is taken up and when something in it changes."""
        self.tell_left: Callable[[str], None] = no_reader
        self._asked: set[str] = set()
        self._lock = threading.Lock()
        self._by_root: dict[str, WatchedProject] = {}
        folder = os.path.join(home, "projects")
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            try:
                found = read(os.path.join(folder, name))
            except (OSError, ValueError, KeyError, TypeError) as error:
                report(f"passed over the project in {folder}/{name}: {error}")
                continue
            self._by_root[found.root] = found

    def all(self) -> list[WatchedProject]:
        """Every watched project, by name."""
        with self._lock:
            return sorted(self._by_root.values(), key=lambda each: (each.name.lower(), each.root))

    def at(self, root: str) -> WatchedProject | None:
        """The project whose root this is."""
        with self._lock:
            return self._by_root.get(root)

    def around(self, folder: str) -> WatchedProject | None:
        """The nearest watched project that a folder lies in."""
        with self._lock:
            while True:
                if folder in self._by_root:
                    return self._by_root[folder]
                parent = folder.rpartition("/")[0] or folder[:1]
                if parent == folder or not self._by_root:
                    return None
                folder = parent

    def name_of(self, folder: str) -> str:
        """The name of the nearest watched project that a folder lies in; empty where there is none."""
        found = self.around(folder)
        return found.name if found is not None else ""

    def add(self, root: str, given_name: str, by: str) -> WatchedProject:
        """Watch a folder. Raises OSError, ValueError when there are too many."""
        with self._lock:
            if len(self._by_root) >= PROJECTS_MAX:
                raise ValueError(f"{PROJECTS_MAX} folders are watched already")
            name = given_name or os.path.basename(root) or root
            made = WatchedProject(str(ULID()), root, name, given_name, by, time.time())
            folder = made.dir(self.home)
            paths.make_private_dir(os.path.dirname(folder))
            paths.make_private_dir(folder)
            write(folder, made)
            self._by_root[root] = made
            return made

    def remove(self, root: str) -> None:
        """Watch a folder no more, and forget what was known of it. Raises OSError."""
        with self._lock:
            gone = self._by_root.pop(root)
            removal.remove_tree(gone.dir(self.home))

    def rename(self, root: str, name: str) -> None:
        """A manifest gives another name. Raises OSError."""
        with self._lock:
            found = self._by_root.get(root)
            if found is not None and found.name != name:
                self._by_root[root] = replace(found, name=name)
                write(found.dir(self.home), self._by_root[root])

    def pin_log_pattern(self, root: str, pattern: str) -> None:
        """A manifest gives another pattern for lines of logs. Raises OSError."""
        with self._lock:
            found = self._by_root.get(root)
            if found is not None and found.log_pattern != pattern:
                self._by_root[root] = replace(found, log_pattern=pattern)
                write(found.dir(self.home), self._by_root[root])

    def ask_trust(self, folder: str) -> None:
        """Have a manifest looked at, soon; asking again before that changes nothing."""
        with self._lock:
            if folder in self._asked:
                return
            self._asked.add(folder)
        try:
            self.questions.put_nowait(folder)
        except queue.Full:
            self.answered(folder)
        self.wake()

    def answered(self, folder: str) -> None:
        """It has been looked at."""
        with self._lock:
            self._asked.discard(folder)


def no_reader(*_: str) -> None:
    """Nobody reads what trackers write."""


def no_wake() -> None:
    """Nobody looks yet."""


def read(folder: str) -> WatchedProject:
    """A project as it was written down. Raises OSError, ValueError, KeyError, TypeError."""
    with open(os.path.join(folder, "project.json"), "rb") as file:
        found: dict[str, Any] = json.load(file)
    if not os.path.isabs(found["root"]):
        raise ValueError("its root is no absolute path")
    texts = {name: str(found[name]) for name in ("root", "name", "given_name", "by")}
    pattern = str(found.get("log_pattern", ""))
    return WatchedProject(os.path.basename(folder), since_s=float(found["since_s"]), log_pattern=pattern, **texts)


def write(folder: str, project: WatchedProject) -> None:
    """Write a project down. Raises OSError."""
    content = {
        "format": FORMAT,
        "root": project.root,
        "name": project.name,
        "given_name": project.given_name,
        "by": project.by,
        "since_s": project.since_s,
        "log_pattern": project.log_pattern,
    }
    paths.write_atomically(os.path.join(folder, "project.json"), json.dumps(content).encode())
