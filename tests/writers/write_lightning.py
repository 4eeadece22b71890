"""Writes `tests/fixtures/lightning` with the CSV logger of Lightning, in an environment of its own:

    uv venv ENV --python 3.11
    uv pip install --python ENV/bin/python --no-deps lightning
    uv pip install --python ENV/bin/python fsspec lightning-utilities pyyaml typing_extensions
    ENV/bin/python tests/writers/write_lightning.py tests/fixtures/lightning

Torch, a gigabyte, is not installed: the logger's own modules run, and find names of torch that do nothing. The file of
params is written as `lightning.pytorch.core.saving.save_hparams_to_yaml` does: `yaml.dump` of what was given.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import importlib.util
import json
import math
import os
import pathlib
import sys
import types
from typing import Any
from unittest import mock

import yaml

PARAMS: dict[str, Any] = {
    "lr": 0.001,
    "batch_size": 32,
    "betas": (0.9, 0.999),
    "model": {"name": "small", "dropout": None, "layers": [64, 64]},
    "data": pathlib.PurePosixPath("data/train"),
    "prompt": "first line\nsecond line: 1\n",
    "shuffle": True,
}


def csv_logger() -> Any:
    """The class CSVLogger of lightning.fabric, without the packages around it."""
    spec = importlib.util.find_spec("lightning")
    assert spec is not None
    assert spec.origin is not None
    root = os.path.dirname(spec.origin)
    for name in ("lightning", "lightning.fabric", "lightning.fabric.loggers", "lightning.fabric.utilities"):
        package = types.ModuleType(name)
        package.__path__ = [os.path.join(root, *name.split(".")[1:])]
        sys.modules[name] = package
    torch = mock.MagicMock()
    torch.Tensor = type("Tensor", (), {})
    torch.nn.Module = type("Module", (), {})
    for name in ("torch", "torch.nn", "torch.optim", "torch.optim.lr_scheduler", "torch.distributed", "numpy"):
        sys.modules[name] = torch
    for name in ("cloud_io", "types"):
        module = types.ModuleType(f"lightning.fabric.utilities.{name}")
        module.__dict__.update(_PATH=str, _is_dir=lambda fs, path, strict=False: fs.isdir(path))  # noqa: ARG005
        module.__dict__["get_filesystem"] = lambda _path: importlib.import_module("fsspec").filesystem("file")
        sys.modules[module.__name__] = module
    return importlib.import_module("lightning.fabric.loggers.csv_logs").CSVLogger


def main(target: str) -> None:
    """Two runs: one with sparse rows and a name that comes late, and one whose numbers are not finite."""
    logger_class = csv_logger()
    os.makedirs(target, exist_ok=True)
    with contextlib.chdir(target):
        logged: dict[str, list[list[Any]]] = {}
        logger = logger_class("logs", name="digits", flush_logs_every_n_steps=10)

        def log(metrics: dict[str, float], epoch: int, step: int) -> None:
            logger.log_metrics(metrics | {"epoch": epoch}, step=step)
            for key, value in metrics.items():
                logged.setdefault(key, []).append([step, value])

        for step in range(60):
            log({"train_loss": 1 / (step + 1), "lr-Adam": 0.001}, step // 20, step)
            if step % 20 == 19:
                log({"val/acc, top 1": step / 60, "val_loss": math.exp(-step / 30)}, step // 20, step)
        log({'odd "name"': 1e-9, "test_loss": 0.25}, 3, 60)
        logger.finalize("success")
        write_params("logs/digits/version_0/hparams.yaml", PARAMS)

        logger = logger_class(".", name="lightning_logs", flush_logs_every_n_steps=1)
        diverged = []
        for step, value in enumerate([0.5, 3.0, math.inf, math.nan]):
            logger.log_metrics({"loss": value}, step=step)
            diverged.append([step, str(value)])
        logger.finalize("failed")
        write_params("lightning_logs/version_0/hparams.yaml", {})

        version = importlib.metadata.version("lightning")
        runs = {"logs/digits/version_0": logged, "lightning_logs/version_0": {"loss": diverged}}
        with open("logged.json", "w", encoding="utf-8") as file:
            json.dump({"library": f"lightning {version}", "runs": runs}, file, indent=1)
            file.write("\n")


def write_params(path: str, params: dict[str, Any]) -> None:
    """As Lightning does."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        yaml.dump(params, file)


if __name__ == "__main__":
    main(sys.argv[1])
