"""`edgefusion train vae`: the autoencoder between pictures and the latents that the U-Net denoises.

Loss: L1 of the pixels, L1 of their differences to the right and below (edges), squared error of the mean colours of squares
of as many pixels as a latent stands for, and a small KL term that keeps latents near a normal distribution (Rombach et al.,
2022, with edges and colours in place of a perceptual and an adversarial loss, whose networks are larger than a small
autoencoder itself).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from edgefusion.train.checkpoint import replace_folder
from edgefusion.train.config import UNLIMITED, Limits, RunConfig
from edgefusion.train.data import DataConfig, Pictures, to_unit_range
from edgefusion.train.loop import Outcome, train
from edgefusion.train.networks import load_vae
from edgefusion.train.task import Task, Values

#: Pictures that the scale of the latents is measured on.
_SCALE_SAMPLES = 256


@dataclasses.dataclass(frozen=True)
class VaeModelConfig:
    """The architecture, as diffusers' AutoencoderKL names it. Each level after the first halves height and width."""

    block_out_channels: list[int]
    layers_per_block: int = 1
    latent_channels: int = 4
    norm_num_groups: int = 8
    mid_block_add_attention: bool = False

    def __post_init__(self) -> None:
        if any(channels % self.norm_num_groups for channels in self.block_out_channels):
            raise ValueError("block_out_channels must be multiples of norm_num_groups")


@dataclasses.dataclass(frozen=True)
class VaeConfig(RunConfig):
    """`start` is the folder of an autoencoder to go on from, instead of `model` with random weights.

    With `decoder_only` its encoder stays as it is, and with it the latents that were computed and the U-Nets trained on them.
    """

    data: DataConfig
    model: VaeModelConfig | None = None
    start: Path | None = None
    decoder_only: bool = False
    pixel_weight: float = 1.0
    edge_weight: float = 1.0
    #: Without it a hue that few pictures have may be given up: L1 gains more from the outlines of the others.
    colour_weight: float = 0.0
    kl_weight: float = 1e-6

    def __post_init__(self) -> None:
        if (self.model is None) == (self.start is None):
            raise ValueError("model or start: give one of them")
        if self.decoder_only and not self.start:
            raise ValueError("decoder_only: needs start, whose encoder is kept")


def build(model: VaeModelConfig, size: int) -> AutoencoderKL:
    levels = len(model.block_out_channels)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        sample_size=size,
        **dataclasses.asdict(model),
    )


def edges(pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The differences of each pixel to the right and to the lower neighbour; pictures [N, C, H, W]."""
    return pictures[..., :, 1:] - pictures[..., :, :-1], pictures[..., 1:, :] - pictures[..., :-1, :]


def mean_colours(pictures: torch.Tensor, size: int) -> torch.Tensor:
    """The means of squares of `size` x `size` pixels; pictures [N, C, H, W]."""
    return F.avg_pool2d(pictures, size)


class _Reconstruction(torch.nn.Module):
    """The autoencoder's way through both halves, as one call (which processes of a cluster need)."""

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, pixels: torch.Tensor, random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """The pictures [N, 3, H, W] decoded from sampled latents, and the mean over N of the latents' KL divergence."""
        posterior = self.vae.encode(pixels).latent_dist
        return self.vae.decode(posterior.sample(random)).sample, posterior.kl().mean()


class VaeTask(Task):
    """Reconstruction of pictures."""

    name = "vae"

    def __init__(self, config: VaeConfig, pictures: Pictures) -> None:
        super().__init__()
        self.config = config
        self._pictures = pictures
        torch.manual_seed(config.seed)
        vae = load_vae(config.start) if config.start else build(config.model, config.data.size)
        if config.decoder_only:
            for part in (vae.encoder, vae.quant_conv):
                part.requires_grad_(False)
        self._square = 2 ** (len(vae.config.block_out_channels) - 1)
        self.trained = {"vae": _Reconstruction(vae)}

    def loss(self, batch: Values, random: torch.Generator) -> tuple[torch.Tensor, Values]:
        pixels, config = batch["pixels"], self.config
        reconstructed, kl = self.trained["vae"](pixels, random)
        values = {
            "l1": F.l1_loss(reconstructed, pixels),
            "edges": sum(F.l1_loss(*pair) for pair in zip(edges(reconstructed), edges(pixels), strict=True)),
            "colours": F.mse_loss(mean_colours(reconstructed, self._square), mean_colours(pixels, self._square)),
            "kl": kl,
        }
        weighted = (
            config.pixel_weight * values["l1"],
            config.edge_weight * values["edges"],
            config.colour_weight * values["colours"],
            config.kl_weight * values["kl"],
        )
        return sum(weighted), values

    def write(self, networks: Mapping[str, torch.nn.Module], folder: Path) -> None:
        vae = networks["vae"].vae
        if not self.config.decoder_only:
            vae.register_to_config(scaling_factor=round(1 / self._latent_deviation(vae), 5))
        replace_folder(folder / "vae", vae.save_pretrained)

    def _latent_deviation(self, vae: torch.nn.Module) -> float:
        """The standard deviation of the latents of pictures spread over the data."""
        count = min(len(self._pictures), _SCALE_SAMPLES)
        chosen = torch.linspace(0, len(self._pictures) - 1, count).long().tolist()
        device = next(vae.parameters()).device
        latents = []
        for first in range(0, count, 16):
            pixels = torch.stack([self._pictures.picture(index) for index in chosen[first : first + 16]])
            latents.append(vae.encode(to_unit_range(pixels).to(device)).latent_dist.mode())
        return float(torch.cat(latents).std())


def run(config: VaeConfig, limits: Limits = UNLIMITED, start_over: bool = False) -> Outcome:
    """Trains the autoencoder and writes `config.output`/vae."""
    pictures = Pictures(config.data, config.seed)
    return train(VaeTask(config, pictures), pictures, config, limits, start_over)
