"""TensorBoard event files: records, their checksums, and the points in them. Standard library only.

    record = u64 length, u32 masked CRC-32C of the length, an Event, u32 masked CRC-32C of the Event

What a trainer writes all day is one Event a scalar, in which only time, step and the four bytes of the value ever
change. The bytes around the value, the shape, are looked up as they are; the rest is taken apart field by field.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Final

from store.readers import tfvalues, wire
from store.readers.foreign import KEYS_MAX, PROBLEMS_MAX, Column
from store.readers.growing import GrowingFile
from store.run_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHUNK_BYTES: Final = 8 << 20
"""Read at once; of a longer record only the beginning is looked at."""
BEGINNING_BYTES: Final = 64 << 10
CHECKED_MAX_BYTES: Final = 1 << 20
"""Checksums take 0.2 s a megabyte here; of longer records they are not looked at."""
SHAPE_MAX_BYTES: Final = 1024
SHAPES_MAX: Final = 200_000
HEADER_BYTES: Final = 12
FRAME_BYTES: Final = 16
EVENT_MIN_BYTES: Final = 2
WALL_LIMIT_S: Final = 9e12

_HEADER: Final = struct.Struct("<QI")
_WALL: Final = struct.Struct("<d")
_HEAD: Final = struct.Struct("<Q4xBdBBBB")
_CHECKSUM: Final = struct.Struct("<I")


def _crc_table() -> list[int]:
    table = list(range(256))
    for _ in range(8):
        table = [value >> 1 ^ (0x82F63B78 if value & 1 else 0) for value in table]
    return table


_TABLE: Final = _crc_table()


def masked_crc(data: bytes) -> int:
    """The checksum of event files: CRC-32C, rotated and offset."""
    crc, table = 0xFFFFFFFF, _TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def microseconds(walls: list[float]) -> list[int]:
    """Times in seconds as whole microseconds; 0 for what is no time."""
    try:
        if walls and min(walls) > -WALL_LIMIT_S and max(walls) < WALL_LIMIT_S:
            return [int(wall * 1e6) for wall in walls]
    except ValueError:
        pass
    return [int(wall * 1e6) if -WALL_LIMIT_S < wall < WALL_LIMIT_S else 0 for wall in walls]


class Series:
    """Points of one tag that have been read and not been handed on."""

    __slots__ = ("raw", "steps", "tag", "values", "walls")

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.steps: list[int] = []
        self.walls: list[float] = []
        self.values: list[float] = []
        self.raw: list[bytes] = []
        """Values as they lie in the file, after those in `values`."""

    def settle(self) -> None:
        """Turn raw values into numbers, all at once."""
        if self.raw:
            self.values.extend(struct.unpack(f"<{len(self.raw)}f", b"".join(self.raw)))
            self.raw.clear()

    def take(self) -> Column:
        """All points; none are left."""
        self.settle()
        column = Column(self.steps.copy(), microseconds(self.walls), self.values.copy())
        for part in (self.steps, self.walls, self.values):
            part.clear()
        return column


class EventFile(GrowingFile):
    """One event file and how far it has been read. Not for several threads."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.skipped: list[str] = []
        """Records that could not be read, in words."""
        self.stopped = ""
        """Why it cannot be read any further, in words."""
        self.series: dict[str, Series] = {}
        self.left_out_count = 0
        """Points of tags beyond the most that a run may have."""
        self._shapes: dict[bytes, tuple[Callable[[int], None], Callable[[float], None], Callable[[bytes], None]]] = {}
        self._gaps: dict[int, tuple[int, dict[bytes, Series]]] = {}
        """By length of what follows the step: where the value lies in it, and series by all the rest."""
        self._plugins: dict[str, str] = {}
        self._has_begun = False

    def chunks(self, take: Callable[[tfvalues.Event], None]) -> Iterator[None]:
        """Read what is new, chunk by chunk; after each of them its points are in `series`.

        `take` gets the first event and those that hold more than scalars. Raises ReplacedError, OSError.
        """
        with self.opened() as descriptor:
            self.stopped = ""
            while True:
                data = os.pread(descriptor, CHUNK_BYTES, self.position)
                used = self._scan(data, take)
                self.position += used
                yield
                if not self.stopped and not used:
                    used = self._pass_over(data, take)
                    self.position += used
                # What is added meanwhile is for the next look, or one might never end.
                if not used or self.stopped or self.position >= self.size_bytes:
                    return

    def _scan(self, data: bytes, take: Callable[[tfvalues.Event], None]) -> int:
        """Take the whole records at the beginning of `data`; returns how many bytes they take."""
        position, size = 0, len(data)
        known, head, last_head = self._shapes.get, _HEAD.unpack_from, len(data) - _HEAD.size
        while position <= last_head:
            length, first, wall, second, low, middle, high = head(data, position)
            stop = position + HEADER_BYTES + length
            if stop + 4 > size:
                break
            # A wall time, and a step of up to three bytes: the field that follows is where the shape begins.
            if first == 9 and second == 16:
                if low < 128:
                    shape = data[position + 23 : stop - 4]
                elif middle < 128:
                    low += (middle - 1) << 7
                    shape = data[position + 24 : stop - 4]
                elif high < 128:
                    low += ((middle - 1) << 7) + ((high - 1) << 14)
                    shape = data[position + 25 : stop - 4]
                else:
                    shape = b""
                found = known(shape)
                if found is not None:
                    add_step, add_wall, add_raw = found
                    add_step(low)
                    add_wall(wall)
                    add_raw(data[stop - 4 : stop])
                    position = stop + 4
                    continue
            if not self._take(data, position, stop, take):
                return position
            position = stop + 4
        while position + FRAME_BYTES <= size:
            stop = position + HEADER_BYTES + _HEADER.unpack_from(data, position)[0]
            if stop + 4 > size or not self._take(data, position, stop, take):
                break
            position = stop + 4
        return position

    def _take(self, data: bytes, position: int, stop: int, take: Callable[[tfvalues.Event], None]) -> bool:
        """One record of a shape that is not known yet, or not at this place; whether the file can be read on."""
        start = position + HEADER_BYTES
        if self._take_known(data, start, stop):
            return True
        try:
            event = tfvalues.decode(data, start, stop, self._plugins)
            if stop - start < EVENT_MIN_BYTES:
                raise ValueError("it is empty")
        except (ValueError, struct.error) as error:
            return self._doubt(data, position, stop, str(error))
        for tag, value, _ in event.scalars:
            series = self._series_of(tag)
            if series is not None:
                series.settle()
                series.steps.append(event.step)
                series.walls.append(event.wall_s)
                series.values.append(value)
        if not self._has_begun or event.is_more:
            self._has_begun = True
            take(event)
        elif event.value_count == len(event.scalars) == 1 and data[start] == 9:
            self._learn(data, event, stop)
        return True

    def _take_known(self, data: bytes, start: int, stop: int) -> bool:
        """As the fast path, for steps of any length and values that are not at the end."""
        if stop - start < 11 or data[start] != 9:
            return False
        rest, step = start + 9, 0
        if data[rest] == 16:
            try:
                step, rest = wire.varint(data, rest + 1)
            except ValueError:
                return False
        gap = self._gaps.get(stop - rest)
        if gap is None:
            return False
        at, known = gap
        at += rest
        series = known.get(data[rest:at] + data[at + 4 : stop])
        if series is None:
            return False
        series.steps.append(wire.signed(step))
        series.walls.append(_WALL.unpack_from(data, start + 1)[0])
        series.raw.append(data[at : at + 4])
        return True

    def _learn(self, data: bytes, event: tfvalues.Event, stop: int) -> None:
        """Remember the shape of an event with one scalar."""
        rest, (tag, _, at) = event.rest_at, event.scalars[0]
        series = self._series_of(tag)
        if series is None or at < rest or stop - rest > SHAPE_MAX_BYTES or len(self._shapes) > SHAPES_MAX:
            return
        if at + 4 == stop:
            self._shapes[data[rest:at]] = series.steps.append, series.walls.append, series.raw.append
        gap = self._gaps.setdefault(stop - rest, (at - rest, {}))
        if gap[0] == at - rest and len(gap[1]) < SHAPES_MAX:
            gap[1][data[rest:at] + data[at + 4 : stop]] = series

    def _series_of(self, tag: str) -> Series | None:
        series = self.series.get(tag)
        if series is None:
            if len(self.series) >= KEYS_MAX:
                self.left_out_count += 1
                return None
            series = self.series[tag] = Series(tag)
        return series

    def _doubt(self, data: bytes, position: int, stop: int, words: str) -> bool:
        """A record that is no Event: whether the one after it can be found."""
        if not self._is_length_right(data, position):
            return False
        start = position + HEADER_BYTES
        if stop - start <= CHECKED_MAX_BYTES:
            found, expected = masked_crc(data[start:stop]), _CHECKSUM.unpack_from(data, stop)[0]
            if found != expected:
                words = f"its checksum is {found:08x} and should be {expected:08x}"
        if len(self.skipped) < PROBLEMS_MAX:
            self.skipped.append(f"{self.name}: the record at byte {self.position + position} was skipped: {words}")
        return True

    def _is_length_right(self, data: bytes, position: int) -> bool:
        length, expected = _HEADER.unpack_from(data, position)
        found = masked_crc(data[position : position + 8])
        if found == expected:
            return True
        self.stopped = (
            f"{self.name}: nothing can be read from byte {self.position + position} on: a record of {length} bytes, "
            f"and the checksum of that length is {found:08x} where {expected:08x} is written"
        )
        return False

    def _pass_over(self, data: bytes, take: Callable[[tfvalues.Event], None]) -> int:
        """Take the beginning of a record that is longer than what is read at once; returns how long it is.

        0 when it is not all there yet, or none.
        """
        if len(data) < HEADER_BYTES or not self._is_length_right(data, 0):
            return 0
        length: int = _HEADER.unpack_from(data, 0)[0]
        if self.position + FRAME_BYTES + length > self.size_bytes:
            return 0
        try:
            event = tfvalues.decode(data[:BEGINNING_BYTES], HEADER_BYTES, HEADER_BYTES + length, self._plugins)
        except (ValueError, struct.error):
            event = tfvalues.Event()
        if event.media:
            event.scalars.clear()
            take(event)
        elif len(self.skipped) < PROBLEMS_MAX:
            self.skipped.append(f"{self.name}: the record of {length} bytes at byte {self.position} was passed over")
        return FRAME_BYTES + length


def first_tag(path: str) -> str:
    """The tag of the first value in an event file; empty when there is none yet. Raises OSError."""
    descriptor = open_regular(path)
    try:
        data = os.pread(descriptor, BEGINNING_BYTES, 0)
    finally:
        os.close(descriptor)
    position = 0
    while position + FRAME_BYTES <= len(data):
        stop = position + HEADER_BYTES + _HEADER.unpack_from(data, position)[0]
        try:
            tags = tfvalues.decode(data, position + HEADER_BYTES, stop, {}).tags
        except (ValueError, struct.error):
            return ""
        if tags:
            return tags[0]
        position = stop + 4
    return ""
