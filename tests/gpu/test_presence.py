"""Whether a sampler is worth starting, by looks at files alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.gpu.presence import card_folder, reason_for_none

if TYPE_CHECKING:
    from pathlib import Path


def card(root: Path, address: str, vendor: str = "0x10de", status: str = "active", kind: str = "0x030200") -> None:
    """A device on the PCI bus of a machine whose file system begins at `root`."""
    folder = root / "sys/bus/pci/devices" / address
    (folder / "power").mkdir(parents=True)
    for name, text in (("vendor", vendor), ("class", kind), ("power/runtime_status", status)):
        (folder / name).write_text(f"{text}\n")


def test_without_driver_and_card(tmp_path: Path) -> None:
    card(tmp_path, "0000:00:02.0", vendor="0x8086")
    assert reason_for_none({}, str(tmp_path)) == "no NVIDIA driver: libnvidia-ml.so.1 is not there"


def test_a_card_without_a_driver_is_said(tmp_path: Path) -> None:
    card(tmp_path, "0000:01:00.0")
    card(tmp_path, "0000:01:00.1", kind="0x040300")  # its sound
    assert reason_for_none({}, str(tmp_path)).endswith("not there, but 1 NVIDIA card is on the PCI bus")


def test_a_library_anywhere_or_a_device_is_worth_a_try(tmp_path: Path) -> None:
    library = tmp_path / "opt/nvidia/libnvidia-ml.so.1"
    library.parent.mkdir(parents=True)
    library.touch()
    assert reason_for_none({"LD_LIBRARY_PATH": f":{library.parent}"}, str(tmp_path)) == ""
    assert reason_for_none({}, str(tmp_path)) != ""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidiactl").touch()
    assert reason_for_none({}, str(tmp_path)) == ""


def test_cards_that_sleep_are_not_woken(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidiactl").touch()
    card(tmp_path, "0000:01:00.0", status="suspended")
    assert "asleep to save power" in reason_for_none({}, str(tmp_path))
    card(tmp_path, "0000:02:00.0", status="active")
    assert reason_for_none({}, str(tmp_path)) == ""


def test_a_card_is_found_by_the_name_that_the_driver_gives_its_place() -> None:
    assert card_folder("00000000:AF:00.0") == "/sys/bus/pci/devices/0000:af:00.0"
    assert card_folder("0001:01:00.0") == "/sys/bus/pci/devices/0001:01:00.0"
