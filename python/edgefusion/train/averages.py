"""Moving averages of weights: what a run writes in the end, and the target network of consistency distillation."""

from __future__ import annotations

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def moving_average(module: torch.nn.Module, decay: float) -> AveragedModel:
    """A copy of `module` that follows it: average <- d average + (1 - d) weights at each update_parameters(module).

    d is `decay`, but at most (1 + n) / (10 + n) at update n, as in diffusers' EMAModel: the first weights are soon forgotten.
    """

    def update(averages: list[torch.Tensor], weights: list[torch.Tensor], updates: torch.Tensor | int) -> None:
        count = int(updates)
        get_ema_multi_avg_fn(min(decay, (1 + count) / (10 + count)))(averages, weights, updates)

    return AveragedModel(module, multi_avg_fn=update).requires_grad_(False).eval()
