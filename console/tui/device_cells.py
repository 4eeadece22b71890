"""The machine as rows of cells for the strip of Triage: what stands where at which width. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from console.tui import device_text
from console.tui.styles import MUTED
from console.tui.text_format import cell_width, fit, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.devices import Devices, Disk, Gpu

Part: TypeAlias = tuple[str, str]
"""A text that is safe to show, and its style."""

CARD_MIN_CELLS: Final = 38
"""So much a card needs to be shown with who holds it."""
CARD_ROWS_MAX: Final = 4
"""More rows of cards than that are condensed."""
BAR_CELLS: Final = 8
WIDE_BAR_CELLS: Final = 14
HEAT_FROM_CELLS: Final = 50
"""A cell as wide as that has room for temperature and power."""
WIDE_FROM_CELLS: Final = 70
"""And as wide as that for a longer bar and the command."""
SMALL_CELLS: Final = 20
SMALL_BAR_CELLS: Final = 5
BLOCKS: Final = "▁▂▃▄▅▆▇█"
ASCII_BLOCKS: Final = "0123456789"
GROUP: Final = 32
"""Cards in a row where each is one character."""
HOST_MIN_CELLS: Final = 38
HOST_NAME_CELLS: Final = 6
HOST_ROWS_MAX: Final = 2
HOT_C: Final = 85.0
NEARLY_FULL_PERCENT: Final = 90.0
FULL_PERCENT: Final = 97.0
SWAPPING_PERCENT: Final = 10.0
"""From so much swap in use on it is worth a cell."""


class Cell(NamedTuple):
    """A stretch of a row, in exactly `width` cells."""

    width: int
    parts: tuple[Part, ...]


Row: TypeAlias = tuple[Cell, ...]


def title(devices: Devices | None) -> tuple[str, str]:
    """What the rule above the strip says, and its note."""
    if devices is None:
        return "Machine", ""
    stalled = device_text.stalled_words(devices)
    if devices.gpus:
        whole = len(devices.gpus) <= 2 * CARD_ROWS_MAX
        return f"GPUs  {device_text.models(devices)}".rstrip(), stalled or ("util  memory  who" if whole else "util")
    return "Machine", f"GPU: {device_text.gpu_words(devices)}"


def rows_of(devices: Devices | None, width: int, *, compact: bool = False, ascii_only: bool = False) -> tuple[Row, ...]:
    """The whole strip in rows of `width` cells; `compact` leaves the host out where there are cards."""
    if devices is None:
        return (row([[("looking at the machine", MUTED)]], width, 1, ascii_only=ascii_only),)
    if not devices.gpus:
        return host_rows(devices, width, HOST_ROWS_MAX, ascii_only=ascii_only)
    cards = card_rows(devices, width, ascii_only=ascii_only)
    return cards if compact else cards + host_rows(devices, width, 1, ascii_only=ascii_only)


def row(cells: Sequence[Sequence[Part]], width: int, columns: int, *, ascii_only: bool) -> Row:
    """Cells beside each other in columns that share the width, each with its last text cut where it must be."""
    made = []
    for column in range(columns):
        start, end = width * column // columns, width * (column + 1) // columns
        parts = cells[column] if column < len(cells) else ()
        made.append(Cell(end - start, fitted(parts, end - start, "~" if ascii_only else "…")))
    return tuple(made)


def fitted(parts: Sequence[Part], width: int, ellipsis: str) -> tuple[Part, ...]:
    """Parts in exactly `width` cells, of which the first and the last stay empty."""
    kept: list[Part] = []
    left = max(0, width - 2)
    for text, style in parts:
        if left <= 0:
            break
        shown = (
            text if len(text) <= left and text.isascii() else fit(text, min(left, cell_width(text)), ellipsis=ellipsis)
        )
        left -= cell_width(shown)
        kept.append((shown, style))
    return ((" ", ""), *kept, (" " * (left + min(1, max(0, width - 1))), ""))


def card_rows(devices: Devices, width: int, *, ascii_only: bool) -> tuple[Row, ...]:
    """The cards: with who holds them, else condensed, else a character each."""
    gpus, stalled = devices.gpus, devices.stalled_s is not None
    columns = 2 if width >= 2 * CARD_MIN_CELLS and len(gpus) > 1 else 1
    if -(-len(gpus) // columns) <= CARD_ROWS_MAX:
        cells = [card(gpu, width // columns, stalled=stalled, ascii_only=ascii_only) for gpu in gpus]
        return down_columns(cells, width, columns, ascii_only=ascii_only)
    columns = max(1, width // SMALL_CELLS)
    if -(-len(gpus) // columns) <= CARD_ROWS_MAX:
        cells = [small_card(gpu, stalled=stalled, ascii_only=ascii_only) for gpu in gpus]
        return down_columns(cells, width, columns, ascii_only=ascii_only)
    groups = [gpus[start : start + GROUP] for start in range(0, len(gpus), GROUP)]
    return tuple(row([group_parts(group, ascii_only=ascii_only)], width, 1, ascii_only=ascii_only) for group in groups)


def down_columns(cells: Sequence[Sequence[Part]], width: int, columns: int, *, ascii_only: bool) -> tuple[Row, ...]:
    """Rows whose columns are read downwards."""
    count = -(-len(cells) // columns)
    return tuple(row(cells[place::count], width, columns, ascii_only=ascii_only) for place in range(count))


def card(gpu: Gpu, width: int, *, stalled: bool, ascii_only: bool) -> list[Part]:
    """` 0 ████████  98%  71G ana r218`, with temperature, power and command where there is room."""
    number = f"{gpu.number:>2} "
    if gpu.problem:
        return [(number, "$foreground"), ("! ", "bold $error"), (visible(gpu.problem), "$error")]
    wide = width >= WIDE_FROM_CELLS
    colour = card_style(gpu, stalled=stalled)
    strong = f"bold {colour}" if gpu.is_busy and not stalled else colour
    parts = [
        (number, "$foreground"),
        bar_part(gpu.utilization_percent, WIDE_BAR_CELLS if wide else BAR_CELLS, colour, ascii_only=ascii_only),
        (f" {device_text.percent(gpu.utilization_percent):>4}", strong),
        (f" {device_text.gibibytes(gpu.memory_used_bytes):>4}", memory_style(gpu)),
    ]
    if wide and gpu.memory_total_bytes is not None:
        parts.append((f"/{device_text.gibibytes(gpu.memory_total_bytes):<4}", MUTED))
    if width >= HEAT_FROM_CELLS:
        hot = (gpu.temperature_c or 0.0) >= HOT_C or any("hot" in words for words in gpu.throttle or ())
        parts.append((f" {heat_words(gpu)}", "$warning" if hot else MUTED))
    parts += [(" ", ""), (visible(device_text.who(gpu)), who_style(gpu))]
    if wide and gpu.holders:
        first = max(gpu.holders, key=lambda each: each.memory_used_bytes or 0)
        parts.append((f"  {visible(first.command)}", MUTED))
    return parts


def bar_part(percent: float | None, width: int, colour: str, *, ascii_only: bool) -> Part:
    """A bar on a ground that shows how long it could be; what is not known has no ground either."""
    style = colour if ascii_only or percent is None else f"{colour} on $panel"
    return device_text.bar(percent, width, ascii_only=ascii_only), style


def heat_words(gpu: Gpu) -> str:
    """Temperature and power in the same places for every card."""
    temperature = "n/a" if gpu.temperature_c is None else f"{gpu.temperature_c:.0f}C"
    power = "n/a" if gpu.power_w is None else f"{gpu.power_w:.0f}W"
    return f"{temperature:>4} {power:>5}"


def small_card(gpu: Gpu, *, stalled: bool, ascii_only: bool) -> list[Part]:
    """`12 █████▎  86%`, with a mark for a card that is held idle or gives no figures."""
    number = f"{gpu.number:>2} "
    if gpu.problem:
        return [(number, "$foreground"), ("! lost".ljust(SMALL_BAR_CELLS + 5), "$error")]
    colour = card_style(gpu, stalled=stalled)
    return [
        (number, "$foreground"),
        bar_part(gpu.utilization_percent, SMALL_BAR_CELLS, colour, ascii_only=ascii_only),
        (f" {device_text.percent(gpu.utilization_percent):>4}", colour),
        (" idle" if is_idle_held(gpu) else "", "$warning"),
    ]


def group_parts(gpus: Sequence[Gpu], *, ascii_only: bool) -> list[Part]:
    """`0-31 ██▇▁▁…  20/32 busy  71% memory  3 idle`: a character a card, its height the utilization."""
    parts: list[Part] = [(f"{gpus[0].number:>3}-{gpus[-1].number:<3} ", "$foreground")]
    blocks = ASCII_BLOCKS if ascii_only else BLOCKS
    for gpu in gpus:
        if gpu.problem:
            parts.append(("!", "bold $error"))
        elif gpu.utilization_percent is None:
            parts.append(("?", MUTED))
        else:
            place = min(len(blocks) - 1, int(gpu.utilization_percent / 100 * len(blocks)))
            parts.append((blocks[place], card_style(gpu, stalled=False)))
    used = [gpu.memory_percent for gpu in gpus if gpu.memory_percent is not None]
    parts.append((f"  {sum(gpu.is_busy for gpu in gpus)}/{len(gpus)} busy", "$primary"))
    if used:
        parts.append((f"  {sum(used) / len(used):.0f}% memory", MUTED))
    idle = sum(map(is_idle_held, gpus))
    if idle:
        parts.append((f"  {idle} idle-held", "$warning"))
    return parts


def is_idle_held(gpu: Gpu) -> bool:
    """Whether it has been held without working for so long that it is worth saying."""
    return gpu.idle_held_s is not None and gpu.idle_held_s >= device_text.SHOWN_IDLE_S


def card_style(gpu: Gpu, *, stalled: bool) -> str:
    """Of a card's bar: blue while it works, dull when it does not or when nobody knows any more."""
    if stalled or gpu.utilization_percent is None:
        return MUTED
    return "$warning" if is_idle_held(gpu) else "$primary" if gpu.is_busy else MUTED


def memory_style(gpu: Gpu) -> str:
    """Of the memory of a card: loud only where the next allocation may fail."""
    used = gpu.memory_percent
    return MUTED if not used else "$warning" if used >= FULL_PERCENT else "$foreground"


def who_style(gpu: Gpu) -> str:
    """Of who holds a card: our own runs are what a person looks for."""
    if is_idle_held(gpu):
        return "$warning"
    if not gpu.holders:
        return MUTED
    return "bold $foreground" if any(holder.run for holder in gpu.holders) else "$foreground"


def host_rows(devices: Devices, width: int, rows_max: int, *, ascii_only: bool) -> tuple[Row, ...]:
    """Processors, memory, disks, the fullest first, in as many columns as fit."""
    memory = device_text.share(devices.memory_used_bytes, devices.memory_total_bytes)
    used, total = device_text.gibibytes(devices.memory_used_bytes), device_text.gibibytes(devices.memory_total_bytes)
    swap = device_text.share(devices.swap_used_bytes, devices.swap_total_bytes)
    count = f"{devices.cpu_count:g}"
    load = f"load {devices.load[0]:.1f} of {count}" if devices.load else f"of {count}"
    cells = [
        host_cell("cpu", devices.cpu_percent, load, "$primary", ascii_only=ascii_only),
        host_cell("memory", memory, f"{used} of {total}", full_style(memory), ascii_only=ascii_only),
    ]
    if swap is not None and swap >= SWAPPING_PERCENT:
        cells.append(
            host_cell("swap", swap, device_text.gibibytes(devices.swap_used_bytes), "$warning", ascii_only=ascii_only)
        )
    disks = sorted(devices.disks, key=lambda disk: -(disk.used_percent if disk.used_percent is not None else 101.0))
    cells += [disk_cell(disk, ascii_only=ascii_only) for disk in disks]
    columns = min(len(cells), max(1, width // HOST_MIN_CELLS)) if rows_max > 1 else min(len(cells), 3)
    if rows_max == 1 and width < 3 * HOST_MIN_CELLS:
        cells = [cell[:-1] for cell in cells]  # figures without words, so that all three stay on one row
    places = columns * rows_max
    shown = cells[:places]
    return tuple(
        row(shown[start : start + columns], width, columns, ascii_only=ascii_only)
        for start in range(0, len(shown), columns)
    )


def host_cell(name: str, percent: float | None, words: str, colour: str, *, ascii_only: bool) -> list[Part]:
    """`memory ████▏     41%  9.7G of 24G`."""
    return [
        (f"{name:{HOST_NAME_CELLS}} ", MUTED),
        bar_part(percent, BAR_CELLS, colour, ascii_only=ascii_only),
        (f" {device_text.percent(percent):>4}", "$foreground" if colour == "$primary" else colour),
        (f"  {words}", MUTED),
    ]


def disk_cell(disk: Disk, *, ascii_only: bool) -> list[Part]:
    """A file system: how full, how much is left, where."""
    words = visible(disk.problem) if disk.problem else f"{device_text.gibibytes(disk.free_bytes)} free"
    colour = "$warning" if disk.problem else full_style(disk.used_percent)
    return host_cell(
        "disk", disk.used_percent, f"{words} {visible(disk.mount or disk.path)}", colour, ascii_only=ascii_only
    )


def full_style(percent: float | None) -> str:
    """Of something that fills up."""
    if percent is None or percent < NEARLY_FULL_PERCENT:
        return "$primary"
    return "$error" if percent >= FULL_PERCENT else "$warning"
