"""Damage files of trackers in every way and have their readers read them: `just fuzz`.

Inputs are made from the fixtures by seed and number, so each can be made again: `just fuzz wandb --seed 1 --input 77`.
A reader may say that a source cannot be read. Everything else that it raises, a run that the daemon could not take in,
an input that takes longer than 20 s and one for which 512 MiB are not enough is a failure, and the files are kept.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson

from console.daemon.import_standing import standing
from store import import_journal
from store.imported_rows import Taken, columns_of
from store.readers import mlflow_sqlite, tensorboard, trackio_db, wandb_log
from store.readers.foreign import KEYS_MAX, PROBLEMS_MAX, TEXT_MAX_CHARACTERS, UnreadableSourceError
from tests.fuzz_inputs import FIXTURES, bases, damaged, keys, made, path_in

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from store.readers.foreign import ForeignRun, Source

READERS: Final = ("tensorboard", "wandb", "mlflow_sqlite", "trackio")
MEMORY_MAX_BYTES: Final = 512 << 20
INPUT_MAX_S: Final = 20.0
TIME_LIMIT_S: Final = 2e13
"""No date beyond can be shown."""
BATCH_INPUTS: Final = 500
"""Of one child process."""
KEPT_MAX: Final = 20


def write(path: Path, data: bytes, age_s: float, *, is_new: bool) -> None:
    """A file as of then; as a new one, or over what was there."""
    if is_new:
        path.unlink(missing_ok=True)
    path.write_bytes(data)
    at_s = time.time() - age_s
    os.utime(path, (at_s, at_s))


def judge(run: ForeignRun) -> None:
    """Whether the daemon can take in what was said of a run, and all of it keeps the bounds. Raises."""
    record = orjson.loads(json.dumps(import_journal.as_dict(run), separators=(",", ":")))
    points = import_journal.points_in(record)
    facts = import_journal.checked_facts(record)
    orjson.dumps([facts, points.columns])
    import_journal.points_of(points.columns)
    assert import_journal.facts_of(import_journal.run_of(facts)) == facts
    at_s, now_s = facts["written_at_s"], time.time()
    assert standing(facts["said"], facts["tracker"], at_s, now_s, facts["exit_code"]).state
    assert columns_of(Taken("", 1, "", "", "", "finished", "", facts), {})
    times = [run.started_at_s, run.ended_at_s, run.written_at_s]
    assert all(at_s is None or abs(at_s) < TIME_LIMIT_S for at_s in times), "a time is none"
    texts = [run.name, run.group, run.note, *run.params.values(), *run.tags.values()]
    assert all(len(text) <= TEXT_MAX_CHARACTERS for text in texts), "a text is too long"
    assert all(len(part) <= KEYS_MAX for part in (run.metrics, run.params, run.tags)), "too many keys"
    assert len(run.problems) <= PROBLEMS_MAX, "too many problems"
    for column in run.points.values():
        assert len(column.steps) == len(column.at_us) == len(column.values), "a column is torn"
        assert all(-(2**63) <= each < 2**63 for part in column[:2] for each in part), "a number is too large"
    for final in run.metrics.values():
        assert -(2**63) <= final.last_step < 2**63, "a step is too large"


def opened(reader: str, path: Path) -> Source:
    """A reader at the beginning."""
    module = {
        "tensorboard": tensorboard,
        "wandb": wandb_log,
        "mlflow_sqlite": mlflow_sqlite,
        "trackio": trackio_db,
    }[reader]
    source: Source = module.Source(str(path))
    return source


def attempt(reader: str, seed: int, number: int, folder: Path) -> int:
    """Make one input and read it, often a second time after it has changed; returns how often it could be read.

    Raises whatever is wrong.
    """
    chance = random.Random(f"{reader}:{seed}:{number}")
    shutil.rmtree(folder, ignore_errors=True)
    path, place = path_in(reader, folder)
    path.parent.mkdir(parents=True)
    data = made(reader, chance)
    write(path, data, 20, is_new=True)
    if reader in ("mlflow_sqlite", "trackio") and chance.randrange(10) == 0:
        for ending in chance.choice((("-wal",), ("-wal", "-shm"), ("-journal",))):
            noise = damaged(chance.choice((b"\x37\x7f\x06\x82" + bytes(400), bytes(32768), data[:9000])), chance)
            write(path.with_name(path.name + ending), noise, 20, is_new=True)
    source = opened(reader, place)
    wishes: tuple[Collection[str], ...] = (keys(reader), keys(reader)[:1], ())
    count = looked(source, chance.choice(wishes))
    if chance.randrange(2):
        way = chance.randrange(3)
        if way == 0:
            data += damaged(chance.choice(bases(reader))[: chance.randrange(9000)], chance)
        elif way == 1:
            data = damaged(data, chance)
        else:
            data = chance.choice((made(reader, chance), chance.choice(bases(reader))))
        write(path, data, 10, is_new=bool(chance.randrange(2)))
        count += looked(source, chance.choice(wishes))
    return count


def looked(source: Source, followed: Collection[str]) -> int:
    """One look; 1 when it could be taken."""
    try:
        for run in source.look({}, followed):
            judge(run)
    except UnreadableSourceError as error:
        orjson.loads(json.dumps({"problem": str(error)}).encode())
        return 0
    return 1


def serve(reader: str, seed: int, first: int, last: int, folder: Path) -> int:
    """In a child: read inputs and say a line about each."""
    bases(reader), keys(reader)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX_BYTES, MEMORY_MAX_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in range(first, last):
        failure, kind, count = "", "", 0
        faulthandler.dump_traceback_later(INPUT_MAX_S, exit=True)
        try:
            count = attempt(reader, seed, number, folder)
        except MemoryError:
            kind, failure = "memory", traceback.format_exc()
        except Exception:
            kind, failure = "crash", traceback.format_exc()
        faulthandler.cancel_dump_traceback_later()
        peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps([number, kind, failure, count, peak_kib]), flush=True)
        # What failed is kept by the parent, which says so.
        if kind and not sys.stdin.readline():
            return 1
    return 0


@dataclass
class Findings:
    """What became of the inputs of one reader."""

    reader: str
    inputs: int = 0
    readable: int = 0
    """Looks after which the source was not called unreadable."""
    failures: dict[str, int] = field(default_factory=lambda: {"crash": 0, "hang": 0, "memory": 0})
    peak_mib: float = 0.0
    kept: list[str] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """How many inputs."""
        return sum(self.failures.values())

    def row(self) -> str:
        """As a row of a table."""
        counts = " | ".join(f"{count}" for count in self.failures.values())
        return f"| {self.reader} | {self.inputs:,} | {self.readable:,} | {counts} | {self.peak_mib:.0f} MiB |"


class Fuzzer:
    """The inputs of one reader, read in child processes one batch after the other."""

    def __init__(self, reader: str, seed: int, keep: Path, work: Path) -> None:
        self.findings = Findings(reader)
        self._seed, self._keep = seed, keep
        self._input = work / reader
        self._errors = work / f"{reader}.stderr"

    def run(self, seconds: float, first: int = 0, count: int | None = None) -> Findings:
        """Until the time is over, or `count` inputs have been read."""
        deadline_s = time.monotonic() + seconds
        number, last = first, None if count is None else first + count
        while number != last and time.monotonic() < deadline_s:
            batch_end = number + BATCH_INPUTS
            number = self._batch(number, batch_end if last is None else min(batch_end, last), deadline_s)
        return self.findings

    def _batch(self, first: int, last: int, deadline_s: float) -> int:
        """Returns the number of the input to go on with."""
        command = [sys.executable, "-m", "tests.fuzz_readers", self.findings.reader, "--seed", str(self._seed)]
        command += ["--child", str(first), str(last), str(self._input)]
        number = first
        with (
            open(self._errors, "wb") as errors,
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, cwd=FIXTURES.parents[1]
            ) as child,
        ):
            assert child.stdin is not None
            assert child.stdout is not None
            for line in child.stdout:
                _, kind, failure, readable, peak_kib = json.loads(line)
                self.findings.inputs += 1
                self.findings.readable += readable
                self.findings.peak_mib = max(self.findings.peak_mib, peak_kib / 1024)
                if kind:
                    self._failed(number, kind, failure)
                    child.stdin.write(b"\n")
                    child.stdin.flush()
                number += 1
                if time.monotonic() > deadline_s:
                    child.kill()
                    return number
        if child.returncode:
            said = self._errors.read_text(errors="replace")
            if number == first and not self._input.exists():
                raise RuntimeError(f"the child did not begin:\n{said}")
            self.findings.inputs += 1
            kind = "hang" if "Timeout" in said else "crash"
            self._failed(number, kind, f"{said}ended with {child.returncode}")
            number += 1
        return number

    def _failed(self, number: int, kind: str, words: str) -> None:
        found = self.findings
        found.failures[kind] += 1
        if len(found.kept) >= KEPT_MAX:
            return
        place = self._keep / f"{found.reader}-{self._seed}-{number}"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self._input, place)
        (place / "failure.txt").write_text(words)
        found.kept.append(str(place))
        last = words.strip().splitlines()[-1] if words.strip() else ""
        print(f"{kind}: {found.reader} --seed {self._seed} --input {number}: {last[:300]}\n    {place}", flush=True)


def fuzz(readers: Sequence[str], seed: int, seconds: float, keep: Path, only: int | None = None) -> list[Findings]:
    """Every reader in turn, each for so long."""
    found = []
    with tempfile.TemporaryDirectory(prefix="footplate-fuzz-") as name:
        for reader in readers:
            fuzzer = Fuzzer(reader, seed, keep, Path(name))
            found.append(fuzzer.run(seconds, only or 0, None if only is None else 1))
    return found


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("readers", nargs="*", metavar="READER", help=f"of {', '.join(READERS)} (default: all)")
    parser.add_argument("--seconds", type=float, default=300.0, metavar="S", help="for each reader")
    parser.add_argument("--seed", type=int, help="(default: a new one)")
    parser.add_argument("--input", type=int, metavar="N", help="make and read this one only")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where inputs go that failed")
    parser.add_argument("--child", nargs=3, metavar=("FIRST", "LAST", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    wrong = [name for name in options.readers if name not in READERS]
    if wrong:
        parser.error(f"there is no reader {wrong[0]}")
    if options.child is not None:
        first, last, folder = options.child
        return serve(options.readers[0], options.seed, int(first), int(last), Path(folder))
    seed = random.SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    keep = options.keep or Path(tempfile.mkdtemp(prefix="footplate-fuzz-kept-"))
    print(f"seed {seed}")
    found = fuzz(options.readers or READERS, seed, options.seconds, keep, options.input)
    print("| reader | inputs | readable looks | crashes | hangs | out of memory | peak RSS |")
    print("|---|---|---|---|---|---|---|")
    for each in found:
        print(each.row())
    if options.keep is None and not any(each.kept for each in found):
        keep.rmdir()
    return int(any(each.failed for each in found))


if __name__ == "__main__":
    sys.exit(main())
