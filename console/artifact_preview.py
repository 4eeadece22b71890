"""What a client is told of an artifact: pixels of a picture, the first lines of a text, or why there is nothing to see.

Standard library only.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Literal, NamedTuple

from console import client as clients

if TYPE_CHECKING:
    from console.client import Client
    from console.protocol import Json


class Preview(NamedTuple):
    """One artifact, as far as a terminal can show it."""

    path: str
    size_bytes: int
    kind: Literal["image", "text", "words"]
    words: str = ""
    """A sentence, where there is nothing else to show; begins with `n/a: ` where there should have been."""
    format: str = ""
    width: int = 0
    """Of the pixels that are here."""
    height: int = 0
    source_width: int = 0
    source_height: int = 0
    pixels: bytes = b""
    """Red, green and blue of each pixel, row by row."""
    lines: tuple[str, ...] = ()
    is_cut: bool = False
    """The text goes on beyond its lines, or a line beyond its end."""


def fetch(client: Client, reference: str, path: str, width: int, height: int) -> Preview:
    """An artifact of a run, a picture of at most so many pixels."""
    query = {"path": path, "width": width, "height": height}
    return decode(client.get(f"/runs/{clients.quote(reference)}/artifact", query))


def decode(data: dict[str, Json]) -> Preview:
    """A preview from its JSON object. Raises ValueError when the pixels are not as many as they should be."""
    pixels = base64.b64decode(data.get("pixels", ""))
    values = {name: data[name] for name in Preview._fields if name in data}
    made = Preview(**(values | {"pixels": pixels, "lines": tuple(data.get("lines", ()))}))
    if len(pixels) != 3 * made.width * made.height:
        raise ValueError(f"{len(pixels)} bytes are no picture of {made.width} x {made.height}")
    return made


def encode(preview: Preview) -> dict[str, Json]:
    """The same as JSON can carry it."""
    return preview._asdict() | {"pixels": base64.b64encode(preview.pixels).decode()}
