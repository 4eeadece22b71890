"""What a W&B record log says of a run besides its numbers, and the items that all its records are made of.

Standard library only.
"""

from __future__ import annotations

import json
import math
import shlex
import struct
from typing import TYPE_CHECKING, Any, Final

from store.readers import wire
from store.readers.foreign import KEYS_MAX, cut

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPTH_MAX: Final = 20
VALUE_JSON: Final = 16
TIME_LIMIT_S: Final = 9_000_000_000_000
"""Times beyond are none: microseconds of them must fit 64 bits."""
NANOS: Final = 1_000_000_000
CONFIG, RUN, EXIT, ENVIRONMENT = 5, 17, 18, 26
"""Fields of a record."""
_DOUBLE: Final = struct.Struct("<d")
_WORDS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def read_item(data: bytes, start: int, end: int) -> tuple[str, Any, int]:
    """Key and value of an item, and where its `value_json` begins when that is the last in it; else -1.

    Raises ValueError.
    """
    parts: list[str] = []
    value: Any = None
    mark, at = -1, start
    for each in wire.fields(data, start, end):
        number = each.number
        if number in (1, 2):
            parts.append(wire.text(data, each))
        elif number == VALUE_JSON:
            value = json.loads(data[each.start : each.stop])
            mark = at if each.stop == end and data.find(b"\x82\x01", start, end) == at else -1
        elif number == 4 and each.wire == wire.VARINT:
            value = bool(each.start)
        elif number == 5 and each.wire == wire.VARINT:
            # sint64: the sign is the lowest bit.
            value = each.start >> 1 ^ -(each.start & 1)
        elif number == 6 and each.wire == wire.EIGHT_BYTES:
            value = _DOUBLE.unpack_from(data, each.start)[0]
        elif number == 7:
            value = wire.text(data, each)
        elif number == 8:
            value = json.loads(data[each.start : each.stop])
        at = each.stop
    return ".".join(parts), value, mark


def number_of(value: object) -> float | None:
    """A value of the history as a number; None when it is none."""
    if isinstance(value, str):
        return _WORDS.get(value)
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return None


def flat(name: str, value: object, depth: int = 0) -> Iterator[tuple[str, object]]:
    """Values by key, those of nested objects joined with dots; an object that says what it is counts as one value."""
    if isinstance(value, dict) and value and "_type" not in value and depth < DEPTH_MAX:
        for key, inner in value.items():
            yield from flat(f"{name}.{clean(key)}" if name else clean(key), inner, depth + 1)
    else:
        yield name, value


def text_of(value: object) -> str:
    """A value of the config as a param: text as it is, the rest as JSON."""
    return cut(clean(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))


def clean(text: str) -> str:
    """A text without halves of surrogates, which JSON may have and nothing else can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def seconds(data: bytes, field: wire.Field) -> float | None:
    """A timestamp as Unix time; None for what is none, as damaged bytes are."""
    whole, nanos = 0, 0
    for each in wire.fields(data, field.start, field.stop):
        if each.wire == wire.VARINT and each.number == 1:
            whole = wire.signed(each.start)
        elif each.wire == wire.VARINT and each.number == 2:
            nanos = each.start
    return whole + nanos / 1e9 if abs(whole) < TIME_LIMIT_S and nanos < NANOS else None


class Facts:
    """Facts of one run, the newest of each."""

    def __init__(self) -> None:
        self.name = ""
        self.project = ""
        self.note = ""
        self.host = ""
        self.program = ""
        self.arguments: list[str] = []
        self.working_dir = ""
        self.started_at_s: float | None = None
        self.exit_code: int | None = None
        self.runtime_s: int | None = None
        self.params: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self._config_keys: dict[str, tuple[str, ...]] = {}
        """What each item of the config came to."""

    @property
    def command(self) -> str:
        """Program and arguments as one would type them."""
        return cut(shlex.join([self.program, *self.arguments])) if self.program else ""

    def take(self, data: bytes, record: wire.Field) -> None:
        """One record that may tell of them. Raises ValueError."""
        if record.number == CONFIG:
            self._take_config(data, record)
        elif record.number == RUN:
            self._take_run(data, record)
        elif record.number == EXIT:
            self._take_exit(data, record)
        elif record.number == ENVIRONMENT:
            self._take_environment(data, record)

    def _take_config(self, data: bytes, config: wire.Field) -> None:
        for each in wire.fields(data, config.start, config.stop):
            if each.wire != wire.LENGTH or each.number not in (1, 2):
                continue
            name, value, _ = read_item(data, each.start, each.stop)
            if name.partition(".")[0] == "_wandb":
                continue
            for key in self._config_keys.pop(name, ()):
                self.params.pop(key, None)
            if each.number == 1:
                found = dict(list(flat(name, value))[: max(0, KEYS_MAX - len(self.params))])
                self._config_keys[name] = tuple(found)
                self.params.update((key, text_of(inner)) for key, inner in found.items())

    def _take_run(self, data: bytes, run: wire.Field) -> None:
        labels: dict[str, str] = {}
        for each in wire.fields(data, run.start, run.stop):
            if each.wire != wire.LENGTH:
                continue
            match each.number:
                case 3:
                    self.project = wire.text(data, each)
                case 4:
                    self._take_config(data, each)
                case 8:
                    self.name = wire.text(data, each)
                case 9:
                    self.note = cut(wire.text(data, each))
                case 10 if len(labels) < KEYS_MAX:
                    labels[cut(wire.text(data, each))] = ""
                case 13:
                    self.host = wire.text(data, each)
                case 17:
                    self.started_at_s = seconds(data, each)
                case 6 | 7:
                    labels[{6: "group", 7: "job_type"}[each.number]] = cut(wire.text(data, each))
        self.tags = labels or self.tags

    def _take_exit(self, data: bytes, ended: wire.Field) -> None:
        self.exit_code = 0
        for each in wire.fields(data, ended.start, ended.stop):
            if each.wire == wire.VARINT and each.number == 1:
                self.exit_code = wire.signed(each.start)
            elif each.wire == wire.VARINT and each.number == 2:
                self.runtime_s = each.start if each.start < TIME_LIMIT_S else None

    def _take_environment(self, data: bytes, environment: wire.Field) -> None:
        arguments: list[str] = []
        for each in wire.fields(data, environment.start, environment.stop):
            said = wire.text(data, each)
            match each.number:
                case 3 if self.started_at_s is None and each.wire == wire.LENGTH:
                    self.started_at_s = seconds(data, each)
                case 5:
                    arguments.append(said)
                case 6:
                    self.program = said
                case 11:
                    self.working_dir = said
                case 12:
                    self.host = said
        self.arguments = arguments or self.arguments
