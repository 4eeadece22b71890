"""Event files of TensorBoard made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.store.foreign_files import FIXTURES, event, framed, message

if TYPE_CHECKING:
    from pathlib import Path

LOGS = FIXTURES / "tensorboard" / "logs"
NAME = "events.out.tfevents.1790000000.gpu-03.4711.0"
VERSION = framed(message((1, 1.79e9), (3, "brain.Event:2")))


def write(folder: Path, data: bytes, name: str = NAME) -> Path:
    """An event file in a folder that may not exist yet."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(data)
    return path


def varint_of(value: int) -> bytes:
    """A number of a message."""
    return message((1, value))[1:]


def session(wall_s: float, **parts: bytes) -> bytes:
    """A record of the hparams plugin."""
    numbers = {"experiment": 2, "start": 3, "end": 4}
    found = b""
    for name, part in parts.items():
        tag = "_hparams_/experiment" if name == "experiment" else f"_hparams_/session_{name}_info"
        plugin = message((1, "hparams"), (2, message((numbers[name], part))))
        found += event(wall_s, 0, message((1, tag), (9, message((1, plugin)))))
    return found
