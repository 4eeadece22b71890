"""Runs of Hugging Face's Trainer: `trainer_state.json` of the newest checkpoint, and of the output folder at the end.

The state holds the whole history and is written anew with each checkpoint, never between two. A state that is cut is
being written: what was read before stands, and an older checkpoint serves at the first look. It carries no times: a
point's time is when the file was written that first had it. `training_args.bin` is a pickle, and is not opened.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from store.readers.foreign import STEP_LIMIT, ForeignRun, UnreadableSourceError, cut, files_below, signature_of
from store.readers.gathered import Gathered
from store.readers.plain_params import SIZE_MAX_BYTES, ParamsError, flattened, load_json, read_small, text_of, whole
from store.readers.table_tail import number

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from store.readers.foreign import Column

TRACKER: Final = "huggingface"
KEY: Final = "."
STATE_FILE: Final = "trainer_state.json"
ARGUMENTS_FILE: Final = "training_args.json"
STATE_MAX_BYTES: Final = 64 << 20
CHECKPOINTS_MAX: Final = 4
"""So many of the newest are tried until one has a state that is whole."""
_CHECKPOINT: Final = re.compile(r"checkpoint-(\d{1,18})", re.ASCII)
_PARAMS: Final = ("num_train_epochs", "train_batch_size", "max_steps")
_TAGS: Final = ("best_metric", "best_model_checkpoint", "best_global_step", "trial_name")


class State(NamedTuple):
    """A state that was read whole."""

    values: dict[str, Any]
    history: list[dict[str, Any]]
    facts: os.stat_result
    global_step: int
    is_end: bool
    """It is the one of the output folder, which the trainer writes when it is done."""


def found_in(folder: str, files: Collection[str], folders: Collection[str]) -> list[str]:  # noqa: ARG001
    """The folder itself when it holds checkpoints."""
    return [folder] if any(map(_CHECKPOINT.fullmatch, folders)) else []


class Source:
    """One output folder with one run. Not for several threads."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._gathered = Gathered()
        self._count = 0
        """Entries of the history that are in `_gathered`."""
        self._digest = b""
        """Of those entries."""
        self._state: State | None = None
        self._tried = ""
        """Signature of the files at the last look."""
        self._is_followed = False

    def look(self, known: Mapping[str, str], followed: Collection[str]) -> Iterator[ForeignRun]:
        """The run, when it is new or changed; nothing for a folder whose checkpoints are not of this trainer."""
        paths = self._state_paths()
        signature = " ".join(filter(None, map(_signature, [*paths, os.path.join(self.path, ARGUMENTS_FILE)])))
        if not any(map(os.path.isfile, paths)):
            return
        wants_points = KEY in followed
        if not self._tried and not wants_points and known.get(KEY) == signature:
            return
        starts_following = wants_points and not self._is_followed
        self._is_followed = wants_points
        if self._tried == signature and not starts_following:
            return
        self._tried = signature
        state, problems = self._read(paths)
        if state is None:
            if self._state is None:
                yield ForeignRun(KEY, TRACKER, self.path, signature, name=_name_of(self.path), problems=problems)
            return
        if problems and self._state is not None and state.global_step < self._state.global_step:
            return
        from_start = (
            self._state is None or starts_following or self._digest_of(state.history[: self._count]) != self._digest
        )
        self._state = state
        points = self._gather(from_start)
        run = self._run(state, signature)
        run.points, run.from_start = points if wants_points else {}, from_start
        for words in problems:
            run.trouble(words)
        yield run

    def _state_paths(self) -> list[str]:
        try:
            names = os.listdir(self.path)
        except OSError as error:
            words = error.strerror or "cannot be read"
            raise UnreadableSourceError(f"{self.path}: {words}; expected a folder with checkpoints") from error
        numbered = [(int(match[1]), name) for name in names if (match := _CHECKPOINT.fullmatch(name))]
        newest = [name for _, name in sorted(numbered, reverse=True)[:CHECKPOINTS_MAX]]
        return [os.path.join(self.path, name, STATE_FILE) for name in ["", *newest]]

    def _read(self, paths: list[str]) -> tuple[State | None, list[str]]:
        """The state that has come furthest, and what could not be read."""
        problems: list[str] = []
        at_end = _state_at(paths[0], True, problems)
        for path in paths[1:]:
            state = _state_at(path, False, problems)
            if state is not None:
                # Of a training that went on after its end, the state in the output folder is an old one.
                return (at_end if at_end is not None and at_end.global_step >= state.global_step else state), problems
        return at_end, problems

    def _gather(self, from_start: bool) -> dict[str, Column]:
        assert self._state is not None
        history = self._state.history
        if from_start:
            self._gathered, self._count = Gathered(), 0
        at_us = self._state.facts.st_mtime_ns // 1000
        step = 0
        for position, entry in enumerate(history):
            step = _whole_of(entry.get("step"), step)
            if position < self._count:
                continue
            for key, value in entry.items():
                if key != "step" and (known := _number_of(value)) is not None:
                    self._gathered.add(whole(key), step, at_us, known)
        self._count = len(history)
        self._digest = self._digest_of(history)
        return self._gathered.take()

    @staticmethod
    def _digest_of(history: list[dict[str, Any]]) -> bytes:
        digest = hashlib.blake2b(digest_size=16)
        for entry in history:
            digest.update(repr(entry).encode("utf-8", "surrogatepass"))
        return digest.digest()

    def _run(self, state: State, signature: str) -> ForeignRun:
        values = state.values
        max_steps = _whole_of(values.get("max_steps"), 0)
        is_finished = state.is_end or (max_steps > 0 and state.global_step == max_steps)
        run = ForeignRun(
            KEY,
            TRACKER,
            self.path,
            signature,
            name=_name_of(self.path),
            said="finished" if is_finished else "",
            written_at_s=state.facts.st_mtime,
            tags={key: text_of(values[key]) for key in _TAGS if values.get(key) is not None},
            metrics=self._gathered.finals(),
            artifacts=files_below(self.path),
        )
        if self._gathered.left_out_count:
            run.trouble(f"{STATE_FILE}: {self._gathered.left_out_count} points of too many metrics are left out")
        run.params = self._arguments(run)
        if not run.params:
            run.params = {key: text_of(values[key]) for key in _PARAMS if values.get(key) is not None}
        run.params |= flattened(values.get("trial_params"))
        return run

    def _arguments(self, run: ForeignRun) -> dict[str, str]:
        try:
            return flattened(load_json(read_small(os.path.join(self.path, ARGUMENTS_FILE), SIZE_MAX_BYTES)))
        except FileNotFoundError:
            return {}
        except ParamsError as error:
            run.trouble(f"{ARGUMENTS_FILE} {error}")
        except OSError as error:
            run.trouble(f"{ARGUMENTS_FILE}: {error.strerror}")
        return {}


def _state_at(path: str, is_end: bool, problems: list[str]) -> State | None:
    shown = os.path.join(*path.split(os.sep)[-2:])
    try:
        facts = os.stat(path, follow_symlinks=False)
        values = load_json(read_small(path, STATE_MAX_BYTES))
    except FileNotFoundError:
        return None
    except ParamsError as error:
        problems.append(f"{shown} {error}; expected the state of a trainer")
        return None
    except OSError as error:
        problems.append(f"{shown}: {error.strerror}")
        return None
    if not isinstance(values, dict) or not isinstance(values.get("log_history"), list):
        problems.append(f"{shown} has no list log_history; expected the state of a trainer")
        return None
    history = [entry for entry in values["log_history"] if isinstance(entry, dict)]
    return State(values, history, facts, _whole_of(values.get("global_step"), 0), is_end)


def _number_of(value: Any) -> float | None:
    """Of a number or a text that is one; truth values are none."""
    if isinstance(value, str):
        return number(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _whole_of(value: Any, otherwise: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= STEP_LIMIT:
        return value
    known = _number_of(value)
    return int(known) if known is not None and known.is_integer() and abs(known) < STEP_LIMIT else otherwise


def _signature(path: str) -> str:
    try:
        return signature_of(os.stat(path, follow_symlinks=False))
    except OSError:
        return ""


def _name_of(path: str) -> str:
    return cut(os.path.basename(os.path.abspath(path)))
