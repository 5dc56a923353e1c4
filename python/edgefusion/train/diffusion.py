"""Diffusion as Stable Diffusion has it: its noise schedule, what a U-Net predicts, and the loss of that prediction."""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch
from diffusers import DDPMScheduler
from diffusers.training_utils import compute_snr

#: Stable Diffusion's noise schedule, for every scheduler of diffusers.
SCHEDULE = {"num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}

Prediction = Literal["epsilon", "v_prediction"]


@dataclasses.dataclass(frozen=True)
class DiffusionConfig:
    """What the U-Net predicts, and how timesteps weigh."""

    prediction_type: Prediction = "epsilon"
    #: Min-SNR weighting (Hang et al., 2023) with this gamma; 0 weighs all timesteps alike.
    snr_gamma: float = 0.0

    def __post_init__(self) -> None:
        if self.snr_gamma < 0:
            raise ValueError("snr_gamma must not be negative")


@dataclasses.dataclass(frozen=True)
class Noised:
    """Latents with noise: all [N, C, h, w] but `timesteps` [N]."""

    noisy: torch.Tensor
    noise: torch.Tensor
    timesteps: torch.Tensor
    target: torch.Tensor


class Diffusion:
    """Adds noise, and says what is to be predicted."""

    def __init__(self, config: DiffusionConfig) -> None:
        self.config = config
        self.scheduler = DDPMScheduler(**SCHEDULE, prediction_type=config.prediction_type)

    def noised(self, latents: torch.Tensor, random: torch.Generator) -> Noised:
        """The latents at a random timestep each."""
        # Drawn on the CPU, so that a seed means the same on every device.
        noise = torch.randn(latents.shape, generator=random).to(latents.device)
        count = self.scheduler.config.num_train_timesteps
        timesteps = torch.randint(count, (len(latents),), generator=random).to(latents.device)
        noisy = self.scheduler.add_noise(latents, noise, timesteps)
        is_noise = self.config.prediction_type == "epsilon"
        target = noise if is_noise else self.scheduler.get_velocity(latents, noise, timesteps)
        return Noised(noisy, noise, timesteps, target)

    def loss(self, prediction: torch.Tensor, noised: Noised) -> torch.Tensor:
        """Mean squared error of the prediction, weighted by timestep."""
        errors = (prediction.float() - noised.target.float()).square().mean((1, 2, 3))
        if not self.config.snr_gamma:
            return errors.mean()
        snr = compute_snr(self.scheduler, noised.timesteps)
        weights = snr.clamp(max=self.config.snr_gamma) / (snr if self.config.prediction_type == "epsilon" else snr + 1)
        return (weights * errors).mean()
