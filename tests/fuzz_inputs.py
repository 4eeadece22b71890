"""Files of trackers damaged in every way, each made again from its seed and number."""

from __future__ import annotations

import contextlib
import gzip
import sqlite3
import struct
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from store.readers.leveldb_log import HEADER
from tests.store.foreign_files import chunked, framed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

FIXTURES: Final = Path(__file__).parent / "fixtures"
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
