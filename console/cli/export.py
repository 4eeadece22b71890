"""`footplate export`: runs with everything about them, as JSON or CSV, in the same bytes for the same content."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, BinaryIO, Final

from console.cli import output
from console.client import Client, ClientError, connect, refusal, with_query

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

PIECE_BYTES: Final = 1 << 18
FIRST_BYTE_TIMEOUT_S: Final = 600.0
"""Sorting the points of a run with tens of millions takes its time."""


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("runs", nargs="*", metavar="run", help="r12, 12, its id, or its first characters; else all")
    parser.add_argument("--json", action="store_true", help="everything about the runs, as JSON")
    parser.add_argument("--csv", action="store_true", help="the points of their metrics only, as CSV")
    parser.add_argument("-o", "--output", metavar="FILE", help="write to this file, which appears when it is whole")


def execute(options: Namespace) -> int:
    """Copy the daemon's stream to a file or to stdout."""
    if options.json == options.csv:
        return output.usage_error("give --json for everything, or --csv for the points of metrics")
    query = {"format": "csv" if options.csv else "json", "runs": ",".join(options.runs) or None}
    target = with_query("/store/export", query)
    if options.output is None:
        for piece in stream(target):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return 0
    temporary = f"{options.output}.{os.getpid()}.tmp"
    try:
        with created(temporary) as file:
            for piece in stream(target):
                file.write(piece)
        os.replace(temporary, options.output)
    except OSError as error:
        raise ClientError(f"cannot write {options.output}: {error.strerror or error}", "name another file") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    return 0


def created(path: str) -> BinaryIO:
    """A new file that only we can read: commands and notes may be nobody else's business. Raises OSError."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb")


def stream(target: str) -> Iterator[bytes]:
    """The body of an answer in pieces. Raises ClientError, also when the daemon goes away before the end."""
    from http.client import HTTPException, HTTPResponse  # 22 ms that no other command has to pay

    Client().get("/ping")  # brings a daemon up, of our version
    connection = connect(start_daemon=False)
    connection.settimeout(FIRST_BYTE_TIMEOUT_S)
    with contextlib.closing(connection):
        answer = HTTPResponse(connection)
        try:
            connection.sendall(f"GET {target} HTTP/1.1\r\nHost: footplate\r\nConnection: close\r\n\r\n".encode("ascii"))
            answer.begin()
            if answer.status >= 400:
                raise refusal(answer.status, answer.read())
            while piece := answer.read(PIECE_BYTES):
                yield piece
        except (OSError, HTTPException) as error:
            raise ClientError(
                f"the daemon went away in the middle of the export: {error}", "see daemon.log; export again"
            ) from error
