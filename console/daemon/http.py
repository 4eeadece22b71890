"""What every route shares: JSON answers, errors as one sentence with a hint, and the checks of what clients send."""

from __future__ import annotations

import json
import queue
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson
from starlette.responses import Response

from console.daemon import launch, pause
from console.jobs.spec import SpecError
from store import database
from store.query_language.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

LOG_HINT: Final = "see daemon.log in the state directory"
BODY_MAX_BYTES: Final = 16 << 20
Shared = TypeVar("Shared")
"""The class whose methods are routes."""


class RefusedError(Exception):
    """An answer with an HTTP status of 400 or more; `hint` is the next step."""

    def __init__(self, status: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.hint = hint


def answer(value: Any, status: int = 200) -> Response:
    """A JSON answer; names of files in it need not be UTF-8."""
    try:
        content = orjson.dumps(value)
    except TypeError:
        content = json.dumps(value).encode()
    return Response(content, status_code=status, media_type="application/json")


def guarded(
    handler: Callable[[Shared, Request], Awaitable[Response]],
) -> Callable[[Shared, Request], Awaitable[Response]]:
    """Every error as one sentence with what to do next."""

    @wraps(handler)
    async def run(routes: Shared, request: Request) -> Response:
        where: dict[str, Any] = {}
        try:
            return await handler(routes, request)
        except RefusedError as error:
            status, message, hint = error.status, str(error), error.hint
        except QueryError as error:
            status, message, hint = 400, error.message, error.hint
            where = {"column_start": error.column_start, "column_end": error.column_end, "of": error.of}
        except SpecError as error:
            status, message, hint = 400, str(error), ""
        except queue.Full:
            status, message, hint = 503, "too many commands wait already", "try again in a moment"
        except (OSError, database.Error) as error:
            paused = pause.words_of(error)
            status, message, hint = (503, paused, pause.HINT) if paused else (500, str(error).splitlines()[0], LOG_HINT)
        words = {"message": launch.readable(message), "hint": launch.readable(hint)}
        return answer({"error": words | where}, status)

    return run


def integer(request: Request, name: str, default: int) -> int:
    """A whole number, not negative, of the query string."""
    value = optional_integer(request, name)
    return default if value is None else value


def optional_integer(request: Request, name: str) -> int | None:
    """As `integer`, None when it is not given."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise RefusedError(400, f"{name} must be a whole number, not {text!r}")
    return int(text)


def actor_of(data: Any) -> str:
    """Who asks, as the client says; the socket lets only our own uid in."""
    actor = data.get("actor") if isinstance(data, dict) else None
    return launch.readable(actor[:100]) if isinstance(actor, str) and actor else "unknown"


def decoded(body: bytes) -> Any:
    """The JSON of a request. The standard library, unlike orjson, takes lone surrogates: paths need not be UTF-8."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, f"not JSON: {error}") from error


async def body_of(request: Request) -> Any:
    """The decoded JSON body of a request; an empty one is an empty object."""
    body = await request.body()
    if len(body) > BODY_MAX_BYTES:
        raise RefusedError(413, f"a request of {len(body)} bytes; at most {BODY_MAX_BYTES} are taken")
    return decoded(body or b"{}")
