"""The result of a U-Net's training as a pipeline folder of diffusers, which can be exported, compiled, or used there."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    LatentConsistencyModelPipeline,
    LCMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextModel, CLIPTokenizer

from edgefusion.errors import UserError
from edgefusion.train import networks
from edgefusion.train.checkpoint import replace_folder
from edgefusion.train.diffusion import SCHEDULE, Prediction


@dataclasses.dataclass
class Parts:
    """The networks of a pipeline and its tokenizer, float32."""

    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    unet: UNet2DConditionModel


def load_parts(origin: str | Path) -> Parts:
    """The parts of the pipeline folder (or hub id) `origin`."""
    return Parts(
        networks.load_vae(origin),
        networks.load_text_encoder(origin),
        networks.load_tokenizer(origin),
        networks.load_unet(origin),
    )


def prediction_of(origin: str | Path) -> Prediction:
    """What the U-Net of the pipeline `origin` predicts, by its scheduler's configuration."""
    try:
        config = DDIMScheduler.load_config(str(origin), subfolder="scheduler")
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read the scheduler of '{origin}': {str(error).strip().splitlines()[0]}") from None
    prediction = config.get("prediction_type", "epsilon")
    if prediction not in ("epsilon", "v_prediction"):
        raise UserError(f"the scheduler of '{origin}' predicts '{prediction}'; epsilon and v_prediction can be trained")
    return prediction


def ddim_scheduler(prediction: Prediction) -> DDIMScheduler:
    """The sampler of a diffusion model; trailing spacing begins at the last timestep, where training noise ends."""
    return DDIMScheduler(
        **SCHEDULE,
        prediction_type=prediction,
        clip_sample=False,
        set_alpha_to_one=False,
        timestep_spacing="trailing",
        steps_offset=1,
    )


def lcm_scheduler(prediction: Prediction, original_steps: int) -> LCMScheduler:
    """The sampler of a consistency model."""
    return LCMScheduler(
        **SCHEDULE, prediction_type=prediction, original_inference_steps=original_steps, clip_sample=False, set_alpha_to_one=True
    )


def save(parts: Parts, scheduler: DDIMScheduler | LCMScheduler, folder: Path) -> None:
    """Fills a pipeline folder."""
    shared: dict[str, Any] = {**vars(parts), "scheduler": scheduler, "safety_checker": None, "feature_extractor": None}
    kind = LatentConsistencyModelPipeline if isinstance(scheduler, LCMScheduler) else StableDiffusionPipeline
    kind(**shared, requires_safety_checker=False).save_pretrained(folder)


def write(parts: Parts, scheduler: DDIMScheduler | LCMScheduler, folder: Path) -> None:
    """Writes a pipeline folder; one of that name is replaced when the new one is whole."""
    replace_folder(folder, lambda partial: save(parts, scheduler, partial))


def averaged(parts: Parts, trained: Mapping[str, torch.nn.Module]) -> Parts:
    """`parts` with those networks replaced that `trained` has under their names."""
    return dataclasses.replace(parts, **{name: network for name, network in trained.items() if name in vars(parts)})
