"""What is read from a log about why a command ended: texts of programs that are not here, and hostile ones."""

from __future__ import annotations

import random
import signal
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.jobs import divergence, tracebacks
from console.jobs.exit_cause import KINDS, LOG_TAIL_BYTES, RETRY_GROUPS, Evidence, classify, of_start_failure
from console.jobs.words import size, span

TRACEBACK = 'Traceback (most recent call last):\n  File "train.py", line 3, in <module>\n    step()\n'
MEMORY_ERROR = TRACEBACK + "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 7.28 TiB for an array\n"
CUDA_LINE = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79 GiB"
)
TORCHRUN = (
    "".join(f"[rank1]: {line}\n" for line in TRACEBACK.splitlines())
    + "another rank says something\n"
    + f"[rank1]: {CUDA_LINE}\n"
    + "E1121 15:00:00.000000 99 torch/distributed/elastic/multiprocessing/api.py:869] failed (exitcode: 1)\n"
    + 'Traceback (most recent call last):\n  File "/bin/torchrun", line 8, in <module>\n    sys.exit(main())\n'
    + "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n"
    + "=" * 60
    + "\ntrain.py FAILED\n"
)
GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "x.py", line 1, in <module>
  |     raise ExceptionGroup("unhandled errors in a TaskGroup", errors)
  | ExceptionGroup: unhandled errors in a TaskGroup (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "x.py", line 1, in f
    | ValueError: one
    +---------------- 2 ----------------
    | KeyError: 'two'
    +------------------------------------
"""
RICH = (
    "╭───────────── Traceback (most recent call last) ─────────────╮\n"
    "│ /home/ana/train.py:3 in <module>                            │\n"
    "╰─────────────────────────────────────────────────────────────╯\n"
    "ValueError: bad batch\n"
)
SHUTDOWN = (
    TRACEBACK
    + "ValueError: bad batch\nException ignored in: <function Pool.__del__ at 0x7f>\n"
    + 'Traceback (most recent call last):\n  File "pool.py", line 268, in __del__\nTypeError: nothing there\n'
)
HANDLING = (
    TRACEBACK
    + "KeyError: 'a'\n\nDuring handling of the above exception, another exception occurred:\n\n"
    + TRACEBACK
    + "RuntimeError: worse\n"
)


@pytest.mark.parametrize(
    ("log_tail", "cause"),
    [
        (TRACEBACK + "ValueError: bad\n", "ValueError: bad"),
        (TRACEBACK + "KeyboardInterrupt", "KeyboardInterrupt"),
        (TRACEBACK + "AssertionError\nwandb: synced 5 files\n", "AssertionError"),
        (TRACEBACK + "my.package.Bad: \n", "my.package.Bad:"),
        (TRACEBACK.replace("\n", "\r\n") + "ValueError: bad\r\n", "ValueError: bad"),
        ("\x1b[31m" + TRACEBACK + "\x1b[1mValueError\x1b[0m: bad\n", "ValueError: bad"),
        ("progress 10%\r" + TRACEBACK + "ValueError: bad\n", "ValueError: bad"),
        (SHUTDOWN, "ValueError: bad batch"),
        (HANDLING, "RuntimeError: worse (while handling KeyError: 'a')"),
        (GROUP, "ExceptionGroup: unhandled errors in a TaskGroup (2 sub-exceptions)"),
        (RICH, "ValueError: bad batch"),
        (
            '  File "train.py", line 1\n    for x in\n            ^\nIndentationError: expected\n',
            "IndentationError: expected",
        ),
        (
            '    line, line\n  File "x.py", line 9, in f\n    f()\nRecursionError: too deep\n',
            "RecursionError: too deep",
        ),
        (TORCHRUN.replace(CUDA_LINE, "ValueError: of rank 1"), "ValueError: of rank 1"),
        (
            TRACEBACK + "RuntimeError: Error(s) in loading:\n\tMissing key(s): 'a'\n" * 2,
            "RuntimeError: Error(s) in loading:",
        ),
    ],
)
def test_an_exception_is_the_last_that_can_have_ended_it(log_tail: str, cause: str) -> None:
    ending = classify(Evidence(1, log_tail))
    assert (ending.state, ending.kind, ending.cause) == ("failed", "exception", cause)
    assert ending.evidence


CHATTER = "".join(f"step={index} ok\n" for index in range(50))
BAD_ALLOC = "terminate called after throwing an instance of 'std::bad_alloc'\n"
THROWN = "terminate called after throwing an instance of 'std::runtime_error'\n  what():  bad shape"
WORKER = TRACEBACK + "RuntimeError: DataLoader worker (pid 7) is killed by signal: Killed. \n"
JAX = TRACEBACK + "jax.errors.X: RESOURCE_EXHAUSTED: Out of memory allocating 16 bytes"


class Row(NamedTuple):
    """A line of the table in `exit_cause`."""

    evidence: Evidence
    kind: str
    words: str


SURVIVED = [
    Row(Evidence(1, TRACEBACK + "ValueError: bad\n" + CHATTER), "exit_code", "exit code 1"),
    Row(Evidence(3, TRACEBACK + "ValueError: bad\n" + "a\n" * 9), "exit_code", "exit code 3"),
    Row(Evidence(3, TRACEBACK + "ValueError: bad\n"), "exception", "exit code 3 after ValueError: bad"),
    Row(Evidence(1, f"retry: {CUDA_LINE}\n{TRACEBACK}KeyError: 1\n"), "exception", "KeyError: 1"),
    Row(Evidence(0, TRACEBACK + CUDA_LINE), "ok", ""),
]
GPU_MEMORY = [
    Row(Evidence(1, TORCHRUN), "oom_cuda", "tried to allocate 2.00 GiB"),
    Row(Evidence(1, "CUDA error: CUBLAS_STATUS_ALLOC_FAILED"), "oom_cuda", "out of memory (CUDA)"),
    Row(Evidence(1, JAX), "oom_cuda", "allocate 16 bytes"),
    Row(Evidence(1, TRACEBACK + "tf.errors.ResourceExhaustedError: OOM when allocating"), "oom_cuda", "(CUDA)"),
    Row(Evidence(1, TRACEBACK + "grpc.RpcError: StatusCode.RESOURCE_EXHAUSTED memory"), "exception", "grpc"),
    Row(Evidence(-6, "what():  CUDA out of memory. Tried to allocate 20 MiB"), "oom_cuda", "20 MiB"),
]
MEMORY = [
    Row(Evidence(-9), "signal", "killed by SIGKILL, by whom is not known"),
    Row(Evidence(-9, host_kills=0), "signal", "by whom is not known"),
    Row(Evidence(-9, host_kills=1, max_resident_bytes=1 << 20), "signal", "by whom is not known"),
    Row(Evidence(-9, host_kills=1, max_resident_bytes=1 << 50), "oom_host", "killed by the kernel"),
    Row(Evidence(137, host_kills=1), "oom_host", "killed by the kernel"),
    Row(Evidence(137), "exit_code", "exit code 137, as a shell reports killed by SIGKILL"),
    Row(Evidence(-9, kernel_log="Out of memory: Killed process 7 (python)"), "oom_host", "(host)"),
    Row(Evidence(1, WORKER, host_kills=2), "oom_host", "killed by the kernel"),
    Row(Evidence(-9, limit_kills=2, memory_limit_bytes=1 << 29), "oom_limit", "limit 512.0 MiB"),
    Row(Evidence(1, MEMORY_ERROR, limit_enforced="address space"), "oom_limit", "ArrayMemoryError"),
    Row(Evidence(1, MEMORY_ERROR), "exception", "ArrayMemoryError"),
    Row(Evidence(-6, BAD_ALLOC, limit_enforced="address space"), "oom_limit", "bad_alloc"),
]
DISKS_LOSSES_SIGNALS = [
    Row(Evidence(1, TRACEBACK + "OSError: [Errno 122] Disk quota exceeded"), "disk_full", "quota"),
    Row(Evidence(2, "cp: error writing 'x': No space left on device"), "disk_full", "disk full: cp"),
    Row(Evidence(1, "inotify_add_watch: No space left on device"), "exit_code", "exit code 1"),
    Row(Evidence(1, TRACEBACK + "FloatingPointError: Loss became infinite or NaN"), "diverged", "Loss"),
    Row(Evidence(1, TRACEBACK + "ValueError: Input X contains NaN."), "exception", "Input X"),
    Row(Evidence(-signal.SIGABRT, THROWN), "signal", "aborted (SIGABRT): std::runtime_error: bad shape"),
    Row(Evidence(-40), "signal", "killed by signal 40"),
]
ASKED_FOR = [
    Row(Evidence(-9, limit_kills=1, stopped_by="ana"), "stopped", "stopped by ana"),
    Row(Evidence(0, timeout_s=5400.0, stopped_by="ana"), "timeout", "timeout after 1h 30m"),
    Row(Evidence(None), "exit_unknown", "its exit code was lost"),
    Row(Evidence(None, adopted=True), "exit_unknown", "adopted"),
    Row(Evidence(None, adopted=True, stopped_by="ana"), "stopped", "stopped by ana"),
]


@pytest.mark.parametrize("row", [*SURVIVED, *GPU_MEMORY, *MEMORY, *DISKS_LOSSES_SIGNALS, *ASKED_FOR])
def test_the_table_of_causes(row: Row) -> None:
    ending = classify(row.evidence)
    assert ending.kind == row.kind
    assert row.words in ending.cause
    assert "\n" not in ending.cause
    status = row.evidence.exit_status
    assert ending.exit_code == (None if (status or 0) < 0 else status)


def test_states() -> None:
    assert classify(Evidence(0)) == ("finished", 0, "", "", "", "ok")
    assert classify(Evidence(None, adopted=True)).state == "finished"
    assert classify(Evidence(None)).state == "failed"
    assert classify(Evidence(0, stopped_by="ana")).state == "stopped"
    assert classify(Evidence(0, timeout_s=1.0)).state == "failed"


@pytest.mark.parametrize(
    ("metrics", "log", "words"),
    [
        (
            '{"step": 1, "loss": 0.5}\n{"step": 2, "loss": NaN}\n{"step": 3, "loss": NaN}\n',
            "",
            "loss is nan since step 2",
        ),
        ('{"step": 1, "loss": NaN}\n{"step": 2, "loss": 0.5}\n', "", ""),
        ('{"step": 1, "best_loss": Infinity, "loss_scale": Infinity, "grad_norm": NaN, "val_acc": NaN}\n', "", ""),
        ('{"train": {"nll": "Infinity"}}\n', "", "train/nll is inf"),
        ('nonsense\n[1]\n{"loss": "x", "step": true}\n{"loss": null}\n{"loss": NaN', "", ""),
        ("", "epoch 3/10 | train_loss nan | lr 0.1\n", "train_loss is nan since step 3"),
        ("", "{'loss': nan, 'epoch': 1.0}\n", "loss is nan since step 1"),
        ("", "[41]\tvalid_0's binary_logloss: nan\n", "binary_logloss is nan since step 41"),
        ("", "loss: tensor(inf)\n", "loss is inf"),
        ("", "loss: nan\rloss: 0.5\n", ""),
        ("", "the loss is nan-safe\nno loss nancy\n", ""),
    ],
)
def test_a_loss_that_is_no_number_at_the_end(metrics: str, log: str, words: str) -> None:
    ending = classify(Evidence(0, log, metrics))
    assert (ending.state, ending.exit_code) == ("finished", 0)
    assert ending.kind == ("diverged" if words else "ok")
    assert words in ending.cause
    assert ending.cause.startswith("finished, but ") == bool(words)


def test_a_tail_without_its_start_says_or_earlier() -> None:
    text = "".join(f'{{"step": {step}, "loss": NaN}}\n' for step in range(5000))[-LOG_TAIL_BYTES:]
    found = divergence.of_last_values(text, "", LOG_TAIL_BYTES)
    assert found is not None
    assert found.words.endswith(" or earlier")


def test_only_endings_of_programs_have_kinds_that_exist() -> None:
    assert of_start_failure("x", "/", FileNotFoundError(2, "No such file or directory")).kind == "not_started"
    assert of_start_failure("x", "/", ValueError("embedded null byte")).kind == "not_started"
    assert all(kind in KINDS or kind == "gpu_lost" for kinds in RETRY_GROUPS.values() for kind in kinds)


@given(
    st.lists(
        st.sampled_from(
            [
                TRACEBACK,
                GROUP,
                RICH,
                TORCHRUN,
                HANDLING,
                "ValueError: bad\n",
                "\n",
                "  | ",
                "x",
                "\r",
                "nan",
                "loss=",
                "{",
            ]
        )
    )
)
@settings(max_examples=300, deadline=None)
def test_no_text_is_too_strange(pieces: list[str]) -> None:
    text = "".join(pieces)
    for status in (0, 1, 137, -6, -11):
        ending = classify(Evidence(status, text, text))
        assert ending.kind in KINDS
        assert len(ending.cause) <= 600


@pytest.mark.parametrize(
    "piece",
    ["Traceback (most recent call last):\n", "loss=", "a.", "[rank0]: Traceback (most recent call last):\n",
     "loss nan ", " ", "\t", "CUDA ", "loss", "RESOURCE_EXHAUSTED ", "A" * 100 + "Error", 'File "', "\x1b["],
)  # fmt: skip
def test_long_texts_of_one_kind_are_read_in_good_time(piece: str) -> None:
    text = (piece * (LOG_TAIL_BYTES // len(piece) + 1))[:LOG_TAIL_BYTES]
    classify(Evidence(1, text, text))
    classify(Evidence(0, text, text))


def test_a_chain_is_cut_in_its_middle() -> None:
    frames = "".join(f'  File "x.py", line {line}, in f\n    f()\n' for line in range(500))
    raised = tracebacks.last_raised("Traceback (most recent call last):\n" + frames + "RecursionError: deep\n")
    assert raised is not None
    assert len(raised.text.splitlines()) <= tracebacks.TEXT_MAX_LINES + 1
    assert raised.text.endswith("RecursionError: deep")
    assert raised.name == "RecursionError"


def test_sizes_and_times_in_words() -> None:
    assert [span(each) for each in (0.5, 1, 90, 7200, 5400, 90000)] == ["0.5s", "1s", "1m 30s", "2h", "1h 30m", "1d 1h"]
    assert [size(each) for each in (0, 2048, 3 << 20, 5 << 30)] == ["0 B", "2.0 KiB", "3.0 MiB", "5.0 GiB"]


def test_random_bytes_end_in_a_cause() -> None:
    noise = random.Random(7).randbytes(LOG_TAIL_BYTES).decode("utf-8", "replace")
    assert classify(Evidence(1, noise, noise)).kind in KINDS
