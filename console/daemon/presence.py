"""Who looks at the consoles, when they were away, and what each person has marked as seen.

A person is the actor of a command; all consoles of one actor count together. Somebody is away who presses no key for
AWAY_AFTER_S. What they did not see begins with the last key before that; it stays listed until they clear it, and a
longer absence takes the place of a shorter one. Presence lies in a small file, as it is no command; marks go through
the command journal and are read back from there.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from console.daemon import pause
from console.daemon.http import RefusedError
from store import journal, paths
from store.run_files import size_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FORMAT: Final = 1
AWAY_AFTER_S: Final = 600.0
LOOK_BACK_S: Final = 86_400.0
"""What has ended is listed from so long ago where nobody was away."""
LOOK_BACK_MAX_S: Final = 30 * 86_400.0
ACTORS_MAX: Final = 100
KEYS_MAX: Final = 1000
KEY_MAX_CHARACTERS: Final = 400
SEEN_MAX: Final = 20_000
"""Marks that are kept, the newest; an older one only shows its need again."""
READ_BYTES: Final = 4 << 20
ACTION: Final = "seen"
NEEDLES: Final = (b'"action":"seen"', b'"action":"retry"')


class Presence(NamedTuple):
    """One person; all in Unix seconds."""

    last_s: float
    """When they last pressed a key."""
    left_s: float | None = None
    """Before the absence that is listed; None where there is none."""
    back_s: float | None = None
    """When that absence ended."""
    cleared_s: float = 0.0
    """Until when they have looked at all that had ended."""


def pressed(before: Presence | None, now_s: float) -> Presence:
    """A key was pressed. Pure."""
    if before is None:
        return Presence(now_s)
    away_s = now_s - before.last_s
    listed_s = (before.back_s or 0.0) - before.left_s if before.left_s is not None else 0.0
    if away_s >= AWAY_AFTER_S and away_s >= listed_s:
        return before._replace(last_s=now_s, left_s=before.last_s, back_s=now_s)
    # A clock that was set back must not make an absence of every key that follows.
    return before._replace(last_s=now_s)


def absence_of(person: Presence | None, now_s: float) -> tuple[float, float | None]:
    """Since when what has ended is listed, and how long the person was away; None for no absence. Pure."""
    oldest_s = now_s - LOOK_BACK_MAX_S
    if person is not None and person.left_s is not None and person.back_s is not None:
        return max(oldest_s, person.left_s), person.back_s - person.left_s
    if person is not None and now_s - person.last_s >= AWAY_AFTER_S:
        return max(oldest_s, person.last_s, person.cleared_s), now_s - person.last_s
    return max(now_s - LOOK_BACK_S, person.cleared_s if person is not None else 0.0), None


class Onlookers:
    """Presence and marks of everybody; for any thread, except `mark`: the audit trail belongs to the keeper's."""

    def __init__(self, home: str) -> None:
        self._path = paths.presence_path(home)
        self._lock = threading.Lock()
        self._persons = read(self._path)
        self._journal_path = paths.command_journal_path(home)
        self._journal_end = 0
        self._seen: dict[tuple[str, str], float] = {}
        self._retried: dict[str, float] = {}

    def press(self, actor: str, now_s: float) -> bool:
        """A key was pressed; True when that ends an absence."""
        with self._lock:
            before = self._persons.get(actor)
            after = pressed(before, now_s)
            self._put(actor, after)
        return before is None or after.left_s != before.left_s

    def clear(self, actor: str, now_s: float) -> None:
        """All that has ended until now was looked at."""
        with self._lock:
            before = self._persons.get(actor) or Presence(now_s)
            self._put(actor, Presence(max(before.last_s, now_s), cleared_s=now_s))

    def absence(self, actor: str, now_s: float) -> tuple[float, float | None]:
        """As `absence_of`."""
        with self._lock:
            return absence_of(self._persons.get(actor), now_s)

    def mark(self, record: Callable[..., None], keys: Sequence[str], actor: str, request: str) -> None:
        """Record through the audit trail that `actor` has seen these needs. RefusedError: nothing was recorded."""
        if not 0 < len(keys) <= KEYS_MAX:
            raise RefusedError(400, f"{len(keys)} keys are named; it takes 1 to {KEYS_MAX}")
        if any(not 0 < len(key) <= KEY_MAX_CHARACTERS for key in keys):
            raise RefusedError(400, "no such need", "`footplate triage --json` shows the key of each")
        try:
            record(actor, ACTION, request=request, keys=list(dict.fromkeys(keys)))
        except OSError as error:
            raise RefusedError(503, f"it could not be recorded: {error.strerror or error}", pause.HINT) from error

    def seen(self, actor: str) -> dict[str, float]:
        """What `actor` has marked, and when. Raises OSError."""
        with self._lock:
            self._catch_up()
            return {key: at_s for (who, key), at_s in self._seen.items() if who == actor}

    def retried(self) -> dict[str, float]:
        """When anybody last had a run enqueued once more as a new one, by its id. Raises OSError."""
        with self._lock:
            self._catch_up()
            return dict(self._retried)

    def _catch_up(self) -> None:
        size = size_bytes(self._journal_path)
        if size < self._journal_end:
            # Cut or replaced by hand: what stands there now counts.
            self._journal_end, self._seen, self._retried = 0, {}, {}
        while self._journal_end < size:
            lines, end = journal.read_from(self._journal_path, self._journal_end, READ_BYTES)
            if end == self._journal_end:
                return
            for line in lines:
                if any(needle in line for needle in NEEDLES):
                    self._take(journal.checked_body(line))
            self._journal_end = end
        while len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        while len(self._retried) > SEEN_MAX:
            del self._retried[next(iter(self._retried))]

    def _take(self, body: bytes | None) -> None:
        try:
            record: Any = json.loads(body or b"null")
            actor, at_s, action = str(record["actor"]), float(record["at_s"]), record["action"]
            keys = record["of" if action == "retry" else "keys"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return
        if not isinstance(keys, list):
            return
        if action == "retry":
            for key in keys:
                self._retried.pop(str(key), None)
                self._retried[str(key)] = at_s
            return
        for key in keys:
            self._seen.pop((actor, str(key)), None)
            self._seen[actor, str(key)] = at_s

    def _put(self, actor: str, person: Presence) -> None:
        self._persons.pop(actor, None)
        self._persons[actor] = person
        while len(self._persons) > ACTORS_MAX:
            del self._persons[next(iter(self._persons))]
        content = {"format": FORMAT, "persons": {name: each._asdict() for name, each in self._persons.items()}}
        try:
            paths.write_atomically(self._path, json.dumps(content).encode())
        except OSError as error:
            # Only the next daemon would miss it; a full disk is said elsewhere.
            print(f"cannot write {self._path}: {error}", file=sys.stderr, flush=True)


def read(path: str) -> dict[str, Presence]:
    """What an earlier daemon wrote down; nothing when it cannot be read."""
    try:
        with open(path, "rb") as file:
            said = json.load(file)["persons"]
        return {
            str(actor): Presence(
                float(each["last_s"]),
                None if each["left_s"] is None else float(each["left_s"]),
                None if each["back_s"] is None else float(each["back_s"]),
                float(each["cleared_s"]),
            )
            for actor, each in said.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
