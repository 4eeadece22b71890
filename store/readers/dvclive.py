"""Runs of DVCLive: a table `plots/metrics/**/<name>.tsv` for each metric, `params.yaml`, and a summary `metrics.json`.

The tables grow by a line a step; nested names are folders. A table carries times only where the script asked for them;
otherwise a point's time is when its table was last written before the point was seen. DVCLive does not say whether a
run goes on.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any, Final

from store.readers.foreign import (
    KEYS_MAX,
    ForeignRun,
    MetricFinal,
    UnreadableSourceError,
    cut,
    files_below,
    signature_of,
)
from store.readers.gathered import POINTS_AT_ONCE, Gathered
from store.readers.plain_params import (
    SIZE_MAX_BYTES,
    ParamsError,
    flattened,
    load_json,
    load_yaml,
    read_small,
    whole,
)
from store.readers.table_tail import TableTail, number, whole_number

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from store.readers.foreign import Column

TRACKER: Final = "dvclive"
KEY: Final = "."
FOLDER: Final = "dvclive"
TABLES_FOLDER: Final = os.path.join("plots", "metrics")
SUMMARY_FILE: Final = "metrics.json"
PARAMS_FILE: Final = "params.yaml"
SUMMARY_MAX_BYTES: Final = 8 << 20
FOLDERS_MAX: Final = 10_000


def found_in(folder: str, files: Collection[str], folders: Collection[str]) -> list[str]:
    """The folder itself when it holds a run."""
    has_tables = "plots" in folders and os.path.isdir(os.path.join(folder, TABLES_FOLDER))
    if os.path.basename(os.path.abspath(folder)) == FOLDER:
        return [folder] if has_tables or SUMMARY_FILE in files or PARAMS_FILE in files else []
    return [folder] if has_tables and SUMMARY_FILE in files else []


class Source:
    """One folder with one run. Not for several threads."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._tails: dict[str, TableTail] = {}
        self._gathered = Gathered()
        self._said = ""
        """Signature of the files at the last look."""
        self._is_followed = False
        self._written_at_s = 0.0
        self._kept: dict[str, Any] = {}
        """What the summary and the params held when they were last whole."""

    def look(self, known: Mapping[str, str], followed: Collection[str]) -> Iterator[ForeignRun]:
        """The run, when it is new or changed; in parts when many points are new."""
        facts = self._facts()
        if not facts:
            if os.path.isdir(self.path):
                return
            raise UnreadableSourceError(
                f"{self.path}: is not there, or no folder; expected one with {SUMMARY_FILE} or tables"
            )
        signature = _digest(facts)
        wants_points = KEY in followed
        if not self._said and not wants_points and known.get(KEY) == signature:
            return
        starts_following = wants_points and not self._is_followed
        if self._said == signature and not starts_following:
            self._is_followed = wants_points
            return
        tables = {name: each for name, each in facts.items() if name.endswith(".tsv")}
        from_start = not self._said or starts_following or not self._stands(tables)
        self._is_followed = wants_points
        if from_start:
            self._tails, self._gathered, self._said = {}, Gathered(), ""
        self._written_at_s = max(each.st_mtime for each in facts.values())
        problems: list[str] = []
        self._read_small_files(problems)
        for name in tables:
            for points in self._read_table(name, problems):
                if wants_points:
                    yield self._run(f"{signature} {name}", from_start, points, [])
                    from_start = False
        points = self._gathered.take()
        self._said = signature
        yield self._run(signature, from_start, points if wants_points else {}, problems)

    def _facts(self) -> dict[str, os.stat_result]:
        """Of each file that is read, by its path in the folder."""
        found: dict[str, os.stat_result] = {}
        for name in (SUMMARY_FILE, PARAMS_FILE):
            try:
                found[name] = os.stat(os.path.join(self.path, name), follow_symlinks=False)
            except OSError:
                continue
        waiting = [TABLES_FOLDER]
        for _ in range(FOLDERS_MAX):
            if not waiting or len(found) >= KEYS_MAX:
                break
            inner = waiting.pop()
            try:
                entries = sorted(os.scandir(os.path.join(self.path, inner)), key=lambda entry: entry.name)
            except OSError:
                continue
            for entry in entries:
                path = os.path.join(inner, entry.name)
                try:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(path)
                    elif entry.name.endswith(".tsv") and entry.is_file(follow_symlinks=False):
                        found[path] = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
        return found

    def _stands(self, tables: Mapping[str, os.stat_result]) -> bool:
        """Whether all that was read is still there."""
        try:
            return all(name in tables and tail.glance()[0] for name, tail in self._tails.items())
        except OSError:
            return False

    def _read_table(self, name: str, problems: list[str]) -> Iterator[dict[str, Column]]:
        tail = self._tails.get(name)
        if tail is None:
            tail = self._tails[name] = TableTail(os.path.join(self.path, name), "\t")
        key = os.path.relpath(name, TABLES_FOLDER).removesuffix(".tsv").replace(os.sep, "/")
        key = os.fsencode(key).decode("utf-8", "replace")
        try:
            for block in tail.rows():
                self._gather(key, tail, block)
                if self._gathered.waiting_count >= POINTS_AT_ONCE:
                    yield self._gathered.take()
        except OSError as error:
            problems.append(f"{name}: {error.strerror or 'cannot be read'}")
        if tail.trouble:
            problems.append(f"{name}: {tail.trouble}")
        if tail.bad_line_count:
            problems.append(f"{name}: {tail.bad_line_count} lines have other cells than the header names")

    def _gather(self, key: str, tail: TableTail, block: list[list[str]]) -> None:
        header = tail.header
        seen_at_us = int(tail.seen_at_s * 1e6)
        leaf = key.rpartition("/")[2]
        own = {name: position for position, name in enumerate(header)}
        step_at, time_at = own.pop("step", None), own.pop("timestamp", None)
        # A metric of the name `step` has its column twice.
        value_at = own.get(leaf, next(iter(own.values()), None))
        if value_at is None:
            return
        for count, row in enumerate(block, tail.row_count - len(block)):
            value = number(row[value_at])
            if value is None:
                continue
            step = whole_number(row[step_at]) if step_at is not None else None
            at_ms = whole_number(row[time_at]) if time_at is not None else None
            at_us = at_ms * 1000 if at_ms is not None and 0 < at_ms < 1 << 50 else seen_at_us
            self._gathered.add(key, count if step is None else step, at_us, value)

    def _read_small_files(self, problems: list[str]) -> None:
        for name, most, load in (
            (SUMMARY_FILE, SUMMARY_MAX_BYTES, load_json),
            (PARAMS_FILE, SIZE_MAX_BYTES, load_yaml),
        ):
            try:
                self._kept[name] = load(read_small(os.path.join(self.path, name), most))
            except FileNotFoundError:
                self._kept.pop(name, None)
            except ParamsError as error:
                problems.append(f"{name} {error}")
            except OSError as error:
                problems.append(f"{name}: {error.strerror}")

    def _finals(self) -> dict[str, MetricFinal]:
        finals = self._gathered.finals()
        summary = self._kept.get(SUMMARY_FILE)
        if isinstance(summary, dict):
            step = summary.get("step")
            step = step if isinstance(step, int) and abs(step) < 1 << 63 else 0
            at_us = int(self._written_at_s * 1e6)
            for key, value in _numbers_of(summary):
                if key != "step" and key not in finals and len(finals) < KEYS_MAX:
                    finals[key] = MetricFinal(value, step, at_us, None, None, 0)
        return finals

    def _run(self, signature: str, from_start: bool, points: dict[str, Column], problems: list[str]) -> ForeignRun:
        above, folder = os.path.split(os.path.abspath(self.path))
        run = ForeignRun(
            KEY,
            TRACKER,
            self.path,
            signature,
            name=cut(os.path.basename(above) if folder == FOLDER else folder),
            written_at_s=self._written_at_s,
            params=flattened(self._kept.get(PARAMS_FILE)),
            metrics=self._finals(),
            points=points,
            from_start=from_start,
            artifacts=[
                each
                for each in files_below(self.path)
                if not each.path.startswith(TABLES_FOLDER + os.sep) and each.path not in (SUMMARY_FILE, PARAMS_FILE)
            ],
        )
        for words in problems:
            run.trouble(words)
        if self._gathered.left_out_count:
            run.trouble(f"{self._gathered.left_out_count} points of too many metrics are left out")
        return run


def _numbers_of(summary: dict[str, Any], prefix: str = "", depth: int = 20) -> Iterator[tuple[str, float]]:
    for name, value in summary.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and depth:
            yield from _numbers_of(value, f"{key}/", depth - 1)
        elif isinstance(value, int | float | str) and not isinstance(value, bool):
            known = number(value) if isinstance(value, str) else _float_of(value)
            if known is not None:
                yield whole(key), known


def _float_of(value: float) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None


def _digest(facts: Mapping[str, os.stat_result]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name, each in facts.items():
        digest.update(os.fsencode(f"{name} {signature_of(each)}\n"))
    return digest.hexdigest()
