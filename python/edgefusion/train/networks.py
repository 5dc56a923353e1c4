"""The networks of a pipeline, read from folders in diffusers' layout (or from a hub), in float32."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from edgefusion.errors import UserError
from edgefusion.export import tokenizer_files


def _load(kind: Any, origin: str | Path, what: str, **options: Any) -> Any:  # noqa: ANN401 - a class with from_pretrained
    try:
        return kind.from_pretrained(str(origin), **options)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"cannot load {what} from '{origin}': {reason}; give a folder written by save_pretrained") from None


def load_vae(origin: str | Path) -> AutoencoderKL:
    """The autoencoder in folder `origin`, or in its subfolder vae."""
    return _load(AutoencoderKL, origin, "an autoencoder", dtype=torch.float32, **_subfolder(origin, "vae"))


def load_unet(origin: str | Path) -> UNet2DConditionModel:
    """The U-Net in folder `origin`, or in its subfolder unet."""
    return _load(UNet2DConditionModel, origin, "a U-Net", dtype=torch.float32, **_subfolder(origin, "unet"))


def load_text_encoder(origin: str | Path) -> CLIPTextModel:
    """The text encoder in folder `origin`, or in its subfolder text_encoder."""
    return _load(CLIPTextModel, origin, "a text encoder", dtype=torch.float32, **_subfolder(origin, "text_encoder"))


def load_tokenizer(origin: str | Path) -> CLIPTokenizer:
    """The tokenizer in folder `origin`, or in its subfolder tokenizer."""
    return _load(CLIPTokenizer, origin, "a tokenizer", **_subfolder(origin, "tokenizer"))


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Are all weights equal, bit for bit?"""
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(value, theirs[name]) for name, value in ours.items())


def encoder_digest(vae: AutoencoderKL) -> str:
    """Of what a picture's latents depend on: the encoder, and the factor that scales them."""
    digest = hashlib.sha256(repr(vae.config.scaling_factor).encode())
    for name, value in vae.state_dict().items():
        if name.startswith(("encoder.", "quant_conv.")):
            digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def packaged_tokenizer(length: int) -> CLIPTokenizer:
    """CLIP's own tokenizer, for prompts of `length` tokens, from the rules that the package open_clip_torch ships."""
    with tempfile.TemporaryDirectory() as scratch:
        tokenizer_files.write_packaged(Path(scratch))
        return CLIPTokenizer(vocab=f"{scratch}/vocab.json", merges=f"{scratch}/merges.txt", model_max_length=length)


def _subfolder(origin: str | Path, name: str) -> dict[str, str]:
    """A folder that holds the part itself is read as it is; a pipeline's folder or a hub id has it in a subfolder."""
    folder = Path(origin)
    return {} if folder.is_dir() and not (folder / name).is_dir() else {"subfolder": name}
