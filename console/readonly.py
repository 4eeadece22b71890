"""A client that only looks, for consoles that are shown to others or left open."""

from __future__ import annotations

from console.client import Client, ClientError


class ReadOnlyClient(Client):
    """Asks and never acts: whatever is not a read is refused before it is sent."""

    def call(
        self, method: str, target: str, body: bytes | None, *, repeatable: bool = False
    ) -> tuple[dict[str, str], bytes]:
        """One exchange, as that of `Client`."""
        if method != "GET":
            raise ClientError("this console only looks", "open one without readonly to act")
        return super().call(method, target, body, repeatable=repeatable)
