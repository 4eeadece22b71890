"""Stands for `ssh` in tests: carries commands out here, with a second state directory, and forwards sockets.

FAKE_SSH_HOME is the state directory "there". Hosts: `box`; `bare` without footplate; `old` and `new` of another
protocol; `gone` that ssh cannot reach; `chatty` whose login shell greets; `strict` whose sshd forwards no sockets.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading

ANSWER = '{"running": true, "version": "%s", "protocol": %d, "socket": "/x"}'


def main(argv: list[str]) -> int:
    """Do what ssh would with these arguments."""
    with open(os.environ["FAKE_SSH_LOG"], "a", encoding="utf-8", errors="surrogateescape") as log:
        print(" ".join(argv), file=log)
    forward, rest = "", list(argv)
    words: list[str] = []
    while rest:
        word = rest.pop(0)
        if word in ("-o", "-L", "-O", "-S"):
            value = rest.pop(0)
            forward = value if word == "-L" else forward
            if word == "-O":
                return 0
        elif word == "-G":
            os.write(1, b"hostname " + os.fsencode(rest[0]) + b"\ncontrolmaster false\n")
            return 0
        elif not word.startswith("-") or words:
            words.append(word)
    host, *command = words
    if host == "gone" or os.path.exists(os.environ["FAKE_SSH_LOG"] + ".cut"):
        print(f"ssh: Could not resolve hostname {host}: Name or service not known", file=sys.stderr)
        return 255
    if os.path.exists(os.environ["FAKE_SSH_LOG"] + ".silent"):
        signal.pause()
    if forward:
        if host == "strict":
            print("Error: remote port forwarding failed for listen path", file=sys.stderr)
            return 255
        return relay(*forward.split(":"))
    if host in ("old", "new"):
        print(ANSWER % (("0.0.1", 0) if host == "old" else ("99.0", 99)))
        return 0
    environment = os.environ | {"FOOTPLATE_HOME": os.environ["FAKE_SSH_HOME"], "HOME": os.environ["FAKE_SSH_HOME"]}
    if host == "bare":
        environment["PATH"] = "/usr/bin:/bin"
    if host == "chatty":
        print("Welcome to the box {today}: be kind", flush=True)
    return subprocess.run(["sh", "-c", " ".join(command)], env=environment, check=False).returncode


def relay(local: str, remote: str) -> int:
    """Listen at one socket and carry what comes to another, until we are killed."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(local)
    listening.listen()
    while True:
        near, _ = listening.accept()
        threading.Thread(target=carry, args=(near, remote), daemon=True).start()


def carry(near: socket.socket, remote: str) -> None:
    """Bytes both ways until one side ends."""
    with near, socket.socket(socket.AF_UNIX) as far, contextlib.suppress(OSError):
        far.connect(remote)
        waiting = selectors.DefaultSelector()
        waiting.register(near, selectors.EVENT_READ, far)
        waiting.register(far, selectors.EVENT_READ, near)
        while True:
            for key, _ in waiting.select():
                data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
                if not data:
                    return
                key.data.sendall(data)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
