"""Tiny datasets and pipelines, in the layouts of the real ones, for the tests of `edgefusion train`."""

from __future__ import annotations

from pathlib import Path

import torch
from data_samples import picture, sample, write_dataset
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from edgefusion.train import pipeline
from edgefusion.train.config import LoopConfig
from edgefusion.train.diffusion import Prediction
from edgefusion.train.networks import packaged_tokenizer

#: Pixels of a side; Stable Diffusion's autoencoder has an eighth of them in its latents, its U-Net another eighth inside.
SIZE = 64
TOKENS = 16


def dataset(folder: Path, count: int = 10) -> Path:
    """Coloured shapes, two captions each."""
    samples = [
        sample(f"s{index}", picture(index, (SIZE, SIZE)), captions=[f"a thing number {index}", f"picture {index}"])
        for index in range(count)
    ]
    return write_dataset(folder, samples, shard_size=6)


def text_encoder(tokens: int = TOKENS) -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=49408,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=tokens,
            bos_token_id=49406,
            eos_token_id=49407,
            pad_token_id=49407,
        )
    )


def vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(4, 4, 8, 8),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=SIZE,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        scaling_factor=0.18215,
    )


def unet(inner_attention: bool = True) -> UNet2DConditionModel:
    """Stable Diffusion 1's layout: four levels, two layers each, the innermost without attention, a mid block."""
    attention = [True, True, inner_attention, False]
    return UNet2DConditionModel(
        sample_size=SIZE // 8,
        block_out_channels=(8, 16, 24, 24),
        layers_per_block=2,
        norm_num_groups=4,
        attention_head_dim=2,
        cross_attention_dim=16,
        down_block_types=tuple("CrossAttnDownBlock2D" if has else "DownBlock2D" for has in attention),
        up_block_types=tuple("CrossAttnUpBlock2D" if has else "UpBlock2D" for has in reversed(attention)),
    )


def write_pipeline(folder: Path, seed: int = 0, prediction: Prediction = "epsilon", tokens: int = TOKENS) -> Path:
    """A random diffusion pipeline whose weights depend on the seed."""
    torch.manual_seed(seed)
    parts = pipeline.Parts(vae(), text_encoder(tokens), packaged_tokenizer(tokens), unet())
    pipeline.write(parts, pipeline.ddim_scheduler(prediction), folder)
    return folder


def loop(steps: int = 4, **keys: object) -> LoopConfig:
    """A loop of few small steps in one thread."""
    return LoopConfig(**{"steps": steps, "batch_size": 2, "learning_rate": 1e-3, "threads": 1, **keys})


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor of the safetensors files below `folder`."""
    from safetensors.torch import load_file

    files = sorted(folder.rglob("*.safetensors"))
    assert files
    return {f"{path.relative_to(folder)}:{name}": value for path in files for name, value in load_file(path).items()}


def assert_same_weights(one: Path, other: Path) -> None:
    """Bit for bit."""
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    different = [name for name, value in ours.items() if not torch.equal(value, theirs[name])]
    assert not different
