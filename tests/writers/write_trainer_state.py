"""Writes `tests/fixtures/huggingface` with the state of transformers' Trainer, in an environment of its own:

    uv venv ENV --python 3.11
    uv pip install --python ENV/bin/python transformers
    ENV/bin/python tests/writers/write_trainer_state.py tests/fixtures/huggingface

Torch is not needed: `TrainerState.save_to_json` is what the trainer calls at each checkpoint and at the end.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import sys
from typing import Any

STEPS = 40
SAVE_STEPS = 20


def main(target: str) -> None:
    """One run with two checkpoints and the state of its end, and one that was stopped at its first checkpoint."""
    transformers = importlib.import_module("transformers")
    history: list[dict[str, Any]] = []
    state = transformers.TrainerState(
        max_steps=STEPS,
        num_train_epochs=2,
        train_batch_size=8,
        logging_steps=5,
        save_steps=SAVE_STEPS,
        log_history=history,
    )
    for step in range(5, STEPS + 1, 5):
        state.global_step, state.epoch = step, step / 20
        history.append(
            {
                "loss": 2 / step,
                "grad_norm": 1.5,
                "learning_rate": 5e-5 * (1 - step / STEPS),
                "epoch": step / 20,
                "step": step,
            }
        )
        if step % SAVE_STEPS == 0:
            accuracy = 0.5 + step / 100
            history.append(
                {"eval_loss": math.exp(-step / 20), "eval_accuracy": accuracy, "epoch": step / 20, "step": step}
            )
            state.best_metric, state.best_global_step = accuracy, step
            state.best_model_checkpoint = f"out/checkpoint-{step}"
            save(state, f"{target}/out/checkpoint-{step}")
            if step == SAVE_STEPS:
                save(state, f"{target}/stopped/checkpoint-{step}")
    history.append({"train_runtime": 12.5, "train_loss": 0.125, "total_flos": 1e12, "epoch": 2.0, "step": STEPS})
    save(state, f"{target}/out")
    with open(f"{target}/logged.json", "w", encoding="utf-8") as file:
        json.dump({"library": f"transformers {transformers.__version__}", "history": history}, file, indent=1)
        file.write("\n")


def save(state: Any, folder: str) -> None:
    """As the trainer does."""
    os.makedirs(folder, exist_ok=True)
    state.save_to_json(f"{folder}/trainer_state.json")


if __name__ == "__main__":
    main(sys.argv[1])
