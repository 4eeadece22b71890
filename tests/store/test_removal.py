"""Taking away what runs wrote: nothing outside, however deep, and known obstacles before anything is touched."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from store import holes, removal

if TYPE_CHECKING:
    from pathlib import Path


def test_links_are_removed_and_never_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "model.pt").write_text("weights")
    run = tmp_path / "run"
    (run / "sub").mkdir(parents=True)
    (run / "data").symlink_to(precious)
    (run / "sub" / "model.pt").symlink_to(precious / "model.pt")
    os.link(precious / "model.pt", run / "same")
    assert removal.obstacle(str(run)) == ""
    assert removal.remove_tree(str(run)) == 4
    assert not run.exists()
    assert (precious / "model.pt").read_text() == "weights"


def test_a_link_in_the_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    (tmp_path / "run").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="Not a directory"):
        removal.remove_tree(str(tmp_path / "run"))
    assert (tmp_path / "precious" / "file").exists()


def test_directories_deeper_than_a_path_can_name_go_too(tmp_path: Path) -> None:
    top = tmp_path / "run"
    top.mkdir()
    descriptor = os.open(top, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("d" * 30, dir_fd=descriptor)
        below = os.open("d" * 30, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(os.open("leaf", os.O_WRONLY | os.O_CREAT, dir_fd=descriptor))
    os.close(descriptor)
    assert removal.obstacle(str(top)) == ""
    removal.remove_tree(str(top))
    assert not top.exists()


def test_directories_that_their_owner_made_read_only_go(tmp_path: Path) -> None:
    closed = tmp_path / "run" / "closed"
    closed.mkdir(parents=True)
    (closed / "file").write_text("x")
    closed.chmod(0o500)
    removal.remove_tree(str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_it_leaves_off_when_told_to(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / "run" / str(number)).mkdir(parents=True)
    answers = iter([False] * 3)
    with pytest.raises(removal.InterruptedRemoval):
        removal.remove_tree(str(tmp_path / "run"), lambda: next(answers, True))
    assert len(os.listdir(tmp_path / "run")) == 7
    removal.remove_tree(str(tmp_path / "run"))
    assert removal.remove_tree(str(tmp_path / "run")) == 0


def test_a_mount_point_inside_is_an_obstacle(tmp_path: Path) -> None:
    mounted = tmp_path / "run" / "data set"
    mounted.mkdir(parents=True)
    if os.system(f"mount --bind '{tmp_path}' '{mounted}' 2>/dev/null"):  # needs rights that tests may lack
        pytest.skip("may not mount here")
    try:
        assert removal.obstacle(str(tmp_path / "run")) == f"{mounted} is a mount point; unmount it first"
    finally:
        os.system(f"umount '{mounted}'")


def test_the_middle_of_a_file_is_given_back_and_its_offsets_stay(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    content = os.urandom(4 << 20)
    path.write_bytes(content)
    before = path.stat()
    freed = holes.cut_middle(str(path), 256 << 10, 256 << 10)
    after = path.stat()
    assert freed == (before.st_blocks - after.st_blocks) * 512 == (4 << 20) - (512 << 10)
    kept = path.read_bytes()
    assert len(kept) == len(content)
    assert kept[: 256 << 10] == content[: 256 << 10]
    assert kept[-(256 << 10) :] == content[-(256 << 10) :]
    assert holes.cut_middle(str(path), 256 << 10, 256 << 10) == 0


def test_a_file_with_a_second_name_is_not_cut(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(os.urandom(2 << 20))
    os.link(tmp_path / "mine", tmp_path / "output.log")
    before = (tmp_path / "mine").read_bytes()
    with pytest.raises(OSError, match="second name"):
        holes.cut_middle(str(tmp_path / "output.log"), 4096, 4096)
    assert (tmp_path / "mine").read_bytes() == before
