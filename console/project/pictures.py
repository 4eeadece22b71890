"""Pictures that others wrote, decoded and made small. Runs in a worker process: what it is given may be hostile."""

from __future__ import annotations

import os
import stat
import sys
import warnings
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

FORMATS: Final = ("PNG", "JPEG", "GIF", "WEBP")
PIXELS_MAX: Final = 100_000_000
"""A picture that says it has more is not decoded."""
FILE_MAX_BYTES: Final = 512 << 20
DEEP_MODES: Final = ("I;16", "I;16L", "I;16B", "I;16N", "I")


class PictureError(Exception):
    """It cannot be shown; says why."""


class Scaled(NamedTuple):
    """A picture that fits into the box that was asked for."""

    width: int
    height: int
    source_width: int
    source_height: int
    format: str
    pixels: bytes
    """Red, green and blue of each pixel, row by row."""

    @property
    def head(self) -> str:
        """All but the pixels, on one line."""
        return f"{self.width} {self.height} {self.source_width} {self.source_height} {self.format}"


def scaled(path: str, width: int, height: int) -> Scaled:
    """The first frame of a picture, shrunk into a box, what is transparent on black. Raises PictureError."""
    try:
        with open(path, "rb", opener=_opener) as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise PictureError("it is no regular file")
            if facts.st_size > FILE_MAX_BYTES:
                raise PictureError(f"a file of more than {FILE_MAX_BYTES >> 20} MiB is not decoded")
            return _decoded(file, max(1, width), max(1, height))
    except PictureError:
        raise
    except MemoryError as error:
        raise PictureError("decoding it takes more memory than it may have") from error
    except OSError as error:
        raise PictureError(str(error.strerror or error).partition("\n")[0]) from error
    except Exception as error:
        # Decoders of damaged files raise whatever comes to hand.
        raise PictureError(f"it cannot be decoded: {type(error).__name__}: {error}".partition("\n")[0]) from error


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _decoded(file: object, width: int, height: int) -> Scaled:
    from PIL import Image, ImageOps, UnidentifiedImageError

    # Our own limit speaks in words; Pillow's would end at twice the number.
    Image.MAX_IMAGE_PIXELS = None
    warnings.simplefilter("ignore")
    try:
        image: Picture = Image.open(file, formats=FORMATS)  # type: ignore[arg-type]
    except UnidentifiedImageError as error:
        raise PictureError("its bytes are no PNG, JPEG, GIF or WebP picture") from error
    if image.width * image.height > PIXELS_MAX:
        raise PictureError(
            f"{image.width} x {image.height} pixels are more than the {PIXELS_MAX // 1_000_000} million decoded"
        )
    kind, source_size = image.format or "", image.size
    # The decoder of JPEG can shrink by powers of two on the way, at a fraction of time and memory.
    image.draft("RGB", (2 * width, 2 * height))
    image.load()
    turned = ImageOps.exif_transpose(image)
    if (turned.width > turned.height) != (image.width > image.height):
        source_size = source_size[::-1]
    picture = _on_black(_eight_bits(turned), width, height)
    return Scaled(*picture.size, *source_size, kind, picture.tobytes())


def _eight_bits(image: Picture) -> Picture:
    if image.mode in DEEP_MODES:
        return image.convert("I").point(lambda value: value / 256).convert("L").convert("RGB")
    has_alpha = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    return image.convert("RGBA" if has_alpha else "RGB")


def _on_black(image: Picture, width: int, height: int) -> Picture:
    from PIL import Image

    share = min(1.0, width / image.width, height / image.height)
    size = max(1, round(image.width * share)), max(1, round(image.height * share))
    if size != image.size:
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    if image.mode != "RGBA":
        return image
    ground = Image.new("RGB", size)
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def print_scaled(path: str, width: int, height: int) -> int:
    """A line of facts and the pixels on stdout, or why not on stderr; returns the exit code."""
    try:
        found = scaled(path, width, height)
    except PictureError as error:
        print(error, file=sys.stderr)
        return 1
    sys.stdout.buffer.write(found.head.encode() + b"\n" + found.pixels)
    sys.stdout.buffer.flush()
    return 0
