"""Where the networks of a text-to-image pipeline come from: a saved folder, a hub id, or seeded random weights.

Random pipelines have the architecture of a published model and torch's default initialisation, which keeps activations in
the range of a trained network; they stand in for weights where none can be downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, LCMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from edgefusion.errors import UserError

#: LCM's scheduler settings, which every random pipeline uses.
LCM_SETTINGS: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "original_inference_steps": 50,
    "timestep_scaling": 10.0,
    "prediction_type": "epsilon",
    "set_alpha_to_one": True,
    "clip_sample": False,
}

#: BK-SDM-Tiny's public U-Net, with the guidance embedding that consistency distillation adds.
_BK_SDM_TINY: dict[str, dict[str, Any]] = {
    "unet": {
        "sample_size": 64,
        "block_out_channels": (320, 640, 1280),
        "attention_head_dim": 8,
        "cross_attention_dim": 768,
        "time_cond_proj_dim": 256,
        "norm_num_groups": 32,
    },
    "text": {  # CLIP ViT-L/14
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "projection_dim": 768,
    },
    "vae": {
        "block_out_channels": (128, 256, 512, 512),
        "layers_per_block": 2,
        "sample_size": 512,
        "norm_num_groups": 32,
    },
}

#: The same layout in miniature: a 16x16 latent, a 64x64 image.
_TINY: dict[str, dict[str, Any]] = {
    "unet": {
        "sample_size": 16,
        "block_out_channels": (32, 64, 64),
        "attention_head_dim": 4,
        "cross_attention_dim": 32,
        "time_cond_proj_dim": 32,
        "norm_num_groups": 8,
    },
    "text": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "projection_dim": 32,
    },
    "vae": {
        "block_out_channels": (16, 32, 32),
        "layers_per_block": 1,
        "sample_size": 64,
        "norm_num_groups": 8,
    },
}

RANDOM_PIPELINES: dict[str, dict[str, dict[str, Any]]] = {"bk-sdm-tiny": _BK_SDM_TINY, "tiny": _TINY}


@dataclass
class PipelineSource:
    """The modules of one pipeline, in evaluation mode and float32."""

    text_encoder: CLIPTextModel
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    scheduler: LCMScheduler
    #: A folder or hub id that may hold tokenizer files; None for a random pipeline.
    origin: str | None


def random_pipeline(name: str, seed: int) -> PipelineSource:
    """A pipeline of the architecture `name` whose weights depend on `seed` only."""
    if name not in RANDOM_PIPELINES:
        raise UserError(f"there is no random pipeline '{name}'; choose one of {', '.join(RANDOM_PIPELINES)}")
    config = RANDOM_PIPELINES[name]
    torch.manual_seed(seed)
    levels = len(config["vae"]["block_out_channels"])
    text_config = CLIPTextConfig(
        vocab_size=49408,
        max_position_embeddings=77,
        hidden_act="quick_gelu",
        bos_token_id=49406,
        eos_token_id=49407,
        pad_token_id=49407,
        **config["text"],
    )
    unet = UNet2DConditionModel(
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D",) * 3,
        mid_block_type=None,
        up_block_types=("CrossAttnUpBlock2D",) * 3,
        **config["unet"],
    )
    vae = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        scaling_factor=0.18215,
        **config["vae"],
    )
    return PipelineSource(
        text_encoder=CLIPTextModel(text_config).eval(),
        unet=unet.eval(),
        vae=vae.eval(),
        scheduler=LCMScheduler(**LCM_SETTINGS),
        origin=None,
    )


def load_pipeline(origin: str) -> PipelineSource:
    """The pipeline saved in folder `origin`, or known under that id on the model hub."""
    folder = Path(origin)
    if folder.exists() and not (folder / "model_index.json").is_file():
        raise UserError(f"'{origin}' is not a diffusers pipeline: it has no model_index.json")
    try:
        source = PipelineSource(
            text_encoder=CLIPTextModel.from_pretrained(origin, subfolder="text_encoder", dtype=torch.float32).eval(),
            unet=UNet2DConditionModel.from_pretrained(origin, subfolder="unet", torch_dtype=torch.float32).eval(),
            vae=AutoencoderKL.from_pretrained(origin, subfolder="vae", torch_dtype=torch.float32).eval(),
            scheduler=LCMScheduler.from_pretrained(origin, subfolder="scheduler"),
            origin=origin,
        )
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"cannot load a text encoder, U-Net, VAE and scheduler from '{origin}': {reason}; "
            "give a folder written by save_pretrained, or a hub id that is reachable"
        ) from error
    return source
