"""One TensorBoard Event, field by field: scalars, sessions of hparams, sizes of media. Standard library only."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from store.readers import wire
from store.readers.foreign import cut

if TYPE_CHECKING:
    from collections.abc import Iterator

HPARAMS_PREFIX: Final = "_hparams_/"
MEDIA_FIELDS: Final = {4: "image", 5: "file", 6: "audio"}
"""Kinds by the field of a Value: image, histogram, audio."""
MEDIA_PLUGINS: Final = {"images": "image", "audio": "audio", "text": "text"}
_DOUBLE = struct.Struct("<d")
_FLOAT = struct.Struct("<f")
_CONTENT: Final = {
    1: "<f",
    2: "<d",
    3: "<i",
    4: "<B",
    5: "<h",
    6: "<b",
    9: "<q",
    10: "<?",
    17: "<H",
    19: "<e",
    22: "<I",
    23: "<Q",
}
"""Formats of `tensor_content` by dtype."""
_BFLOAT16: Final = 14
_TYPED: Final = {5: (wire.FOUR_BYTES, "<f"), 6: (wire.EIGHT_BYTES, "<d")}
_WHOLE: Final = (7, 10, 11, 16, 17)
"""Fields of a tensor with varints: int, int64, bool, uint32, uint64."""


class Scalar(NamedTuple):
    """One value of one tag."""

    tag: str
    value: float
    float_at: int
    """Where in the data its four bytes lie; -1 when it is none of four bytes."""


class Media(NamedTuple):
    """A value that is no number."""

    tag: str
    kind: str
    size_bytes: int


@dataclass(slots=True)
class Event:
    """What one Event says."""

    wall_s: float = 0.0
    step: int = 0
    rest_at: int = 0
    """Where what follows wall time and step begins."""
    value_count: int = 0
    scalars: list[Scalar] = field(default_factory=list)
    media: list[Media] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    params: dict[str, str] | None = None
    """Of a session of hparams that starts."""
    is_experiment: bool = False
    """It describes an experiment of hparams, which sessions belong to."""
    status: int = 0
    """Of a session of hparams that ends: 1 success, 2 failure, 3 running."""
    ended_at_s: float | None = None
    is_restart: bool = False
    """The writer says that it starts again at this step: what earlier files have from there on is void."""

    @property
    def is_more(self) -> bool:
        """Whether it says more than scalars do."""
        return bool(self.media or self.params is not None or self.is_experiment or self.status or self.is_restart)


def decode(data: bytes, start: int, stop: int, plugins: dict[str, str]) -> Event:
    """The Event at `start`. `plugins` carries what a tag's first value says of its kind to those after it.

    Raises ValueError where it is none.
    """
    event = Event(rest_at=start)
    summaries: list[wire.Field] = []
    for each in wire.fields(data, start, stop):
        if each.number == 1 and each.wire == wire.EIGHT_BYTES:
            event.wall_s = _DOUBLE.unpack_from(data, each.start)[0]
            event.rest_at = each.stop
        elif each.number == 2 and each.wire == wire.VARINT:
            event.step = wire.signed(each.start)
            event.rest_at = each.stop
        elif each.number == 5 and each.wire == wire.LENGTH:
            summaries.append(each)
        elif each.number == 7 and each.wire == wire.LENGTH:
            event.is_restart = any(
                inner.number == 1 and inner.wire == wire.VARINT and inner.start == 1
                for inner in wire.fields(data, each.start, each.stop)
            )
    for summary in summaries:
        for each in wire.fields(data, summary.start, summary.stop):
            if each.number == 1 and each.wire == wire.LENGTH:
                _take_value(event, data, each, plugins)
    return event


def _take_value(event: Event, data: bytes, value: wire.Field, plugins: dict[str, str]) -> None:
    tag, plugin, content = "", "", None
    simple = tensor = media = None
    for each in wire.fields(data, value.start, value.stop):
        number = each.number
        if number == 1:
            tag = wire.text(data, each)
        elif number == 2 and each.wire == wire.FOUR_BYTES:
            simple = each
        elif number == 8 and each.wire == wire.LENGTH:
            tensor = each
        elif number == 9 and each.wire == wire.LENGTH:
            plugin, content = _plugin(data, each)
        elif number in MEDIA_FIELDS and each.wire == wire.LENGTH:
            media = each
        elif number in (3, 7):
            content = content or each
    event.value_count += 1
    event.tags.append(tag)
    if tag.startswith(HPARAMS_PREFIX) or plugin == "hparams":
        if content is not None:
            _take_hparams(event, data, content)
        return
    if plugin and len(plugins) < 100_000:
        plugins[tag] = plugin
    plugin = plugin or plugins.get(tag, "")
    if simple is not None:
        event.scalars.append(Scalar(tag, _FLOAT.unpack_from(data, simple.start)[0], simple.start))
    elif media is not None:
        event.media.append(Media(tag, MEDIA_FIELDS[media.number], _media_bytes(data, media)))
    elif tensor is not None:
        number_in = None if plugin in MEDIA_PLUGINS else _tensor_number(data, tensor)
        if number_in is not None:
            event.scalars.append(Scalar(tag, *number_in))
        else:
            event.media.append(Media(tag, MEDIA_PLUGINS.get(plugin, "file"), tensor.stop - tensor.start))
    elif content is None and tag and plugin in ("", "scalars"):
        # A writer may leave out what is zero.
        event.scalars.append(Scalar(tag, 0.0, -1))


def _plugin(data: bytes, metadata: wire.Field) -> tuple[str, wire.Field | None]:
    name, content = "", None
    for each in wire.fields(data, metadata.start, metadata.stop):
        if each.number == 1 and each.wire == wire.LENGTH:
            for inner in wire.fields(data, each.start, each.stop):
                if inner.number == 1:
                    name = wire.text(data, inner)
                elif inner.number == 2 and inner.wire == wire.LENGTH:
                    content = inner
    return name, content if name == "hparams" else None


def _media_bytes(data: bytes, media: wire.Field) -> int:
    if media.number == 5:
        return media.stop - media.start
    inner = [each for each in wire.fields(data, media.start, media.stop) if each.number == 4]
    return sum(each.stop - each.start for each in inner if each.wire == wire.LENGTH)


def _tensor_number(data: bytes, tensor: wire.Field) -> tuple[float, int] | None:
    """The only number of a tensor, and where its four bytes lie; None when it holds something else."""
    dtype = 0
    found: list[tuple[float, int]] = []
    content: wire.Field | None = None
    for each in wire.fields(data, tensor.start, tensor.stop):
        if each.number == 1 and each.wire == wire.VARINT:
            dtype = each.start
        elif each.number == 4 and each.wire == wire.LENGTH:
            content = each
        elif each.number in _TYPED or each.number in _WHOLE:
            if each.wire == wire.LENGTH and each.stop - each.start > 16:
                return None
            found.extend(_typed_numbers(data, each))
    if content is not None and content.stop > content.start:
        found.append(_content_number(data, content, dtype) or (0.0, -2))
    if len(found) != 1 or found[0][1] == -2:
        return None
    value, at = found[0]
    return value, at if dtype == 1 else -1


def _typed_numbers(data: bytes, each: wire.Field) -> Iterator[tuple[float, int]]:
    if each.number in _TYPED:
        wire_type, form = _TYPED[each.number]
        width = struct.calcsize(form)
        if each.wire == wire_type:
            yield struct.unpack_from(form, data, each.start)[0], each.start
        elif each.wire == wire.LENGTH:
            for at in range(each.start, each.stop - width + 1, width):
                yield struct.unpack_from(form, data, at)[0], at
    elif each.wire == wire.VARINT:
        yield _whole(each.number, each.start), -1
    elif each.wire == wire.LENGTH:
        at = each.start
        while at < each.stop:
            value, at = wire.varint(data, at)
            yield _whole(each.number, value), -1


def _whole(number: int, value: int) -> float:
    return float(value if number == 17 else wire.signed(value))


def _content_number(data: bytes, content: wire.Field, dtype: int) -> tuple[float, int] | None:
    size = content.stop - content.start
    if dtype == _BFLOAT16 and size == 2:
        return _FLOAT.unpack(b"\0\0" + data[content.start : content.stop])[0], -1
    form = _CONTENT.get(dtype)
    if form is None or struct.calcsize(form) != size:
        return None
    return float(struct.unpack_from(form, data, content.start)[0]), content.start


def _take_hparams(event: Event, data: bytes, content: wire.Field) -> None:
    for each in wire.fields(data, content.start, content.stop):
        if each.wire != wire.LENGTH:
            continue
        if each.number == 2:
            event.is_experiment = True
        elif each.number == 3:
            event.params = _session_params(data, each)
        elif each.number == 4:
            for inner in wire.fields(data, each.start, each.stop):
                if inner.number == 1 and inner.wire == wire.VARINT:
                    event.status = inner.start
                elif inner.number == 2 and inner.wire == wire.EIGHT_BYTES:
                    event.ended_at_s = _DOUBLE.unpack_from(data, inner.start)[0]


def _session_params(data: bytes, session: wire.Field) -> dict[str, str]:
    params: dict[str, str] = {}
    for each in wire.fields(data, session.start, session.stop):
        if each.number == 1 and each.wire == wire.LENGTH:
            key, value = "", ""
            for inner in wire.fields(data, each.start, each.stop):
                if inner.number == 1:
                    key = wire.text(data, inner)
                elif inner.number == 2 and inner.wire == wire.LENGTH:
                    value = _param(data, inner)
            params[key] = cut(value)
    return params


def _param(data: bytes, value: wire.Field) -> str:
    said = ""
    for each in wire.fields(data, value.start, value.stop):
        if each.number == 2 and each.wire == wire.EIGHT_BYTES:
            number: float = _DOUBLE.unpack_from(data, each.start)[0]
            # Every number of a Value is a double; nobody wrote 32.0 for a batch size.
            said = str(int(number)) if number.is_integer() and abs(number) < 2**53 else repr(number)
        elif each.number == 3:
            said = wire.text(data, each)
        elif each.number == 4 and each.wire == wire.VARINT:
            said = "true" if each.start else "false"
    return said
