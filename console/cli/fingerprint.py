"""`footplate fingerprint`: one id for what the files of a folder hold. Needs no daemon."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from console.cli import output
from console.client import ClientError
from console.tui import text_format
from console.tui.text_format import visible

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("folder", nargs="?", default=".", help="which folder (default: here)")
    parser.add_argument(
        "--glob", action="append", default=[], metavar="GLOB", help="only these files, as a trigger would"
    )
    parser.add_argument("--leave-out", action="append", default=[], metavar="GLOB", help="not these files")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.epilog = "Content is read once; a second look reads only files whose size, times or inode have changed."


def execute(options: Namespace) -> int:
    """Look at it and print what was found."""
    import gc

    from console.project import fingerprint
    from console.project.file_sets import FileSet
    from console.project.globs import problem

    gc.disable()  # a tenth of the time, for a process that ends at once
    root = os.path.realpath(options.folder)
    patterns = options.glob or ["**"]
    for pattern in [*patterns, *options.leave_out]:
        if wrong := problem(pattern):
            raise ClientError(f"the pattern {pattern!r} {wrong}", "write data/*.parquet or src/**/*.py")
    files = FileSet(tuple(patterns), tuple(options.leave_out))
    try:
        found = fingerprint.scan_once(root, files)
    except OSError as error:
        raise ClientError(f"{error.filename or root} cannot be read: {error.strerror or error}") from error
    said = fingerprint.as_json(found)
    exit_code = 1 if found.sets["files"].unreadable else 0
    if options.json:
        shown: dict[str, Any] = {"root": root, "unreadable": unreadable(found), **said, **said.pop("sets")["files"]}
        output.print_json(shown)
        return exit_code
    files_found = found.sets["files"]
    print(files_found.id)
    size = text_format.bytes_size(found.total_bytes)
    print(f"{files_found.file_count} files, {size}; {found.hashed_count} read, {found.took_s:.2f} s  {visible(root)}")
    for each in files_found.unreadable:
        print(f"n/a: {visible(each.path)}: {each.reason}")
    return exit_code


def unreadable(found: Any) -> list[dict[str, str]]:
    """Files that could not be read, as JSON."""
    return [each._asdict() for each in found.sets["files"].unreadable]
