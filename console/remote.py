"""The daemon of another host: its socket comes here through the person's own ssh; clients speak to it as to ours.

Two ssh processes: one asks `footplate daemon start --json` there for socket and version, one forwards the socket. Where
the person's configuration shares no connection (ControlPath), they share one of ours, so that one password is enough.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from console import client, protocol
from console.client import Client, ClientError, DaemonUnavailable
from console.version import VERSION, is_newer

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from console.protocol import Json

START: Final = (
    'exec sh -c \'PATH="$PATH:$HOME/.local/bin:$HOME/bin:/usr/local/bin"; export PATH; '
    "exec footplate daemon start --json'"
)
"""The same words for every login shell; ssh without a terminal often has a PATH that lacks what a person installed."""
OPTIONS: Final = ("ConnectTimeout=15", "ServerAliveInterval=5", "ServerAliveCountMax=3")
ASK_TIMEOUT_S: Final = 120.0
"""A person may have to type a password and to confirm a key."""
FORWARD_TIMEOUT_S: Final = 20.0
FIRST_RETRY_S: Final = 1.0
LONGEST_RETRY_S: Final = 30.0
AT_ONCE_S: Final = 1.0
AT_ONCE_MAX: Final = 4
"""So many connections within a second may mean that nobody listens at the other end: then it is asked who does."""
PING: Final = b"GET /ping HTTP/1.1\r\nHost: footplate\r\nConnection: close\r\n\r\n"
PING_TIMEOUT_S: Final = 10.0
NOT_FOUND: Final = 127
SSH_FAILED: Final = 255
COMMANDS: Final = frozenset(
    {
        "ps",
        "runs",
        "show",
        "series",
        "env",
        "diff",
        "code",
        "logs",
        "stop",
        "release",
        "artifacts",
        "imports",
        "projects",
        "sweeps",
        "gpus",
        "queue",
        "pause",
        "resume",
        "note",
        "tag",
        "pin",
        "metric",
        "log",
        "reparse",
        "audit",
        "export",
        "backup",
        "du",
        "archive",
        "delete",
        "gc",
        "status",
        "triage",
    }
)
"""Commands that only speak to the daemon; the others are about files, shell or terminal of the box they run on."""


class There(NamedTuple):
    """What the other host says of its daemon."""

    socket: str
    version: str


class Remote:
    """One host, as long as this process needs it. Threads may share it."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._lock = threading.Lock()
        self._folder = ""
        self._forward: subprocess.Popen[bytes] | None = None
        self._asking: subprocess.Popen[bytes] | None = None
        self._closing = False
        self._shares = False
        """Whether the connection that both processes share is ours."""
        self._retry_s = FIRST_RETRY_S
        self._not_before_s = 0.0
        self._connected_at_s: list[float] = []

    def open(self, *, ask: bool) -> str:
        """Reach the daemon there; `ask`: ssh may ask the person at the terminal. Returns what to say, or "".

        Raises ClientError with one sentence.
        """
        if self.host.startswith("-") or not self.host.strip():
            raise ClientError(
                f"--host {self.host!r} is no host", "a name that `ssh` knows, such as gpu-03 or ana@gpu-03"
            )
        if shutil.which("ssh") is None:
            raise ClientError("there is no `ssh` in PATH, and --host goes through it", "install the OpenSSH client")
        self._folder = tempfile.mkdtemp(prefix="footplate-")
        self._shares = not self._has_control_path()
        there = self._ask(ask=ask)
        self._start_forward(there, ask=ask)
        client.elsewhere = self.connect
        if there.version != VERSION:
            return f"{self.host} has footplate {there.version}, this is {VERSION}; what one of them lacks is left out"
        return ""

    def close(self) -> None:
        """End what was started for it. Threads that still ask must not turn to a daemon of this box."""
        client.elsewhere = self.refuse
        self._closing = True
        for process in (self._asking, self._forward):
            if process is not None:  # whoever waits for it holds the lock
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
        with self._lock:
            self._end_forward()
            if self._folder and self._shares:
                with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                    subprocess.run(
                        self._argv("-O", "exit", self.host, batch=True), capture_output=True, check=False, timeout=5
                    )
            if self._folder:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = ""

    def connect(self) -> socket.socket:
        """A connection to the daemon there; reaches for the host again when ssh has ended. Raises DaemonUnavailable."""
        with self._lock:
            now_s = time.monotonic()
            self._connected_at_s = [at_s for at_s in self._connected_at_s if now_s - at_s < AT_ONCE_S] + [now_s]
            if self._forward is None or self._forward.poll() is not None:
                self._reach_again(now_s)
            elif len(self._connected_at_s) > AT_ONCE_MAX:
                self._connected_at_s = []
                if not self._is_answered():
                    self._reach_again(now_s)
            try:
                return client.connect_once(self._local)
            except OSError as error:
                raise DaemonUnavailable(f"the connection to {self.host} is gone: {error.strerror or error}") from error

    def refuse(self) -> socket.socket:
        """No connection any more."""
        raise DaemonUnavailable(f"the connection to {self.host} was closed")

    def _is_answered(self) -> bool:
        """Whether a daemon listens at the other end; ssh takes connections here whether one does or not."""
        try:
            with client.connect_once(self._local) as connection:
                connection.settimeout(PING_TIMEOUT_S)
                connection.sendall(PING)
                return bool(connection.recv(1))
        except TimeoutError:
            return True  # one that is slow, or a line that is
        except OSError:
            return False

    def _reach_again(self, now_s: float) -> None:
        if self._closing:
            self.refuse()
        if now_s < self._not_before_s:
            raise DaemonUnavailable(f"the connection to {self.host} is gone; trying again")
        try:
            self._end_forward()
            self._start_forward(self._ask(ask=False), ask=False)
        except ClientError as error:
            self._not_before_s = time.monotonic() + self._retry_s
            self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)
            raise DaemonUnavailable(f"the connection to {self.host} is gone: {error.message}", error.hint) from error
        self._retry_s, self._not_before_s, self._connected_at_s = FIRST_RETRY_S, 0.0, []

    @property
    def _local(self) -> str:
        return os.path.join(self._folder, "daemon.sock")

    def _argv(self, *words: str, batch: bool) -> list[str]:
        options = [*OPTIONS, *(["BatchMode=yes"] if batch else [])]
        if self._shares:
            control = os.path.join(self._folder, "control")
            options += ["ControlMaster=auto", f"ControlPath={control}", "ControlPersist=60"]
        return ["ssh", *(word for option in options for word in ("-o", option)), *words]

    def _has_control_path(self) -> bool:
        """Whether the person's configuration shares connections to this host already."""
        try:
            said = subprocess.run(
                ["ssh", "-G", self.host], capture_output=True, text=True, errors="replace", check=False, timeout=10
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        values = dict(line.lower().split(" ", 1) for line in said.stdout.splitlines() if " " in line)
        return values.get("controlpath", "none") != "none" and values.get("controlmaster", "no") not in ("no", "false")

    def _ask(self, *, ask: bool) -> There:
        """Start the daemon there and have it say where it listens. Raises ClientError."""
        errors = os.path.join(self._folder, "asked.err")
        argv = self._argv("-T", self.host, START, batch=not ask)
        # A shared connection lives on in the background with these descriptors: a pipe would never end.
        output = os.path.join(self._folder, "asked.out")
        try:
            with open(output, "wb") as out, open(errors, "wb") as err:
                self._asking = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
            code = self._asking.wait(ASK_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise ClientError(f"{self.host} did not answer within {ASK_TIMEOUT_S:.0f} s") from error
        except OSError as error:
            raise ClientError(f"`ssh` cannot be started: {error.strerror or error}") from error
        finally:
            ended(self._asking)
            self._asking = None
        words = last_line(errors)
        if code == SSH_FAILED:
            raise ClientError(f"ssh cannot reach {self.host}: {words or 'it says no more'}", f"try `ssh {self.host}`")
        if code == NOT_FOUND:
            hint = f"install it there, or put it into the PATH that `ssh {self.host} env` shows"
            raise ClientError(f"{self.host} has no footplate", hint)
        return there_of(self.host, read_text(output), words)

    def _start_forward(self, there: There, *, ask: bool) -> None:
        """Forward the socket and wait until it listens here. Raises ClientError."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._local)
        errors = os.path.join(self._folder, "forward.err")
        words = ("-N", "-T", "-o", "ExitOnForwardFailure=yes", "-L", f"{self._local}:{there.socket}", self.host)
        try:
            with open(errors, "wb") as err:
                self._forward = subprocess.Popen(
                    self._argv(*words, batch=not ask), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err
                )
        except OSError as error:
            raise ClientError(f"`ssh` cannot be started: {error.strerror or error}") from error
        deadline_s = time.monotonic() + (ASK_TIMEOUT_S if ask and not self._shares else FORWARD_TIMEOUT_S)
        while not os.path.exists(self._local):
            ended = self._forward.poll() is not None
            if ended or time.monotonic() > deadline_s:
                self._end_forward()
                said = last_line(errors) or "ssh says no more"
                hint = "its sshd must allow AllowStreamLocalForwarding" if ended else ""
                raise ClientError(f"the socket of {self.host} cannot be forwarded: {said}", hint)
            time.sleep(0.02)

    def _end_forward(self) -> None:
        process, self._forward = self._forward, None
        ended(process)


def ended(process: subprocess.Popen[bytes] | None) -> None:
    """End a process that may have ended."""
    if process is not None and process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class HostClient(Client):
    """A client of another host: nothing of this shell goes there, so nothing can be started from here."""

    def post(self, path: str, body: Mapping[str, Json]) -> dict[str, Json]:
        """A write, as that of `Client`."""
        return super().post(path, without_shell(body))

    def post_known(self, path: str, body: Mapping[str, Json]) -> dict[str, Json]:
        """A write that may be sent again, as that of `Client`."""
        return super().post_known(path, without_shell(body))


def without_shell(body: Mapping[str, Json]) -> Mapping[str, Json]:
    """The body, unless it holds the environment of this shell. Raises ClientError."""
    if "environment" in body:
        raise ClientError("what needs a shell is started on the box itself", "ssh there, then footplate")
    return body


def there_of(host: str, said: str, errors: str) -> There:
    """What the answer of `footplate daemon start --json` says. Raises ClientError when it cannot be used."""
    facts = object_in(said)
    try:
        there = There(str(facts["socket"]), str(facts["version"]))
        spoken = int(facts["protocol"])
    except (ValueError, KeyError, TypeError):
        words = errors or said.strip().partition("\n")[0][:200] or "it says nothing"
        raise ClientError(f"the daemon of {host} did not start: {words}", f"try `ssh {host} footplate ps`") from None
    if spoken != protocol.PROTOCOL_VERSION:
        older = spoken < protocol.PROTOCOL_VERSION or is_newer(VERSION, there.version)
        which = "is older" if older else "is newer"
        hint = f"upgrade footplate {'there' if older else 'here'}"
        raise ClientError(
            f"footplate {there.version} on {host} {which} than this one, {VERSION}, and cannot talk to it", hint
        )
    if not os.path.isabs(there.socket) or set(there.socket) & set(":\n\0"):
        hint = "set FOOTPLATE_HOME there to a path without colons"
        raise ClientError(f"ssh cannot forward the socket {there.socket!r} of {host}", hint)
    return there


def object_in(said: str) -> dict[str, Any]:
    """The first JSON object with a socket; a login shell may greet before it. Empty when there is none."""
    start = said.find("{")
    while start >= 0:
        with contextlib.suppress(ValueError):
            found: Any = json.JSONDecoder().raw_decode(said, start)[0]
            if "socket" in found:
                return dict(found)
        start = said.find("{", start + 1)
    return {}


def read_text(path: str) -> str:
    """What a program wrote."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def last_line(path: str) -> str:
    """The last thing that ssh said, without its ends of line."""
    try:
        lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    except OSError:
        return ""
    return lines[-1] if lines else ""


def take_host(argv: list[str]) -> tuple[list[str], str | None]:
    """The arguments without `--host BOX`, which may stand anywhere before `--`, and the host; None for none."""
    end = argv.index("--") if "--" in argv else len(argv)
    for at, word in enumerate(argv[:end]):
        if word == "--host":
            return argv[:at] + argv[at + 2 :], argv[at + 1] if at + 1 < end else ""
        if word.startswith("--host="):
            return argv[:at] + argv[at + 1 :], word.partition("=")[2]
    return argv, None
