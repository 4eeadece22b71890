"""Where trackers have written below a folder: which reader reads what. Looks at names, follows no link to a folder."""

from __future__ import annotations

import importlib
import os
import re
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from store.readers.foreign import Source

READERS: Final = (
    "mlflow_files",
    "mlflow_sqlite",
    "wandb_log",
    "trackio_db",
    "tensorboard",
    "lightning_csv",
    "trainer_state",
    "dvclive",
)
"""Modules of `store.readers`. Of those that read one folder, the first one's word counts where two say the same."""
WHOLE_FOLDERS: Final = {
    "mlruns": re.compile(r"\d+|\.trash|models"),
    "wandb": re.compile(r"(offline-)?run-.*"),
    "mlartifacts": re.compile(r"\d+"),
}
"""Folders that belong to one tracker, and what is in them then; the walk does not go on inside."""
SKIPPED: Final = frozenset(
    {"__pycache__", "__pypackages__", "conda-meta", "env", "node_modules", "site-packages", "venv"}
)
FOLDERS_MAX: Final = 200_000
DEPTH_MAX: Final = 12
ENTRIES_MAX: Final = 100_000


class Place(NamedTuple):
    """One source of one reader."""

    reader: str
    path: str

    @property
    def id(self) -> str:
        """What tells it from all others: two readers may read one folder."""
        return f"{self.reader} {self.path}"


class Walk(NamedTuple):
    """What a walk came to."""

    places: tuple[Place, ...]
    folder_count: int
    stopped: str
    """Why it ended early; empty when it went through."""


def reader(name: str) -> Any:
    """The module of a reader, imported when it is first needed."""
    return importlib.import_module(f"store.readers.{name}")


def open_place(place: Place) -> Source:
    """A reader at the beginning of a place."""
    source: Source = reader(place.reader).Source(place.path)
    return source


def find(root: str, is_cancelled: Callable[[], bool] = lambda: False) -> Walk:
    """Every place below a folder, or at a path that is one itself, the root's own first."""
    found: dict[Place, None] = {}
    folder_count = 0
    stopped = ""
    for folder, files, folders in listings(root):
        folder_count += 1
        for name in READERS:
            for path in reader(name).found_in(folder, files, folders):
                found.setdefault(Place(name, path))
        if is_cancelled():
            stopped = "it was left off"
            break
        if folder_count >= FOLDERS_MAX:
            stopped = f"{FOLDERS_MAX:,} folders were looked at; import a smaller one"
            break
    return Walk(tuple(found), folder_count, stopped)


def listings(root: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Each folder with the names of its files and folders, nearest first; what cannot be read is passed over."""
    parent, name = os.path.split(root.rstrip("/"))
    # A path may be a place itself, which only the folder that it lies in can say.
    is_folder = os.path.isdir(root)
    yield parent or "/", [] if is_folder else [name], [name] if is_folder else []
    waiting = deque([(root, 0)] if is_folder else [])
    while waiting:
        folder, depth = waiting.popleft()
        files: list[str] = []
        folders: list[str] = []
        try:
            with os.scandir(folder) as entries:
                for count, entry in enumerate(entries):
                    if count >= ENTRIES_MAX:
                        break
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.name)
                    elif entry.is_file(follow_symlinks=True):
                        files.append(entry.name)
        except OSError:
            continue
        mark = WHOLE_FOLDERS.get(os.path.basename(folder))
        if mark is not None and any(map(mark.fullmatch, folders)):
            continue
        yield folder, files, sorted(folders)
        if depth < DEPTH_MAX:
            inner = (each for each in sorted(folders) if not is_passed_over(each))
            waiting.extend((os.path.join(folder, each), depth + 1) for each in inner)


def is_passed_over(name: str) -> bool:
    """Whether no tracker writes into a folder of this name."""
    return name in SKIPPED or name.startswith(".")


def newest_first(places: tuple[Place, ...]) -> list[Place]:
    """Places by when they were last written to, as far as that can be seen without reading them."""
    return sorted(places, key=lambda place: (-modified_s(place.path), place.path))


def modified_s(path: str) -> float:
    """Modification time of a file or folder; 0 when it is gone."""
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0
