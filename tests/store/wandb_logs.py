"""Record logs of W&B made by hand: one run in a folder, and what a new reader says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.readers.wandb_log import Source
from tests.store.foreign_files import FIXTURES, last_look, message

if TYPE_CHECKING:
    from pathlib import Path

    from store.readers.foreign import ForeignRun

WANDB = FIXTURES / "wandb" / "wandb"
KEY = "offline-run-20261124_120000-abcd1234"
LOG = "run-abcd1234.wandb"
RUN = message((1, 1), (17, message((1, "abcd1234"), (3, "churn"), (8, "first"), (17, message((1, 1_790_000_000))))))
EXIT = message((1, 99), (18, b""))


def write(folder: Path, data: bytes) -> Path:
    """The log of the only run in a folder."""
    (folder / KEY).mkdir(exist_ok=True)
    path = folder / KEY / LOG
    path.write_bytes(data)
    return path


def look(folder: Path) -> ForeignRun:
    """What a new reader says of it."""
    run = last_look(Source(str(folder)), {KEY})
    assert run is not None
    return run
