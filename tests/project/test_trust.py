"""When a manifest may start commands by itself: real owners, modes, links and replacements."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest
from blake3 import blake3

from console.project import manifest_file, trust
from console.project.trust import TrustRecord, judge

if TYPE_CHECKING:
    from pathlib import Path

TEXT = '[jobs.train]\ncommand = "true"\n'
RECORD = TrustRecord(blake3(TEXT.encode()).hexdigest(), TEXT)
SOMEBODY = 12345
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a manifest that nobody else can change."""
    folder = tmp_path / "project"
    folder.mkdir(0o755)
    path = folder / "footplate.toml"
    path.write_text(TEXT)
    path.chmod(0o644)
    return folder


def state(folder: Path, record: TrustRecord | None = RECORD) -> tuple[str, str]:
    """What the judgement says."""
    judged = judge(str(folder), record)
    return judged.state, judged.reason


def test_the_trusted_text_is_trusted_and_nothing_else(project: Path) -> None:
    assert judge(str(project), None).state == "untrusted"
    judged = judge(str(project), RECORD)
    assert (judged.state, judged.reason, judged.text_hash, judged.diff) == ("trusted", "", RECORD.text_hash, ())
    assert judged.manifest is not None
    assert list(judged.manifest.jobs) == ["train"]
    path = project / "footplate.toml"
    path.write_text(TEXT.replace('"true"', '"false"'))
    judged = judge(str(project), RECORD)
    assert judged.state == "changed"
    assert "is not the text that was trusted" in judged.reason
    assert judged.diff[2:] == ("@@ -1,2 +1,2 @@", " [jobs.train]", '-command = "true"', '+command = "false"')
    assert judged.text_hash != RECORD.text_hash
    path.write_bytes(TEXT.replace("\n", "\r\n").encode())
    assert judge(str(project), RECORD).diff == ("only line ends differ",)
    path.write_text(TEXT)
    assert judge(str(project), RECORD).state == "trusted"


def test_no_manifest_and_a_broken_one(project: Path) -> None:
    path = project / "footplate.toml"
    path.write_text("[jobs.train]\n")
    judged = judge(str(project), RECORD)
    assert judged.state == "broken"
    assert "footplate.toml:1: jobs.train.command: is missing" in judged.reason
    path.write_text("x" * 300_000)
    assert "has 300000 bytes" in judge(str(project), RECORD).reason
    path.unlink()
    assert judge(str(project), RECORD) == trust.Trust("none")
    assert judge(str(project / "gone"), RECORD).state == "none"


@pytest.mark.parametrize(("mode", "who"), [(0o664, "its group"), (0o646, "everybody"), (0o666, "everybody")])
def test_a_file_that_others_can_write(project: Path, mode: int, who: str) -> None:
    (project / "footplate.toml").chmod(mode)
    found, reason = state(project)
    assert found == "unsafe"
    assert f"footplate.toml can be written by {who}: chmod go-w" in reason


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777, 0o2775])
def test_a_folder_that_others_can_write(project: Path, mode: int) -> None:
    project.chmod(mode)
    found, reason = state(project)
    assert found == "unsafe"
    assert f"{project} can be written by" in reason
    assert judge(str(project), None).state == "unsafe"


@as_root
def test_a_file_or_a_folder_of_somebody_else(project: Path) -> None:
    path = project / "footplate.toml"
    os.chown(path, SOMEBODY, 0)
    found, reason = state(project)
    assert (found, "belongs to user 12345, neither to you nor to root" in reason) == ("unsafe", True)
    os.chown(path, 0, 0)
    os.chown(project, SOMEBODY, 0)
    assert state(project)[0] == "unsafe"


def test_a_link_out_of_the_folder(project: Path, tmp_path: Path) -> None:
    path = project / "footplate.toml"
    path.rename(tmp_path / "elsewhere.toml")
    path.symlink_to(tmp_path / "elsewhere.toml")
    found, reason = state(project)
    assert (found, "is a link that leads out of the folder" in reason) == ("unsafe", True)
    # A name that only begins like the folder's is outside too.
    (tmp_path / "project-2").mkdir()
    (tmp_path / "project-2" / "f.toml").write_text(TEXT)
    path.unlink()
    path.symlink_to("../project-2/f.toml")
    assert state(project)[0] == "unsafe"


def test_a_link_inside_the_folder_is_as_safe_as_where_it_leads(project: Path) -> None:
    path = project / "footplate.toml"
    (project / "conf").mkdir(0o755)
    path.rename(project / "conf" / "real.toml")
    path.symlink_to("conf/real.toml")
    assert state(project) == ("trusted", "")
    (project / "conf").chmod(0o775)
    found, reason = state(project)
    assert (found, f"{project}/conf can be written by its group" in reason) == ("unsafe", True)
    (project / "conf").chmod(0o755)
    (project / "conf" / "real.toml").chmod(0o664)
    assert state(project)[0] == "unsafe"


def test_the_project_itself_may_be_reached_by_a_link(project: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(project)
    assert state(tmp_path / "link") == ("trusted", "")


def test_what_is_no_file(project: Path) -> None:
    path = project / "footplate.toml"
    path.unlink()
    os.mkfifo(path)
    found, reason = state(project)
    assert (found, "is no regular file" in reason) == ("unsafe", True)


def test_owner_mode_and_text_are_those_of_one_file(project: Path, tmp_path: Path) -> None:
    """A file that is put in place of the opened one lends it neither its mode nor its text."""
    path = project / "footplate.toml"
    path.chmod(0o664)
    descriptor = manifest_file.open_manifest(str(project))
    try:
        (tmp_path / "new").write_text("other")
        (tmp_path / "new").chmod(0o644)
        os.replace(tmp_path / "new", path)
        assert "can be written by its group" in trust.danger(descriptor, str(project))
        assert manifest_file.read_text(descriptor, str(path)) == TEXT
    finally:
        os.close(descriptor)


def test_a_file_that_is_swapped_all_the_time_is_never_trusted_for_another(project: Path, tmp_path: Path) -> None:
    """One hand swaps a safe file with another text and a link out to the trusted text, which others can write."""
    path = project / "footplate.toml"
    path.write_text("[project]\n")
    outside = tmp_path / "outside.toml"
    outside.write_text(TEXT)
    outside.chmod(0o666)
    over = threading.Event()

    def swap() -> None:
        for count in range(1_000_000):
            if over.is_set():
                return
            new = tmp_path / "new"
            if count % 2:
                new.symlink_to(outside)
            else:
                new.write_text("[project]\n")
            os.replace(new, path)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        states = {judge(str(project), RECORD).state for _ in range(300)}
    finally:
        over.set()
        thread.join()
    assert states <= {"unsafe", "changed"}


def test_a_diff_is_bounded() -> None:
    many = trust.difference("", "x\n" * 3000)
    assert len(many) == trust.DIFF_MAX_LINES + 1
    assert many[-1].endswith("more lines")
    assert trust.difference("", "x\n" * 5001) == ("the text has 5001 lines, the trusted one 0: too many to compare",)
    assert len(trust.difference("a", "y" * 100_000)[-1]) == trust.DIFF_LINE_MAX_CHARACTERS + 1
