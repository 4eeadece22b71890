"""The strip of the machine: what it says at which width, and what it sends when something changes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from textual.app import App, ComposeResult

from console.protocol import Status
from console.tui import device_text
from console.tui.device_cells import rows_of, title
from console.tui.text_format import cell_width
from console.tui.theme import OKABE_DARK
from console.tui.widgets.device_strip import DeviceStrip
from console.tui.widgets.header_line import counts
from tests.gpu.looks import busy_box, card, holder, machine
from tests.tui.pilots import settle

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from textual.geometry import Region

    from console.devices import Devices


def lines(devices: Devices | None, width: int, **options: bool) -> list[str]:
    """The strip without styles."""
    found = ["".join(text for cell in row for text, _ in cell.parts) for row in rows_of(devices, width, **options)]
    assert {cell_width(line) for line in found} == {width}
    return [line.rstrip() for line in found]


def test_eight_cards_in_two_columns_at_80() -> None:
    assert lines(busy_box(), 80, compact=True) == [
        "  0 ███████▉  98%  71G ana r218           4 ███████▉  99%  64G bob pid 4411",
        "  1 ███████▊  97%  71G ana r218           5            0%  38G bob idle 3h10",
        "  2 ███████▎  91%  22G ana r219           6 ████▍     54%  12G ana r220",
        "  3 ████████ 100%  79G bob pid 4411 +1    7            0%   0G free",
    ]
    assert title(busy_box()) == ("GPUs  H100 80G", "util  memory  who")


def test_where_there_is_room_temperature_power_and_command_come_along() -> None:
    assert lines(busy_box(), 120, compact=True)[2].startswith("  2 ███████▎  91%  22G  61C  581W ana r219")
    wide = lines(busy_box(), 160, compact=True)[2]
    assert "22G/80G" in wide
    assert "ana r219  python train.py --lr 3e" in wide


def test_without_a_card_the_machine_takes_two_lines_and_the_reason_is_said() -> None:
    assert lines(machine(), 80) == [
        " cpu    ███▎      41%  load 6.4 of 16    memory ███▎      40%  10G of 24G",
        " disk   ███████▌  94%  60G free /home    disk   ██▍       30%  700G free /scra…",
    ]
    assert title(machine()) == ("Machine", "GPU: no NVIDIA driver: libnvidia-ml.so.1 is not there")
    assert len(lines(machine(), 160)) == 1


def test_beside_cards_the_host_takes_one_line() -> None:
    host = " cpu    ███▎      41%      memory ███▎      40%       disk   ███████▌  94%"
    assert lines(busy_box(), 80)[4:] == [host]


def test_a_run_of_ours_that_holds_a_card_idle_is_named() -> None:
    idle = card(0, 0, 38, holders=(holder("ana", "r218"),), idle_held_s=700.0)
    assert lines(machine(idle), 40, compact=True)[0].endswith("38G r218 idle 10m00")


def test_what_is_not_known_is_no_zero() -> None:
    unknown = card(0, None, memory_used_bytes=None, holders=None)
    assert lines(machine(unknown), 40, compact=True) == ["  0           n/a  n/a n/a"]
    host = lines(machine(cpu_percent=None, memory_used_bytes=None), 80)
    assert "cpu              n/a" in host[0]
    assert "memory           n/a  n/a of 24G" in host[0]


def test_a_card_without_figures_says_why_and_hides_no_other() -> None:
    lost = card(1, None, problem="the card has fallen off the bus: reset it or reboot")
    first, _, other = lines(machine(card(0, 50, 10), lost, card(2, 60, 20)), 60, compact=True)
    assert "50%" in first
    assert "60%" in other
    assert "! the card has fallen off the bus" in lines(machine(lost), 60, compact=True)[0]


@pytest.mark.parametrize(
    ("count", "width", "height"), [(16, 80, 4), (9, 80, 3), (16, 160, 2), (64, 80, 2), (200, 80, 7)]
)
def test_many_cards_are_condensed(count: int, width: int, height: int) -> None:
    cards = [card(number, number % 101, 40) for number in range(count)]
    found = lines(machine(*cards), width, compact=True)
    assert len(found) == height
    if count == 64:
        assert found[1] == "  32-63  ▃▃▃▃▃▃▄▄▄▄▄▄▄▄▄▄▄▄▅▅▅▅▅▅▅▅▅▅▅▅▅▆  32/32 busy  50% memory"


def test_a_card_that_sleeps_is_no_problem_and_says_so() -> None:
    figures: dict[str, Any] = {"memory_used_bytes": None, "temperature_c": None, "power_w": None, "holders": None}
    asleep = card(0, None, reasons={"holders": "asleep to save power"}, **figures)
    assert lines(machine(asleep), 60, compact=True) == ["  0           n/a  n/a  n/a   n/a asleep to save power"]


def test_idle_held_and_lost_cards_are_told_apart_when_condensed() -> None:
    cards = [card(number, 50, 40) for number in range(16)]
    cards[3] = card(3, 0, 40, idle_held_s=900.0, holders=(holder("bob"),))
    cards[4] = card(4, None, problem="gone")
    text = "\n".join(lines(machine(*cards), 80, compact=True))
    assert "3         0% idle" in text
    assert "4 ! lost" in text


def test_in_ascii_no_other_glyph_is_drawn() -> None:
    cards = [card(number, number * 1.5, 40) for number in range(64)]
    for devices in (busy_box(), machine(), machine(*cards[:16]), machine(*cards)):
        assert "".join(lines(devices, 120, ascii_only=True)).isascii()
    assert lines(busy_box(), 80, ascii_only=True)[2].startswith("  2 #######.  91%")


def test_names_from_outside_are_made_visible() -> None:
    bad = card(0, 50, 10, holders=(holder("\x1b[31m[/foo]\u202e", command="a\nb\x07"),))
    text = "".join(lines(machine(bad), 160, compact=True))
    assert "␛[31m[/foo]‹U+202E›" in text
    assert "a␊b␇" in text


def test_two_kinds_of_cards_are_counted() -> None:
    other = card(1)._replace(name="NVIDIA GeForce RTX 4090", memory_total_bytes=24 << 30)
    assert title(machine(card(0), other))[0] == "GPUs  2 of 2 kinds"
    assert title(machine(other))[0] == "GPUs  RTX 4090 24G"
    assert device_text.model("NVIDIA A100-SXM4-80GB") == "A100 SXM4"


@pytest.mark.parametrize(
    ("percent", "bar", "plain"),
    [(0, "        ", "........"), (0.1, "▏       ", "#......."), (50, "████    ", "####...."), (100, "█" * 8, "#" * 8)],
)
def test_a_bar_shows_what_is_not_nothing(percent: float, bar: str, plain: str) -> None:
    assert device_text.bar(percent, 8) == bar
    assert device_text.bar(percent, 8, ascii_only=True) == plain
    assert device_text.bar(None, 8) == " " * 8


@pytest.mark.parametrize(
    ("size", "words"),
    [(None, "n/a"), (0, "0G"), (400 << 20, "0.4G"), (71 << 30, "71G"), (1536 << 30, "1.5T"), (20 << 40, "20T")],
)
def test_memory_in_four_cells(size: int | None, words: str) -> None:
    assert device_text.gibibytes(size) == words


class StripApp(App[None]):
    """Nothing but the strip."""

    def compose(self) -> ComposeResult:
        yield DeviceStrip()

    def on_mount(self) -> None:
        self.register_theme(OKABE_DARK)
        self.theme = OKABE_DARK.name

    @property
    def strip(self) -> DeviceStrip:
        return self.query_one(DeviceStrip)


def on_screen(check: Callable[[StripApp, list[tuple[Any, ...]]], Coroutine[Any, Any, None]]) -> None:
    """Run a check with a list of what was painted since the last look."""

    async def run() -> None:
        app = StripApp()
        async with app.run_test(size=(80, 24)) as pilot:
            painted: list[tuple[Any, ...]] = []
            refresh = app.strip.refresh

            def spy(*regions: Region, **options: Any) -> Any:
                painted.append(regions)
                return refresh(*regions, **options)

            app.strip.refresh = spy  # type: ignore[method-assign]
            await settle(pilot)
            await check(app, painted)

    asyncio.run(run())


def test_only_the_cells_that_differ_are_sent() -> None:
    async def check(app: StripApp, painted: list[tuple[Any, ...]]) -> None:
        box = busy_box()
        app.strip.show(box, compact=True)
        assert app.strip.plain.splitlines()[0].startswith("  0 ███████▉  98%")
        painted.clear()
        app.strip.show(busy_box(age_s=0.9, cpu_percent=3.0), compact=True)
        assert painted == []
        cards = list(box.gpus)
        cards[6] = card(6, 55, 12, holders=(holder("ana", "r220"),))
        app.strip.show(box._replace(gpus=tuple(cards)), compact=True)
        assert painted == [((40, 2, 40, 1),)]

    on_screen(check)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3.0, "5s"), (13.0, "10s"), (75.0, "1m00"), (899.0, "10m00"), (11_999.0, "3h10"), (200_000.0, "2d07h")],
)
def test_long_times_do_not_tick(seconds: float, words: str) -> None:
    assert device_text.coarse(seconds) == words


def test_its_height_follows_what_there_is() -> None:
    async def check(app: StripApp, _: list[tuple[Any, ...]]) -> None:
        for devices, height in ((None, 1), (busy_box(), 5), (machine(), 2), (machine(card(0)), 2)):
            app.strip.show(devices)
            await asyncio.sleep(0.05)
            assert app.strip.size.height == height

    on_screen(check)


def test_the_header_counts_gpus_where_there_are_any() -> None:
    status = Status("gpu-03", "ana", "0.1.0", 3, 2, 1, 94.0, "")
    assert "GPU" not in counts(status).plain
    assert " gpu-03 ana   GPU 6/8   ▶ 3  … 2" in counts(status._replace(gpus=(6, 8))).plain
