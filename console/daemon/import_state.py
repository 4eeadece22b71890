"""One import as the thread of `Imports` keeps it, and as clients see it."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from store import import_journal, paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from console.daemon.import_reader import ReaderProcess
    from store.imported import Known


FORMAT: Final = 1
_STATE: Final = attrgetter("state")
_TRACKER: Final = attrgetter("tracker")


@dataclass(slots=True)
class Import:
    """One folder that is read."""

    id: str
    root: str
    by: str
    since_s: float
    watched: bool
    """It belongs to a watched project and is read as long as that is watched."""
    only_own: bool = False
    """Nobody asked for it: of what is found, only what runs of ours wrote is taken in."""
    project: str = ""
    """What its runs are called after where nobody watches."""
    process: ReaderProcess | None = None
    places: list[list[str]] = field(default_factory=list)
    stopped: str = ""
    problems: dict[str, str] = field(default_factory=dict)
    runs: dict[tuple[str, str], Known] = field(default_factory=dict)
    """By place and key."""
    forgotten: set[tuple[str, str]] = field(default_factory=set)
    joined: dict[tuple[str, str], tuple[str, str, int]] = field(default_factory=dict)
    """Runs of our own: the id of the imported one, and id and number of ours."""
    twins: dict[tuple[str, str], str] = field(default_factory=dict)
    """Runs that are another imported one, and its id."""
    elsewhere: dict[tuple[str, str], str] = field(default_factory=dict)
    """Runs that another import has already, and its root."""
    durable: list[dict[str, Any]] = field(default_factory=list)
    passing: list[dict[str, Any]] = field(default_factory=list)
    unwritten: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The latest of live runs that is not in the journal yet, by id."""
    written_s: dict[str, float] = field(default_factory=dict)
    look_no: int = 0
    """How often somebody asked for a look at all its places, since the daemon started."""
    looked: bool = False
    """A look that began after the latest of these questions has ended."""
    changed_s: float = 0.0
    """Monotonic: when a run of it was last new or changed."""
    waiting_since_s: float = 0.0
    """Monotonic: since when something waits to be committed; 0 while nothing does."""
    look_ended: bool = False
    committed: bool = False
    """Something of it was brought into the index since the daemon started."""
    again_s: float = 0.0
    """Monotonic: not before then is a process started."""
    rested_s: float = -1e9
    """Monotonic: when it was last read."""
    deaths: int = 0
    cancelled: bool = False
    wanted: bool = True
    """A look is owed."""

    def ask_for_look(self) -> None:
        """Somebody wants to know what is there now: a look that is under way does not count, it may be past it."""
        self.look_no += 1
        self.looked = False
        self.wanted, self.cancelled, self.again_s, self.deaths = True, False, 0.0, 0
        if self.process is not None:
            self.process.ask({"look": self.look_no})

    @property
    def is_empty(self) -> bool:
        """It has no run, had none that was deleted, and none is on its way into the index."""
        return not (self.runs or self.forgotten or self.joined or self.twins or self.durable or self.passing)


def row_of(found: Import) -> dict[str, Any]:
    """An import as JSON."""
    return {
        "id": found.id,
        "root": found.root,
        "by": found.by,
        "since_s": found.since_s,
        "watched": found.watched,
        "only_own": found.only_own,
        "reading": found.process is not None,
        "waiting": found.process is None and found.wanted and not found.cancelled,
        "cancelled": found.cancelled,
        "looked": found.looked and not found.durable and not found.passing,
        "place_count": len(found.places),
        "run_count": len(found.runs),
        "joined_count": len(found.joined),
        "twin_count": len(found.twins),
        "by_state": dict(Counter(map(_STATE, found.runs.values()))),
        "by_tracker": dict(Counter(map(_TRACKER, found.runs.values()))),
        "elsewhere": sorted(set(found.elsewhere.values())),
        "elsewhere_count": len(found.elsewhere),
        "stopped": found.stopped,
        "problems": [words for _, words in sorted(found.problems.items())][:20],
    }


def identity_of(tracker: str, key: str, path: str) -> tuple[str, str]:
    """What tells a run from all others, wherever a copy of it lies."""
    return (tracker, key) if tracker in ("mlflow", "wandb") else (tracker, f"{path}\0{key}")


def project_of(root: str) -> str:
    """What runs below a folder are called after, where nobody watches it."""
    name = os.path.basename(root)
    if name in ("mlruns", "wandb", "dvclive", "lightning_logs") or os.path.isfile(root):
        name = os.path.basename(os.path.dirname(root))
    return name or root


def load_imports(home: str, report: Callable[[str], None]) -> Iterator[Import]:
    """The imports that earlier daemons wrote down, oldest first."""
    for name in import_journal.import_ids(home):
        folder = import_journal.folder_of(home, name)
        try:
            with open(os.path.join(folder, "import.json"), "rb") as file:
                said = json.load(file)
            texts = (name, str(said["root"]), str(said["by"]))
            yield Import(*texts, float(said["since_s"]), bool(said["watched"]), bool(said.get("only_own")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            report(f"passed over the import in {folder}: {error}")


def write_import(home: str, found: Import) -> None:
    """Write down what is read, where and for whom. Raises OSError."""
    folder = import_journal.folder_of(home, found.id)
    for each in (os.path.dirname(folder), folder):
        paths.make_private_dir(each)
    content = {
        "format": FORMAT,
        "root": found.root,
        "by": found.by,
        "since_s": found.since_s,
        "watched": found.watched,
        "only_own": found.only_own,
    }
    paths.write_atomically(os.path.join(folder, "import.json"), json.dumps(content).encode())


def remove_import(home: str, found: Import) -> None:
    """Forget one that has no runs. Raises OSError."""
    shutil.rmtree(import_journal.folder_of(home, found.id))
