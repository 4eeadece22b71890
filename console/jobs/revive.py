"""Starts the daemon again when it has died while a run lives: nobody else is there at night. Standard library only.

daemon.lock       held by the daemon as long as it lives
daemon.json       the argv of the newest installed version
daemon.stopped    somebody stopped it on purpose: it stays down
daemon.deaths     when supervisors found it dead; shared by all of them
daemon.failing    it died too often: nobody tries again until this file is gone
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from console.jobs.process_tree import environment_of_ours
from store import identity, paths

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT: Final = 1
DELAY_MIN_S: Final = 5.0
DELAY_MAX_S: Final = 300.0
"""Between two starts; doubles with each death of the last BACK_OFF_WINDOW_S."""
BACK_OFF_WINDOW_S: Final = 3600.0
DEATHS_MAX: Final = 5
DEATHS_WINDOW_S: Final = 600.0
"""So many deaths in so short a time: give up."""
CALM_S: Final = 300.0
"""A daemon that lives so long has got over what it died of."""
NOTE_MAX_BYTES: Final = 1 << 16


class Reviver:
    """What one supervisor does for the daemon of its state directory; no method raises."""

    def __init__(self, run_dir: str, signal_mask: set[int | signal.Signals]) -> None:
        """`signal_mask` is the one that the daemon starts with: a supervisor itself blocks the signals it waits for."""
        self.home = os.path.dirname(os.path.dirname(run_dir))
        self.trouble = ""
        """Why the last try did not succeed."""
        self._signal_mask = signal_mask
        self._alive_since_s: float | None = None

    def look(self, *, last: bool = False) -> None:
        """Start the daemon when it is dead and due. `last`: this supervisor ends now and will not look again."""
        try:
            if self._is_alive():
                self._note_life()
                return
            self._alive_since_s = None
            if os.path.lexists(paths.stopped_path(self.home)) or os.path.lexists(paths.failing_path(self.home)):
                return
            argv = self._argv()
            if argv and self._is_due(last=last):
                self._start(argv)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            trouble = f"the daemon could not be started: {error}"
            if trouble != self.trouble:
                self.trouble = trouble
                with contextlib.suppress(OSError):
                    print(trouble, file=sys.stderr, flush=True)

    def _is_alive(self) -> bool:
        try:
            descriptor = os.open(paths.lock_path(self.home), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return not is_held_by_a_zombie(descriptor)
        finally:
            os.close(descriptor)
        return False

    def _note_life(self) -> None:
        now_s = time.monotonic()
        if self._alive_since_s is None:
            self._alive_since_s = now_s
        elif now_s - self._alive_since_s > CALM_S:
            for path in (paths.failing_path(self.home), deaths_path(self.home)):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)

    def _argv(self) -> list[str]:
        """What daemon.json says, when nobody but us or root can have written it."""
        try:
            descriptor = os.open(paths.launch_note_path(self.home), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return []
        try:
            facts = os.fstat(descriptor)
            private = facts.st_uid in (0, os.getuid()) and not stat.S_IMODE(facts.st_mode) & 0o022
            if not stat.S_ISREG(facts.st_mode) or not private:
                raise ValueError("daemon.json must be a file that only its owner can write, and be ours")
            content = os.read(descriptor, NOTE_MAX_BYTES)
        finally:
            os.close(descriptor)
        try:
            argv = json.loads(content)["argv"]
        except (ValueError, KeyError, TypeError):
            argv = None
        if not isinstance(argv, list) or not argv or not all(isinstance(word, str) for word in argv):
            raise ValueError("daemon.json does not say how to start it")
        return argv

    def _is_due(self, *, last: bool) -> bool:
        """Count this death and say whether to start the daemon now; one supervisor at a time decides."""
        now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        with locked_deaths(self.home) as deaths:
            if deaths is None:
                return False  # another supervisor is about to
            earlier = deaths.at_boot_s
            recent = [at_s for at_s in earlier if now_s - at_s < BACK_OFF_WINDOW_S]
            if sum(now_s - at_s < DEATHS_WINDOW_S for at_s in recent) >= DEATHS_MAX:
                self._give_up(deaths)
                return False
            delay_s = min(DELAY_MAX_S, DELAY_MIN_S * 2 ** (len(recent) - 1)) if recent else 0.0
            if recent and now_s - recent[-1] < (DELAY_MIN_S if last else delay_s):
                return False
            deaths.write([*recent, now_s])
        return True

    def _give_up(self, deaths: Deaths) -> None:
        """Leave the file that the console shows."""
        note = {
            "format": FORMAT,
            "times_s": deaths.wall_times_s()[-DEATHS_MAX:],
            "at_s": time.time(),
            "last_words": self.trouble or last_words(self.home),
        }
        paths.write_atomically(paths.failing_path(self.home), json.dumps(note).encode())

    def _start(self, argv: list[str]) -> None:
        log = os.open(
            os.path.join(self.home, "daemon.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=environment_of_ours(os.environ),
                start_new_session=True,
                preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, self._signal_mask),  # noqa: PLW1509
            )
        finally:
            os.close(log)
        process.returncode = 0  # reaped with everything else that ends below us
        self.trouble = ""


def is_held_by_a_zombie(lock: int) -> bool:
    """Whether the daemon was killed and only a thread on its way out keeps the lock; who is started waits for that."""
    try:
        holder = identity.from_json(json.loads(os.pread(lock, NOTE_MAX_BYTES, 0)))
    except ValueError:
        return False
    fields = identity.stat_fields(holder.pid) if holder is not None else None
    return holder is not None and fields is not None and fields[0] == "Z" and int(fields[19]) == holder.start_ticks


class Deaths:
    """daemon.deaths, open and locked."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.at_boot_s: list[float] = []
        """By CLOCK_BOOTTIME, which nobody sets back."""
        with contextlib.suppress(ValueError, KeyError, TypeError):
            found = json.loads(os.pread(descriptor, NOTE_MAX_BYTES, 0))
            if found["boot_id"] == identity.boot_id():
                self.at_boot_s = sorted(float(at_s) for at_s in found["at_boot_s"])

    def wall_times_s(self) -> list[float]:
        """The same as Unix times by the clock as it is now."""
        offset_s = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        return [at_s + offset_s for at_s in self.at_boot_s]

    def write(self, at_boot_s: list[float]) -> None:
        """Replace the content. Raises OSError."""
        content: dict[str, Any] = {"format": FORMAT, "boot_id": identity.boot_id(), "at_boot_s": at_boot_s}
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(content).encode(), 0)


@contextlib.contextmanager
def locked_deaths(home: str) -> Iterator[Deaths | None]:
    """daemon.deaths while nobody else looks at it; None when somebody does."""
    descriptor = os.open(deaths_path(home), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield Deaths(descriptor)
    finally:
        os.close(descriptor)


def deaths_path(home: str) -> str:
    """Where the supervisors of this host count: beside the lock."""
    return os.path.join(paths.local_dir(home), "daemon.deaths")


def last_words(home: str) -> str:
    """The last line of the daemon's log that is not blank."""
    try:
        with open(os.path.join(home, "daemon.log"), "rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - 4096))
            lines = log.read().decode("utf-8", "replace").split("\n")
    except OSError as error:
        return f"its log cannot be read: {error.strerror}"
    return next((line.strip()[:500] for line in reversed(lines) if line.strip()), "it said nothing")
