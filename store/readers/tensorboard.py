"""Runs that TensorBoard writers left: a folder with event files is one. Standard library only.

Where a run was started again, the file that was begun later counts: of an earlier one, points of the same tag from the
step on at which the later one begins with it are left out. Sessions of hparams lie in a folder of their own below the
run's, which is read as part of it.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from store.readers.foreign import (
    KEYS_MAX,
    Artifact,
    Column,
    ForeignRun,
    Tally,
    UnreadableSourceError,
    signature_of,
)
from store.readers.growing import ReplacedError
from store.readers.tfevents import WALL_LIMIT_S, EventFile, first_tag
from store.readers.tfvalues import HPARAMS_PREFIX

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from store.readers.tfvalues import Event

TRACKER: Final = "tensorboard"
KEY: Final = "."
MARK: Final = ".tfevents."
PROFILE_ENDING: Final = ".profile-empty"
"""TensorFlow's profiler leaves such a file, in which there is nothing."""
POINTS_AT_ONCE: Final = 1_000_000
"""Handed on before more are read, so that a long run is never in memory whole."""
CHILDREN_MAX: Final = 2000
LOOKS_MAX: Final = 4
ENDING_SLACK_S: Final = 5.0
"""How long after the end of its session a run may still write what it came to."""
SESSION_TAG: Final = f"{HPARAMS_PREFIX}experiment"
"""What a file begins with that holds a session of the run above. torch and tensorboardX write it into each of them,
Keras once, into the folder above the runs."""
NOTHING_YET: Final = "nothing written yet; TensorBoard writers flush every 120 s"
_SUCCESS: Final = 1
_SAID: Final = {_SUCCESS: "finished", 2: "failed", 3: "running"}

_NAME: Final = re.compile(r"tfevents\.(\d+)\.(.*)", re.DOTALL)
_WRITER: Final = re.compile(r"(.+)\.(\d+)\.(\d+)(?:\.v2|\D.*)?", re.DOTALL)
_ADDRESS: Final = re.compile(r"\d+\.\d+\.\d+\.\d+")


class FileName(NamedTuple):
    """What the name of an event file tells."""

    began_s: int
    host: str
    pid: int | None


def read_name(name: str) -> FileName:
    """Take apart `events.out.tfevents.<time>.<host>[.<pid>.<n>]`."""
    match = _NAME.search(name)
    if match is None:
        return FileName(0, "", None)
    began_s, rest = int(match[1][:18]), match[2]
    writer = None if _ADDRESS.fullmatch(rest) else _WRITER.fullmatch(rest)
    return FileName(began_s, writer[1], int(writer[2][:18])) if writer is not None else FileName(began_s, rest, None)


def time_s(wall_s: float) -> float | None:
    """A time that an event tells; None for what is none, as damaged bytes are."""
    return wall_s if -WALL_LIMIT_S < wall_s < WALL_LIMIT_S else None


def found_in(folder: str, files: Collection[str], folders: Collection[str]) -> Iterator[str]:  # noqa: ARG001
    """The folder, when there is an event file in it."""
    if any(MARK in name and not name.endswith(PROFILE_ENDING) for name in files):
        yield folder


class Part:
    """One event file of a run, with what is needed to tell whether a later one takes its points back."""

    def __init__(self, path: str, *, is_session: bool) -> None:
        self.file = EventFile(path)
        self.is_session = is_session
        """It is in a folder of its own, for hparams."""
        self.firsts: dict[str, int] = {}
        """The step that each tag begins with here."""
        self.highest: dict[str, int] = {}
        self.restarts_at: int | None = None
        """From here on the writer takes back whatever earlier files have."""


class Listing(NamedTuple):
    """The event files of a run, oldest first."""

    facts: dict[str, os.stat_result]
    sessions: frozenset[str]
    """Those of them in folders of their own."""

    @property
    def signature(self) -> str:
        """Changes when one of them does."""
        text = "|".join(f"{path}:{signature_of(facts)}" for path, facts in self.facts.items())
        return hashlib.blake2b(os.fsencode(text), digest_size=12).hexdigest()


class Source:
    """The run in one folder. Not for several threads."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._parts: list[Part] = []
        self._signature = ""
        self._is_followed = False
        self._other_children: dict[str, int] = {}
        """Folders below that hold no session, by when they were last changed."""
        self._first_tags: dict[str, str | None] = {}
        """Of the oldest file."""
        self._start_again()

    def _start_again(self) -> None:
        self._from_start = True
        self._tallies: dict[str, Tally] = {}
        self._points: dict[str, Column] = {}
        self._point_count = 0
        self._params: dict[str, str] = {}
        self._params_wall_s = 0.0
        self._media: dict[tuple[str, str], int] = {}
        self._wall_first_s: float | None = None
        self._wall_last_s = 0.0
        self._has_experiment = False
        self._ending: tuple[int, float, float | None, bool] | None = None
        for part in self._parts:
            part.file = EventFile(part.file.path)
            part.highest.clear()

    def look(self, known: Mapping[str, str], followed: Collection[str]) -> Iterator[ForeignRun]:
        """See `foreign.Source`."""
        listing = self._list()
        if not listing.facts:
            return
        signature = listing.signature
        is_followed = KEY in followed
        has_enough = self._is_followed or not is_followed
        if has_enough and signature == (self._signature or ("" if is_followed else known.get(KEY))):
            return
        self._signature = ""
        if is_followed and not self._is_followed:
            self._start_again()
        self._is_followed = is_followed
        self._arrange(listing)
        problems: list[str] = []
        # What a later file takes back is known only when it has been read: then all is read once more.
        for _ in range(LOOKS_MAX):
            problems = []
            is_overtaken = False
            try:
                for part in self._parts:
                    for _ in self._read(part, problems):
                        is_overtaken = self._drain(part, is_overtaken=is_overtaken) or is_overtaken
                        if not is_overtaken and self._point_count >= POINTS_AT_ONCE:
                            yield self._run(listing, "", problems)
            except ReplacedError:
                self._parts = [Part(part.file.path, is_session=part.is_session) for part in self._parts]
                is_overtaken = True
            if not is_overtaken:
                break
            self._start_again()
        else:
            # Its files are being replaced one after the other; there is another look.
            return
        self._signature = signature
        yield self._run(listing, signature, problems)

    def _list(self) -> Listing:
        """The event files of this run. Raises UnreadableSourceError."""
        try:
            own, folders = self._scan(self.path)
        except FileNotFoundError:
            return Listing({}, frozenset())
        except OSError as error:
            raise UnreadableSourceError(
                f"{self.path} cannot be read: {error.strerror}; expected a folder with event files"
            ) from error
        if not own or self._belongs_to_parent(own):
            return Listing({}, frozenset())
        sessions: dict[str, os.stat_result] = {}
        for folder in folders[:CHILDREN_MAX]:
            sessions.update(self._session_files(folder))
        order = sorted(own | sessions, key=lambda path: (read_name(os.path.basename(path)).began_s, path))
        return Listing({path: (own | sessions)[path] for path in order}, frozenset(sessions))

    @staticmethod
    def _scan(folder: str) -> tuple[dict[str, os.stat_result], list[str]]:
        files: dict[str, os.stat_result] = {}
        folders: list[str] = []
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif MARK in entry.name and not entry.name.endswith(PROFILE_ENDING):
                        facts = entry.stat(follow_symlinks=False)
                        if stat.S_ISREG(facts.st_mode):
                            files[entry.path] = facts
                except OSError:
                    continue
        return files, sorted(folders)

    def _session_files(self, folder: str) -> dict[str, os.stat_result]:
        try:
            changed_ns = os.stat(folder).st_mtime_ns
            if self._other_children.get(folder) == changed_ns:
                return {}
            files, _ = self._scan(folder)
            if files and first_tag(oldest_of(files)) == SESSION_TAG:
                return files
            # An empty file may become one of a session without a change of its folder.
            if all(facts.st_size for facts in files.values()):
                self._other_children[folder] = changed_ns
        except OSError:
            pass
        return {}

    def _belongs_to_parent(self, own: dict[str, os.stat_result]) -> bool:
        try:
            oldest = oldest_of(own)
            if self._first_tags.get(oldest) is None:
                # A file that has said nothing yet may still do so.
                self._first_tags = {oldest: first_tag(oldest) or None}
            is_session = self._first_tags[oldest] == SESSION_TAG
            return is_session and bool(self._scan(os.path.dirname(os.path.abspath(self.path)))[0])
        except OSError:
            return False

    def _arrange(self, listing: Listing) -> None:
        """Go on with the files that were read before; from the start when one of them is gone."""
        before = {part.file.path: part for part in self._parts}
        is_void = any(path not in listing.facts for path in before)
        self._parts = [
            Part(path, is_session=path in listing.sessions) if is_void or path not in before else before[path]
            for path in listing.facts
        ]
        if is_void:
            self._start_again()

    def _read(self, part: Part, problems: list[str]) -> Iterator[None]:
        file = part.file
        try:
            yield from file.chunks(lambda event: self._take(part, event))
        except FileNotFoundError:
            return
        except OSError as error:
            problems.append(f"{file.name} cannot be read: {error.strerror}")
            return
        problems.extend(file.skipped)
        if file.stopped:
            problems.append(file.stopped)
        if file.left_out_count:
            problems.append(f"{file.name}: {file.left_out_count} points of metrics beyond the first {KEYS_MAX}")
        if not file.size_bytes:
            problems.append(f"{file.name}: {NOTHING_YET}")

    def _take(self, part: Part, event: Event) -> None:
        """An event that says more than scalars do."""
        if self._wall_first_s is None:
            self._wall_first_s = time_s(event.wall_s)
        self._has_experiment = self._has_experiment or event.is_experiment
        if event.params is not None:
            self._params.update(event.params)
            self._params_wall_s = event.wall_s
        if event.status:
            self._ending = event.status, event.wall_s, event.ended_at_s, part.is_session
        if event.is_restart and (part.restarts_at is None or event.step < part.restarts_at):
            part.restarts_at = event.step
        for tag, kind, size in event.media:
            if (tag, kind) in self._media or len(self._media) < KEYS_MAX:
                self._media[tag, kind] = self._media.get((tag, kind), 0) + size

    def _drain(self, part: Part, *, is_overtaken: bool) -> bool:
        """Sum up what was read of a file; whether it takes back points that have been summed up."""
        position = self._parts.index(part)
        earlier, later = self._parts[:position], self._parts[position + 1 :]
        again = part.restarts_at is not None and any(
            highest >= part.restarts_at for other in earlier for highest in other.highest.values()
        )
        for tag, series in part.file.series.items():
            if not series.steps:
                continue
            column = series.take()
            if tag not in part.firsts:
                part.firsts[tag] = column.steps[0]
            again = again or any(other.highest.get(tag, column.steps[0] - 1) >= part.firsts[tag] for other in earlier)
            column = without_overtaken(column, tag, later)
            if not column.steps:
                continue
            top = max(column.steps)
            part.highest[tag] = max(top, part.highest.get(tag, top))
            if not (again or is_overtaken):
                self._add(tag, column)
        return again

    def _add(self, tag: str, column: Column) -> None:
        tally = self._tallies.get(tag)
        if tally is None:
            if len(self._tallies) >= KEYS_MAX:
                return
            tally = self._tallies[tag] = Tally()
        tally.add(column)
        self._wall_last_s = max(self._wall_last_s, column.at_us[-1] / 1e6)
        if self._is_followed:
            have = self._points.get(tag)
            if have is None:
                self._points[tag] = column
            else:
                have.steps.extend(column.steps)
                have.at_us.extend(column.at_us)
                have.values.extend(column.values)
            self._point_count += len(column.steps)

    def _run(self, listing: Listing, signature: str, problems: list[str]) -> ForeignRun:
        folder = os.path.abspath(self.path)
        names = [read_name(os.path.basename(path)) for path in listing.facts if path not in listing.sessions]
        run = ForeignRun(
            KEY,
            TRACKER,
            self.path,
            signature,
            name=os.path.basename(folder),
            group=os.path.basename(os.path.dirname(folder)),
            started_at_s=self._wall_first_s,
            written_at_s=max(facts.st_mtime for facts in listing.facts.values()),
            params=dict(self._params),
            host=names[-1].host,
            pid=names[-1].pid,
            metrics={tag: tally.final() for tag, tally in self._tallies.items()},
            points=self._points,
            from_start=self._from_start,
            artifacts=[Artifact(tag, size, kind) for (tag, kind), size in self._media.items()],
        )
        if self._ending is not None:
            status, wall_s, ended_at_s, is_session = self._ending
            # Lightning writes a session with its end while training begins; what comes later gives that away.
            is_early = (
                not is_session and status == _SUCCESS and self._has_experiment and wall_s - self._params_wall_s < 1
            )
            if self._wall_last_s <= wall_s + ENDING_SLACK_S and not is_early:
                run.said = _SAID.get(status, "")
                run.ended_at_s = time_s(ended_at_s or wall_s) if run.said in ("finished", "failed") else None
        for words in problems:
            run.trouble(words)
        self._points, self._point_count = {}, 0
        self._from_start = False
        return run


def oldest_of(files: Mapping[str, os.stat_result]) -> str:
    """The event file that was begun first."""
    return min(files, key=lambda path: (read_name(os.path.basename(path)).began_s, path))


def without_overtaken(column: Column, tag: str, later: list[Part]) -> Column:
    """The points of a column that no later file has taken back."""
    limits = [part.firsts[tag] for part in later if tag in part.firsts]
    limits += [part.restarts_at for part in later if part.restarts_at is not None]
    if not limits or max(column.steps) < min(limits):
        return column
    limit = min(limits)
    kept = [point for point in zip(*column, strict=True) if point[0] < limit]
    return Column([step for step, _, _ in kept], [at_us for _, at_us, _ in kept], [value for _, _, value in kept])
