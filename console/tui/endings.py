"""How the console ends when nobody presses a key: its terminal is gone (SIGHUP, or not even that), or somebody ends it
(SIGTERM).

The handlers run in the main thread between two steps of Python and not on the event loop: without a terminal, Textual's
thread that writes is dead, and the loop waits for ever for room in the queue to it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STANDARD_INPUT: Final = 0
LAST_WORDS_S: Final = 5.0
"""An end that takes longer, for a disk or a terminal that answers nobody, is cut short."""


@contextlib.contextmanager
def heeded(settle: Callable[[], None], leave: Callable[[], None]) -> Iterator[None]:
    """Within it, `settle` is called when the terminal is gone, then the process ends; `leave` is called when somebody
    ends it. For the main thread."""
    from asyncio import get_running_loop  # here: what ends before the first frame does without

    def hang_up(_: int, __: Any) -> None:
        signal.setitimer(signal.ITIMER_REAL, LAST_WORDS_S)
        # It may come while a screen is being changed; what was kept a second ago stays then.
        with contextlib.suppress(Exception):
            settle()
        end(signal.SIGHUP)

    def terminate(_: int, __: Any) -> None:
        signal.setitimer(signal.ITIMER_REAL, LAST_WORDS_S)
        try:
            get_running_loop().call_soon_threadsafe(leave)
        except RuntimeError:
            end(signal.SIGTERM)

    def end(number: signal.Signals) -> None:
        # Whoever heeded it until now knows what is on the terminal when Textual has not even begun.
        earlier = before[number]
        if callable(earlier):
            earlier(number, None)
        end_by(number)

    before = {
        signal.SIGHUP: signal.signal(signal.SIGHUP, hang_up),
        signal.SIGTERM: signal.signal(signal.SIGTERM, terminate),
    }
    threading.Thread(target=watch, args=(STANDARD_INPUT,), name="footplate-terminal", daemon=True).start()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def watch(descriptor: int) -> None:
    """Send SIGHUP once the other end of a terminal is closed: the kernel sends it to the foreground of a session only,
    and not to what began with SIGHUP blocked or under another leader."""
    poll = select.poll()
    poll.register(descriptor, 0)
    # Nothing is asked for, so it returns for a hang-up only.
    poll.poll()
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGHUP)


def end_by(number: int) -> None:
    """End as if nobody had heeded the signal."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
