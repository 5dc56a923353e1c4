"""`edgefusion train vae`: the autoencoder between pictures and the latents that the U-Net denoises.

Loss: L1 of the pixels, L1 of their differences to the right and below (edges), squared error of the mean colours of squares
of as many pixels as a latent stands for, and a small KL term that keeps latents near a normal distribution (Rombach et al.,
2022, with edges and colours in place of a perceptual and an adversarial loss, whose networks are larger than a small
autoencoder itself).

The latents may be anchored: their first three channels are pulled to the mean colours of the squares that they stand for,
whitened over the data. An encoder is free to put colours that look alike far apart and others side by side, and a small
U-Net's small mistakes then come out as wrong colours; anchored, a small error of a latent is a small error of a colour.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from edgefusion.errors import UserError
from edgefusion.train.checkpoint import replace_folder
from edgefusion.train.config import UNLIMITED, Limits, RunConfig
from edgefusion.train.data import DataConfig, Pictures, to_unit_range
from edgefusion.train.loop import Outcome, train
from edgefusion.train.networks import load_vae
from edgefusion.train.task import Task, Values

#: Pictures that the scale of the latents and the statistics of colours are measured on.
_SCALE_SAMPLES = 256

_COLOURS = 3


@dataclasses.dataclass(frozen=True)
class VaeModelConfig:
    """The architecture, as diffusers' AutoencoderKL names it. Each level after the first halves height and width."""

    block_out_channels: list[int]
    layers_per_block: int = 1
    latent_channels: int = 4
    norm_num_groups: int = 8
    mid_block_add_attention: bool = False

    def __post_init__(self) -> None:
        if self.norm_num_groups < 1 or any(channels % self.norm_num_groups for channels in self.block_out_channels):
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
    #: Of the squared error of the first three channels to the whitened mean colours.
    anchor_weight: float = 0.0
    kl_weight: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.model is None) == (self.start is None):
            raise ValueError("model or start: give one of them")
        if self.decoder_only and not self.start:
            raise ValueError("decoder_only: needs start, whose encoder is kept")
        if self.decoder_only and self.anchor_weight:
            raise ValueError("anchor_weight: is for the encoder, which decoder_only keeps as it is")


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


class Whitening:
    """Mean colours in units in which they have mean 0, deviation 1 and no correlation over the data."""

    def __init__(self, colours: torch.Tensor) -> None:
        """Measured on `colours` [N, 3, h, w]."""
        flat = colours.transpose(0, 1).flatten(1)
        self._mean = flat.mean(1)
        # A little of the unit matrix, for data whose colours are all on a plane (black and white).
        self._deviation = torch.linalg.cholesky(torch.cov(flat) + 1e-4 * torch.eye(_COLOURS))

    def __call__(self, colours: torch.Tensor) -> torch.Tensor:
        """The whitened `colours` [N, 3, h, w]."""
        flat = colours.transpose(0, 1).flatten(1) - self._mean.to(colours)[:, None]
        white = torch.linalg.solve_triangular(self._deviation.to(colours), flat, upper=False)
        return white.unflatten(1, (len(colours), *colours.shape[2:])).transpose(0, 1)


def normalize_channels(vae: AutoencoderKL, latents: torch.Tensor) -> torch.Tensor:
    """Changes `vae` so that each channel of what are its `latents` now has mean 0 and deviation 1; returns those.

    Pictures come back as before: the convolutions of 1 x 1 on both sides of the latents take what changes. Diffusers' one
    scaling factor leaves channels as far apart as they are, and noise then drowns the weakest first.
    """
    mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3)).clamp(min=1e-3)
    before, after, channels = vae.quant_conv, vae.post_quant_conv, latents.shape[1]
    with torch.no_grad():
        # The first half of the encoder's channels are means, the second logarithms of variances.
        before.weight[:channels] /= deviation[:, None, None, None]
        before.bias[:channels] = (before.bias[:channels] - mean) / deviation
        before.bias[channels:] -= 2 * deviation.log()
        after.bias += after.weight[:, :, 0, 0] @ mean
        after.weight *= deviation[None, :, None, None]
    return (latents - mean[:, None, None]) / deviation[:, None, None]


class _Reconstruction(torch.nn.Module):
    """The autoencoder's way through both halves, as one call (which processes of a cluster need)."""

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, pixels: torch.Tensor, random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The pictures [N, 3, H, W] decoded from sampled latents, the latents' means [N, C, h, w], and the mean over N of
        their KL divergence."""
        posterior = self.vae.encode(pixels).latent_dist
        return self.vae.decode(posterior.sample(random)).sample, posterior.mean, posterior.kl().mean()


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
        if (config.data.random_crop or config.data.size) % self._square:
            raise UserError(f"data.size and random_crop must be multiples of {self._square}, which the autoencoder divides by")
        if config.anchor_weight:
            if vae.config.latent_channels < _COLOURS:
                raise UserError(
                    f"anchor_weight: needs {_COLOURS} latent channels or more; the autoencoder has {vae.config.latent_channels}"
                )
            self._whitened = Whitening(mean_colours(self._spread(), self._square))
        self.trained = {"vae": _Reconstruction(vae)}

    def loss(self, batch: Values, random: torch.Generator) -> tuple[torch.Tensor, Values]:
        pixels, config = batch["pixels"], self.config
        reconstructed, latents, kl = self.trained["vae"](pixels, random)
        colours = mean_colours(pixels, self._square)
        values = {
            "l1": F.l1_loss(reconstructed, pixels),
            "edges": sum(F.l1_loss(*pair) for pair in zip(edges(reconstructed), edges(pixels), strict=True)),
            "colours": F.mse_loss(mean_colours(reconstructed, self._square), colours),
            "kl": kl,
        }
        if config.anchor_weight:
            values["anchor"] = F.mse_loss(latents[:, :_COLOURS].float(), self._whitened(colours))
        weighted = (
            config.pixel_weight * values["l1"],
            config.edge_weight * values["edges"],
            config.colour_weight * values["colours"],
            config.kl_weight * values["kl"],
            config.anchor_weight * values.get("anchor", 0.0),
        )
        return sum(weighted), values

    def write(self, networks: Mapping[str, torch.nn.Module], folder: Path) -> None:
        vae = networks["vae"].vae
        if not self.config.decoder_only:
            # Training goes on with the one that it has.
            vae = copy.deepcopy(vae)
            latents = self._latents(vae)
            if vae.config.use_quant_conv and vae.config.use_post_quant_conv:
                latents = normalize_channels(vae, latents)
            vae.register_to_config(scaling_factor=round(float(1 / latents.std()), 5))
        replace_folder(folder / "vae", vae.save_pretrained)

    def _latents(self, vae: torch.nn.Module) -> torch.Tensor:
        """The latents of pictures spread over the data."""
        device = next(vae.parameters()).device
        return torch.cat([vae.encode(part.to(device)).latent_dist.mode() for part in self._spread().split(16)])

    def _spread(self) -> torch.Tensor:
        """Pictures [N, 3, H, W] spread over the data."""
        count = min(len(self._pictures), _SCALE_SAMPLES)
        chosen = torch.linspace(0, len(self._pictures) - 1, count).long().tolist()
        return to_unit_range(torch.stack([self._pictures.picture(index) for index in chosen]))


def run(config: VaeConfig, limits: Limits = UNLIMITED, start_over: bool = False) -> Outcome:
    """Trains the autoencoder and writes `config.output`/vae."""
    pictures = Pictures(config.data, config.seed)
    return train(VaeTask(config, pictures), pictures, config, limits, start_over)
