"""`edgefusion train latents`: pictures as latents and captions as token ids, computed once and read by every later training.

    CACHE/part-00000.safetensors  latents float32 [n, C, h, w]; counts int32 [n], the captions of each picture;
                                  ids int32 [m, L], the tokens of all captions
    CACHE/latents.json            the configuration, how many pictures there are, and digests of autoencoder and datasets

Latents are as the U-Net sees them: the mean of the autoencoder's posterior times its scaling factor.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save
from transformers import CLIPTokenizer

from edgefusion import configuration, files
from edgefusion.data import stage
from edgefusion.errors import UserError
from edgefusion.train import machine
from edgefusion.train.data import Batch, DataConfig, Pictures, captions_of, to_unit_range
from edgefusion.train.networks import encoder_digest, load_tokenizer, load_vae
from edgefusion.train.order import Pick, pick_generator
from edgefusion.train.progress import say
from edgefusion.train.text import token_ids

_PART = 1024
_RECORD, _AUTOENCODER = "latents.json", "autoencoder"


@dataclasses.dataclass(frozen=True)
class LatentsConfig:
    """`tokenizer` is its folder, or that of a pipeline; `max_tokens` is the length that the text encoder takes."""

    output: Path
    data: DataConfig
    vae: Path
    tokenizer: Path
    max_tokens: int = 77
    batch_size: int = 16
    threads: int = 0

    def __post_init__(self) -> None:
        if self.data.varied:
            raise ValueError("data.flip, random_crop and swap_colours: a cache holds one view of each picture; leave them out")
        if self.batch_size < 1 or self.max_tokens < 2:
            raise ValueError("batch_size must be at least 1, max_tokens at least 2")


def encode(vae: AutoencoderKL, pixels: torch.Tensor) -> torch.Tensor:
    """Latents [N, C, h, w] as the U-Net sees them, of pixels [N, 3, H, W] in [-1, 1]."""
    return vae.encode(pixels).latent_dist.mode() * vae.config.scaling_factor


def run(config: LatentsConfig) -> int:
    """Writes the cache `config.output`, going on after the parts that are there; returns how many pictures it holds."""
    machine.prepare(config.threads)
    vae, tokenizer = load_vae(config.vae).eval(), load_tokenizer(config.tokenizer)
    described = {
        "configuration": configuration.as_dict(config),
        _AUTOENCODER: encoder_digest(vae),
        "datasets": [stage.state(dataset) for dataset in config.data.datasets],
    }
    _claim(config.output, described)
    vae.to(PartialState().device)
    pictures = Pictures(dataclasses.replace(config.data, in_memory=False), seed=0)
    for part, first in enumerate(range(0, len(pictures), _PART)):
        path = config.output / f"part-{part:05d}.safetensors"
        last = min(first + _PART, len(pictures))
        if not path.is_file():
            _write_part(path, config, vae, tokenizer, pictures, range(first, last))
        say(f"latents: {last:,} of {len(pictures):,} pictures", passing=last < len(pictures))
    files.write_json(config.output / _RECORD, {**described, "pictures": len(pictures)})
    return len(pictures)


def _claim(output: Path, described: dict[str, Any]) -> None:
    """Makes `output` the folder of this cache; UserError if it holds anything else."""
    record = output / ".configuration.json"
    if record.is_file():
        if json.loads(record.read_text(encoding="utf-8")) != described:
            raise UserError(
                f"{output}: holds latents of another configuration, autoencoder or dataset; choose another output or remove it"
            )
    elif output.is_dir() and any(output.iterdir()):
        raise UserError(f"{output}: not empty and not a cache of latents; choose another output")
    files.remove_partials(output)
    files.write_json(record, described)


@torch.inference_mode()
def _write_part(
    path: Path, config: LatentsConfig, vae: AutoencoderKL, tokenizer: CLIPTokenizer, pictures: Pictures, chosen: range
) -> None:
    latents, captions, counts = [], [], []
    for first in range(chosen.start, chosen.stop, config.batch_size):
        batch = range(first, min(first + config.batch_size, chosen.stop))
        pixels = to_unit_range(torch.stack([pictures.picture(index) for index in batch]))
        latents.append(encode(vae, pixels.to(vae.device)).float().cpu())
    for index in chosen:
        texts = captions_of(pictures.entries[index])
        captions += texts
        counts.append(len(texts))
    ids = token_ids(tokenizer, captions, config.max_tokens)
    tensors = {"latents": torch.cat(latents).contiguous(), "ids": ids.int(), "counts": torch.tensor(counts, dtype=torch.int32)}
    files.write_whole(path, lambda stream: stream.write(save(tensors)))


class CachedLatents:
    """Batches from caches: `latents` float32 [N, C, h, w], and `input_ids` int64 [N, L] of a caption drawn in each epoch.

    The pictures of cache i occur `repeats[i]` times an epoch (default: once).
    """

    def __init__(self, caches: Sequence[Path], seed: int, repeats: Sequence[int] = ()) -> None:
        parts = [(part, cache) for cache in caches for part in _parts(cache)]
        try:
            self.latents = torch.cat([part["latents"] for part, _ in parts])
            self._ids = torch.cat([part["ids"] for part, _ in parts])
        except RuntimeError:
            raise UserError(f"{', '.join(map(str, caches))}: latents or token ids of different sizes") from None
        self._counts = torch.cat([part["counts"] for part, _ in parts]).long().tolist()
        self._starts = [0, *torch.tensor(self._counts).cumsum(0).tolist()]
        self._seed = seed
        times = dict(zip(caches, repeats, strict=True)) if repeats else dict.fromkeys(caches, 1)
        per_picture = [times[cache] for part, cache in parts for _ in range(len(part["latents"]))]
        self._order = torch.arange(len(self.latents)).repeat_interleave(torch.tensor(per_picture)).tolist()

    @property
    def tokens(self) -> int:
        """Tokens of a caption."""
        return self._ids.shape[1]

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, picks: Sequence[Pick]) -> Batch:
        indices = [self._order[index] for _, index in picks]
        captions = []
        for pick, index in zip(picks, indices, strict=True):
            count = self._counts[index]
            captions.append(self._starts[index] + (int(pick_generator(self._seed, pick).integers(count)) if count > 1 else 0))
        return {"latents": self.latents[indices], "input_ids": self._ids[captions].long()}


def _record(cache: Path) -> dict[str, Any]:
    try:
        return json.loads((cache / _RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{cache}: not a complete cache of latents; `edgefusion train latents` writes one") from None


def check_autoencoder(caches: Sequence[Path], vae: AutoencoderKL) -> None:
    """UserError if the latents in one of `caches` are not those of `vae`."""
    expected = encoder_digest(vae)
    for cache in caches:
        if _record(cache).get(_AUTOENCODER) != expected:
            raise UserError(f"{cache}: latents of another autoencoder than the one given; compute them again with that")


def _parts(cache: Path) -> list[dict[str, torch.Tensor]]:
    _record(cache)
    return [load_file(path) for path in sorted(cache.glob("part-*.safetensors"))]
