"""Damage files of trackers in every way and have their readers read them: `just fuzz`.

Inputs are made from the fixtures by seed and number, so each can be made again: `just fuzz wandb --seed 1 --input 77`.
A reader may say that a source cannot be read. Everything else that it raises, a run that the daemon could not take in,
an input that takes longer than 20 s and one for which 512 MiB are not enough is a failure, and the files are kept.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import gzip
import json
import os
import random
import resource
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from console.daemon.import_standing import standing
from store import import_journal
from store.readers import mlflow_sqlite, tensorboard, trackio_db, wandb_log
from store.readers.foreign import KEYS_MAX, PROBLEMS_MAX, TEXT_MAX_CHARACTERS, UnreadableSourceError
from store.readers.leveldb_log import HEADER
from tests.store.foreign_files import chunked, framed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from random import Random

    from store.readers.foreign import ForeignRun, Source

FIXTURES: Final = Path(__file__).parent / "fixtures"
READERS: Final = ("tensorboard", "wandb", "mlflow_sqlite", "trackio")
MEMORY_MAX_BYTES: Final = 512 << 20
INPUT_MAX_S: Final = 20.0
TIME_LIMIT_S: Final = 2e13
"""No date beyond can be shown."""
BATCH_INPUTS: Final = 500
"""Of one child process."""
KEPT_MAX: Final = 20
TOLD_TABLES: Final = ("experiments", "runs", "metrics", "latest_metrics", "params", "tags", "alembic_version")
NUMBERS: Final = (0, 1, 127, 128, 255, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**53, 2**63 - 1, 2**63, 2**64 - 1)
CELLS: Final[tuple[Any, ...]] = (
    None,
    "",
    b"",
    b"\xff\xfe\x00",
    "\x00",
    "NaN",
    "x" * 70_000,
    b"{" * 5000,
    "[" * 100_000,
    '{"a": {"b": 1e999}, "c": [1, {"d": NaN}], "e": "Infinity", "\\ud800": 1}',
    '{"_Created": "9999-12-31T23:59:59Z", "x": "\\udfff"}',
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    0,
    -1,
    2**63 - 1,
    -(2**63),
    1e308,
    -1e308,
    float("inf"),
    5e-324,
)
Bytes = bytes | bytearray


def from_fixtures(pattern: str) -> tuple[bytes, ...]:
    """Contents of the files of a pattern, unpacked."""
    found = [path.read_bytes() for path in sorted(FIXTURES.glob(pattern))]
    assert found, pattern
    return tuple(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data for data in found)


@cache
def bases(reader: str) -> tuple[bytes, ...]:
    """What inputs are made from."""
    if reader == "tensorboard":
        return from_fixtures("tensorboard/logs/**/events.out.*")
    if reader == "wandb":
        return from_fixtures("wandb/wandb/*/*.wandb")
    if reader == "trackio":
        return from_fixtures("trackio/trackio/digits.db.gz")
    (whole,) = from_fixtures("mlflow/sqlite/mlflow.db.gz")
    # Most of MLflow's tables are empty and read by nobody: damage in them tells nothing.
    return without_other_tables(whole), whole


@contextlib.contextmanager
def in_memory(data: bytes) -> Iterator[sqlite3.Connection]:
    """A database that is in no file, and so has no write-ahead log."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(data[:18] + b"\x01\x01" + data[20:])
        yield connection


def without_other_tables(data: bytes) -> bytes:
    """A database of MLflow with the tables that are read."""
    with in_memory(data) as connection:
        names = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
        for (name,) in names:
            if name not in TOLD_TABLES and not name.startswith("sqlite_"):
                connection.execute(f'drop table "{name}"')
        connection.commit()
        connection.execute("vacuum")
        return bytes(connection.serialize())


@cache
def keys(reader: str) -> tuple[str, ...]:
    """Runs whose points may be asked for."""
    if reader == "tensorboard":
        return (".",)
    if reader == "wandb":
        return tuple(path.name for path in sorted((FIXTURES / "wandb" / "wandb").glob("*run-*")))
    with in_memory(bases(reader)[0]) as connection:
        table, column = ("metrics", "run_id") if reader == "trackio" else ("runs", "run_uuid")
        return tuple(row[0] for row in connection.execute(f"select distinct {column} from {table}"))


def flip_bits(data: bytearray, chance: Random) -> None:
    """A few, often close together."""
    if data:
        at, width = chance.randrange(len(data)), chance.choice((1, 16, 256, len(data)))
        for _ in range(chance.choice((1, 1, 2, 8, 64))):
            data[(at + chance.randrange(width)) % len(data)] ^= 1 << chance.randrange(8)


def cut_off(data: bytearray, chance: Random) -> None:
    """Anywhere, or a little before the end."""
    if data:
        del data[-min(len(data), chance.choice((1, 3, 8, 64, chance.randrange(1, len(data) + 1)))) :]


def swap_blocks(data: bytearray, chance: Random) -> None:
    """Two of the same size."""
    size = chance.choice((1, 4, 16, 64, 512, 4096, 32768))
    if len(data) >= 2 * size:
        first, second = (chance.randrange(len(data) // size) * size for _ in range(2))
        data[first : first + size], data[second : second + size] = (
            data[second : second + size],
            data[first : first + size],
        )


def put_number(data: bytearray, chance: Random) -> None:
    """A length or the like, in place of what stands there or between."""
    number = chance.choice((*NUMBERS, len(data), chance.randrange(65536)))
    kind = chance.randrange(4)
    if kind == 3:
        new = bytearray()
        while number > 127:
            new.append(number & 127 | 128)
            number >>= 7
        new.append(number)
    else:
        size = (2, 4, 8)[kind]
        new = bytearray((number & (1 << 8 * size) - 1).to_bytes(size, chance.choice(("little", "big"))))
    at = chance.randrange(len(data) + 1)
    data[at : at + len(new) * chance.randrange(2)] = new


def clear(data: bytearray, chance: Random) -> None:
    """Zeros or ones, as a disk leaves them."""
    at = chance.randrange(len(data) + 1)
    count = min(len(data) - at, chance.choice((1, 4, 64, 4096, 40_000)))
    data[at : at + count] = chance.choice((b"\x00", b"\xff")) * count


def repeat(data: bytearray, chance: Random) -> None:
    """A piece once more, somewhere."""
    at, to = (chance.randrange(len(data) + 1) for _ in range(2))
    data[to:to] = data[at : at + chance.choice((1, 8, 64, 4096, 40_000))]


OPERATIONS: Final[tuple[Callable[[bytearray, Random], None], ...]] = (
    flip_bits,
    flip_bits,
    cut_off,
    swap_blocks,
    put_number,
    put_number,
    clear,
    repeat,
)


def damaged(data: Bytes, chance: Random) -> bytes:
    """By one operation or several."""
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        chance.choice(OPERATIONS)(found, chance)
    return bytes(found)


def spliced(first: bytes, second: bytes, chance: Random) -> bytes:
    """The beginning of one and the end of another; the places are often those of blocks."""
    size = chance.choice((1, 512, 4096, 32768))
    at, of = (chance.randrange(len(data) // size + 1) * size for data in (first, second))
    return first[:at] + second[of:]


def event_records(data: bytes) -> list[bytes]:
    """What is in the frames of an event file."""
    found = []
    position = 0
    while position + 12 <= len(data):
        (length,) = struct.unpack_from("<Q", data, position)
        found.append(data[position + 12 : position + 12 + length])
        position += 16 + length
    return found


def log_records(data: bytes) -> list[bytes]:
    """What is in the chunks of a record log."""
    found: list[bytes] = []
    position = len(HEADER)
    while position + 7 <= len(data):
        left = 32768 - position % 32768
        if left < 7:
            position += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, position)
        if not kind:
            break
        part = data[position + 7 : position + 7 + length]
        if kind in (1, 2):
            found.append(part)
        else:
            found[-1] += part
        position += 7 + length
    return found


def damaged_within(reader: str, data: bytes, chance: Random) -> bytes:
    """Damage that no checksum gives away."""
    records = event_records(data) if reader == "tensorboard" else log_records(data)
    for _ in range(chance.choice((1, 2, 8, 30))):
        at = chance.randrange(len(records))
        if chance.randrange(4):
            records[at] = damaged(records[at], chance)
        else:
            records.insert(at, spliced(records[at], chance.choice(records), chance))
    if chance.randrange(4) == 0:
        chance.shuffle(records)
    return b"".join(map(framed, records)) if reader == "tensorboard" else chunked(*records)


def other_cells(data: bytes, chance: Random) -> bytes:
    """A sound database in which there are things that its tracker would not write."""
    with in_memory(data) as connection:
        connection.execute("pragma ignore_check_constraints = 1")
        names = [row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")]
        told = [name for name in names if name in TOLD_TABLES] or names
        for _ in range(chance.choice((1, 4, 16))):
            table = chance.choice(told)
            column = chance.choice(connection.execute(f'pragma table_info("{table}")').fetchall())[1]
            value = chance.choice((*CELLS, chance.randbytes(chance.randrange(40))))
            where = chance.choice((f"rowid % 7 = {chance.randrange(7)}", "1", "rowid = 1"))
            with contextlib.suppress(sqlite3.Error):
                connection.execute(f'update or ignore "{table}" set "{column}" = ? where {where}', (value,))
        if chance.randrange(8) == 0:
            with contextlib.suppress(sqlite3.Error):
                table = chance.choice(told)
                column = chance.choice(connection.execute(f'pragma table_info("{table}")').fetchall())[1]
                connection.execute(f'alter table "{table}" rename column "{column}" to "{column}_"')
        connection.commit()
        found = bytes(connection.serialize())
    return found[:18] + data[18:20] + found[20:]


def made(reader: str, chance: Random) -> bytes:
    """One file."""
    data, other = (chance.choice(bases(reader)) for _ in range(2))
    way = chance.randrange(6)
    if way == 0:
        return spliced(data, other, chance)
    if way <= 2:
        if reader in ("tensorboard", "wandb"):
            found = damaged_within(reader, data, chance)
        else:
            found = other_cells(data, chance)
        return found if chance.randrange(3) else damaged(found, chance)
    return damaged(data, chance)


def path_in(reader: str, folder: Path) -> tuple[Path, Path]:
    """The file of an input, and what its reader is given."""
    if reader == "tensorboard":
        return folder / "logs" / "run" / "events.out.tfevents.1790000000.gpu-03", folder / "logs" / "run"
    if reader == "wandb":
        name = keys(reader)[0]
        return folder / "wandb" / name / f"run-{name.rpartition('-')[2]}.wandb", folder / "wandb"
    path = folder / "mlflow.db" if reader == "mlflow_sqlite" else folder / "trackio" / "digits.db"
    return path, path


def write(path: Path, data: bytes, age_s: float, *, is_new: bool) -> None:
    """A file as of then; as a new one, or over what was there."""
    if is_new:
        path.unlink(missing_ok=True)
    path.write_bytes(data)
    at_s = time.time() - age_s
    os.utime(path, (at_s, at_s))


def judge(run: ForeignRun) -> None:
    """Whether the daemon can take in what was said of a run, and all of it keeps the bounds. Raises."""
    line = json.dumps(import_journal.as_dict(run), separators=(",", ":")).encode()
    said = import_journal.from_dict(orjson.loads(line))
    orjson.dumps(import_journal.facts_of(said))
    orjson.dumps(import_journal.columns_of(said.points))
    assert standing(said.said, said.tracker, said.written_at_s, time.time(), said.exit_code).state
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
