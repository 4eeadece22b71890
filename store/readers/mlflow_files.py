"""Runs of MLflow's file store, an `mlruns` folder. Standard library, but for YAML that is not flat.

    mlruns/[.trash/]EXPERIMENT/meta.yaml
    mlruns/[.trash/]EXPERIMENT/RUN/meta.yaml        RUN = 32 hex digits
                                  /params/KEY       the whole file is the value
                                  /tags/KEY         likewise
                                  /metrics/KEY      a line a point: milliseconds, value, step; KEY may have folders
                                  /artifacts/...

A run that has ended is passed over by the dates of its folders and its meta.yaml; of one that has not, each metric file
is asked for its size.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from store.readers import mlflow_curves
from store.readers.foreign import (
    KEYS_MAX,
    TEXT_MAX_CHARACTERS,
    ForeignRun,
    UnreadableSourceError,
    cut,
    files_below,
    signature_of,
)
from store.readers.mlflow_curves import Curve, CurveFile
from store.readers.mlflow_facts import TRACKER as TRACKER
from store.readers.mlflow_facts import seconds, take_tags

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from store.readers.foreign import Column, MetricFinal

Made = TypeVar("Made")
SAID: Final = {"1": "running", "2": "scheduled", "3": "finished", "4": "failed", "5": "killed"}
ENDED: Final = frozenset({"finished", "failed", "killed"})
META_MAX_BYTES: Final = 64 << 10
TEXT_MAX_BYTES: Final = 4 * TEXT_MAX_CHARACTERS + 4
DEPTH_MAX: Final = 32
"""Folders in the key of a metric."""
RUNS_MAX: Final = 200_000
POINTS_AT_ONCE_BYTES: Final = 4 << 20
_RUN_NAME: Final = re.compile(r"[0-9a-f]{32}")


def found_in(folder: str, files: Collection[str], folders: Collection[str]) -> Iterator[str]:  # noqa: ARG001
    """Stores by their usual name, or by the two folders that each has from its first day."""
    if "mlruns" in folders:
        yield os.path.join(folder, "mlruns")
    if ".trash" in folders and "0" in folders:
        yield folder


class Place(NamedTuple):
    """A run folder, and when its meta.yaml was written."""

    modified_ns: int
    key: str
    path: str
    meta_signature: str
    experiment: str
    is_deleted: bool


@dataclass(slots=True)
class Standing:
    """What is known of a run from earlier looks."""

    signature: str = ""
    finals: dict[str, tuple[str, MetricFinal]] = field(default_factory=dict)
    """By key, with the file's signature; of runs that go on."""
    curves: dict[str, Curve] | None = None
    """Of a run that is followed."""
    is_told: bool = False
    """Points from the start have been handed on."""


class Source:
    """One store."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._standing: dict[str, Standing] = {}
        self._experiments: dict[str, tuple[str, str, bool]] = {}

    def look(self, known: Mapping[str, str], followed: Collection[str]) -> Iterator[ForeignRun]:
        """Runs that are new or changed, the one whose state changed last first. Raises UnreadableSourceError."""
        places = self._places()
        for key in self._standing.keys() - {place.key for place in places}:
            del self._standing[key]
        for place in places:
            standing = self._standing.get(place.key)
            if standing is None:
                standing = self._standing[place.key] = Standing(known.get(place.key, ""))
            is_followed = place.key in followed
            if is_followed != (standing.curves is not None):
                standing.curves, standing.is_told = {} if is_followed else None, False
            yield from self._changed(place, standing)

    def _places(self) -> list[Place]:
        """Run folders, newest first."""
        try:
            names = list(_folders(self.path))
        except OSError as error:
            raise UnreadableSourceError(f"{self.path} cannot be read: {error.strerror}") from error
        folders = [(os.path.join(self.path, name), False) for name in names if name != ".trash"]
        if ".trash" in names:
            trash = os.path.join(self.path, ".trash")
            folders += [(os.path.join(trash, name), True) for name in _folders_or_none(trash)]
        found: dict[str, Place] = {}
        for folder, is_trash in folders:
            experiment, is_deleted = self._experiment(folder)
            for name in _folders_or_none(folder):
                if len(found) < RUNS_MAX and _RUN_NAME.fullmatch(name):
                    path = os.path.join(folder, name)
                    try:
                        facts = os.stat(f"{path}/meta.yaml")
                    except OSError:
                        continue  # artifacts of a run that another store knows, or a run that is being made
                    signature = f"{signature_of(facts)}:{experiment}"
                    place = Place(facts.st_mtime_ns, name, path, signature, experiment, is_trash or is_deleted)
                    found.setdefault(name, place)
        return sorted(found.values(), reverse=True)

    def _experiment(self, folder: str) -> tuple[str, bool]:
        """Its name, and whether it is deleted."""
        path = os.path.join(folder, "meta.yaml")
        try:
            signature = signature_of(os.stat(path))
            known = self._experiments.get(folder)
            if known is None or known[0] != signature:
                meta = flat_yaml(_read(path, META_MAX_BYTES))
                name = cut(meta.get("name", "")) or os.path.basename(folder)
                known = self._experiments[folder] = (signature, name, meta.get("lifecycle_stage") == "deleted")
        except OSError:
            return os.path.basename(folder), False
        return known[1:]

    def _changed(self, place: Place, standing: Standing) -> Iterator[ForeignRun]:
        """The run, when it has changed; several times when there are many points."""
        outer = ":".join([place.meta_signature, *(_modified(f"{place.path}/{name}") for name in _WATCHED)])
        must_tell = standing.curves is not None and not standing.is_told
        if standing.signature == f"ended:{outer}" and not must_tell:
            return
        run = ForeignRun(place.key, TRACKER, place.path, "", group=place.experiment, is_deleted=place.is_deleted)
        files = metric_files(run)
        size = sum(file.size for file in files.values())
        newest_ns = max((file.modified_ns for file in files.values()), default=0)
        inner = f"{outer}:{len(files)}:{size}:{newest_ns}"
        if standing.signature == f"going:{inner}" and not must_tell:
            return
        self._describe(run)
        run.written_at_s = max(newest_ns, place.modified_ns) / 1e9
        run.signature = f"ended:{outer}" if run.said in ENDED else f"going:{inner}"
        if standing.curves is None:
            self._sum_up(run, standing, files)
            standing.signature = run.signature
            yield run
        else:
            yield from self._follow(run, standing, standing.curves, files)

    def _describe(self, run: ForeignRun) -> None:
        """Everything but metrics."""
        try:
            meta = flat_yaml(_read(f"{run.path}/meta.yaml", META_MAX_BYTES))
        except OSError as error:
            run.trouble(f"meta.yaml cannot be read: {error.strerror}")
            meta = {}
        run.name = cut(meta.get("run_name", ""))
        run.said = SAID.get(meta.get("status", ""), meta.get("status", "").lower())
        run.said = run.said if run.said in SAID.values() else ""
        run.started_at_s, run.ended_at_s = seconds(meta.get("start_time")), seconds(meta.get("end_time"))
        run.is_deleted = run.is_deleted or meta.get("lifecycle_stage") == "deleted"
        run.params = {key: cut(value) for key, value in _texts(run, "params").items()}
        take_tags(run, _texts(run, "tags"))
        run.artifacts = files_below(f"{run.path}/artifacts")

    def _sum_up(self, run: ForeignRun, standing: Standing, files: dict[str, CurveFile]) -> None:
        finals: dict[str, tuple[str, MetricFinal]] = {}
        for key, file in files.items():
            kept = standing.finals.get(key)
            if kept is None or kept[0] != file.signature:
                final = mlflow_curves.final_of(file, run)
                if final is None:
                    continue
                kept = (file.signature, final)
            finals[key] = kept
            run.metrics[key] = kept[1]
        standing.finals = {} if run.said in ENDED else finals

    def _follow(
        self, run: ForeignRun, standing: Standing, curves: dict[str, Curve], files: dict[str, CurveFile]
    ) -> Iterator[ForeignRun]:
        if any(key not in files or not curve.continues(files[key]) for key, curve in curves.items()):
            curves.clear()
            standing.is_told = False
        columns: dict[str, Column] = {}
        room = POINTS_AT_ONCE_BYTES
        for key, file in files.items():
            curve = curves.setdefault(key, Curve(file.inode))
            while taken := curve.read(file, run, columns.setdefault(key, mlflow_curves.no_points())):
                room -= taken
                if room <= 0:
                    metrics = {key: curve.final() for key, curve in curves.items() if curve.top}
                    part = replace(run, metrics=metrics, points=columns, from_start=not standing.is_told)
                    standing.is_told = True
                    yield part
                    columns, room = {}, POINTS_AT_ONCE_BYTES
        run.metrics = {key: curve.final() for key, curve in curves.items() if curve.top}
        run.points = {key: column for key, column in columns.items() if column.steps}
        run.from_start = not standing.is_told
        standing.is_told, standing.signature = True, run.signature
        yield run


_WATCHED: Final = ("metrics", "params", "tags", "tags/mlflow.note.content")
"""What MLflow touches in a run that has ended already; a note is written anew in its place."""


def metric_files(run: ForeignRun) -> dict[str, CurveFile]:
    """The metric files of a run by key, in the order of the folder."""
    return _by_key(run, "metrics", lambda entry: CurveFile.of(entry.path, entry.stat(follow_symlinks=False)))


def flat_yaml(data: bytes) -> dict[str, str]:
    """The top level of a YAML mapping, each value as its text; what is no text or number is left out."""
    found: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").removesuffix("\n").split("\n"):
        key, colon, value = line.partition(": ")
        if not colon or value[:1] in '"|>&*![{' or line[0] in " \t-'\"" or " #" in value:
            if line.endswith((": []", ": {}")):
                continue
            return _any_yaml(data)
        if value[0] == "'":
            if len(value) < 2 or value[-1] != "'":
                return _any_yaml(data)
            value = value[1:-1].replace("''", "'")
        elif value in ("null", "~"):
            continue
        found[key] = value
    return found


def _any_yaml(data: bytes) -> dict[str, str]:
    """What flat_yaml finds, by a parser that knows folded and escaped texts."""
    import yaml

    try:
        found = yaml.load(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return (
        {str(key): str(value) for key, value in found.items() if isinstance(value, str | int)}
        if isinstance(found, dict)
        else {}
    )


def _texts(run: ForeignRun, name: str) -> dict[str, str]:
    """Contents of the files in one folder of a run and below, by key."""
    return _by_key(run, name, lambda entry: _read(entry.path, TEXT_MAX_BYTES).decode("utf-8", "replace"))


def _by_key(run: ForeignRun, name: str, made: Callable[[os.DirEntry[str]], Made]) -> dict[str, Made]:
    """What is made of each file in one folder of a run and below, by key; what cannot be read is told."""
    found: dict[str, Made] = {}
    top = f"{run.path}/{name}"
    waiting = [("", 0)]
    over = 0
    while waiting:
        inner, depth = waiting.pop()
        try:
            with os.scandir(f"{top}/{inner}") as entries:
                for entry in entries:
                    key = inner + entry.name
                    if entry.is_file(follow_symlinks=False):
                        if len(found) < KEYS_MAX:
                            found[_words(key)] = made(entry)
                        else:
                            over += 1
                    elif depth < DEPTH_MAX and entry.is_dir(follow_symlinks=False):
                        waiting.append((f"{key}/", depth + 1))
        except FileNotFoundError:
            continue
        except OSError as error:
            run.trouble(f"{name}/{inner} cannot be read: {error.strerror}")
    if over:
        run.trouble(f"{over} {name} beyond {KEYS_MAX} are left out")
    return found


def _read(path: str, most: int) -> bytes:
    """The beginning of a file. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        return os.read(descriptor, most)
    finally:
        os.close(descriptor)


def _words(name: str) -> str:
    """A name of a file as text that JSON can carry."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "replace")


def _folders(path: str) -> Iterator[str]:
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield entry.name


def _folders_or_none(path: str) -> list[str]:
    try:
        return list(_folders(path))
    except OSError:
        return []


def _modified(path: str) -> str:
    try:
        return str(os.stat(path).st_mtime_ns)
    except OSError:
        return ""
