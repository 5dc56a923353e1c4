"""A training without random numbers of its own, for tests that compare ways to run it; as a script, one process of several.

python -m torch.distributed.run --nproc-per-node 2 plain_regression.py OUTPUT BATCH_SIZE MAX_STEPS
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from edgefusion.train.config import Limits, LoopConfig, RunConfig
from edgefusion.train.loop import Outcome, train
from edgefusion.train.order import Pick
from edgefusion.train.task import Task, Values


class Points:
    """Random points, the same for each pick."""

    def __len__(self) -> int:
        return 7

    def __getitem__(self, picks: Sequence[Pick]) -> Values:
        rows = [np.random.default_rng([*pick]).standard_normal(4, np.float32) for pick in picks]
        return {"x": torch.from_numpy(np.stack(rows))}


class PlainRegression(Task):
    """Learns y = sum(x)."""

    name = "regression"

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.trained = {"net": torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.SiLU(), torch.nn.Linear(8, 1))}

    def loss(self, batch: Values, random: torch.Generator) -> tuple[torch.Tensor, Values]:
        x = batch["x"]
        return (self.trained["net"](x) - x.sum(1, keepdim=True)).square().mean(), {}

    def write(self, networks: Mapping[str, torch.nn.Module], folder: Path) -> None:
        (folder / "net").mkdir(exist_ok=True)
        save_file(networks["net"].state_dict(), folder / "net" / "net.safetensors")


def run(output: Path, batch_size: int, accumulate: int = 1, max_steps: int = 0) -> Outcome:
    loop = LoopConfig(
        steps=6, batch_size=batch_size, accumulate=accumulate, learning_rate=1e-2, ema_decay=0.9, schedule="linear", threads=1
    )
    return train(PlainRegression(), Points(), RunConfig(output, loop, seed=3), Limits(max_steps=max_steps))


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]), max_steps=int(sys.argv[3]))
