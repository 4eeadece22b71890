"""Params out of a YAML or JSON file that somebody else wrote: plain values by dotted names, and nothing is constructed.

A tag of Python (`!!python/object/apply:pathlib.PosixPath [a]`) becomes a text that says the same. Depth and
what references can grow to are counted before anything is built.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

from store.readers.foreign import KEYS_MAX, TEXT_MAX_CHARACTERS, cut
from store.run_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE_MAX_BYTES: Final = 1 << 20
DEPTH_MAX: Final = 60
VALUES_MAX: Final = 1_000_000
"""Of one file, with each reference counted as what it refers to."""
KEY_MAX_CHARACTERS: Final = 1024


class ParamsError(ValueError):
    """A file that gives no params; the message is what to say after its name."""


def read_small(path: str, most_bytes: int) -> bytes:
    """A file whole; raises OSError, and ParamsError for one that is larger."""
    descriptor = open_regular(path)
    try:
        size = os.fstat(descriptor).st_size
        if size > most_bytes:
            raise ParamsError(f"has more than {most_bytes >> 20} MiB")
        chunks: list[bytes] = []
        while size > 0 and (data := os.read(descriptor, size)):
            chunks.append(data)
            size -= len(data)
        return b"".join(chunks)
    finally:
        os.close(descriptor)


def load_json(content: bytes) -> Any:
    """The values of a JSON text, with NaN and Infinity as Python writes them; raises ParamsError."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise ParamsError("is no whole JSON") from None


def load_yaml(content: bytes) -> Any:
    """The values of a YAML text; raises ParamsError."""
    import yaml

    class Loader(yaml.CSafeLoader):
        """Turns the tags of strangers into text."""

    def plain(loader: Any, suffix: str, node: Any) -> Any:
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        if isinstance(node, yaml.SequenceNode):
            values = loader.construct_sequence(node, deep=True)
            return values if suffix == "tuple" else f"{_named(suffix)}({text_of(values)[1:-1]})"
        return node.value or _named(suffix)

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", plain)
    Loader.add_multi_constructor("", plain)
    try:
        _check_shape(content)
        return yaml.load(content, Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ParamsError("is no YAML that can be read" + (f" on line {mark.line + 1}" if mark else "")) from None
    except ParamsError:
        raise
    except (ValueError, OverflowError, RecursionError, TypeError, AttributeError) as error:
        # A date such as 2026-99-99, or a number with more digits than Python takes.
        raise ParamsError(f"has a value that cannot be read: {str(error)[:80]}") from None


def _named(suffix: str) -> str:
    return suffix.rpartition(":")[2]


def _check_shape(content: bytes) -> None:
    import yaml

    sizes: dict[str, int] = {}
    # What is open: its anchor, and how many values it comes to so far.
    anchors: list[str | None] = [None]
    counts = [0]
    for event in yaml.parse(content, yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            anchors.append(event.anchor)
            counts.append(1)
            if len(counts) > DEPTH_MAX:
                raise ParamsError(f"is nested deeper than {DEPTH_MAX} levels")
            continue
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in anchors:
                raise ParamsError("refers to itself")
            size, anchor = sizes.get(event.anchor or "", 1), None
        elif isinstance(event, yaml.CollectionEndEvent):
            size, anchor = counts.pop(), anchors.pop()
        elif isinstance(event, yaml.ScalarEvent):
            size, anchor = 1, event.anchor
        else:
            continue
        if anchor is not None:
            sizes[anchor] = size
        counts[-1] += size
        if counts[-1] > VALUES_MAX:
            raise ParamsError(f"comes to more than {VALUES_MAX} values, references included")


def flattened(data: Any) -> dict[str, str]:
    """Leaves by their dotted names, as text; nothing for what is no table."""
    found: dict[str, str] = {}
    if isinstance(data, dict):
        for key, value in _leaves(data, "", DEPTH_MAX):
            if len(found) >= KEYS_MAX:
                break
            if len(key) <= KEY_MAX_CHARACTERS:
                found[whole(key)] = text_of(value)
    return found


def _leaves(table: dict[Any, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value and depth:
            yield from _leaves(value, f"{name}.", depth - 1)
        else:
            yield name, value


def text_of(value: Any) -> str:
    """A value as one would type it, cut where it is too long."""
    parts: list[str] = []
    length = 0
    for part in _pieces(value, DEPTH_MAX):
        parts.append(part)
        length += len(part)
        if length > TEXT_MAX_CHARACTERS:
            break
    return whole(cut("".join(parts)))


def whole(text: str) -> str:
    """A text that can be written as UTF-8: escapes of JSON can name halves of characters."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _pieces(value: Any, depth: int) -> Iterator[str]:
    match value:
        case None:
            yield "null"
        case bool():
            yield "true" if value else "false"
        case list() | tuple() | set() | dict() if not depth:
            yield "…"
        case list() | tuple() | set():
            yield "["
            for position, each in enumerate(value):
                yield ", " * bool(position)
                yield from _pieces(each, depth - 1)
            yield "]"
        case dict():
            yield "{"
            for position, (key, each) in enumerate(value.items()):
                yield ", " * bool(position) + f"{key}: "
                yield from _pieces(each, depth - 1)
            yield "}"
        case int():
            # Python refuses to write a number of more than 4,300 digits.
            yield str(value) if value.bit_length() < 10_000 else "…"
        case _:
            yield str(value)
