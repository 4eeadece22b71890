"""Runs of Lightning's CSVLogger: `metrics.csv` and `hparams.yaml` in a folder of their own, mostly `version_N`.

Lightning writes every 100 steps, and writes the whole file anew when a metric with a new name comes; a `version_N` may
be deleted and made again. The file carries no times: a point's time is when the file was last written before the point
was seen. Lightning does not say whether a run goes on.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from store.readers.foreign import ForeignRun, UnreadableSourceError, files_below, signature_of
from store.readers.gathered import POINTS_AT_ONCE, Gathered
from store.readers.plain_params import SIZE_MAX_BYTES, ParamsError, flattened, load_yaml, read_small
from store.readers.table_tail import TableTail, number, whole_number

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from store.readers.foreign import Column

TRACKER: Final = "lightning"
KEY: Final = "."
METRICS_FILE: Final = "metrics.csv"
PARAMS_FILE: Final = "hparams.yaml"
DEFAULT_LOGS_FOLDER: Final = "lightning_logs"
_VERSION: Final = re.compile(r"version_\d+", re.ASCII)


def found_in(folder: str, files: Collection[str], folders: Collection[str]) -> list[str]:  # noqa: ARG001
    """The folder itself when it holds a run."""
    is_run = METRICS_FILE in files and (
        PARAMS_FILE in files or _VERSION.fullmatch(os.path.basename(os.path.abspath(folder))) is not None
    )
    return [folder] if is_run else []


class Source:
    """One folder with one run. Not for several threads."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._tail = TableTail(os.path.join(path, METRICS_FILE), ",")
        self._gathered = Gathered()
        self._said = ""
        """Signature of what the last look handed on."""
        self._is_followed = False
        self._params: dict[str, str] = {}
        self._params_trouble = ""
        self._params_signature = ""

    def look(self, known: Mapping[str, str], followed: Collection[str]) -> Iterator[ForeignRun]:
        """The run, when it is new or changed; in parts, oldest first, when many points are new."""
        try:
            stands, facts = self._tail.glance()
        except OSError as error:
            raise self._unreadable(error) from error
        signature = f"{signature_of(facts)} {self._signature_of_params()}"
        wants_points = KEY in followed
        if not self._said and not wants_points and known.get(KEY) == signature:
            return
        starts_following = wants_points and not self._is_followed
        if self._said == signature and stands and not starts_following:
            self._is_followed = wants_points
            return
        if not facts.st_size and self._tail.row_count:
            # Made empty to be written anew, which takes a moment.
            return
        self._is_followed = wants_points
        from_start = not self._said or not stands or starts_following
        if from_start:
            self._tail.restart()
            self._gathered, self._said = Gathered(), ""
        self._read_params()
        for block in self._blocks():
            self._gather(block)
            if self._gathered.waiting_count >= POINTS_AT_ONCE:
                points = self._gathered.take()
                if wants_points:
                    yield self._run(f"{signature} {self._tail.row_count}", from_start, points)
                    from_start = False
        points = self._gathered.take()
        self._said = f"{self._tail.signature} {self._params_signature}"
        yield self._run(self._said, from_start, points if wants_points else {})

    def _blocks(self) -> Iterator[list[list[str]]]:
        try:
            yield from self._tail.rows()
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> UnreadableSourceError:
        words = error.strerror or "cannot be read"
        return UnreadableSourceError(f"{METRICS_FILE} in {self.path}: {words}; expected a CSV file")

    def _gather(self, block: list[list[str]]) -> None:
        header = self._tail.header
        at_us = int(self._tail.seen_at_s * 1e6)
        positions: dict[str, int] = {}
        for position, name in enumerate(header):
            positions.setdefault(name, position)
        axis = positions.get("step", positions.get("epoch"))
        if "step" in positions:
            positions.pop("epoch", None)
        names = {position: name for name, position in positions.items() if name and name != "step"}
        add = self._gathered.add
        for count, row in enumerate(block, self._tail.row_count - len(block)):
            step = whole_number(row[axis]) if axis is not None else None
            if step is None:
                step = count
            for position, cell in enumerate(row):
                if cell and (key := names.get(position)) and (value := number(cell)) is not None:
                    add(key, step, at_us, value)

    def _signature_of_params(self) -> str:
        try:
            return signature_of(os.stat(os.path.join(self.path, PARAMS_FILE), follow_symlinks=False))
        except OSError:
            return ""

    def _read_params(self) -> None:
        signature = self._signature_of_params()
        if signature == self._params_signature:
            return
        self._params_signature, self._params_trouble = signature, ""
        try:
            self._params = flattened(load_yaml(read_small(os.path.join(self.path, PARAMS_FILE), SIZE_MAX_BYTES)))
        except FileNotFoundError:
            self._params = {}
        except ParamsError as error:
            self._params_trouble = f"{PARAMS_FILE} {error}"
        except OSError as error:
            self._params_trouble = f"{PARAMS_FILE}: {error.strerror}"

    def _run(self, signature: str, from_start: bool, points: dict[str, Column]) -> ForeignRun:
        folder, parent, above = _names_of(self.path)
        is_version = _VERSION.fullmatch(folder) is not None
        run = ForeignRun(
            KEY,
            TRACKER,
            self.path,
            signature,
            name=f"{parent}/{folder}" if is_version and parent else folder,
            group=above if is_version and parent != DEFAULT_LOGS_FOLDER else parent,
            written_at_s=self._tail.seen_at_s,
            params=self._params,
            metrics=self._gathered.finals(),
            points=points,
            from_start=from_start,
            artifacts=[
                each._replace(path=os.path.join("checkpoints", each.path))
                for each in files_below(os.path.join(self.path, "checkpoints"))
            ],
        )
        if self._tail.trouble:
            run.trouble(f"{METRICS_FILE}: {self._tail.trouble}")
        if self._tail.bad_line_count:
            run.trouble(f"{METRICS_FILE}: {self._tail.bad_line_count} lines have other cells than the header names")
        if self._gathered.left_out_count:
            run.trouble(f"{METRICS_FILE}: {self._gathered.left_out_count} points of too many metrics are left out")
        if self._params_trouble:
            run.trouble(self._params_trouble)
        return run


def _names_of(path: str) -> tuple[str, str, str]:
    above, folder = os.path.split(os.path.abspath(path))
    further, parent = os.path.split(above)
    return folder, parent, os.path.basename(further)
