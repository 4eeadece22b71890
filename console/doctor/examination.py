"""All checks of `footplate doctor`, with what they need to know of daemon and machine."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from console import config, daemon_process, devices
from console.cli import service
from console.client import Client, ClientError
from console.doctor import machine, places, screen, staying
from console.doctor.finding import ok, warn
from console.person import whoami
from console.tui import terminal
from console.version import VERSION

if TYPE_CHECKING:
    from console.doctor.finding import Finding


class Examination(NamedTuple):
    """What was found, and what the daemon said of itself."""

    findings: list[Finding]
    daemon: dict[str, Any] | None
    """None when none runs; the doctor starts none."""


def examine() -> Examination:
    """Look at everything; starts nothing and changes nothing."""
    home = daemon_process.state_dir()
    daemon, measured, refusal = asked_of_daemon()
    holder = None
    with contextlib.suppress(OSError):
        holder = daemon_process.holder(home)
    started_at_s = holder.started_at_s if holder is not None else None
    findings = [
        *places.checks(home, config.config_dir(os.environ)),
        machine.of_daemon(daemon, daemon_process.notes(home), VERSION, daemon_process.last_words(home)),
        *([warn("daemon's answer", refusal, "footplate daemon stop; footplate daemon start")] if refusal else []),
        *staying.checks(service.facts(), whoami()),
        *screen.checks(os.environ, has_terminal=terminal.has_terminal()),
        of_config(),
        machine.of_gpus(measured, os.environ),
        machine.of_gomp(os.environ),
        machine.of_watches(daemon["pid"] if daemon is not None else None),
        machine.of_clock(daemon, time.time(), started_at_s, machine.clock_synchronized()),
    ]
    return Examination(findings, daemon)


def asked_of_daemon() -> tuple[dict[str, Any] | None, devices.Devices | None, str]:
    """What a daemon that runs says of itself and of the devices, and what it refused to say."""
    client = Client(start_daemon=False)
    with contextlib.closing(client):
        try:
            facts = dict(client.get("/daemon"))
        except ClientError:
            return None, None, ""
        try:
            return facts, devices.devices(client, wait=True), ""
        except (ClientError, KeyError, TypeError, ValueError) as error:
            return facts, None, f"it does not say what the devices do: {error}"


def of_config() -> Finding:
    """Whether the configuration can be used."""
    from console import config_check  # here: it needs pydantic

    wrong = config_check.complaints(config.load(os.environ))
    if wrong:
        more = f"; {len(wrong) - 1} more" if len(wrong) > 1 else ""
        return warn("configuration", f"{wrong[0]}{more}", "footplate config")
    path = config.user_path(os.environ)
    return ok("configuration", path if os.path.exists(path) else "none, which is fine")
