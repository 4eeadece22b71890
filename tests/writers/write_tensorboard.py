"""Writes event files as tensorboardX does, and beside them what TensorBoard's own reader says of them.

Run in an environment of its own: `pip install tensorboardX==2.6.5 tensorboard==2.21.0`, then
`python write_tensorboard.py FOLDER`.
"""

from __future__ import annotations

import json
import math
import os
import socket
import sys
import time
from typing import Any

CLOCK_S = 1_790_000_000.0
"""So that the files are the same each time, as far as the library lets them be."""


class Clock:
    """A clock that ticks when it is read."""

    def __init__(self) -> None:
        self.now_s = CLOCK_S

    def __call__(self) -> float:
        """The next moment."""
        self.now_s += 0.25
        return self.now_s


def main(folder: str) -> None:
    """Write everything below a folder that does not exist yet."""
    socket.gethostname = lambda: "gpu-03"
    clock = Clock()
    time.time = clock
    import numpy as np
    from tensorboardX import SummaryWriter  # type: ignore[import-not-found]

    plain = os.path.join(folder, "logs", "plain")
    with SummaryWriter(plain) as writer:
        for step in range(50):
            writer.add_scalar("train/loss", 1 / (step + 1), step)
            if step % 10 == 0:
                writer.add_scalar("val/acc", step / 100, step)
        writer.add_scalar("odd", math.nan, -3)
        writer.add_scalar("odd", math.inf, 0)
        writer.add_scalar("odd", -math.inf, 3_000_000_000)
        writer.add_scalar("zero", 0.0, 0)
        writer.add_scalar("named", 0.5, 7, display_name="A name", summary_description="of the tag")
        writer.add_image("sample", np.zeros((3, 8, 8), dtype=np.uint8), 1)
        writer.add_histogram("weights", np.arange(10.0), 1)
        writer.add_text("remark", "all is well", 1)

    searched = os.path.join(folder, "logs", "searched")
    with SummaryWriter(searched) as writer:
        for step in range(5):
            writer.add_scalar("loss", 2.0 - step / 10, step)
        writer.add_hparams({"lr": 0.01, "batch": 32, "optimizer": "adam", "nesterov": True}, {"hparam/acc": 0.875})

    restarted = os.path.join(folder, "logs", "restarted")
    for first in (0, 6):
        clock.now_s += 100
        with SummaryWriter(restarted) as writer:
            for step in range(first, first + 10):
                writer.add_scalar("loss", first + step / 100, step)

    said = {os.path.basename(each): read(each) for each in (plain, searched, restarted)}
    with open(os.path.join(folder, "expected.json"), "w", encoding="utf-8") as file:
        json.dump(said, file, indent=0)
        file.write("\n")


def read(folder: str) -> dict[str, Any]:
    """Scalars, images and params as TensorBoard reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-not-found]
    from tensorboard.plugins.hparams import plugin_data_pb2  # type: ignore[import-not-found]

    scalars: dict[str, Any] = {}
    params: dict[str, Any] = {}
    images: list[str] = []
    for inner, _, _ in os.walk(folder):
        accumulator = EventAccumulator(inner, size_guidance={"scalars": 0, "images": 0})
        accumulator.Reload()
        tags = accumulator.Tags()
        for tag in tags["scalars"]:
            scalars[tag] = [[each.step, each.wall_time, each.value] for each in accumulator.Scalars(tag)]
        images += tags["images"]
        for tag, content in accumulator.summary_metadata.items():
            if tag == "_hparams_/session_start_info":
                data = plugin_data_pb2.HParamsPluginData.FromString(content.plugin_data.content)
                params = {
                    key: getattr(value, str(value.WhichOneof("kind")))
                    for key, value in data.session_start_info.hparams.items()
                }
    return {"scalars": scalars, "images": images, "params": params}


if __name__ == "__main__":
    main(sys.argv[1])
