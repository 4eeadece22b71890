"""`footplate gpus`: how busy the cards are and who holds them, and the figures of the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from console import devices as device_snapshots
from console.cli import output
from console.client import Client
from console.tui import device_text, text_format

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from console.devices import Devices, Disk, Gpu

COLUMNS: Final = (
    ("gpu", ">", 3),
    ("name", "<", 24),
    ("", "<", 8),
    ("util", ">", 4),
    ("memory", ">", 9),
    ("temp", ">", 5),
    ("power", ">", 9),
    ("who", "<", 40),
    ("held back by", "<", 24),
    ("command", "<", 60),
)
BAR_CELLS: Final = 8
NAME_CELLS: Final = 7


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--json", action="store_true", help="print everything that was measured as JSON")


def execute(options: Namespace) -> int:
    """Print one look."""
    found = device_snapshots.devices(Client(), wait=True)
    if options.json:
        output.print_json(found)
        return 0
    if found.gpus:
        print_cards(found)
    else:
        print(f"{'gpus':{NAME_CELLS}} {text_format.visible(device_text.gpu_words(found))}")
    print_host(found)
    return 0


def print_cards(found: Devices) -> None:
    """The cards as wide as the terminal allows, then what is wrong with them."""
    output.print_table([card_cells(gpu) for gpu in found.gpus], COLUMNS, optional=(8, 9))
    for gpu in found.gpus:
        for each in gpu.slices:
            used = f"{device_text.gibibytes(each.memory_used_bytes)}/{device_text.gibibytes(each.memory_total_bytes)}"
            print(f"gpu {gpu.number} slice {each.number}: {text_format.visible(each.name)}, memory {used}")
        for holder in gpu.holders or ():
            if holder.reason:
                print(f"gpu {gpu.number} pid {holder.pid}: {text_format.visible(holder.reason)}")
        for reason, names in reasons_of(gpu).items():
            print(f"gpu {gpu.number} n/a: {', '.join(names)}: {text_format.visible(reason)}")
    stalled = device_text.stalled_words(found)
    if stalled:
        print(f"! {stalled}: the figures of the cards are as old; the driver does not answer")


def card_cells(gpu: Gpu) -> list[str]:
    """One card as texts that are safe to print."""
    first = max(gpu.holders or (), key=lambda each: each.memory_used_bytes or 0, default=None)
    used, total = device_text.gibibytes(gpu.memory_used_bytes), device_text.gibibytes(gpu.memory_total_bytes)
    missing = device_text.NOT_AVAILABLE
    limit = "" if gpu.power_limit_w is None else f"/{gpu.power_limit_w:.0f}"
    return [
        str(gpu.number),
        device_text.model(gpu.name),
        device_text.bar(gpu.utilization_percent, BAR_CELLS, ascii_only=output.ascii_only()),
        device_text.percent(gpu.utilization_percent),
        missing if gpu.memory_used_bytes is None else f"{used}/{total}",
        missing if gpu.temperature_c is None else f"{gpu.temperature_c:.0f} C",
        missing if gpu.power_w is None else f"{gpu.power_w:.0f}{limit} W",
        device_text.who(gpu),
        ", ".join(gpu.throttle or ()),
        "" if first is None else text_format.visible(first.command),
    ]


def reasons_of(gpu: Gpu) -> dict[str, list[str]]:
    """By reason the figures that are missing for it, those first that the table shows."""
    found: dict[str, list[str]] = {}
    for name, reason in gpu.reasons.items():
        found.setdefault(reason, []).append(name.rsplit("_", 1)[0].replace("_", " "))
    return {reason: list(dict.fromkeys(names)) for reason, names in found.items()}


def print_host(found: Devices) -> None:
    """Processors, memory, swap and disks."""
    print_line("cpu", found.cpu_percent, device_text.cpu_words(found))
    memory = device_text.share(found.memory_used_bytes, found.memory_total_bytes)
    print_line("memory", memory, of_words(found.memory_used_bytes, found.memory_total_bytes))
    if found.swap_total_bytes:
        swap = device_text.share(found.swap_used_bytes, found.swap_total_bytes)
        print_line("swap", swap, of_words(found.swap_used_bytes, found.swap_total_bytes))
    for disk in found.disks:
        print_line("disk", disk.used_percent, disk_words(disk))
    if found.limits:
        print(f"{'':{NAME_CELLS}} {found.limits}")


def print_line(name: str, percent: float | None, words: str) -> None:
    """One figure of the host."""
    bar = device_text.bar(percent, BAR_CELLS, ascii_only=output.ascii_only())
    print(f"{name:{NAME_CELLS}} {bar} {device_text.percent(percent):>4}  {words}")


def of_words(used: int | None, total: int | None) -> str:
    """`9.7 GiB of 23 GiB`."""
    missing = device_text.NOT_AVAILABLE
    return f"{text_format.bytes_size(used) or missing} of {text_format.bytes_size(total) or missing}"


def disk_words(disk: Disk) -> str:
    """How much is left or why that is not known, and where."""
    left = disk.problem or f"{text_format.bytes_size(disk.free_bytes)} free"
    return f"{text_format.visible(left)}, {text_format.visible(disk.mount or disk.path)}"
