"""Protocol buffers without their schema: which fields a message has and where. Standard library only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

VARINT: Final = 0
EIGHT_BYTES: Final = 1
LENGTH: Final = 2
FOUR_BYTES: Final = 5
_WIDTHS: Final = {EIGHT_BYTES: 8, FOUR_BYTES: 4}


class Field(NamedTuple):
    """One field of a message."""

    number: int
    wire: int
    """How it is written: `VARINT`, `EIGHT_BYTES`, `LENGTH` or `FOUR_BYTES`."""
    start: int
    """Where its bytes begin; of a varint its value, unsigned."""
    stop: int
    """Where they end."""


def varint(data: bytes, position: int) -> tuple[int, int]:
    """A varint and where it ends. Raises ValueError when it is longer than 64 bits, or not all there."""
    value = shift = 0
    try:
        while True:
            byte = data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFFFFFFFFFFFFFF, position
            shift += 7
            if shift > 63:
                raise ValueError("a number of more than 64 bits")
    except IndexError:
        raise ValueError("a number that is cut off") from None


def signed(value: int) -> int:
    """A varint as the signed number of 64 bits that it stands for."""
    return value - (1 << 64) if value >> 63 else value


def fields(data: bytes, start: int, stop: int) -> Iterator[Field]:
    """The fields of the message at `start`. Ends early where `data` does, so that a beginning can be read as well.

    Raises ValueError where it is no message.
    """
    limit = min(stop, len(data))
    while start < limit:
        key = data[start]
        start += 1
        if key >= 0x80:
            key, start = varint(data, start - 1)
        wire, number = key & 7, key >> 3
        if not number:
            raise ValueError("a field without a number")
        if wire == VARINT:
            value, start = varint(data, start)
            if start > stop:
                raise ValueError("a number beyond the end of its message")
            yield Field(number, wire, value, start)
            continue
        if wire == LENGTH:
            length, start = varint(data, start)
        else:
            length = _WIDTHS.get(wire, -1)
        end = start + length
        if length < 0 or end > stop:
            raise ValueError("a field beyond the end of its message" if length >= 0 else f"a field of wire type {wire}")
        yield Field(number, wire, start, end)
        start = end


def text(data: bytes, field: Field) -> str:
    """A field as text."""
    return data[field.start : field.stop].decode("utf-8", "replace") if field.wire == LENGTH else ""
