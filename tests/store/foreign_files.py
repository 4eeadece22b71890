"""Files of trackers, byte by byte, and what a reader says of them."""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from store.readers.tfevents import masked_crc

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from store.readers.foreign import ForeignRun, Source

FIXTURES = Path(__file__).parents[1] / "fixtures"
Points = dict[str, list[tuple[int, float]]]


def varint(value: int) -> bytes:
    """A number as protocol buffers write it."""
    value &= (1 << 64) - 1
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def message(*fields: tuple[int, bytes | str | int | float]) -> bytes:
    """A message of fields: texts, bytes, varints and doubles."""
    found = b""
    for number, value in fields:
        if isinstance(value, float):
            found += varint(number << 3 | 1) + struct.pack("<d", value)
        elif isinstance(value, int):
            found += varint(number << 3) + varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            found += varint(number << 3 | 2) + varint(len(data)) + data
    return found


def float32(number: int, value: float) -> bytes:
    """A field of four bytes."""
    return varint(number << 3 | 5) + struct.pack("<f", value)


def framed(payload: bytes) -> bytes:
    """A record of an event file."""
    length = struct.pack("<Q", len(payload))
    return length + struct.pack("<I", masked_crc(length)) + payload + struct.pack("<I", masked_crc(payload))


def event(wall_s: float, step: int, *values: bytes, more: bytes = b"") -> bytes:
    """A record with an Event; step 0 is left out, as proto3 does."""
    fields: list[tuple[int, Any]] = [(1, wall_s)]
    if step:
        fields.append((2, step))
    if values:
        fields.append((5, message(*((1, value) for value in values))))
    return framed(message(*fields) + more)


def scalar(tag: str, value: float) -> bytes:
    """A Value with a plain number."""
    return message((1, tag)) + float32(2, value)


def chunked(*records: bytes) -> bytes:
    """A record log of W&B."""
    found = bytearray(b":W&B\xe1\xbe\x00")
    for record in records:
        rest, is_first = record, True
        while rest or is_first:
            left = 32768 - len(found) % 32768
            if left < 7:
                found += bytes(left)
                continue
            part, rest = rest[: left - 7], rest[left - 7 :]
            kind = (1 if is_first else 4) if not rest else (2 if is_first else 3)
            found += struct.pack("<IHB", zlib.crc32(bytes([kind]) + part), len(part), kind) + part
            is_first = False
    return bytes(found)


def item(key: str, value_json: str) -> bytes:
    """An item of a W&B record."""
    return message(*((2, part) for part in key.split(".")), (16, value_json))


def history(no: int, step: int, values: Mapping[str, str]) -> bytes:
    """A history record as W&B 0.31 writes them."""
    items = {"_timestamp": f"{1.79e9 + step}", "_step": str(step)} | dict(values)
    said = message((1, step)) if step else b""
    return message((1, no), (2, message(*((1, item(*each)) for each in items.items()), (2, said))))


def last_look(
    source: Source, followed: Collection[str] = (".",), known: Mapping[str, str] | None = None
) -> ForeignRun | None:
    """The newest that a source says of its only run; points of all of this look. None when nothing is new."""
    found: ForeignRun | None = None
    for run in source.look(known or {}, followed):
        if found is not None and not run.from_start:
            run.from_start = found.from_start
            for key, column in run.points.items():
                before = found.points.get(key)
                if before is not None:
                    for old, new in zip(before, column, strict=True):
                        new[:0] = old  # type: ignore[index]
            run.points = {**found.points, **run.points}
        found = run
    return found


def points_of(run: ForeignRun | None) -> Points:
    """Steps and values by metric."""
    assert run is not None
    return {key: list(zip(each.steps, each.values, strict=True)) for key, each in run.points.items()}


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that other users can enter."""
    folder = tempfile.mkdtemp()
    os.chmod(folder, 0o755)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Without the rights of root, where we have them."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
