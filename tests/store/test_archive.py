"""Packing a run directory and back: the same bytes, names, modes, times, links and holes."""

from __future__ import annotations

import os
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from store import archive, paths
from store.tarballs import ArchiveError
from tests.support import PastRun

if TYPE_CHECKING:
    from pathlib import Path

RUN = PastRun(1).id


@pytest.fixture
def packed_home(tmp_path: Path) -> str:
    """A state directory with one run directory that holds about everything a directory can."""
    home = str(tmp_path / "state")
    paths.ensure_state_dir(home)
    run_dir = paths.run_dir(home, RUN)
    os.makedirs(f"{run_dir}/code/src")
    os.makedirs(f"{run_dir}/{'m' * 100}/{'n' * 100}/{'o' * 100}")
    for name, content in (
        ("spec.json", b"{}"),
        ("derived.jsonl", b"x\n" * 1000),
        ("metrics.jsonl", b""),
        ("code/capture.json", b"{}"),
        ("code/src/train.py", b"print(1)"),
        (f"{'m' * 100}/{'n' * 100}/{'o' * 100}/{'p' * 100}", b"long name"),
    ):
        with open(f"{run_dir}/{name}", "wb") as file:
            file.write(content)
    with open(os.fsencode(run_dir) + b"/not\xffutf8\n", "wb") as file:
        file.write(b"q")
    with open(os.fsencode(run_dir) + b"/sparse\xff", "wb") as file:
        file.seek(1 << 20)
        file.write(b"x")
        file.truncate(3 << 20)
    with open(f"{run_dir}/nothing but a hole", "wb") as file:
        file.truncate(1 << 20)
    with open(f"{run_dir}/output.log", "wb") as file:
        file.write(b"head\n" * 1000)
        file.seek(1 << 34)
        file.write(b"tail\n")
    os.symlink("/etc", f"{run_dir}/absolute")
    os.symlink("nowhere", f"{run_dir}/code/dangling")
    os.chmod(f"{run_dir}/metrics.jsonl", 0o400)
    os.mkfifo(f"{run_dir}/pipe")
    return home


def facts(run_dir: str) -> list[tuple[Any, ...]]:
    """Everything that must come back; of the large log only its ends."""
    found: list[tuple[Any, ...]] = []
    for member in archive.members_of(run_dir):
        path = os.path.join(run_dir, member.name)
        content: object = b""
        if os.path.islink(path):
            content = os.readlink(path)
        elif os.path.isfile(path):
            with open(path, "rb") as file:
                content = (file.read(1 << 22), file.seek(max(0, member.facts.st_size - 10)), file.read())
        size = 0 if os.path.isdir(path) else member.facts.st_size
        if archive.packable(member):
            found.append((member.name, member.facts.st_mode, size, round(member.facts.st_mtime, 3), content))
    return found


def test_what_is_packed_comes_back_as_it_was(packed_home: str) -> None:
    run_dir = paths.run_dir(packed_home, RUN)
    before = facts(run_dir)
    packed = archive.pack(packed_home, RUN)
    assert packed.left_out == ("pipe",)
    archive.publish(packed_home, RUN)
    assert sorted(os.listdir(archive.folder(packed_home))) == [f"{RUN}.code.tar.gz", f"{RUN}.tar.gz"]
    assert os.stat(archive.path_of(packed_home, RUN)).st_mode & 0o777 == 0o600
    os.rename(run_dir, f"{run_dir}-before")
    assert list(archive.archived_runs(packed_home)) == [RUN]
    archive.unpack(packed_home, RUN, run_dir)
    assert facts(run_dir) == before
    assert os.stat(f"{run_dir}/output.log").st_blocks * 512 < 1 << 20, "its hole is still a hole"


def test_equal_directories_make_equal_packs(packed_home: str) -> None:
    packs = []
    for _ in range(2):
        archive.pack(packed_home, RUN)
        path = archive.temporary_of(archive.path_of(packed_home, RUN))
        with open(path, "rb") as file:
            packs.append(file.read())
    assert packs[0] == packs[1]


def test_gnu_tar_reads_a_pack(packed_home: str, tmp_path: Path) -> None:
    archive.pack(packed_home, RUN)
    archive.publish(packed_home, RUN)
    path = archive.path_of(packed_home, RUN)
    subprocess.run(["tar", "xzf", path, "-C", str(tmp_path)], check=True, capture_output=True)
    assert (tmp_path / "spec.json").read_text() == "{}"
    assert (tmp_path / "output.log").stat().st_size == (1 << 34) + 5


def test_an_index_needs_neither_the_log_nor_what_the_user_wrote(packed_home: str) -> None:
    archive.pack(packed_home, RUN)
    archive.publish(packed_home, RUN)
    with archive.index_source(packed_home, RUN) as source:
        assert os.path.basename(source) == RUN
        assert sorted(os.listdir(source)) == ["code", "derived.jsonl", "metrics.jsonl", "spec.json"]
    with archive.index_source(packed_home, RUN, facts_only=True) as source:
        assert sorted(os.listdir(source)) == ["code", "spec.json"]
        assert os.listdir(f"{source}/code") == ["capture.json"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_pack_is_named_and_leaves_nothing_half_unpacked(packed_home: str, damage: str) -> None:
    archive.pack(packed_home, RUN)
    archive.publish(packed_home, RUN)
    path = archive.path_of(packed_home, RUN)
    with open(path, "r+b") as file:
        content = bytearray(file.read())
        if damage == "flipped":
            content[len(content) // 2] ^= 0xFF
        file.seek(0)
        file.truncate()
        file.write(content[: {"cut": len(content) // 2, "flipped": len(content), "empty": 0}[damage]])
    target = os.path.join(packed_home, "runs", f".new-{RUN}")
    with pytest.raises(ArchiveError, match="is damaged"):
        archive.unpack(packed_home, RUN, target)
    assert not os.path.exists(target)


def written_by_hand(home: str, members: list[tarfile.TarInfo]) -> str:
    """A pack of the run with these members, whose checksum is right; returns its path."""
    path = archive.path_of(home, RUN)
    os.makedirs(os.path.dirname(path), 0o700)
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            tar.addfile(member)
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    """An empty member."""
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, "elsewhere" * (kind == tarfile.SYMTYPE)
    return made


@pytest.mark.parametrize(
    ("members", "misplaced"),
    [
        ([member("gone/inner", tarfile.DIRTYPE)], "gone/inner"),
        ([member("gone/link", tarfile.SYMTYPE)], "gone/link"),
        ([member("code"), member("code/capture.json")], "code/capture.json"),
        ([member("code"), member("code/src/train.py")], "code/src/train.py"),
        ([member("spec.json"), member("spec.json")], "spec.json"),
        ([member("code", tarfile.DIRTYPE), member("code", tarfile.SYMTYPE)], "code"),
    ],
)
def test_a_pack_with_a_member_that_has_no_place_is_named(
    packed_home: str, members: list[tarfile.TarInfo], misplaced: str
) -> None:
    path = written_by_hand(packed_home, [member("derived.jsonl"), *members])
    target = os.path.join(packed_home, "runs", f".new-{RUN}")
    with pytest.raises(ArchiveError, match=f"^{path} is damaged: no place for '{misplaced}'"):
        archive.unpack(packed_home, RUN, target)
    assert not os.path.exists(target)


def test_an_index_is_not_built_from_a_pack_with_a_file_twice(packed_home: str) -> None:
    written_by_hand(packed_home, [member("spec.json"), member("spec.json")])
    with pytest.raises(ArchiveError, match=r"no place for 'spec\.json'"), archive.index_source(packed_home, RUN):
        raise AssertionError("taken for whole")


def test_a_directory_that_changes_meanwhile_is_not_packed(packed_home: str) -> None:
    log = os.path.join(paths.run_dir(packed_home, RUN), "late")

    def write_more(_: int) -> None:
        with open(log, "a", encoding="utf-8") as file:
            file.write("still here\n")

    with pytest.raises(ArchiveError, match="changed while it was packed"):
        archive.pack(packed_home, RUN, progress=write_more)
    assert os.listdir(archive.folder(packed_home)) == []
