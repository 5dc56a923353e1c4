"""`edgefusion train teacher`: the large diffusion model that the student learns from, an SD-style U-Net on text and latents."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel

from edgefusion.errors import UserError
from edgefusion.train import conditioning, networks, pipeline
from edgefusion.train.conditioning import LatentDataConfig
from edgefusion.train.config import UNLIMITED, Limits, RunConfig
from edgefusion.train.diffusion import Diffusion, DiffusionConfig
from edgefusion.train.loop import Outcome, train
from edgefusion.train.task import Task, Values


@dataclasses.dataclass(frozen=True)
class UNetConfig:
    """The architecture, as diffusers' UNet2DConditionModel names it. `attention[i]`: does level i have transformer blocks?"""

    sample_size: int
    block_out_channels: list[int]
    attention: list[bool]
    layers_per_block: int = 2
    mid_block: bool = True
    #: Heads of each attention (diffusers' attention_head_dim, for Stable Diffusion 1).
    attention_heads: int = 8
    norm_num_groups: int = 32

    def __post_init__(self) -> None:
        if len(self.attention) != len(self.block_out_channels):
            raise ValueError("attention needs true or false for each of block_out_channels")
        if self.norm_num_groups < 1 or self.attention_heads < 1:
            raise ValueError("norm_num_groups and attention_heads must be at least 1")
        for channels in self.block_out_channels:
            if channels % self.norm_num_groups or channels % self.attention_heads:
                raise ValueError("block_out_channels must be multiples of norm_num_groups and of attention_heads")


@dataclasses.dataclass(frozen=True)
class TeacherConfig(RunConfig):
    """`vae` and `text` are folders of `train vae` and `train text`, or of pipelines.

    `start` is a U-Net's or pipeline's folder to go on from, instead of `unet` with random weights.
    """

    data: LatentDataConfig
    vae: Path
    text: Path
    unet: UNetConfig | None = None
    start: Path | None = None
    diffusion: DiffusionConfig = DiffusionConfig()  # noqa: RUF009 - frozen
    train_text_encoder: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.unet is None) == (self.start is None):
            raise ValueError("unet or start: give one of them")


def build(config: UNetConfig, latent_channels: int, text_size: int) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=config.sample_size,
        in_channels=latent_channels,
        out_channels=latent_channels,
        block_out_channels=tuple(config.block_out_channels),
        layers_per_block=config.layers_per_block,
        down_block_types=tuple("CrossAttnDownBlock2D" if has else "DownBlock2D" for has in config.attention),
        mid_block_type="UNetMidBlock2DCrossAttn" if config.mid_block else None,
        up_block_types=tuple("CrossAttnUpBlock2D" if has else "UpBlock2D" for has in reversed(config.attention)),
        attention_head_dim=config.attention_heads,
        norm_num_groups=config.norm_num_groups,
        cross_attention_dim=text_size,
    )


class TeacherTask(Task):
    """Prediction of the noise (or velocity) from noised latents and a caption."""

    name = "teacher"

    def __init__(self, config: TeacherConfig) -> None:
        super().__init__()
        self.config = config
        vae, text_encoder = networks.load_vae(config.vae), networks.load_text_encoder(config.text)
        tokenizer = networks.load_tokenizer(config.text)
        _check_prediction(config)
        torch.manual_seed(config.seed)
        unet = (
            networks.load_unet(config.start)
            if config.start
            else build(config.unet, vae.config.latent_channels, text_encoder.config.hidden_size)
        )
        self.parts = pipeline.Parts(vae, text_encoder, tokenizer, unet)
        self.diffusion = Diffusion(config.diffusion)
        self.conditioning = conditioning.Conditioning(vae, text_encoder, tokenizer, config.data)
        self.trained, self.frozen = {"unet": unet}, {"vae": vae}
        (self.trained if config.train_text_encoder else self.frozen)["text_encoder"] = text_encoder

    def loss(self, batch: Values, random: torch.Generator) -> tuple[torch.Tensor, Values]:
        noised = self.diffusion.noised(self.conditioning.latents(batch), random)
        text_encoder = {**self.frozen, **self.trained}["text_encoder"]
        states = conditioning.text_states(text_encoder, self.conditioning.input_ids(batch, random))
        prediction = self.trained["unet"](noised.noisy, noised.timesteps, states).sample
        return self.diffusion.loss(prediction, noised), {}

    def write(self, networks: Mapping[str, torch.nn.Module], folder: Path) -> None:
        scheduler = pipeline.ddim_scheduler(self.config.diffusion.prediction_type)
        pipeline.write(pipeline.averaged(self.parts, networks), scheduler, folder / "pipeline")


def _check_prediction(config: TeacherConfig) -> None:
    """A pipeline says what its U-Net predicts; training it towards something else is a mistake."""
    if not config.start or (config.start.is_dir() and not (config.start / "scheduler").is_dir()):
        return
    prediction = pipeline.prediction_of(config.start)
    if prediction != config.diffusion.prediction_type:
        raise UserError(
            f"the U-Net of '{config.start}' predicts {prediction}; set diffusion.prediction_type to that "
            f"(it is {config.diffusion.prediction_type})"
        )


def run(config: TeacherConfig, limits: Limits = UNLIMITED, start_over: bool = False) -> Outcome:
    """Trains the U-Net (and the text encoder, if asked to) and writes `config.output`/pipeline."""
    task = TeacherTask(config)
    return train(task, task.conditioning.source(config.seed), config, limits, start_over)
