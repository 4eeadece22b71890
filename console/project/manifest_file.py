"""Opening `footplate.toml` of a project's folder, which may be anything. Standard library only."""

from __future__ import annotations

import os
from typing import Final

from console.project.code_files import is_below
from console.project.manifest_model import FILE_NAME, ManifestError
from store.run_files import open_regular

SIZE_MAX_BYTES: Final = 256 << 10


def open_manifest(folder: str) -> int:
    """A descriptor for reading the manifest of a folder.

    Raises FileNotFoundError where the folder has none, ManifestError for one that is no regular file below the folder
    and for one that cannot be opened.
    """
    path = os.path.join(folder, FILE_NAME)
    try:
        os.lstat(path)
        real_folder, real_path = os.path.realpath(folder), os.path.realpath(path)
        if not is_below(real_path, real_folder):
            raise ManifestError(path, 0, "", "is a link that leads out of the folder", "a file in the folder itself")
        try:
            descriptor = open_regular(real_path)
        except FileNotFoundError:
            raise ManifestError(path, 0, "", "is no regular file", "a text file") from None
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ManifestError(path, 0, "", f"cannot be read: {error.strerror}", "a file that you may read") from None
    # A folder on the way may have been replaced by a link between the two looks.
    if not is_below(os.readlink(f"/proc/self/fd/{descriptor}"), real_folder):
        os.close(descriptor)
        raise ManifestError(path, 0, "", "was replaced while it was opened", "a file in the folder itself")
    return descriptor


def read_text(descriptor: int, path: str) -> str:
    """The text behind a descriptor, from its start; raises ManifestError for one that is too long or not UTF-8."""
    size_bytes = os.fstat(descriptor).st_size
    content = b"" if size_bytes > SIZE_MAX_BYTES else os.pread(descriptor, SIZE_MAX_BYTES + 1, 0)
    if max(size_bytes, len(content)) > SIZE_MAX_BYTES:
        raise ManifestError(path, 0, "", f"has {max(size_bytes, len(content))} bytes", f"at most {SIZE_MAX_BYTES}")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ManifestError(path, line, "", f"has the byte 0x{content[error.start]:02x}", "text in UTF-8") from None
