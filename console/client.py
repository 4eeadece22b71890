"""The way from a client to the daemon: HTTP/1.1 over its Unix socket, and starting one when there is none.

Written on plain sockets because importing http.client costs 22 ms of the 60 that `footplate ps` may take. A `Client`
keeps one connection and belongs to one thread.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from console import protocol
from console.version import VERSION, is_newer
from store import paths

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping

    from console.protocol import (
        Change,
        Hit,
        Json,
        LogPage,
        RunDetail,
        RunPage,
        Series,
        Status,
        Submitted,
    )

START_TIMEOUT_S: Final = 20.0
"""How long a daemon may take to answer after it was started, on a loaded machine with a cold disk."""
ANSWER_TIMEOUT_S: Final = 30.0
RETRY_S: Final = 0.01
UNKNOWN_ROUTE: Final = (404, 405)
"""How an older daemon answers what it does not know: it has done nothing, so a newer one may be asked again."""
RESTART_AFTER_S: Final = 0.5
"""When to start another daemon after ours ended because there was one, and still nobody answers."""
STOPPED_PAUSE_S: Final = 0.25
"""How long a client whose daemon was stopped waits before it says so: some ask again at once."""


def tell_nobody(_: str) -> None:
    """Where nobody reads."""


class Voice(NamedTuple):
    """How a person can be spoken to while a daemon is started."""

    ask: Callable[[str], str] | None = None
    """Puts a question and returns the answer; None where nobody can answer."""
    say: Callable[[str], None] = tell_nobody
    """Tells something once."""


SILENT: Final = Voice()
"""Of the console, which owns the screen, and of programs that use a client."""
voice = SILENT
_reached: set[str] = set()
"""State directories whose daemon this process has talked to."""
elsewhere: Callable[[], socket.socket] | None = None
"""Connects to the daemon of another host, in place of ours; see `console.remote`."""
_handed_over = False
"""Whether this process has tried to replace an older daemon."""


class ClientError(Exception):
    """Something that the person at the terminal should read; `hint` is the next step, or empty."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class DaemonUnavailable(ClientError):
    """No daemon answers and none could be started."""


class DaemonRefused(ClientError):
    """The daemon answered with an error; `status` is the HTTP status, `facts` all that it says of it."""

    def __init__(self, message: str, hint: str, status: int, facts: dict[str, Json] | None = None) -> None:
        super().__init__(message, hint)
        self.status = status
        self.facts = facts or {}


class Client:
    """A connection to the daemon of this user. Methods raise `ClientError` with a sentence to show."""

    def __init__(self, *, start_daemon: bool = True, answer_timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        self._start_daemon = start_daemon
        self._answer_timeout_s = answer_timeout_s
        self._socket: socket.socket | None = None
        self._buffer = b""

    def close(self) -> None:
        """Drop the connection; the next call opens a new one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._buffer = b""

    def runs(
        self,
        *,
        text: str = "",
        states: str = "",
        sort: str = "started",
        descending: bool = True,
        offset: int = 0,
        limit: int = 256,
    ) -> RunPage:
        """A page of the run table: runs that fit the query `text`, by the field `sort`; `states` is "a,b,c"."""
        query = {"text": text, "states": states, "sort": sort, "descending": int(descending)}
        return protocol.decode_page(self.get("/runs", query | {"offset": offset, "limit": limit}))

    def run(self, reference: str) -> RunDetail:
        """One run by `r12`, `12`, its ULID or the first characters of it."""
        return protocol.decode_detail(self.get(f"/runs/{quote(reference)}"))

    def series(self, reference: str, key: str, bins: int, fold: int | None = None) -> Series:
        """One metric of a run in at most `bins` bins of equal step width; of its newest fold unless one is named."""
        query = {"key": key, "bins": bins, "fold": fold}
        return protocol.decode_series(self.get(f"/runs/{quote(reference)}/series", query))

    def log(
        self, reference: str, *, start: int | None = None, before: int | None = None, max_bytes: int = 65536
    ) -> LogPage:
        """Whole lines from `start`, or those that end at `before`; with neither, the last ones."""
        query = {"start": start, "before": before, "max_bytes": max_bytes}
        return protocol.decode_log(self.get(f"/runs/{quote(reference)}/log", query))

    def raw_log(self, reference: str, start: int, *, wait: bool) -> tuple[bytes, int, bool]:
        """Bytes of the log from `start`, the offset after them, and whether that is the end for good.

        With `wait` the daemon answers when there is something new, after 5 s at the latest.
        """
        path = f"/runs/{quote(reference)}/log/raw"
        headers, body = self.call("GET", with_query(path, {"start": start, "wait": int(wait)}), None)
        return body, int(headers.get("x-end-bytes", start + len(body))), headers.get("x-ended") == "1"

    def search_log(self, reference: str, text: str, *, start: int, backward: bool = False) -> Hit:
        """The next line after `start` (or before it) that holds `text`, ignoring case."""
        query = {"text": text, "start": start, "backward": int(backward)}
        return protocol.pick(protocol.Hit, self.get(f"/runs/{quote(reference)}/log/search", query))

    def submit(self, specification: Mapping[str, Json]) -> Submitted:
        """Enqueue a run; see `console.jobs.spec` for what the daemon expects."""
        return protocol.pick(protocol.Submitted, self.post("/runs", specification))

    def stop(self, reference: str, actor: str) -> RunDetail:
        """Ask a run to end: TERM to its processes, KILL after the grace time."""
        return protocol.decode_detail(self.post(f"/runs/{quote(reference)}/stop", {"actor": actor}))

    def pin_metric(self, project: str, key: str, goal: str, actor: str) -> dict[str, Json]:
        """Have a metric stand for the runs of a project that have it."""
        return self.post_known("/metrics/pin", {"project": project, "key": key, "goal": goal, "actor": actor})

    def release(self, reference: str, actor: str) -> RunDetail:
        """Let a run start that is held since a reboot."""
        return protocol.decode_detail(self.post(f"/runs/{quote(reference)}/release", {"actor": actor}))

    def status(self) -> Status:
        """The counts of the header line."""
        return protocol.pick(protocol.Status, self.get("/status"))

    def changes(self, view: str, since: int) -> Change:
        """Wait until `view` ("runs" or "run:<id>") shows something else than at `since`; 5 s at the longest."""
        return protocol.pick(protocol.Change, self.get("/changes", {"view": view, "since": since}))

    def get(self, path: str, query: Mapping[str, Json] | None = None) -> dict[str, Json]:
        """A read; sent again when the daemon went away meanwhile."""
        return self._decoded(self.call("GET", with_query(path, query or {}), None))

    def post(self, path: str, body: Mapping[str, Json]) -> dict[str, Json]:
        """A write; never sent twice."""
        return self._decoded(self.call("POST", path, json.dumps(body).encode()))

    def post_known(self, path: str, body: Mapping[str, Json]) -> dict[str, Json]:
        """A write that carries an id by which the daemon knows it when it is sent again, and it is until answered."""
        known = json.dumps({**body, "request": request_id()}).encode()
        return self._decoded(self.call("POST", path, known, repeatable=True))

    def delete(self, path: str) -> dict[str, Json]:
        """A removal; may be sent twice, as it says what should be gone."""
        return self._decoded(self.call("DELETE", path, None))

    def call(
        self, method: str, target: str, body: bytes | None, *, repeatable: bool = False
    ) -> tuple[dict[str, str], bytes]:
        """One exchange; returns headers (names in lower case) and body, or raises what the daemon refused.

        `repeatable`: a POST that may be sent again, as every other method is, when the daemon went away meanwhile.
        """
        once = method == "POST" and not repeatable
        head = f"{method} {target} HTTP/1.1\r\nHost: footplate\r\n"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        request = head.encode("ascii") + b"\r\n" + (body or b"")
        deadline_s = time.monotonic() + START_TIMEOUT_S
        if once:
            # A kept connection may lead to a daemon that is gone, and a write must not be sent twice to find out.
            self.close()
        while True:
            connection = self._connected()
            try:
                connection.sendall(request)
                status, headers, answer = self._read_answer(connection)
                break
            except (OSError, EOFError) as error:
                self.close()
                if once:
                    raise DaemonUnavailable(
                        "the daemon went away before it said that the command was accepted",
                        "look with `footplate ps` before you repeat it",
                    ) from error
                # A daemon that is being killed may still accept, and then drops what it accepted: ask the next one.
                if isinstance(error, TimeoutError) or time.monotonic() > deadline_s:
                    message = f"the daemon went away while answering {method} {target}: {error}"
                    raise DaemonUnavailable(message) from error
                time.sleep(RETRY_S)
        theirs = headers.get("x-footplate-version", VERSION) if elsewhere is None else VERSION
        if theirs != VERSION and self._start_daemon and not _handed_over and is_newer(VERSION, theirs):
            self.close()
            hand_over(paths.state_dir(), theirs)
            if status in UNKNOWN_ROUTE:
                return self.call(method, target, body, repeatable=repeatable)
        if status >= 400:
            raise refusal(status, answer)
        return headers, answer

    def _connected(self) -> socket.socket:
        if self._socket is None:
            self._socket = connect(start_daemon=self._start_daemon)
            self._socket.settimeout(self._answer_timeout_s)
            self._buffer = b""
        return self._socket

    def _read_answer(self, connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
        while b"\r\n\r\n" not in self._buffer:
            self._receive(connection)
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        status_line, *header_lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in header_lines)}
        length = int(headers.get("content-length", "0"))
        while len(self._buffer) < length:
            self._receive(connection)
        answer, self._buffer = self._buffer[:length], self._buffer[length:]
        if headers.get("connection", "").lower() == "close":
            self.close()
        return int(status_line.split(" ", 2)[1]), headers, answer

    def _receive(self, connection: socket.socket) -> None:
        data = connection.recv(1 << 18)
        if not data:
            raise EOFError("connection closed")
        self._buffer += data

    @staticmethod
    def _decoded(exchange: tuple[dict[str, str], bytes]) -> dict[str, Json]:
        value = json.loads(exchange[1])
        if not isinstance(value, dict):
            raise DaemonUnavailable("the daemon answered with something that is not a JSON object")
        return value


def refusal(status: int, answer: bytes) -> DaemonRefused:
    """The error that an answer with a status of 400 or more stands for."""
    try:
        error = json.loads(answer)["error"]
        return DaemonRefused(str(error["message"]), str(error.get("hint", "")), status, error)
    except (ValueError, KeyError, TypeError):
        return DaemonRefused(f"the daemon answered with HTTP status {status}", "see daemon.log", status)


def request_id() -> str:
    """A ULID: 48 bits of time in ms and 80 random ones, in Crockford's base 32."""
    value = time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10), "big")
    return "".join("0123456789ABCDEFGHJKMNPQRSTVWXYZ"[value >> shift & 31] for shift in range(125, -1, -5))


def quote(text: str) -> str:
    """Percent-encode for a path or a query (RFC 3986); urllib.parse costs 3 ms to import."""
    safe = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
    return "".join(chr(byte) if byte in safe else f"%{byte:02X}" for byte in text.encode("utf-8", "surrogateescape"))


def with_query(path: str, query: Mapping[str, Json]) -> str:
    """`path?a=1&b=2`, without the entries that are None."""
    pairs = "&".join(f"{key}={quote(str(value))}" for key, value in query.items() if value is not None)
    return f"{path}?{pairs}" if pairs else path


def connect(*, start_daemon: bool) -> socket.socket:
    """A connection to a daemon of our own uid; starts one when none listens and `start_daemon` says so."""
    if elsewhere is not None:
        return elsewhere()
    home = paths.state_dir()
    deadline_s = time.monotonic() + START_TIMEOUT_S
    process: subprocess.Popen[bytes] | None = None
    started_at_s = 0.0
    while True:
        try:
            connection = connect_once(paths.socket_path(home))
            _reached.add(home)
            return connection
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as error:
            if not start_daemon:
                raise DaemonUnavailable("no daemon is running", "any footplate command starts one") from error
            from console import daemon_process  # here, as a command that finds a daemon needs nothing of it

            if home in _reached and (note := daemon_process.note_at(paths.stopped_path(home))) is not None:
                # A console that is open somewhere must not bring back what was stopped on purpose.
                time.sleep(STOPPED_PAUSE_S)
                words = f"the daemon was stopped by {note.get('actor', 'somebody')}"
                raise DaemonUnavailable(words, "`footplate daemon start` starts it") from error
        except PermissionError as error:
            raise DaemonUnavailable(f"may not open the daemon's socket {paths.socket_path(home)}: {error}") from error
        now_s = time.monotonic()
        if process is not None and process.poll() not in (None, 0):
            raise DaemonUnavailable(
                f"the daemon could not start: {daemon_process.last_words(home)}", f"see {home}/daemon.log"
            )
        # A loser of a start race ends at once; it may also have lost to a daemon that was just ending itself.
        if process is None or (process.poll() is not None and now_s - started_at_s > RESTART_AFTER_S):
            process, started_at_s = spawn_daemon(home), now_s
        if now_s > deadline_s:
            raise DaemonUnavailable(
                f"the daemon did not answer within {START_TIMEOUT_S:.0f} s: {daemon_process.last_words(home)}",
                f"see {home}/daemon.log",
            )
        time.sleep(RETRY_S)


def connect_once(path: str) -> socket.socket:
    """Connect to the socket at `path` and make sure that the other side is ours."""
    if len(os.fsencode(path)) > paths.SUN_PATH_BYTES:
        raise FileNotFoundError(2, "too long for a socket", path)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(ANSWER_TIMEOUT_S)
    try:
        connection.connect(path)
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        peer_uid = struct.unpack("3i", credentials)[1]
        if peer_uid not in (os.getuid(), 0):
            raise PermissionError(f"it belongs to uid {peer_uid}, not to us")
    except BaseException:
        connection.close()
        raise
    return connection


def spawn_daemon(home: str) -> subprocess.Popen[bytes]:
    """Start a daemon that outlives us; when one already runs, the new one ends by itself with exit code 0."""
    from console import daemon_process

    try:
        return daemon_process.spawn(home, voice.ask, voice.say)
    except OSError as error:
        raise DaemonUnavailable(
            f"cannot use the state directory {home}: {error.filename or home}: {error.strerror or error}",
            "make it writable, or set FOOTPLATE_HOME to a folder that is",
        ) from error


def hand_over(home: str, old_version: str) -> None:
    """Have an older daemon finish, so that ours takes its place; at most once in the life of a process."""
    global _handed_over
    from console import daemon_process

    _handed_over = True
    try:
        daemon_process.end(home, only_version=old_version)
        connect(start_daemon=True).close()
    except (ClientError, daemon_process.DaemonProcessError, OSError) as error:
        # What was asked for has its answer already; the next process tries again.
        voice.say(f"a daemon of version {old_version} could not be replaced by {VERSION}: {error}")
