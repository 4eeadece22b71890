"""Parts of a run that are asked for when somebody looks at them: captures of code and environment, marks in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from console import client as clients
from console.protocol import Hit, decode_log, pick

if TYPE_CHECKING:
    from console.client import Client
    from console.protocol import Json, LogPage

MarkKind: TypeAlias = Literal["error", "warning"]


class Capture(NamedTuple):
    """What was written down of code and environment, see `docs/files.md`; secrets are masked."""

    attempt: int
    """0: when the run was enqueued."""
    attempts: tuple[int, ...]
    """At which starts something was captured."""
    record: dict[str, Json]
    """As in `code/capture.json`, long lists cut at 2,000 entries; empty when nothing was captured."""
    packages: tuple[tuple[str, ...], ...]
    """Name, version and, where it is installed from a folder, that folder."""
    packages_reason: str
    """Why they are not known."""


def find_mark(client: Client, reference: str, kind: MarkKind, *, start: int, backward: bool) -> Hit:
    """The next line of the log from `start` on (or before it) that tells of an error or a warning."""
    query = {"kind": kind, "start": start, "backward": int(backward)}
    return pick(Hit, client.get(f"/runs/{clients.quote(reference)}/log/mark", query))


def capture(client: Client, reference: str, attempt: int = 0) -> Capture:
    """What was captured of a run. Raises ClientError."""
    data = client.get(f"/runs/{clients.quote(reference)}/capture", {"attempt": attempt})
    packages = tuple(tuple(map(str, each)) for each in data["packages"])
    return Capture(data["attempt"], tuple(data["attempts"]), data["record"], packages, data["reason"])


def patch(client: Client, reference: str, attempt: int = 0, start: int = 0) -> LogPage:
    """Lines of the captured patch from a byte on, at most a MiB of them. Raises ClientError."""
    return decode_log(client.get(f"/runs/{clients.quote(reference)}/patch", {"attempt": attempt, "start": start}))


def raw_patch(client: Client, reference: str, attempt: int = 0, start: int = 0) -> tuple[bytes, int, bool]:
    """Bytes of the captured patch from `start`, the offset after them, and whether that is all. Raises ClientError."""
    query = {"attempt": attempt, "start": start, "raw": 1}
    headers, body = client.call("GET", clients.with_query(f"/runs/{clients.quote(reference)}/patch", query), None)
    return body, int(headers["x-end-bytes"]), headers["x-ended"] == "1"
