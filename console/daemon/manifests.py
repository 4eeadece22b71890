"""Finding and reading the manifest of a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from console.project.manifest_model import FILE_NAME

if TYPE_CHECKING:
    from console.project.manifest_model import Manifest


@dataclass(frozen=True, slots=True)
class Loaded:
    """A manifest to start jobs of."""

    root: str
    name: str
    manifest: Manifest
    notes: tuple[str, ...]


def manifest_dir(folder: str) -> str:
    """The nearest folder, from this one upwards, that holds a manifest; empty when none does."""
    while True:
        if os.path.lexists(os.path.join(folder, FILE_NAME)):
            return folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return ""
        folder = parent


def read_manifest(root: str) -> Manifest:
    """The manifest of a folder. Raises ManifestError, FileNotFoundError."""
    from console.project.manifest import read  # pydantic, which a daemon without manifests does not need

    return read(root)
