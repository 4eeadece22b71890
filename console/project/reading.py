"""The process that reads what trackers have written below one folder: `python -I -m console.worker read ROOT`.

Asked on stdin, answers on stdout, both a JSON object a line:

    <- {"known": {place: {key: signature}}, "followed": {place: [key]}}    first of all
    <- {"follow": place, "key": key}         points of this run are wanted from now on
    <- {"look": n}                           look for new places at once; also in the first line
    -> {"places": [[reader, path]], "stopped": words}
    -> {"run": {...}, "place": place}        a place is its reader's name, a space and its path
    -> {"problem": words, "place": place}    a place that cannot be read now; it is tried again
    -> {"looked": cost_s, "runs": n, "asked": n}    a look is over; `asked`, when it saw all places: the newest
                                             question for a look that came before it began

It looks again after a second at the earliest and so seldom that looking takes a twentieth of a core; while nothing
changes, less and less often. It ends when stdin does.
"""

from __future__ import annotations

import gc
import json
import os
import select
import time
from typing import TYPE_CHECKING, Any, Final

import orjson

from console.project import tracker_places
from console.project.masking import mask_mapping, mask_text
from store import import_journal
from store.readers.foreign import UnreadableSourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from store.readers.foreign import Source

INTERVAL_MIN_S: Final = 1.0
INTERVAL_MAX_S: Final = 10.0
SHARE: Final = 20.0
"""Looking takes at most this part of the time."""
QUIET_LOOKS: Final = 60
"""After so many looks at which nothing had changed they become rarer."""
FIND_EVERY_S: Final = 5.0
"""How often new places are looked for, at the most."""
FLUSH_EVERY_S: Final = 0.1
LINE_MAX_BYTES: Final = 64 << 20
GC_THRESHOLDS: Final = (100_000, 20, 100)


class Reader:
    """All places below one folder."""

    def __init__(self, root: str, say: Callable[[dict[str, Any]], None]) -> None:
        self.root = root
        self._say = say
        self._sources: dict[tracker_places.Place, Source] = {}
        self._known: dict[str, dict[str, str]] = {}
        self._followed: dict[str, set[str]] = {}
        self._find_at_s = 0.0
        self._problems: dict[str, str] = {}
        self.look_no = 0
        """Of the newest question for a look."""

    def take(self, asked: dict[str, Any]) -> None:
        """What the daemon wants."""
        for place, signatures in asked.get("known", {}).items():
            self._known.setdefault(place, {}).update(signatures)
        for place, keys in asked.get("followed", {}).items():
            self._followed.setdefault(place, set()).update(keys)
        if "follow" in asked:
            self._followed.setdefault(asked["follow"], set()).add(asked["key"])
        if asked.get("look"):
            self.look_no = asked["look"]
            self._find_at_s = 0.0

    def look(self, interrupted: Callable[[], bool]) -> int:
        """One look at every place; returns how many runs were new or changed."""
        now_s = time.monotonic()
        if now_s >= self._find_at_s:
            self._find()
            self._find_at_s = time.monotonic() + max(FIND_EVERY_S, SHARE * (time.monotonic() - now_s))
        count = 0
        for place in tracker_places.newest_first(tuple(self._sources)):
            count += self._look_at(place, interrupted)
            if interrupted():
                break
        return count

    def _find(self) -> None:
        walk = tracker_places.find(self.root)
        fresh = [place for place in walk.places if place not in self._sources]
        for place in [place for place in self._sources if place not in walk.places]:
            del self._sources[place]
        for place in fresh:
            self._sources[place] = tracker_places.open_place(place)
        if fresh or not self._find_at_s:
            self._say({"places": [list(place) for place in walk.places], "stopped": walk.stopped})

    def _look_at(self, place: tracker_places.Place, interrupted: Callable[[], bool]) -> int:
        count = 0
        try:
            found = self._sources[place].look(self._known.get(place.id, {}), self._followed.get(place.id, set()))
            for run in found:
                self._say({"run": masked(import_journal.as_dict(run)), "place": place.id})
                count += 1
                if interrupted():
                    break
        except UnreadableSourceError as error:
            self._tell(place, str(error))
        except OSError as error:
            self._tell(place, f"{place.path} cannot be read: {error.strerror or error}")
        else:
            self._problems.pop(place.id, None)
        return count

    def _tell(self, place: tracker_places.Place, words: str) -> None:
        if self._problems.get(place.id) != words:
            self._problems[place.id] = words
            self._say({"problem": words, "place": place.id})


def masked(facts: dict[str, Any]) -> dict[str, Any]:
    """What a tracker says of a run, without secrets: they go no further than this process."""
    facts["params"], facts["tags"] = mask_mapping(facts["params"]), mask_mapping(facts["tags"])
    facts["note"], facts["command"] = mask_text(facts["note"]), mask_text(facts["command"])
    return facts


def serve(root: str) -> int:
    """Read until stdin ends."""
    output = os.fdopen(os.dup(1), "wb", buffering=1 << 16)
    # What a library prints must not come between the lines.
    os.dup2(2, 1)

    # Runs are made by the thousand and let go of as soon as they are said; none of them refers to itself.
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    flushed_s = 0.0

    def say(record: dict[str, Any]) -> None:
        nonlocal flushed_s
        output.write(encoded(record) + b"\n")
        # Whoever waits for the first rows of thousands sees them come.
        if time.monotonic() - flushed_s > FLUSH_EVERY_S:
            output.flush()
            flushed_s = time.monotonic()

    inbox = Inbox()
    reader = Reader(root, say)
    first = inbox.next(None)
    if first is None:
        return 0
    reader.take(first)
    quiet = 0
    while not inbox.ended:
        began_s = time.monotonic()
        count = reader.look(lambda: inbox.waits)
        cost_s = time.monotonic() - began_s
        is_whole = not inbox.waits
        say({"looked": cost_s, "runs": count} | ({"asked": reader.look_no} if is_whole else {}))
        output.flush()
        quiet = 0 if count else quiet + 1
        pace_s = INTERVAL_MIN_S * max(1.0, quiet / QUIET_LOOKS)
        asked = inbox.next(max(min(pace_s, INTERVAL_MAX_S), SHARE * cost_s))
        while asked is not None:
            quiet = 0
            reader.take(asked)
            asked = inbox.next(0.0)
    return 0


def encoded(record: dict[str, Any]) -> bytes:
    """A record as JSON, whatever its texts are: names of files need not be UTF-8."""
    try:
        return orjson.dumps(record)
    except TypeError:
        return json.dumps(record, separators=(",", ":")).encode()


class Inbox:
    """Lines of stdin, which never blocks a look."""

    def __init__(self) -> None:
        self._data = b""
        self.ended = False

    @property
    def waits(self) -> bool:
        """Whether there is something to read, or stdin has ended."""
        return b"\n" in self._data or bool(select.select([0], [], [], 0)[0])

    def next(self, timeout_s: float | None) -> dict[str, Any] | None:
        """The next object; None when none comes in time, or none any more."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while b"\n" not in self._data:
            left_s = None if deadline_s is None else max(0.0, deadline_s - time.monotonic())
            if self.ended or not select.select([0], [], [], left_s)[0]:
                return None
            piece = os.read(0, 1 << 20)
            if not piece or len(self._data) > LINE_MAX_BYTES:
                self.ended = True
                return None
            self._data += piece
        line, self._data = self._data.split(b"\n", 1)
        found: dict[str, Any] = json.loads(line)
        return found
