"""The mathematics of latent consistency distillation (Luo et al., 2023), with the constants of diffusers' LCMScheduler.

x_t = a_t x_0 + s_t noise, with a_t = sqrt(alphas_cumprod[t]) and s_t = sqrt(1 - alphas_cumprod[t]). Timesteps are int64 [N].
"""

from __future__ import annotations

import torch

from edgefusion.train.diffusion import Prediction

#: Of the boundary condition; diffusers' LCMScheduler has both as defaults.
SIGMA_DATA, TIMESTEP_SCALING = 0.5, 10.0


def _per_sample(values: torch.Tensor) -> torch.Tensor:
    return values.float().view(-1, 1, 1, 1)


def boundary_scalings(timesteps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """c_skip and c_out [N, 1, 1, 1]: at t = 0 they are 1 and 0, which makes the consistency function the identity there."""
    scaled = _per_sample(timesteps) * TIMESTEP_SCALING
    square = scaled**2 + SIGMA_DATA**2
    return SIGMA_DATA**2 / square, scaled / square.sqrt()


def guidance_embedding(guidance: torch.Tensor, size: int) -> torch.Tensor:
    """The embedding [N, size] of guidance weights w [N], as in diffusers' LatentConsistencyModelPipeline; size is even."""
    half = size // 2
    frequencies = torch.exp(torch.arange(half, device=guidance.device) * (-torch.log(torch.tensor(10000.0)) / (half - 1)))
    angles = guidance[:, None] * 1000.0 * frequencies[None]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def pseudo_huber(prediction: torch.Tensor, target: torch.Tensor, delta: float) -> torch.Tensor:
    """mean(sqrt(d^2 + delta^2) - delta) of the differences d."""
    return (((prediction.float() - target.float()).square() + delta**2).sqrt() - delta).mean()


class Schedule:
    """Noise levels by timestep."""

    def __init__(self, alphas_cumprod: torch.Tensor) -> None:
        self._alphas_cumprod = alphas_cumprod

    def levels(self, timesteps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """a_t and s_t, [N, 1, 1, 1]."""
        values = _per_sample(self._alphas_cumprod.to(timesteps.device)[timesteps])
        return values.sqrt(), (1 - values).sqrt()

    def split(
        self, output: torch.Tensor, noisy: torch.Tensor, timesteps: torch.Tensor, prediction: Prediction
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The x_0 and the noise that a U-Net's `output` for `noisy` stands for."""
        a, s = self.levels(timesteps)
        if prediction == "epsilon":
            return (noisy - s * output) / a, output
        return a * noisy - s * output, a * output + s * noisy


class DdimSolver:
    """One step of DDIM from timestep t to t - k, k = 1000 / steps: the skipping of latent consistency distillation."""

    def __init__(self, schedule: Schedule, train_timesteps: int, steps: int) -> None:
        self._schedule = schedule
        self.skip = train_timesteps // steps
        #: [k - 1, 2k - 1, ..., 999]: where a step may begin.
        self.timesteps = torch.arange(1, steps + 1) * self.skip - 1

    def previous(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Where the step from `timesteps` ends; the first one ends at 0."""
        return (timesteps - self.skip).clamp(min=0)

    def step(self, original: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """The sample at previous(timesteps), from x_0 and the noise estimated at `timesteps`."""
        a, s = self._schedule.levels(self.previous(timesteps))
        return a * original + s * noise
