"""Reading `footplate.toml`: what is in it, and from what kind of file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from blake3 import blake3

from console.jobs.exit_cause import RETRY_GROUPS
from console.project import manifest
from console.project.manifest_model import After, ManifestError, PrimaryMetric, Trigger
from tests.project.manifests import WHOLE, error_of, job

if TYPE_CHECKING:
    from pathlib import Path


def test_everything_that_can_be_written_is_read() -> None:
    read = manifest.parse(WHOLE)
    train, evaluate, generate = read.jobs.values()
    assert (read.name, read.primary_metric) == ("churn", PrimaryMetric("valid/auc", "maximize"))
    assert read.text_hash == blake3(WHOLE.encode()).hexdigest()
    assert read.text == WHOLE
    assert train.params == {"lr": 0.001, "leaves": 31, "tag": "a b", "fast": True}
    assert (train.gpus, train.memory_bytes, train.timeout_s, train.priority) == (1, 2_000_000_000, 7200.0, -3)
    assert train.retry is not None
    assert (train.retry.on, train.retry.max, train.retry.delay_s) == (("interrupted", "gpu_lost"), 2, 60.0)
    assert train.resume == "{python} train.py --resume"
    assert (train.outputs, train.cwd, train.mutex, train.isolate) == (("model.txt",), "training", ("db",), "worktree")
    assert train.env == {"OMP_NUM_THREADS": "4"}
    assert (train.checkpoint_signal, train.checkpoint_s) == ("SIGUSR1", 60.0)
    assert evaluate.after == (After("train", "ok"), After("generate", "any"))
    assert evaluate.trigger == Trigger(("data/*.parquet",), "@daily", 300.0)
    assert evaluate.command == ("{python}", "eval.py", "a b")
    assert generate.shell
    assert read.cost == {"gpu_hour": 2.1}
    assert read.monitors == {"scoring": {"reference": "data/reference.parquet"}}
    assert read.notices == ()


@pytest.mark.parametrize("text", ["", "\n# nothing\n", "[project]\nname = 'x'\n", "[jobs]\n"])
def test_a_manifest_without_jobs_is_right_and_says_so(text: str) -> None:
    read = manifest.parse(text)
    assert read.jobs == {}
    assert "defines no jobs" in read.notices[0]


def test_without_a_goal_the_name_of_the_metric_decides() -> None:
    assert manifest.parse('[project]\nprimary_metric = { key = "valid/loss" }\n').primary_metric == PrimaryMetric(
        "valid/loss", "minimize"
    )


def test_errors_stay_short_whatever_is_in_the_file() -> None:
    ring = "".join(f'[jobs.j{n}]\ncommand = "x"\nafter = "j{(n + 1) % 150}"\n' for n in range(150))
    for text in (
        ring,
        ring.replace('"j5"', f'"{"x" * 4000}"'),
        f"[jobs.{'x' * 200_000}]\n",
        f"{'x' * 200_000} = 1\n",
        f"[jobs.a]\ncommand = 'x {{{'a' * 100_000}}}'\n",
        f"[jobs.a]\ncommand = 'x'\nmemory = '{'x' * 100_000}'\n",
        f"[jobs.a]\ncommand = 'x'\noutputs = '{'x' * 4000}'\n",
        f"[jobs.a]\ncommand = 'x'\ngpus = {'9' * 4000}\n",
        f"[jobs.a]\ncommand = 'x'\ntrigger = {{ cron = '{'*,' * 1000}* * * * *' }}\n",
    ):
        assert len(str(error_of(text))) < 500


def test_reading_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        manifest.read(str(tmp_path))
    path = tmp_path / "footplate.toml"
    path.write_bytes(WHOLE.replace("\n", "\r\n").encode())
    read = manifest.read(str(tmp_path))
    assert read.path == str(path)
    assert read.text_hash == blake3(path.read_bytes()).hexdigest()
    assert list(read.jobs) == ["train", "eval", "generate"]


def test_ten_megabytes_are_one_error(tmp_path: Path) -> None:
    (tmp_path / "footplate.toml").write_bytes(b"# nothing\n" * 1_000_000)
    with pytest.raises(ManifestError, match=r"footplate.toml: has 10000000 bytes; expected at most 262144"):
        manifest.read(str(tmp_path))


def test_bytes_that_are_no_text_have_a_line(tmp_path: Path) -> None:
    (tmp_path / "footplate.toml").write_bytes(b"[project]\nname = 'caf\xe9'\n")
    with pytest.raises(ManifestError, match=r"footplate.toml:2: has the byte 0xe9; expected text in UTF-8"):
        manifest.read(str(tmp_path))


def test_a_pipe_a_folder_and_a_way_out_are_refused(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    path = project / "footplate.toml"
    os.mkfifo(path)
    with pytest.raises(ManifestError, match="is no regular file"):
        manifest.read(str(project))
    path.unlink()
    path.mkdir()
    with pytest.raises(ManifestError, match="is no regular file"):
        manifest.read(str(project))
    path.rmdir()
    (tmp_path / "other.toml").write_text("")
    path.symlink_to("../other.toml")
    with pytest.raises(ManifestError, match="is a link that leads out of the folder"):
        manifest.read(str(project))
    path.unlink()
    (project / "inside.toml").write_text("")
    path.symlink_to("inside.toml")
    assert manifest.read(str(project)).jobs == {}
    path.unlink()
    path.symlink_to("footplate.toml")
    with pytest.raises(ManifestError):
        manifest.read(str(project))


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="cannot be read: File name too long; expected a file that you may read"):
        manifest.read(str(tmp_path / ("x" * 300)))


def test_causes_of_a_retry_are_all_allowed() -> None:
    words = ", ".join(f'"{word}"' for word in RETRY_GROUPS)
    retry = manifest.parse(job(f"retry = {{ on = [{words}] }}")).jobs["train"].retry
    assert retry is not None
    assert set(retry.on) == set(RETRY_GROUPS)


def test_a_pattern_for_log_lines_is_tried_when_the_manifest_is_read() -> None:
    read = manifest.parse("[project]\nlog_pattern = 'it (?P<step>\\d+) loss (?P<loss>\\S+)'\n")
    assert read.log_pattern == r"it (?P<step>\d+) loss (?P<loss>\S+)"
    assert manifest.parse(WHOLE).log_pattern == ""
    for pattern, problem in (
        (r"'loss (?P<loss'", "cannot be read"),
        (r"'loss \S+'", "no named groups"),
        (r"'(?P<step>\d+)'", "names no metric"),
        (r"'(?P<loss>(\d+\s*)+)x'", "a repetition within"),
        ("''", "is empty"),
        ("3", "3 is a number"),
    ):
        error = error_of(f"[project]\nname = 'churn'\nlog_pattern = {pattern}\n")
        assert (error.line, error.key) == (3, "project.log_pattern")
        assert problem in error.problem, pattern
