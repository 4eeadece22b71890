"""Boxes whose runs have left files behind."""

from __future__ import annotations

from console.artifact_preview import Preview
from console.protocol import Artifact
from tests.tui.stand_in import Box, example_box

HOSTILE = "plots/[/foo]\x1b[31m\nrm -rf.txt"


def picture(width: int, height: int) -> Preview:
    """Red above, blue below, in half of what room there is."""
    wide, high = max(1, width // 2), max(2, height // 2 // 2 * 2)
    pixels = b"\xff\0\0" * wide * (high // 2) + b"\0\0\xff" * wide * (high // 2)
    return Preview("plots/loss.png", 2048, "image", "", "PNG", wide, high, 640, 480, pixels)


def words(path: str, text: str) -> Preview:
    """Something that is not shown."""
    return Preview(path, 7, "words", text)


def box_with_files() -> Box:
    """The run that the table begins with has left files of every kind."""
    box = example_box()
    box.details[0] = box.details[0]._replace(
        artifacts=(
            Artifact("model/model.safetensors", 350_000_000, "model"),
            Artifact("numbers.csv", 40, "table"),
            Artifact("plots/loss.png", 2048, "image"),
            Artifact(HOSTILE, 7, "text"),
            Artifact("gone.png", 12, "image"),
        )
    )
    table = Preview(
        "numbers.csv", 40, "text", lines=("epoch,loss", "1,[b]0.5[/b]", "2,\x1b]0;x\x07\t0.25"), is_cut=True
    )
    box.previews = {
        "model/model.safetensors": lambda *_: words("model/model.safetensors", "a file of kind model"),
        "numbers.csv": lambda *_: table,
        "plots/loss.png": picture,
        HOSTILE: lambda *_: Preview(HOSTILE, 7, "text", lines=("harmless",)),
    }
    return box
