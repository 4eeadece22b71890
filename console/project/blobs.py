"""Captured files by content: `<state dir>/blobs/<2 digits>/<BLAKE3>`, each content once however many runs used it."""

from __future__ import annotations

import os
import stat
from typing import Final

from blake3 import blake3

from store import paths
from store.run_files import open_regular

PIECE_BYTES: Final = 1 << 20


def blob_path(home: str, digest: str) -> str:
    """Where the content with this hash lies."""
    return os.path.join(home, "blobs", digest[:2], digest)


def keep(home: str, content: bytes) -> str:
    """Store a content unless it is there; returns its hash. Raises OSError."""
    digest = str(blake3(content).hexdigest())
    path = blob_path(home, digest)
    try:
        # One that a power cut left empty is written again.
        if os.stat(path).st_size == len(content):
            return digest
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    paths.write_atomically(path, content, sync=False)
    return digest


def load(home: str, digest: str) -> bytes | None:
    """The content with this hash; None when it is gone or damaged."""
    try:
        with open(blob_path(home, digest), "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return None
    return content if blake3(content).hexdigest() == digest else None


def hash_of(path: str, max_bytes: int) -> tuple[int, str]:
    """Size in bytes and BLAKE3 of a file or of where a link leads; an empty hash for what is larger or cannot be read.

    Raises FileNotFoundError when nothing is there.
    """
    facts = os.lstat(path)
    if stat.S_ISLNK(facts.st_mode):
        return facts.st_size, str(blake3(os.fsencode(os.readlink(path))).hexdigest())
    if facts.st_size > max_bytes or not stat.S_ISREG(facts.st_mode):
        return facts.st_size, ""
    try:
        descriptor = open_regular(path)
    except OSError:
        return facts.st_size, ""
    digest, left = blake3(), max_bytes
    try:
        while left > 0 and (piece := os.read(descriptor, min(PIECE_BYTES, left))):
            digest.update(piece)
            left -= len(piece)
    finally:
        os.close(descriptor)
    return facts.st_size, str(digest.hexdigest())
