"""A look at what imported runs left behind: files are found where trackers put them, and never anywhere else."""

from __future__ import annotations

import base64
import io
import os
import re
import struct
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from console import artifact_preview
from console.artifact_preview import Preview
from console.cli import pictures as cli_pictures
from console.client import DaemonRefused
from console.project import artifact_files, pictures
from console.project.artifact_files import Origin, UnresolvedError
from console.tui import half_blocks
from tests.support import FOOTPLATE
from tests.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Home

RUN = "0123456789abcdef0123456789abcdef"
HOSTILE = "a\x1b[31m\nb.txt"
RED, BLUE, BLACK = (255, 0, 0), (0, 0, 255), (0, 0, 0)


def png(width: int, height: int, colour: tuple[int, ...] = RED) -> bytes:
    """A picture of one colour."""
    data = io.BytesIO()
    Image.new("RGBA" if len(colour) == 4 else "RGB", (width, height), colour).save(data, "PNG")
    return data.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it is large and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.fixture
def mlruns(tmp_path: Path) -> Path:
    """What MLflow's file store leaves, with artifacts of every kind; returns the folder of artifacts."""
    run = tmp_path / "project" / "mlruns" / "1" / RUN
    run.mkdir(parents=True)
    (run.parent / "meta.yaml").write_text("experiment_id: '1'\nlifecycle_stage: active\nname: churn\n")
    (run / "meta.yaml").write_text(
        f"run_id: {RUN}\nrun_uuid: {RUN}\nrun_name: with files\nexperiment_id: '1'\nstatus: 3\n"
        "start_time: 1760000000000\nend_time: 1760000060000\nlifecycle_stage: active\n"
    )
    folder = run / "artifacts"
    (folder / "plots").mkdir(parents=True)
    (folder / "plots" / "loss.png").write_bytes(png(200, 100))
    (folder / "truncated.png").write_bytes(noisy()[:2000])
    (folder / "bomb.png").write_bytes(bomb(100_000, 100_000))
    (folder / "lie.png").write_bytes(b"#!/bin/sh\nrm -rf /\n")
    (folder / "locked.txt").write_text("secret")
    (folder / "table.csv").write_text("epoch,loss\n1,0.5\n2,\x1b]0;x\x07\n")
    (folder / "binary.txt").write_bytes(b"a\0b")
    (folder / "long.txt").write_text("x" * 200_000)
    (folder / "model.safetensors").write_bytes(bytes(100))
    (folder / HOSTILE).write_text("harmless")
    return folder


def noisy() -> bytes:
    """A PNG that does not compress."""
    data = io.BytesIO()
    Image.effect_noise((300, 300), 80).save(data, "PNG")
    return data.getvalue()


def look(home: Home, path: str, width: int = 80, height: int = 40) -> Preview:
    """One artifact of the only run."""
    return artifact_preview.fetch(home.client(), "r1", path, width, height)


def test_what_a_run_left_is_shown_as_far_as_a_terminal_can(home: Home, mlruns: Path, tmp_path: Path) -> None:
    home.footplate("import", str(tmp_path / "project"))
    shown = look(home, "plots/loss.png")
    assert (shown.kind, shown.format, shown.source_width, shown.source_height) == ("image", "PNG", 200, 100)
    assert (shown.width, shown.height) == (80, 40)
    assert shown.pixels == bytes(RED) * 80 * 40
    table = look(home, "table.csv")
    assert (table.kind, table.lines, table.is_cut) == ("text", ("epoch,loss", "1,0.5", "2,\x1b]0;x\x07"), False)
    long = look(home, "long.txt")
    assert long.is_cut
    assert len(long.lines[0]) == 500
    assert look(home, HOSTILE).lines == ("harmless",)
    assert "model" in look(home, "model.safetensors").words
    assert look(home, "binary.txt").words == "n/a: it holds bytes that are no text"
    assert "truncated" in look(home, "truncated.png").words
    assert "100000 x 100000 pixels are more than" in look(home, "bomb.png").words
    assert "no PNG, JPEG, GIF or WebP" in look(home, "lie.png").words
    for wrong in ("../meta.yaml", "/etc/passwd", "plots/../../meta.yaml", "", "nothing.png"):
        with pytest.raises(DaemonRefused, match="left nothing behind named"):
            look(home, wrong)
    # What the import saw as a file may have become something else since.
    (mlruns / "table.csv").unlink()
    (mlruns / "table.csv").symlink_to("/etc/passwd")
    assert "leads out" in look(home, "table.csv").words
    (mlruns / "long.txt").unlink()
    assert look(home, "long.txt").words == "n/a: the file is not there any more"
    os.mkfifo(mlruns / "long.txt")
    assert look(home, "long.txt").words == "n/a: it is no regular file"
    if os.getuid():
        (mlruns / "locked.txt").chmod(0)
        assert look(home, "locked.txt").words == "n/a: Permission denied"
    done = home.footplate("artifacts", "r1", "--show", "table.csv", check=False)
    assert done.returncode == 2
    assert "stdout is none" in done.stderr
    listed = home.footplate("artifacts", "r1").stdout
    assert "a␛[31m␊b.txt" in listed
    for environment, expected in (
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, b"\x1b[38;2;255;0;0;48;2;255;0;0m\xe2\x96\x80"),
        ({"TERM": "xterm-256color", "COLORTERM": ""}, b"\x1b[38;5;196;48;5;196m\xe2\x96\x80"),
        ({"TERM": "xterm-kitty", "COLORTERM": ""}, b"\x1b_Ga=T,f=24,o=z,s=200,v=100,q=2,m=0;"),
        ({"TERM": "dumb", "COLORTERM": ""}, b"::::::"),
    ):
        plain = dict.fromkeys(("TMUX", "STY", "KITTY_WINDOW_ID", "TERM_PROGRAM", "NO_COLOR"), "")
        full = home.environment(**plain, **environment, LC_ALL="C.UTF-8")
        terminal = Terminal([FOOTPLATE, "artifacts", "r1", "--show", "plots/loss.png"], full, columns=60, rows=20)
        while terminal.read(20.0):
            pass
        assert expected in terminal.written, environment
        assert b"plots/loss.png  200 x 100 PNG" in terminal.written


def test_every_tracker_keeps_its_files_where_its_reader_looks(tmp_path: Path) -> None:
    places = {
        "mlflow": ("run", "run/artifacts/x.png", "x.png"),
        "wandb": ("run-1", "run-1/files/media/images/x.png", "media/images/x.png"),
        "lightning": ("version_0", "version_0/checkpoints/a.ckpt", "checkpoints/a.ckpt"),
        "dvclive": ("dvclive", "dvclive/plots/x.png", "plots/x.png"),
        "huggingface": ("out", "out/checkpoint-1/model.bin", "checkpoint-1/model.bin"),
        "trackio": ("trackio/churn.db", "trackio/media/churn/first/0/x.png", "0/x.png"),
    }
    for tracker, (source, file, name) in places.items():
        path = tmp_path / tracker / file
        path.parent.mkdir(parents=True)
        path.write_text("here")
        origin = Origin(tracker, str(tmp_path / tracker / source), "key", "churn", "first")
        assert artifact_files.path_of(origin, name) == str(path)
    database = tmp_path / "sqlite" / "mlflow.db"
    beside = tmp_path / "sqlite" / "mlartifacts" / "3" / RUN / "artifacts" / "x.png"
    beside.parent.mkdir(parents=True)
    database.touch()
    beside.touch()
    origin = Origin("mlflow", str(database), RUN, "", "")
    assert artifact_files.path_of(origin, "x.png") == str(beside)
    with pytest.raises(UnresolvedError, match="artifact_uri"):
        artifact_files.path_of(origin._replace(key="f" * 32), "x.png")
    with pytest.raises(UnresolvedError, match="event files"):
        artifact_files.path_of(origin._replace(tracker="tensorboard"), "samples")
    with pytest.raises(UnresolvedError, match="without a file"):
        artifact_files.path_of(Origin("wandb", str(tmp_path / "wandb" / "run-1"), "", "", ""), "histogram")


@pytest.mark.parametrize("name", ["../secret", "a/../../secret", "/etc/passwd", "", "a\0b", ".."])
def test_no_name_leads_out(tmp_path: Path, name: str) -> None:
    (tmp_path / "run" / "artifacts" / "a").mkdir(parents=True)
    (tmp_path / "run" / "secret").touch()
    with pytest.raises(UnresolvedError, match="leads out"):
        artifact_files.path_of(Origin("mlflow", str(tmp_path / "run"), "", "", ""), name)


def test_no_link_leads_out_but_the_import_itself_may_be_one(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "artifacts").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.png").touch()
    (run / "artifacts" / "way").symlink_to(tmp_path / "elsewhere")
    (run / "artifacts" / "real.png").touch()
    (run / "artifacts" / "same.png").symlink_to("real.png")
    (tmp_path / "link").symlink_to(run)
    origin = Origin("mlflow", str(tmp_path / "link"), "", "", "")
    assert artifact_files.path_of(origin, "same.png") == str(run / "artifacts" / "real.png")
    with pytest.raises(UnresolvedError, match="link that leads out"):
        artifact_files.path_of(origin, "way/x.png")
    other = tmp_path / "other"
    other.mkdir()
    (other / "artifacts").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnresolvedError, match="link to somewhere else"):
        artifact_files.path_of(Origin("mlflow", str(other), "", "", ""), "x.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_the_worker_decodes_four_formats_and_shrinks(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "picture"
    Image.new("RGB", (400, 100), RED).save(path, kind)
    argv = [sys.executable, "-I", "-m", "console.worker", "image", str(path), "40", "40"]
    done = subprocess.run(argv, capture_output=True, check=True)
    head, _, pixels = done.stdout.partition(b"\n")
    assert head == f"40 10 400 100 {kind}".encode()
    assert len(pixels) == 3 * 40 * 10
    assert pixels[0] > 240


def test_other_formats_are_not_decoded(tmp_path: Path) -> None:
    for kind in ("BMP", "TIFF", "PPM", "ICO"):
        Image.new("RGB", (4, 4)).save(tmp_path / "picture", kind)
        with pytest.raises(pictures.PictureError, match="no PNG, JPEG"):
            pictures.scaled(str(tmp_path / "picture"), 4, 4)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(pictures.PictureError, match="regular file"):
        pictures.scaled(str(tmp_path / "pipe"), 4, 4)


def test_what_is_transparent_lies_on_black_and_deep_pictures_keep_their_range(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(png(2, 1, (255, 255, 255, 0)))
    assert pictures.scaled(str(path), 9, 9).pixels == bytes(BLACK) * 2
    path.write_bytes(png(2, 1, (255, 255, 255, 128)))
    assert pictures.scaled(str(path), 9, 9).pixels == bytes((128, 128, 128)) * 2
    Image.new("I;16", (1, 1), 0x8000).save(path)
    assert pictures.scaled(str(path), 9, 9).pixels == bytes((128, 128, 128))
    path.write_bytes(png(10_000, 1))
    assert pictures.scaled(str(path), 50, 50)[:4] == (50, 1, 10_000, 1)


def test_half_blocks_of_odd_heights_leave_the_ground_below() -> None:
    pixels = bytes(RED) * 2 + bytes(BLUE) + bytes(BLACK) + bytes(BLUE) * 2
    lines = list(half_blocks.rows(pixels, 2, 3))
    assert lines == [[(RED, BLUE, 1), (RED, BLACK, 1)], [(BLUE, None, 2)]]
    assert list(half_blocks.rows(bytes(RED), 1, 1)) == [[(RED, None, 1)]]
    assert list(half_blocks.ansi_lines(bytes(RED), 1, 1, true_colour=True)) == ["\x1b[38;2;255;0;0;49m▀\x1b[0m"]
    assert list(half_blocks.ansi_lines(bytes(RED), 1, 1, true_colour=False)) == ["\x1b[38;5;196;49m▀\x1b[0m"]
    wide = list(half_blocks.rows(bytes(RED) * 10_000, 10_000, 1))
    assert wide == [[(RED, None, 10_000)]]
    assert list(half_blocks.ascii_lines(bytes(3) + b"\xff" * 3, 2, 1)) == [" @"]


def test_the_nearest_colour_of_256() -> None:
    expected = {(0, 0, 0): 16, (255, 255, 255): 231, (255, 0, 0): 196, (128, 128, 128): 244, (8, 8, 8): 232}
    assert {colour: half_blocks.palette_index(colour) for colour in expected} == expected
    for value in range(0, 256, 5):
        assert 16 <= half_blocks.palette_index((value, 255 - value, value // 2)) <= 255


def test_which_way_a_terminal_takes_pictures() -> None:
    def way(ascii_only: bool = False, **environ: str) -> str:
        return cli_pictures.way_for({"TERM": "xterm-256color", "LANG": "C.UTF-8"} | environ, ascii_only=ascii_only)

    assert way() == "256 colours"
    assert way(COLORTERM="truecolor") == "true colour"
    assert way(KITTY_WINDOW_ID="1") == way(TERM="xterm-kitty") == way(TERM_PROGRAM="WezTerm") == "kitty"
    assert way(TERM_PROGRAM="ghostty") == "kitty"
    assert way(KITTY_WINDOW_ID="1", TMUX="/tmp/tmux-0/default,1,0", COLORTERM="truecolor") == "true colour"
    assert way(NO_COLOR="1") == way(TERM="dumb") == way(ascii_only=True) == way(LANG="C") == "ascii"


def test_kitty_gets_the_pixels_in_pieces_and_answers_nothing() -> None:
    pixels = os.urandom(3 * 100 * 60)
    commands = list(cli_pictures.kitty_commands(Preview("x", 1, "image", width=100, height=60, pixels=pixels)))
    pieces = [re.fullmatch(r"\x1b_G([^;]*);([A-Za-z0-9+/=]*)\x1b\\", command) for command in commands]
    assert all(piece is not None and len(piece[2]) <= 4096 for piece in pieces)
    assert [piece[1].rpartition("m=")[2] for piece in pieces if piece] == ["1"] * (len(pieces) - 1) + ["0"]
    assert zlib.decompress(base64.b64decode("".join(piece[2] for piece in pieces if piece))) == pixels
    assert all(command.startswith("\x1b_Ga=T,") == (place == 0) for place, command in enumerate(commands))


def test_a_picture_leaves_room_for_name_and_prompt() -> None:
    space = cli_pictures.room_of(80, 24, 800, 480)
    assert cli_pictures.box_for("kitty", space) == (800, 21 * 20)
    assert cli_pictures.box_for("true colour", space) == (80, 42)
    assert cli_pictures.box_for("ascii", cli_pictures.room_of(1, 1, 0, 0)) == (1, 2)
