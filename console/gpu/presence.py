"""Whether it is worth starting a sampler: a few looks at files, no driver call that could wake or hang anything."""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LIBRARY: Final = "libnvidia-ml.so.1"
LIBRARY_DIRS: Final = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/lib64",
    "/usr/lib64/nvidia",
    "/usr/lib/nvidia",
    "/usr/lib/wsl/lib",
    "/usr/local/nvidia/lib64",
    "/usr/local/lib",
    "/run/opengl-driver/lib",
)
"""Where distributions, container runtimes, WSL and NixOS put the driver's library."""
DEVICE_SIGNS: Final = ("/dev/nvidiactl", "/dev/dxg", "/proc/driver/nvidia/version")
NVIDIA: Final = "0x10de"
DISPLAY_CLASS: Final = "0x03"
NO_DRIVER: Final = f"no NVIDIA driver: {LIBRARY} is not there"
ASLEEP: Final = "asleep to save power, and not woken only to be measured"


def reason_for_none(environment: Mapping[str, str], root: str = "") -> str:
    """Why there is nothing to sample; empty when there may be. `root` is where the file system begins."""
    folders = [folder for folder in environment.get("LD_LIBRARY_PATH", "").split(":") if folder]
    folders += [f"{root}{folder}" for folder in LIBRARY_DIRS]
    cards = pci_cards(root)
    has_library = any(os.path.exists(f"{folder}/{LIBRARY}") for folder in folders)
    if not has_library and not any(os.path.exists(f"{root}{sign}") for sign in DEVICE_SIGNS):
        if cards:
            return f"{NO_DRIVER}, but {len(cards)} NVIDIA card{'s are' if len(cards) > 1 else ' is'} on the PCI bus"
        return NO_DRIVER
    if cards and all(is_asleep(card) for card in cards):
        return f"every NVIDIA card is {ASLEEP}"
    return ""


def pci_cards(root: str = "") -> list[str]:
    """Folders of NVIDIA's display controllers below /sys/bus/pci."""
    return [
        folder
        for folder in glob.glob(f"{root}/sys/bus/pci/devices/*")
        if first_line(f"{folder}/vendor") == NVIDIA and first_line(f"{folder}/class").startswith(DISPLAY_CLASS)
    ]


def card_folder(bus_id: str) -> str:
    """Where the kernel tells of a card; NVML writes 00000000:17:00.0 for what is 0000:17:00.0 there."""
    domain, _, rest = bus_id.lower().partition(":")
    return f"/sys/bus/pci/devices/{domain[-4:]}:{rest}"


def is_asleep(card: str) -> bool:
    """Whether a card is switched off by runtime power management; asking NVML would wake it."""
    return first_line(f"{card}/power/runtime_status") == "suspended"


def first_line(path: str) -> str:
    """The first line of a small file; empty when it cannot be read."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""
