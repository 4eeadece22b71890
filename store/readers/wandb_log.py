"""Runs that W&B keeps on this machine: a `wandb` folder, in which each run has a folder of its own.

All that counts is in the record log of a run. Its summary repeats the history, so only what the history has not is
taken from there. Standard library only.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from store.readers.foreign import (
    KEYS_MAX,
    Artifact,
    Column,
    ForeignRun,
    MetricFinal,
    Tally,
    UnreadableSourceError,
    files_below,
    signature_of,
)
from store.readers.growing import ReplacedError
from store.readers.leveldb_log import RecordLog
from store.readers.wandb_record import Records

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

TRACKER: Final = "wandb"
POINTS_AT_ONCE: Final = 1_000_000
"""Handed on before more are read, so that a long run is never in memory whole."""
RUN_FOLDER: Final = re.compile(r"(?:offline-)?run-(?P<began>\d{8}_\d{6})[-_](?P<id>.+)", re.DOTALL)


def found_in(folder: str, files: Collection[str], folders: Collection[str]) -> Iterator[str]:  # noqa: ARG001
    """The folder `wandb`, when it is one of the folders."""
    if "wandb" in folders:
        yield os.path.join(folder, "wandb")


class Run:
    """One run and how far its log has been read. Not for several threads."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.key = os.path.basename(folder)
        match = RUN_FOLDER.fullmatch(self.key)
        self.id = match["id"] if match is not None else self.key
        self.log_path = os.path.join(folder, f"run-{self.id}.wandb")
        self.signature = ""
        self.is_followed = False
        self.start_again()

    def start_again(self) -> None:
        """Read from the start the next time."""
        self._log = RecordLog(self.log_path)
        self._records = Records()
        self._tallies: dict[str, Tally] = {}
        self._points: dict[str, Column] = {}
        self._point_count = 0
        self._from_start = True

    def facts(self) -> tuple[str, float]:
        """Its signature now, and when the log was last written. Raises OSError when there is none."""
        facts = os.stat(self.log_path, follow_symlinks=False)
        return signature_of(facts), facts.st_mtime

    def read(self, signature: str, written_at_s: float) -> Iterator[ForeignRun]:
        """What is new: as a whole at the end, and before that whenever many points have come together."""
        self.signature = ""
        problems: list[str] = []
        try:
            yield from self._read_on(written_at_s)
        except ReplacedError:
            self.start_again()
            yield from self._read_on(written_at_s)
        except OSError as error:
            problems.append(f"{self._log.name} cannot be read: {error.strerror or error}")
        self.signature = signature
        yield self._run(signature, written_at_s, problems)

    def _read_on(self, written_at_s: float) -> Iterator[ForeignRun]:
        for batch in self._log.batches():
            self._records.take(batch)
            for key, series in self._records.series.items():
                if series.steps:
                    self._add(key, series.take())
            if self._point_count >= POINTS_AT_ONCE:
                yield self._run("", written_at_s, [])

    def _add(self, key: str, column: Column) -> None:
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally()
        tally.add(column)
        if not self.is_followed:
            return
        have = self._points.get(key)
        if have is None:
            self._points[key] = column
        else:
            have.steps.extend(column.steps)
            have.at_us.extend(column.at_us)
            have.values.extend(column.values)
        self._point_count += len(column.steps)

    def _run(self, signature: str, written_at_s: float, problems: list[str]) -> ForeignRun:
        records, facts = self._records, self._records.facts
        files = {each.path: each for each in files_below(os.path.join(self.folder, "files"))}
        for path, (kind, size) in records.media.items():
            files[path] = Artifact(path, size, kind)
        run = ForeignRun(
            self.key,
            TRACKER,
            self.folder,
            signature,
            name=facts.name or self.id,
            group=facts.project,
            said="running" if records.is_begun else "",
            started_at_s=facts.started_at_s,
            exit_code=facts.exit_code,
            written_at_s=written_at_s,
            params=dict(facts.params),
            tags=dict(facts.tags),
            note=facts.note,
            command=facts.command,
            host=facts.host,
            working_dir=facts.working_dir,
            metrics=self._finals(),
            points=self._points,
            from_start=self._from_start,
            artifacts=list(files.values()),
        )
        if facts.exit_code is not None:
            run.said = "failed" if facts.exit_code else "finished"
            if facts.started_at_s is not None and facts.runtime_s is not None:
                run.ended_at_s = facts.started_at_s + facts.runtime_s
            else:
                run.ended_at_s = records.last_at_us / 1e6 or written_at_s
        name = self._log.name
        for words in [
            *problems,
            *self._log.skipped,
            self._log.stopped,
            *(f"{name}: {each}" for each in records.problems),
        ]:
            if words:
                run.trouble(words)
        if records.left_out_count:
            run.trouble(f"{name}: {records.left_out_count} points of metrics beyond the first {KEYS_MAX}")
        self._points, self._point_count = {}, 0
        self._from_start = False
        return run

    def _finals(self) -> dict[str, MetricFinal]:
        records = self._records
        finals = {key: tally.final() for key, tally in self._tallies.items()}
        for key, value in records.final_summary().items():
            finals.setdefault(key, MetricFinal(value, records.last_step, records.last_at_us, None, None, 0))
        return finals


class Source:
    """The runs in one `wandb` folder. Not for several threads."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._runs: dict[str, Run] = {}

    def look(self, known: Mapping[str, str], followed: Collection[str]) -> Iterator[ForeignRun]:
        """See `foreign.Source`."""
        folders = self._folders()
        for key in [key for key in self._runs if key not in folders]:
            del self._runs[key]
        for key in folders:
            run = self._runs.get(key)
            if run is None:
                run = self._runs[key] = Run(os.path.join(self.path, key))
            is_followed = key in followed
            try:
                signature, written_at_s = run.facts()
            except OSError as error:
                yield from self._without_log(run, error)
                continue
            has_enough = run.is_followed or not is_followed
            if has_enough and signature == (run.signature or ("" if is_followed else known.get(key))):
                continue
            if not has_enough:
                run.start_again()
            run.is_followed = is_followed
            yield from run.read(signature, written_at_s)

    def _folders(self) -> list[str]:
        """Names of the folders of runs, newest first. Raises UnreadableSourceError."""
        found: list[tuple[str, str]] = []
        try:
            with os.scandir(self.path) as entries:
                for entry in entries:
                    match = RUN_FOLDER.fullmatch(entry.name)
                    if match is not None and entry.is_dir(follow_symlinks=False):
                        found.append((match["began"], entry.name))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UnreadableSourceError(
                f"{self.path} cannot be read: {error.strerror}; expected a folder with folders run-* and offline-run-*"
            ) from error
        return [name for _, name in sorted(found, reverse=True)]

    @staticmethod
    def _without_log(run: Run, error: OSError) -> Iterator[ForeignRun]:
        words = f"{os.path.basename(run.log_path)} cannot be read: {error.strerror}"
        if run.signature != words:
            run.start_again()
            run.signature = words
            yield ForeignRun(run.key, TRACKER, run.folder, words, name=run.id, from_start=True, problems=[words])
