"""Moving averages of weights: what a run writes in the end, and the target network of consistency distillation."""

from __future__ import annotations

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def moving_average(module: torch.nn.Module, decay: float, warm_up: bool = True) -> AveragedModel:
    """A copy of `module` that follows it: average <- d average + (1 - d) weights at each update_parameters(module).

    d is `decay`; with `warm_up` it is at most (1 + n) / (10 + n) at update n, as in diffusers' EMAModel: the first weights are
    soon forgotten.
    """

    def update(averages: list[torch.Tensor], weights: list[torch.Tensor], updates: torch.Tensor | int) -> None:
        limit = (1 + int(updates)) / (10 + int(updates)) if warm_up else decay
        get_ema_multi_avg_fn(min(decay, limit))(averages, weights, updates)

    average = AveragedModel(module, multi_avg_fn=update).requires_grad_(False).eval()
    # AveragedModel copies the weights at update 0; the copy has been made, and the first update is to be an average too.
    average.n_averaged.fill_(1)
    return average
