"""Where a U-Net's training data comes from: latents (cached, or encoded on the way) and the text encoder's states."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from transformers import CLIPTextModel, CLIPTokenizer

from edgefusion.errors import UserError
from edgefusion.train import latents
from edgefusion.train.data import Batch, DataConfig, Pictures
from edgefusion.train.loop import Source
from edgefusion.train.order import Pick
from edgefusion.train.task import Values
from edgefusion.train.text import token_ids


@dataclasses.dataclass(frozen=True)
class LatentDataConfig:
    """`latents` are caches of `train latents`, of which cache i occurs `repeats[i]` times an epoch; or else `pictures` are
    encoded in each step.
    """

    latents: list[Path] = dataclasses.field(default_factory=list)
    repeats: list[int] = dataclasses.field(default_factory=list)
    pictures: DataConfig | None = None
    #: The share of captions that are replaced by the empty one, so that the U-Net also learns to denoise without (guidance).
    caption_drop: float = 0.1

    def __post_init__(self) -> None:
        if bool(self.latents) == (self.pictures is not None):
            raise ValueError("latents or pictures: give one of them")
        if self.repeats and (len(self.repeats) != len(self.latents) or min(self.repeats) < 1):
            raise ValueError("repeats needs a number of at least 1 for each of latents")
        if not 0 <= self.caption_drop <= 1:
            raise ValueError("caption_drop must be between 0 and 1")


class _EncodedPictures:
    """Pictures' pixels and a caption's token ids."""

    def __init__(self, config: DataConfig, seed: int, tokenizer: CLIPTokenizer, length: int) -> None:
        self._pictures = Pictures(config, seed)
        self._tokenizer, self._length = tokenizer, length

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, picks: Sequence[Pick]) -> Batch:
        ids = token_ids(self._tokenizer, [self._pictures.caption(pick) for pick in picks], self._length)
        return {**self._pictures[picks], "input_ids": ids}


class Conditioning:
    """Turns a batch into latents and text states, with captions dropped at random."""

    def __init__(
        self, vae: AutoencoderKL, text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer, config: LatentDataConfig
    ) -> None:
        self._vae, self._tokenizer, self._config = vae, tokenizer, config
        self._length = text_encoder.config.max_position_embeddings
        self._empty = token_ids(tokenizer, [""], self._length)

    def source(self, seed: int) -> Source:
        """The batches that the configuration describes; UserError for cached latents of another autoencoder or other captions."""
        if self._config.pictures:
            return _EncodedPictures(self._config.pictures, seed, self._tokenizer, self._length)
        latents.check_autoencoder(self._config.latents, self._vae)
        cached = latents.CachedLatents(self._config.latents, seed, self._config.repeats)
        if cached.tokens != self._length:
            raise UserError(
                f"{self._config.latents[0]}: captions of {cached.tokens} tokens, and the text encoder takes {self._length}; "
                "compute the latents again with that max_tokens"
            )
        return cached

    @torch.no_grad()
    def latents(self, batch: Values) -> torch.Tensor:
        """float32 [N, C, h, w], scaled: noise levels would be rounded in the latents' precision."""
        return batch["latents"] if "latents" in batch else latents.encode(self._vae, batch["pixels"]).float()

    def input_ids(self, batch: Values, random: torch.Generator) -> torch.Tensor:
        """[N, L], some replaced by those of the empty caption."""
        ids = batch["input_ids"]
        dropped = torch.rand(len(ids), 1, generator=random) < self._config.caption_drop
        return torch.where(dropped.to(ids.device), self._empty.to(ids.device), ids)

    def empty_ids(self, count: int, device: torch.device) -> torch.Tensor:
        """[count, L] of the empty caption."""
        return self._empty.to(device).expand(count, -1)


def text_states(text_encoder: torch.nn.Module, input_ids: torch.Tensor) -> torch.Tensor:
    """What the U-Net attends to: [N, L, hidden size]."""
    return text_encoder(input_ids=input_ids).last_hidden_state
