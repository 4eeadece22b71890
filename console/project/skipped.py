"""Folders of a project that hold nothing of its own making, or far too much: neither searched nor watched."""

from __future__ import annotations

from typing import Final

SKIPPED_DIRS: Final[frozenset[str]] = frozenset(
    {
        "__pycache__",
        "__pypackages__",
        "checkpoints",
        "checkpoint",
        "ckpt",
        "ckpts",
        "conda-meta",
        "env",
        "lightning_logs",
        "mlartifacts",
        "mlruns",
        "node_modules",
        "site-packages",
        "venv",
        "virtualenv",
        "wandb",
    }
)


def is_skipped(name: str) -> bool:
    """Whether a folder of this name is passed over: one of the list, or a hidden one."""
    return name.startswith(".") or name in SKIPPED_DIRS
