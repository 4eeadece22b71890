"""Records of a W&B run: its facts, and the points of its history. Standard library only.

A history record has one item a key, written as `key part.. 82 01 length json`. What is ahead of the value, the shape,
is looked up as it is; items of any other form are taken apart field by field.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any, Final

from store.readers import wire
from store.readers.foreign import KEYS_MAX, PROBLEMS_MAX, STEP_LIMIT, Column
from store.readers.wandb_facts import Facts, clean, flat, number_of, read_item

if TYPE_CHECKING:
    from collections.abc import Iterable

HISTORY, SUMMARY = 0x12, 0x1A
VALUE_MARK: Final = b"\x82\x01"
"""The key of field 16, `value_json`."""
SHAPES_MAX: Final = 200_000
MEDIA_MAX: Final = 10_000
TIME_LIMIT_S: Final = 9e12
SIZE_LIMIT: Final = 2**60
TYPE_ENDING: Final = "._type"
MEDIA_KINDS: Final = {
    "image": "image",
    "images/separated": "image",
    "table": "table",
    "partitioned": "table",
    "joined": "table",
    "audio": "audio",
    "video": "video",
    "html": "text",
}
"""By the beginning of `_type`."""


class Series:
    """Points of one key that have been read and not been handed on."""

    __slots__ = ("at_us", "key", "steps", "values")

    def __init__(self, key: str) -> None:
        self.key = key
        self.steps: list[int] = []
        self.at_us: list[int] = []
        self.values: list[float] = []

    def take(self) -> Column:
        """All points; none are left."""
        column = Column(self.steps, self.at_us, self.values)
        self.steps, self.at_us, self.values = [], [], []
        return column


class Records:
    """What the records of one run have come to. Not for several threads."""

    def __init__(self) -> None:
        self.facts = Facts()
        self.series: dict[str, Series] = {}
        self.summary: dict[bytes, bytes] = {}
        """Items of the summary that are not of the history: their values by their shapes, undecoded."""
        self.media: dict[str, tuple[str, int]] = {}
        """Kind and bytes by path."""
        self.last_step = 0
        self.last_at_us = 0
        self.is_begun = False
        """Whether the log has said anything yet."""
        self.left_out_count = 0
        """Points of keys beyond the most that a run may have."""
        self.problems: list[str] = []
        self._step, self._time, self._other = Series("_step"), Series("_timestamp"), Series("_runtime")
        self._own = {each.key: each for each in (self._step, self._time, self._other)}
        self._texts: dict[str, str] = {}
        """Items of the history record that is being read that are text."""
        self._known: dict[bytes, Series] = {}

    def take(self, records: Iterable[bytes]) -> None:
        """More records, in the order of the log."""
        self.is_begun = True
        for data in records:
            try:
                at = 0
                if data[0] == 8:
                    at = 1
                    while data[at] > 127:
                        at += 1
                    at += 1
                kind = data[at]
                if kind in (HISTORY, SUMMARY):
                    length = data[at + 1]
                    at += 2
                    if length > 127:
                        length, at = wire.varint(data, at - 1)
                    stop = at + length
                    if stop > len(data):
                        raise ValueError("a field beyond the end of its record")
                    if kind == HISTORY:
                        self._take_history(data, at, stop)
                    else:
                        self._take_summary(data, at, stop)
                else:
                    self._take_other(data)
            except (ValueError, IndexError, struct.error, RecursionError) as error:
                if len(self.problems) < PROBLEMS_MAX:
                    self.problems.append(f"a record of {len(data)} bytes was skipped: {error}")
        for series in self._own.values():
            series.take()

    def _take_history(self, data: bytes, at: int, stop: int) -> None:
        known, find = self._known.get, data.find
        touched: list[Series] = []
        step_said = 0
        try:
            while at < stop:
                if data[at] != 0x0A:
                    if data[at] == 0x12:
                        length, at = wire.varint(data, at + 1)
                        for each in wire.fields(data, at, at + length):
                            if each.number == 1 and each.wire == wire.VARINT:
                                step_said = wire.signed(each.start)
                        at += length
                        continue
                    # Whatever else a newer W&B puts here is at the end.
                    break
                length = data[at + 1]
                at += 2
                if length > 127:
                    length, at = wire.varint(data, at - 1)
                end = at + length
                mark = find(VALUE_MARK, at, end)
                series = known(data[at:mark]) if mark > 0 else None
                if series is None or mark + 3 + data[mark + 2] != end:
                    self._take_item(data, at, end, touched)
                else:
                    try:
                        series.values.append(float(data[mark + 3 : end]))
                        touched.append(series)
                    except ValueError:
                        self._take_item(data, at, end, touched)
                at = end
        finally:
            # Of a record that is damaged further on as well, or values would be left without a step.
            self._place(touched, step_said)

    def _place(self, touched: list[Series], step: int) -> None:
        """Give the values of one history record their step and time."""
        if self._texts:
            self._gather_media(touched)
            self._texts.clear()
        at_us = self.last_at_us
        if self._step.values:
            said = self._step.values[-1]
            if abs(said) < STEP_LIMIT:
                step = int(said)
        if self._time.values:
            said = self._time.values[-1]
            if abs(said) < TIME_LIMIT_S:
                at_us = int(said * 1e6)
        self._step.values.clear()
        self._time.values.clear()
        self._other.values.clear()
        for series in touched:
            series.steps.append(step)
            series.at_us.append(at_us)
        self.last_step, self.last_at_us = max(step, self.last_step), at_us

    def _take_item(self, data: bytes, start: int, end: int, touched: list[Series]) -> None:
        """An item that is not of a known shape, or no plain number."""
        name, value, mark = read_item(data, start, end)
        if not name or value is None:
            return
        for key, inner in flat(name, value):
            number = number_of(inner)
            if number is not None:
                series = self._series_of(key)
                if series is None:
                    continue
                series.values.append(number)
                touched.append(series)
                if key == name and mark >= 0 and len(self._known) < SHAPES_MAX:
                    self._known[data[start:mark]] = series
            elif isinstance(inner, dict):
                self._take_media(key, inner)
            elif isinstance(inner, str):
                self._texts[key] = inner

    def _series_of(self, key: str) -> Series | None:
        series = self._own.get(key) or self.series.get(key)
        if series is None:
            if key.startswith("_wandb"):
                return self._other
            if len(self.series) >= KEYS_MAX:
                self.left_out_count += 1
                return None
            series = self.series[key] = Series(key)
        return series

    def _gather_media(self, touched: list[Series]) -> None:
        """Take numbers that describe media out of the history: W&B writes `image._type`, `image.size` and so on."""
        for name in [key for key in self._texts if key.endswith(TYPE_ENDING)]:
            before = name.removesuffix("_type")
            facts: dict[str, Any] = {
                key.removeprefix(before): text for key, text in self._texts.items() if key.startswith(before)
            }
            for series in [series for series in touched if series.key.startswith(before)]:
                touched.remove(series)
                facts[series.key.removeprefix(before)] = series.values.pop()
            self._take_media(before[:-1], facts)

    def _take_media(self, key: str, value: dict[str, Any]) -> None:
        kind = str(value.get("_type", "")).partition("-")[0]
        path, size = value.get("path"), value.get("size")
        if len(self.media) < MEDIA_MAX:
            self.media[clean(path) if isinstance(path, str) and path else key] = (
                MEDIA_KINDS.get(kind, "file"),
                int(size) if isinstance(size, int | float) and 0 <= size < SIZE_LIMIT else len(json.dumps(value)),
            )

    def _take_summary(self, data: bytes, at: int, stop: int) -> None:
        known, summary = self._known, self.summary
        while at < stop and data[at] == 0x0A:
            length, at = wire.varint(data, at + 1) if data[at + 1] > 127 else (data[at + 1], at + 2)
            end = at + length
            mark = data.find(VALUE_MARK, at, end)
            shape = data[at:mark] if mark > 0 else b""
            if shape not in known and shape and (shape in summary or len(summary) < KEYS_MAX):
                summary[shape] = data[at:end]
            at = end

    def _take_other(self, data: bytes) -> None:
        for each in wire.fields(data, 0, len(data)):
            if each.wire != wire.LENGTH:
                continue
            if each.number == 2:
                self._take_history(data, each.start, each.stop)
            elif each.number == 3:
                self._take_summary(data, each.start, each.stop)
            else:
                self.facts.take(data, each)

    def final_summary(self) -> dict[str, float]:
        """Numbers of the summary by key, those of the history left out."""
        finals: dict[str, float] = {}
        media: list[str] = []
        for item in self.summary.values():
            try:
                name, value, _ = read_item(item, 0, len(item))
                for key, inner in flat(name, value):
                    number = number_of(inner)
                    if number is not None and key not in self._own and not key.startswith("_wandb"):
                        finals[key] = number
                    elif key.endswith(TYPE_ENDING):
                        media.append(key.removesuffix("_type"))
            except (ValueError, struct.error, RecursionError):
                continue
        return {key: value for key, value in finals.items() if not key.startswith(tuple(media))}
