"""The machine on Triage: a title, the strip below it, and the way to the daemon for both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from textual.containers import Vertical
from textual.message import Message

from console import devices as device_snapshots
from console.tui.device_cells import title
from console.tui.pace import Pace
from console.tui.presence import is_present
from console.tui.widgets.device_strip import DeviceStrip
from console.tui.widgets.rule import Rule

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from console.client import Client
    from console.devices import Devices
    from console.tui.session import Session

INTERVALS: Final = 2.0
"""Of charts, between two looks at the machine: 2 s here, 4 s over a line."""
ROOMY_LINES: Final = 30
"""From this height on the host has a line beside cards too."""


@dataclass
class DevicesArrived(Message):
    """How busy the machine is."""

    devices: Devices


class DevicePane(Vertical):
    """Looks when it is told to, at the pace of the terminal."""

    DEFAULT_CSS = """
    DevicePane {
        height: auto;
    }
    """

    def __init__(self, session: Session, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._session = session
        self._devices: Devices | None = None

    def compose(self) -> ComposeResult:
        """Title and strip."""
        yield Rule("Machine", id="device-rule")
        yield DeviceStrip(id="device-strip")

    def on_mount(self) -> None:
        """Looks are spread over time."""
        self._home = self.screen
        interval_s = INTERVALS * self._session.profile.chart_interval_s
        self._pace = Pace(self, interval_s, self._ask, self._session.monotonic)
        self.query_one(DeviceStrip).ascii = self._session.ascii_only

    def look(self) -> None:
        """Look again, unless it was done just now."""
        if is_present(self, self._home):
            self._pace.soon()

    def on_resize(self) -> None:
        """Other heights have room for other things."""
        self._show()

    def _ask(self) -> None:
        def fetch(client: Client) -> DevicesArrived:
            return DevicesArrived(device_snapshots.devices(client))

        self._session.courier.ask("devices", self, fetch)

    def on_devices_arrived(self, message: DevicesArrived) -> None:
        """Show it, and count the cards in the header."""
        message.stop()
        if not is_present(self, self._home):
            return
        self._devices = message.devices
        link = self._session.link
        if link.status is not None:
            counts = (message.devices.busy_count, len(message.devices.gpus)) if message.devices.gpus else None
            link.status = link.status._replace(gpus=counts)
        self._show()

    def _show(self) -> None:
        if self._devices is None:
            return
        self.query_one(Rule).set_title(*title(self._devices))
        self.query_one(DeviceStrip).show(self._devices, compact=self.app.size.height < ROOMY_LINES)
