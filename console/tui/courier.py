"""The two kinds of threads that speak to the daemon: a feed that waits for changes, a courier that carries requests.

They are daemon threads rather than Textual workers: quitting must not wait the five seconds that a feed may
hang in the `changes` route. They touch no widget and speak by message only.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from console.tui.messages import ChangeSeen, LinkLost, LinkQuiet, RequestFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.message import Message
    from textual.message_pump import MessagePump

    from console.client import Client

    ClientFactory: TypeAlias = Callable[[], Client]
    Call: TypeAlias = Callable[[Client], Message]

FIRST_RETRY_S: Final = 0.5
LONGEST_RETRY_S: Final = 8.0
WAITING_LIMIT: Final = 16
"""Requests of different kinds that may wait; beyond that the oldest is dropped, as nobody looks at it any more."""


class Request(NamedTuple):
    """A call to the daemon and who gets the message it makes."""

    kind: str
    reply_to: MessagePump
    call: Call


def own_daemon() -> Client:
    """A client of the daemon of this box; for the thread that uses it."""
    from console.client import Client  # here and below: nobody asks anything before the first frame

    return Client()


def deliver(reply_to: MessagePump, message: Message) -> bool:
    """Post from a thread; False once the screen is gone."""
    try:
        return reply_to.post_message(message)
    except RuntimeError:
        # The event loop has ended between the question and the answer.
        return False


class Courier:
    """A thread with a connection; a request replaces a waiting one of its kind, so a slow daemon makes no queue.

    What a person waits for with a finger on the key goes by an express, a thread and connection of its own: it does
    not stand behind a page, a curve or a count that somebody may look at later.
    """

    def __init__(self, client_factory: ClientFactory) -> None:
        self._client_factory = client_factory
        self._waiting: dict[str, Request] = {}
        self._express: Courier | None = None
        self._wake = threading.Condition()
        self._closed = False

    def start(self) -> None:
        """Begin to carry requests."""
        threading.Thread(target=self._carry, name="footplate-courier", daemon=True).start()

    def close(self) -> None:
        """Carry nothing more."""
        if self._express is not None:
            self._express.close()
        with self._wake:
            self._closed = True
            self._waiting.clear()
            self._wake.notify()

    def ask(self, kind: str, reply_to: MessagePump, call: Call) -> None:
        """Queue a request; `call` runs in the courier's thread and returns the message for `reply_to`."""
        with self._wake:
            self._waiting[kind] = Request(kind, reply_to, call)
            if len(self._waiting) > WAITING_LIMIT:
                del self._waiting[next(iter(self._waiting))]
            self._wake.notify()

    def ask_at_once(self, kind: str, reply_to: MessagePump, call: Call) -> None:
        """The same by the express; one of its kind that waits with the others need not be carried any more."""
        with self._wake:
            self._waiting.pop(kind, None)
        if self._express is None:
            self._express = type(self)(self._client_factory)
            self._express.start()
        self._express.ask(kind, reply_to, call)

    def _take(self) -> Request | None:
        with self._wake:
            while not self._waiting and not self._closed:
                self._wake.wait()
            return None if self._closed else self._waiting.pop(next(iter(self._waiting)))

    def _carry(self) -> None:
        client = self._client_factory()
        while (request := self._take()) is not None:
            deliver(request.reply_to, answer(client, request))
        client.close()


def answer(client: Client, request: Request) -> Message:
    """The message that a request leads to, whatever the daemon does."""
    from console.client import ClientError, DaemonRefused

    try:
        return request.call(client)
    except ClientError as error:
        unavailable = not isinstance(error, DaemonRefused)
        return RequestFailed(request.kind, error.message, error.hint, unavailable)
    except OSError as error:
        client.close()
        return RequestFailed(request.kind, str(error), "", unavailable=True)
    except (ValueError, KeyError, TypeError) as error:
        client.close()
        reason = f"the daemon's answer could not be read ({type(error).__name__}: {error})"
        return RequestFailed(request.kind, reason, "daemon and screens may be of different versions", unavailable=False)


class Feed:
    """Waits for changes of one view and says so; survives the daemon, and brings it back by asking."""

    def __init__(self, view: str, client_factory: ClientFactory, reply_to: MessagePump, interval_s: float) -> None:
        self.view = view
        self._client_factory = client_factory
        self._reply_to = reply_to
        self._interval_s = interval_s
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to wait for changes."""
        threading.Thread(target=self._follow, name=f"footplate-feed-{self.view}", daemon=True).start()

    def stop(self) -> None:
        """Say nothing more; the thread ends when the daemon next answers."""
        self._stopped.set()

    def _follow(self) -> None:
        from console.client import ClientError, DaemonRefused

        client = self._client_factory()
        position = 0
        retry_s = FIRST_RETRY_S
        while not self._stopped.is_set():
            asked_at_s = time.monotonic()
            try:
                change = client.changes(self.view, position)
            except (ClientError, OSError, ValueError, KeyError, TypeError) as error:
                client.close()
                position = 0
                # A refusal comes from a daemon that lives: the run of this view may have been removed.
                if not isinstance(error, DaemonRefused) and not self._say(LinkLost(str(error))):
                    break
                self._stopped.wait(retry_s)
                retry_s = min(2 * retry_s, LONGEST_RETRY_S)
                continue
            # A daemon that was started anew counts from the beginning.
            news = change.changed or position == 0 or change.position < position
            if not self._say(ChangeSeen(self.view) if news else LinkQuiet()):
                break
            position = change.position
            retry_s = FIRST_RETRY_S
            self._stopped.wait(max(0.0, self._interval_s - (time.monotonic() - asked_at_s)))
        client.close()

    def _say(self, message: Message) -> bool:
        return not self._stopped.is_set() and deliver(self._reply_to, message)
