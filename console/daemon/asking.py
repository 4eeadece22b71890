"""Having another thread do something: it takes commands from a queue, and whoever asks gets a future."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import queue
    from collections.abc import Callable

Result = TypeVar("Result")


def ask(inbox: queue.Queue[Callable[[], None]], command: Callable[[], Result]) -> Future[Result]:
    """Have whoever empties the queue run `command`; from any thread. Raises queue.Full when too many wait."""
    future: Future[Result] = Future()

    def run() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(command())
        except BaseException as error:
            future.set_exception(error)

    inbox.put_nowait(run)
    return future
