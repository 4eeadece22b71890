from __future__ import annotations

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.readers.carry import Carry
from store.readers.stdout_grammar import MAX_LINE_CHARS, parse_log_line

KERAS = "100/100 - 1s - 10ms/step - accuracy: 0.9120 - loss: 0.2931 - val_loss: 0.3"

Expected = tuple[int, dict[str, float]] | None

THE_13_SHAPES: list[tuple[str, Expected]] = [
    ("epoch=3 loss=0.12", (3, {"loss": 0.12})),
    ("Epoch 3/10", None),
    (KERAS, (0, {"accuracy": 0.912, "loss": 0.2931, "val_loss": 0.3})),
    (
        "Epoch 3: 100%|####| 10/10 [00:01<00:00, 9.5it/s, v_num=0, train_loss=0.123, val/acc=0.98]",
        (3, {"train_loss": 0.123, "val/acc": 0.98}),
    ),
    (
        "{'loss': '0.1234', 'grad_norm': '1.2', 'learning_rate': '5e-05', 'epoch': '0.1'}",
        (0, {"loss": 0.1234, "grad_norm": 1.2, "learning_rate": 5e-05, "epoch": 0.1}),
    ),
    (
        "{'loss': 0.1234, 'learning_rate': 5e-05, 'epoch': 0.1}",
        (0, {"loss": 0.1234, "learning_rate": 5e-05, "epoch": 0.1}),
    ),
    (
        "[10]\tvalid_0's multi_logloss: 0.62345\ttraining's auc: 0.9",
        (10, {"valid_0/multi_logloss": 0.62345, "training/auc": 0.9}),
    ),
    ("[5]\tvalidation_0-logloss:0.41234\ttrain-auc:0.91", (5, {"validation_0-logloss": 0.41234, "train-auc": 0.91})),
    ('{"step": 10, "loss": 0.5, "lr": 1e-3}', (10, {"loss": 0.5, "lr": 1e-3})),
    (
        "2026-11-20 15:00:01,123 INFO step 120 | loss 0.532 | lr 1.0e-04 | tok/s 12345",
        (120, {"loss": 0.532, "lr": 1e-4, "tok/s": 12345.0}),
    ),
    ("Train Epoch: 1 [640/60000 (1%)]\tLoss: 2.299825", (1, {"Loss": 2.299825})),
    ("12:30:45 done in 0:01:02", None),
    ("iter 100: loss 2.1, time 12.3ms, mfu 3.1%", (100, {"loss": 2.1, "mfu": 3.1})),
]

MORE_SHAPES: list[tuple[str, Expected]] = [
    ("loss=0.3", (0, {"loss": 0.3})),
    ("foo=1.5 bar=2", (0, {"foo": 1.5, "bar": 2.0})),
    ("loss: 0.3, acc: 91.2%", (0, {"loss": 0.3, "acc": 91.2})),
    ("Test Accuracy: 0.93", (0, {"Test_Accuracy": 0.93})),
    ("Mean Squared Error: 0.5", (0, {"Mean_Squared_Error": 0.5})),
    ("[6]\teval-ndcg@5:0.91", (6, {"eval-ndcg@5": 0.91})),
    ("ndcg@10:0.91", (0, {"ndcg@10": 0.91})),
    ("total loss: 0.3", (0, {"total_loss": 0.3})),
    ("trainError=0.5", (0, {"trainError": 0.5})),
    ("Validation: loss=0.5", (0, {"loss": 0.5})),
    ("Test set: Average loss: 0.0487, Accuracy: 9842/10000 (98%)", (0, {"Average_loss": 0.0487})),
    ("Epoch 3 done, loss: 0.5 (saved)", (3, {"loss": 0.5})),
    ("epoch 3 step 20 loss=0.1", (20, {"loss": 0.1})),
    ("Epoch [2/5], Step [100/600], Loss: 0.3512", (100, {"Loss": 0.3512})),
    ("Epoch 2: Train Loss: 0.5, Val Loss: 0.4", (2, {"Train_Loss": 0.5, "Val_Loss": 0.4})),
    ("step 0: train loss 4.2874, val loss 4.2823", (0, {"train_loss": 4.2874, "val_loss": 4.2823})),
    (
        "step    1/74 | loss 4.367631 (-0.00z)| norm 27.0366 (+0.12z)| lr 7.00e-06 | 3000.00 ms | 6.3% bf16 MFU",
        (1, {"loss": 4.367631, "norm": 27.0366, "lr": 7e-06}),
    ),
    (
        "Epoch: [0][  10/5005]\tTime  0.3 (  0.9)\tLoss 7.0e+00 (7.0e+00)\tAcc@1   0.00 (  0.15)",
        (0, {"Time": 0.3, "Loss": 7.0, "Acc@1": 0.0}),
    ),
    (
        "11/20 15:00:01 - mmengine - INFO - Epoch(train)  [1][50/3757]  lr: 1.9e-03  eta: 12:30:45  loss: 1.2",
        (1, {"lr": 1.9e-03, "loss": 1.2}),
    ),
    ("2026-11-20 15:00:01.123 | INFO     | __main__:main:12 - epoch=3 loss=0.1", (3, {"loss": 0.1})),
    ("2026-11-20 15:00:01,123 - trainer.loop - INFO - loss=0.1 acc=0.5", (0, {"loss": 0.1, "acc": 0.5})),
    ("INFO:root:loss=0.3", (0, {"loss": 0.3})),
    ("I1120 15:00:01.123456 12345 train.py:33] step 5: loss = 0.3", (5, {"loss": 0.3})),
    ("[rank0]: step=7 loss=0.25", (7, {"loss": 0.25})),
    ("\x1b[1m10/10\x1b[0m \x1b[32m━━━━\x1b[0m \x1b[1m3s\x1b[0m 1ms/step - loss: 0.4", (0, {"loss": 0.4})),
    (" 10%|█   | 1/10 [00:01<00:09]\r 20%|██  | 2/10 [00:02<00:08, 1.0s/it, loss=0.5]\r\n", (0, {"loss": 0.5})),
    ("step=4 loss=nan grad=inf", (4, {"loss": math.nan, "grad": math.inf})),
    ("{'loss': nan, 'epoch': 1.0}", (0, {"loss": math.nan, "epoch": 1.0})),
    ("{'loss': np.float64(0.25), 'step': 3}", (3, {"loss": 0.25})),
    ("step 3 loss: tensor(0.5, grad_fn=<NllLossBackward>)", (3, {"loss": 0.5})),
    ('{"event": "epoch done", "level": "info", "epoch": 3, "loss": 0.2, "ok": true}', (3, {"loss": 0.2})),
    ('{"step": 3, "val": {"loss": 0.2}}', (3, {"val/loss": 0.2})),
    ("Epoch 3: {'loss': 0.2, 'note': 'x'}", (3, {"loss": 0.2})),
    ("epoch: 3, time: 12:30, torch: 2.1.0, size: 10MB, speed: 3.5it/s, loss: 0.1", (3, {"loss": 0.1})),
    ("epoch=3 lr=0.01", (3, {"lr": 0.01})),
    ("[2]\ttrain-rmse:0.9+0.01\ttest-rmse:1.1+0.02", (2, {"train-rmse": 0.9, "test-rmse": 1.1})),
]


def same(found: object, expected: object) -> bool:
    return repr(found) == repr(expected)


@pytest.mark.parametrize(("line", "expected"), THE_13_SHAPES + MORE_SHAPES)
def test_shapes(line: str, expected: Expected) -> None:
    assert same(parse_log_line(line, Carry()), expected)


NEGATIVE = [
    "",
    "   ",
    "Downloading the data set, please wait",
    "Namespace(lr=0.1, epochs=10, seed=3)",
    "TrainingArguments(output_dir='x', step=3, loss=0.3)",
    "Namespace(lr=0.1, loss=0.5, step=3)",
    '  File "train.py", line 3, in step',
    '  File "/x/train.py", line 33, in <module>',
    "Traceback (most recent call last):",
    "ValueError: could not convert string: 3",
    "RuntimeError: at step 120: expected size: 3, got: 4",
    "/x/train.py:33: UserWarning: step 3: weight=0.1 is deprecated",
    "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate: 20 in step 3",
    "Collecting numpy==1.26.0",
    "Requirement already satisfied: numpy>=1.22 in ./venv (2.1)",
    "Downloading torch-2.1.0-cp311-cp311-linux_x86_64.whl (755.5 MB)",
    "   ━━━━━━━━━━━ 755.5/755.5 MB 3.1 MB/s eta 0:00:00",
    "Successfully installed torch-2.1.0 numpy-1.26.0",
    "2026-11-20 15:00:01",
    "2026-11-20T15:00:01Z INFO started",
    "[15:00:01] building tree",
    "time=12:30",
    "date: 2026-11-20",
    "version: 1.2.3",
    "version: 3",
    "Python: 3.11",
    "lr: 0.1",
    "lr=0.1",
    "lr=0.1 batch_size=32 epochs=10",
    "batch_size: 32",
    "n_layers: 12",
    "map_size: 12",
    "max_loss_scale=65536",
    "vocab_size = 50257",
    "{'lr': 0.1, 'hidden': 64}",
    '{"lr": 0.1, "model": "resnet", "loss": 0.1}',
    "config: {'loss': 0.1}",
    '  "dropout": 0.1,',
    "OMP_NUM_THREADS=4",
    "MASTER_PORT=29500",
    "PATH=/usr/bin:/bin",
    "http://localhost:8080/?step=3&loss=4",
    "Listening on localhost:8080",
    "localhost:8080",
    "tcp://127.0.0.1:29500",
    "GET /metrics?step=3&loss=0.2 200",
    "python train.py --lr=0.1 --step=3",
    "train.py:33",
    "tests/test_a.py:12",
    "foo:bar=3",
    "pid: 4242",
    "seed: 42",
    "Exit code: 0",
    "Found: 3 files",
    "size: 10MB",
    "elapsed: 12.3s",
    "number of parameters: 10.65M",
    "num decayed parameter tensors: 26, with 10,740,096 parameters",
    "  Num examples = 1,000",
    "  Total optimization steps = 375",
    "steps per epoch: 100",
    "Step 1: download the data",
    "Step 1/5 : FROM python:3.11",
    "Starting the next step",
    "Epoch 00003: val_loss improved from 0.5 to 0.4, saving model to x.h5",
    "Saving checkpoint at step 100 to /tmp/x-100.pt",
    "step 3, only part 4 of 10",
    "step 3 took 5 seconds",
    "Resuming from step 300 with batch_size: 32, workers: 4",
    "[LightGBM] [Info] Number of positive: 1234, number of negative: 2000",
    "[LightGBM] [Warning] No further splits with positive gain, best gain: -inf",
    "(conv1): Conv2d(3, 64, kernel_size=7, stride=2)",
    "[1] 3.4 5.6 7.8",
    "[INFO] Server ready",
    "WARNING: 3 samples dropped",
    "WARNING: 3",
    "Note: 3",
    "id=3 name=bob",
    "export FOO=3",
    "if x == 3: y = 4",
    "for step in range(10): x = 3",
    "The ratio is a: 3 and b: 4",
    "hash=3fa9c1",
    "addr=0x1f",
    "shape=3,224,224",
    "status: info",
    "range: 3-5",
    "ratio: 3/4",
    '{"step": "warmup", "loss": 0.1}',
    "[1, 2, 3]",
]


@pytest.mark.parametrize("line", NEGATIVE)
def test_lines_without_metrics(line: str) -> None:
    carry = Carry()
    assert parse_log_line(line, carry) is None
    assert carry == Carry()


def test_enough_negative_lines() -> None:
    assert len(set(NEGATIVE)) >= 40


def test_a_headline_gives_its_step_to_the_lines_below() -> None:
    carry = Carry()
    for epoch in (1, 2):
        assert parse_log_line(f"Epoch {epoch}/2", carry) is None
        expected = {"accuracy": 0.912, "loss": 0.2931, "val_loss": 0.3}
        assert parse_log_line(KERAS, carry) == (epoch, expected)
    assert parse_log_line("lr=0.01", carry) == (2, {"lr": 0.01})
    assert parse_log_line("batch_size=32", carry) is None
    assert parse_log_line("Elapsed for this part, in total: 12", carry) is None
    assert carry == Carry(2, 0, epoch=2)


@pytest.mark.parametrize(
    "line", ["Epoch 4", "--- Epoch 4 ---", "Epoch [4/9]", "Epoch 4 of 9", "Epoch 4:  45%|██▌ | 4/10 [00:12<00:15]"]
)
def test_headlines(line: str) -> None:
    carry = Carry(1)
    assert parse_log_line(line, carry) is None
    assert carry.step == 4


def test_plain_lines_cost_little() -> None:
    line = "2026-11-20 15:00:01,123 INFO loading weights from /data/models/x.bin now"
    carry = Carry()
    started = time.process_time()
    for _ in range(2000):
        parse_log_line(line, carry)
    assert time.process_time() - started < 0.06  # 30 µs a line: 1.3 µs measured, the rest is room for a busy machine


def test_lines_without_any_step_are_counted() -> None:
    carry = Carry()
    assert parse_log_line("loss=0.3", carry) == (0, {"loss": 0.3})
    assert parse_log_line("plain words", carry) is None
    assert parse_log_line("{'loss': 0.2, 'epoch': 1.0}", carry) == (1, {"loss": 0.2, "epoch": 1.0})
    assert carry == Carry(None, 2)


def test_carry_travels_as_json() -> None:
    for carry in (Carry(), Carry(3, 7)):
        assert Carry.from_json(carry.to_json()) == carry


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"step": "3", "auto_step": 0}', '{"step": 1, "auto_step": null}'])
def test_foreign_carry_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Carry.from_json(text)


def test_long_lines_give_nothing() -> None:
    line = "step=3 " + "loss=0.1 " * ((MAX_LINE_CHARS - 7) // 9)
    assert parse_log_line(line, Carry()) == (3, {"loss": 0.1})
    assert parse_log_line(line + "x" * 20, Carry()) is None
    assert parse_log_line("x" * MAX_LINE_CHARS + "\rstep=3 loss=0.1", Carry()) == (3, {"loss": 0.1})


HOSTILE_PARTS = [
    "a=", "a", "a-", "a/", "a.", "a:", "1", "1.", "1e", " ", "'s ", "a's a", "a's ", "=", "a=1", "a=1 ", "a:1,",
    "a ", "- ", "[", "(", "a(", "(a", "a(=", "{", '{"a":', "{'a':", "'", '"', "\\'", "'\\'", "\x1b[", "\x1b]",
    "\x1b[1", "step ", "step 1 ", "epoch[", "step", "iter 1/", "iter 1 / ", "1/", "12:30:45 ", "2026-11-20 ",
    "INFO ", "INFO:a:", "a.a:", "%", "_", "é=1 ", "loss 1 ", "train ", "train loss ", "tensor(", "np.float64(1",
    "Error", "aError", "nan", "-", "|", "x 3 ms ", "\t", "a: ", " of 1", "A", "?it/s", "a 1 ", "a=1:",
]  # fmt: skip


@pytest.mark.parametrize("part", HOSTILE_PARTS)
@pytest.mark.parametrize(
    "frame", ["{}", "step 3 {}", "step 3 {} loss=0.1", "a='{}}}", "[3] {}", "{{{}}}", "INFO {} x: 1"]
)
def test_time_is_linear_on_hostile_lines(part: str, frame: str) -> None:
    line = frame.format((part * MAX_LINE_CHARS)[: MAX_LINE_CHARS - len(frame)])
    started = time.process_time()
    parse_log_line(line, Carry())
    assert time.process_time() - started < 0.25


PIECES = st.sampled_from(
    [part for part in HOSTILE_PARTS if part.strip()]
    + ["loss=0.1", "epoch=3", "Epoch 3/10", "{'a': 1}", "\r", "\n", "\ud800"]
)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=())) | st.lists(PIECES | st.text(max_size=3)).map(" ".join))
def test_any_line(line: str) -> None:
    carry = Carry()
    found = parse_log_line(line, carry)
    assert Carry.from_json(carry.to_json()) == carry
    if found is None:
        return
    step, values = found
    assert values
    assert -(2**63) <= step < 2**63
    for key, value in values.items():
        key.encode("utf-8")
        assert key
        assert type(value) is float


@settings(deadline=None)
@given(st.integers(0, 10**12), st.floats(allow_nan=False))
def test_any_float_that_python_prints(step: int, value: float) -> None:
    assert parse_log_line(f"step={step} loss={value}", Carry()) == (step, {"loss": value})
    assert parse_log_line(f"step {step} | loss {value:.6e} | x", Carry()) == (step, {"loss": float(f"{value:.6e}")})


def test_steps_that_restart_in_each_epoch_are_counted_on() -> None:
    carry = Carry()
    steps = []
    for line in (
        "Epoch 1/2",
        "step 1: loss=0.9",
        "step 2: loss=0.8",
        "epoch 1: val_loss=0.85",
        "Epoch 2/2",
        "step 1: loss=0.7",
        "step 2: loss=0.6",
        "epoch 2: val_loss=0.65",
        "Epoch 1/2",
        "step 1: loss=0.9",
    ):
        found = parse_log_line(line, carry)
        carry = Carry.from_json(carry.to_json())
        if found is not None:
            steps.append(found[0])
    assert steps == [1, 2, 2, 3, 4, 4, 1]


def test_steps_that_go_on_through_epochs_stay_as_they_are() -> None:
    carry = Carry()
    lines = ["Epoch 1 step 100 loss 0.9", "Epoch 2 step 200 loss 0.8", "Epoch 3 step 300 loss 0.7"]
    assert [(parse_log_line(line, carry) or (None,))[0] for line in lines] == [100, 200, 300]


@pytest.mark.parametrize(
    "text", ['{"step": 1, "auto_step": 0, "epoch": "x"}', '{"step": 1, "auto_step": 0, "counted": [1]}']
)
def test_a_carry_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a carry"):
        Carry.from_json(text)
