"""What the sampler says of cards, against a driver built for the test."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from console.devices import decode_gpu
from console.gpu.nvml import NOT_SUPPORTED
from console.gpu.processes import ELSEWHERE, FOREIGN_NUMBERS, Processes, command_of
from tests.gpu.driver import GIB, a_process, sampling
from tests.support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.gpu.driver import Driver


def cards_of(driver: Driver) -> list[dict[str, Any]]:
    """One look; the driver is only named, it is the environment that leads to it."""
    assert driver.environment["FAKE_NVML"] == os.environ["FAKE_NVML"]
    with sampling() as sampler:
        return sampler.cards()


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process of this user that belongs to a run."""
    made = a_process(FOOTPLATE_RUN_ID="01K70000000000000000000001")
    yield made
    made.communicate(b"")


def test_eight_cards_with_all_their_figures(driver: Driver) -> None:
    driver.fill(8)
    driver.say(3, util=97, memused=71 * GIB, temp=64, power=612345, throttle="0x44", energy=123_456_789_012)
    cards = cards_of(driver)
    assert [(card["number"], card["uuid"]) for card in cards] == [(n, f"GPU-{n:08d}") for n in range(8)]
    assert all(card["reasons"] == {} and card["problem"] == "" for card in cards)
    found = decode_gpu(cards[3])
    assert (found.utilization_percent, found.memory_used_bytes, found.memory_total_bytes) == (97, 71 * GIB, 80 * GIB)
    assert (found.temperature_c, found.power_w, found.power_limit_w, found.sm_clock_mhz) == (64, 612.345, 700, 1980)
    assert (found.energy_j, found.throttle, found.holders) == (123_456_789.012, ("power cap", "too hot"), ())
    assert decode_gpu(cards[0]).throttle == ()


def test_a_lost_card_hides_no_other_and_is_back_when_the_driver_has_it(driver: Driver) -> None:
    driver.fill(3)
    with sampling() as sampler:
        sampler.cards()
        driver.say(1, lost=1)
        sampler.line()
        first, lost, last = sampler.line()["gpus"]
        assert "fallen off the bus" in lost["problem"]
        assert (lost["utilization_percent"], lost["memory_used_bytes"], lost["holders"]) == (None, None, None)
        assert lost["uuid"] == "GPU-00000001"
        assert first["utilization_percent"] == last["utilization_percent"] == 0
        driver.say(1, lost=0)
        sampler.line()
        assert sampler.line()["gpus"][1]["utilization_percent"] == 0


def test_a_card_that_cannot_be_opened_says_why_beside_the_others(driver: Driver) -> None:
    driver.fill(2)
    driver.say(0, open="!4")
    closed, other = cards_of(driver)
    assert closed["problem"] == "the driver does not tell it to this user"
    assert other["problem"] == ""


def test_a_card_split_by_mig_has_no_utilization_and_its_slices(driver: Driver) -> None:
    driver.fill(1)
    driver.say(0, util="!3", mig=1, slices=7, slicesmade=2, memused=10 * GIB)
    [card] = map(decode_gpu, cards_of(driver))
    assert card.utilization_percent is None
    assert "MIG" in card.reasons["utilization_percent"]
    assert [(each.number, each.memory_used_bytes) for each in card.slices] == [(0, 5 * GIB), (1, 5 * GIB)]


def test_what_an_old_card_does_not_have_is_not_zero(driver: Driver) -> None:
    driver.say(-1, count=1)
    driver.say(0, name="GeForce GTX 1080", uuid="GPU-1", util=5)
    [card] = map(decode_gpu, cards_of(driver))
    assert card.utilization_percent == 5
    for name in ("energy_j", "power_w", "memory_used_bytes", "temperature_c", "throttle"):
        assert getattr(card, name) is None
        assert card.reasons[name] == NOT_SUPPORTED


def test_one_call_that_fails_takes_no_other_figure_along(driver: Driver) -> None:
    driver.fill(1)
    driver.say(0, power="!999", temp="!4", energy="!10")
    [card] = cards_of(driver)
    assert card["utilization_percent"] == 0
    assert card["reasons"]["power_w"]
    assert card["reasons"]["temperature_c"] == "the driver does not tell it to this user"
    assert card["reasons"]["energy_j"] == "the driver did not answer in time"


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"util": 4294967295}, "utilization_percent"),
        ({"util": 101}, "utilization_percent"),
        ({"memused": 90 * GIB}, "memory_used_bytes"),
        ({"temp": 255}, "temperature_c"),
    ],
)
def test_rubbish_is_thrown_away_and_said(driver: Driver, values: dict[str, int], name: str) -> None:
    driver.fill(1)
    driver.say(0, **values)
    [card] = cards_of(driver)
    assert card[name] is None
    assert "cannot be" in card["reasons"][name]


def test_memory_that_is_the_hosts_is_measured_there(driver: Driver) -> None:
    driver.say(-1, count=2)
    driver.say(0, name="NVIDIA GB10", uuid="GPU-0", util=3)
    driver.say(1, name="NVIDIA H100", uuid="GPU-1", util=3)
    unified, other = cards_of(driver)
    assert unified["memory_total_bytes"] > unified["memory_used_bytes"] > 0
    assert other["reasons"]["memory_used_bytes"] == NOT_SUPPORTED


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"init": 9}, "installed but not loaded"),
        ({"init": 4}, "this user may not speak to the NVIDIA driver"),
        ({"init": 18}, "was upgraded and the old one is still loaded"),
        ({"init": 999}, "error 999"),
        ({"count": 0}, "finds no card"),
        ({"count": "!15"}, "error 15"),
    ],
)
def test_a_driver_that_cannot_be_spoken_to_is_told_apart(driver: Driver, state: dict[str, Any], words: str) -> None:
    driver.say(-1, **state)
    with sampling() as sampler:
        assert words in sampler.line()["refused"]


def test_a_library_that_cannot_be_loaded_is_no_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "libnvidia-ml.so.1").write_text("not a library")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    with sampling() as sampler:
        said = sampler.line()
        if "gpus" in said:
            pytest.skip("this machine has an NVIDIA driver of its own")
        assert "libnvidia-ml.so.1 cannot be loaded" in said["refused"]


def test_who_holds_a_card(driver: Driver, process: subprocess.Popen[bytes]) -> None:
    driver.fill(1)
    driver.say(
        0, proc=[f"{process.pid} {20 * GIB}", "4194303 1000", f"{os.getpid()} none"], putil=f"{process.pid} 61 5"
    )
    [card] = map(decode_gpu, cards_of(driver))
    assert card.holders is not None
    by_pid = {holder.pid: holder for holder in card.holders}
    ours = by_pid[process.pid]
    assert (ours.user, ours.run, ours.memory_used_bytes) == (getpass.getuser(), "01K70000000000000000000001", 20 * GIB)
    assert ours.command.startswith(f"{os.path.basename(sys.executable)} -c")
    assert ours.utilization_percent == 61
    assert by_pid[os.getpid()].memory_used_bytes is None
    assert by_pid[os.getpid()].utilization_percent == 0
    elsewhere = by_pid[4194303]
    assert (elsewhere.user, elsewhere.run, elsewhere.reason) == ("", "", ELSEWHERE)


def test_secrets_of_a_command_line_are_masked() -> None:
    argv = [sys.executable, "-c", "input()", "--api-key", "0123abcd" * 5, "--password=hunter2hunter2", "--lr=0.1"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as process:
        wait_until(lambda: command_of(process.pid).endswith("--lr=0.1"))
        command = command_of(process.pid)
        process.communicate(b"\n")
    assert command == f"{os.path.basename(sys.executable)} -c input() --api-key *** --password=*** --lr=0.1"


def test_a_process_that_is_listed_more_than_once_is_one(driver: Driver) -> None:
    driver.fill(1)
    # Twice among those that compute: on two slices. In both lists: it does both.
    driver.say(0, proc=["4194000 100", "4194000 200", "4194001 500"], drawing=["4194001 500", "4194002 7"])
    [card] = cards_of(driver)
    assert [(each["pid"], each["memory_used_bytes"]) for each in card["holders"]] == [
        (4194000, 300),
        (4194001, 500),
        (4194002, 7),
    ]


def test_a_list_of_processes_that_the_driver_does_not_give_is_not_an_empty_one(driver: Driver) -> None:
    driver.fill(1)
    driver.say(0, lists="!4")
    [card] = cards_of(driver)
    assert card["holders"] is None
    assert card["reasons"]["holders"] == "the driver does not tell it to this user"


def test_a_list_of_processes_that_grows_while_it_is_read(driver: Driver) -> None:
    driver.fill(2)
    driver.say(0, proc=[f"{4194000 + n} 1000" for n in range(40)], growing=2)
    driver.say(1, proc="4194000 1000", growing=99)
    grown, endless = cards_of(driver)
    assert len(grown["holders"]) == 40
    assert endless["holders"] is None
    assert endless["reasons"]["holders"]


@pytest.mark.parametrize(
    ("samples", "mode", "share"),
    [
        (["61 9", "30 5", "200 12"], [], 61.0),
        (["200 5"], [], None),
        ([], [], 0.0),
        ([], ["1"], 0.0),
        ([], ["!4"], None),
    ],
)
def test_what_a_process_used_is_the_newest_that_the_driver_says_and_rubbish_is_nothing(
    driver: Driver, samples: list[str], mode: list[str], share: float | None
) -> None:
    driver.fill(1)
    pid = os.getpid()
    driver.say(0, proc=f"{pid} 1000", putil=[f"{pid} {sample}" for sample in samples], putilmode=mode)
    [card] = cards_of(driver)
    assert card["holders"][0]["utilization_percent"] == share


def test_a_driver_of_years_ago(old_driver: Driver) -> None:
    old_driver.fill(1)
    old_driver.say(0, proc=f"{os.getpid()} 5000", throttle="0x20", util=44)
    [card] = cards_of(old_driver)
    assert (card["utilization_percent"], card["memory_used_bytes"], card["throttle"]) == (44, 0, ["hot"])
    assert card["holders"][0]["pid"] == os.getpid()


def test_in_a_container_a_number_of_the_host_is_nobody_here(process: subprocess.Popen[bytes], tmp_path: Path) -> None:
    found = Processes(sees_all=False)
    assert found.who(process.pid).reason == FOREIGN_NUMBERS
    assert found.who(4194303).reason == FOREIGN_NUMBERS
    # What has the driver mapped is the one that the driver means.
    library = tmp_path / "libcuda.so.1"
    library.write_bytes(b"\0" * 4096)
    code = f"import mmap, sys; f = open({str(library)!r}, 'rb'); m = mmap.mmap(f.fileno(), 0, prot=1)"
    command = [sys.executable, "-c", f"{code}; print(flush=True); sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as user:
        assert user.stdout is not None
        user.stdout.readline()
        assert found.who(user.pid).user == getpass.getuser()
        user.communicate(b"")


def test_a_driver_that_hangs_altogether_is_silent_so_that_the_daemon_sees_it(driver: Driver) -> None:
    driver.fill(2)
    with sampling() as sampler:
        sampler.cards()
        driver.say(-1, hang=3)
        last = time.monotonic()
        while time.monotonic() - last < 1.9:
            last = time.monotonic()
            sampler.line()


def test_it_ends_with_its_daemon(driver: Driver) -> None:
    driver.fill(1)
    with sampling() as sampler:
        sampler.cards()
        assert sampler.process.stdin is not None
        sampler.process.stdin.close()
        assert sampler.process.wait(10) == 0
