"""Pictures with captions from datasets (docs/design/training.md), as batches for training.

Samples are found by an index of the shards' members, so any of them can be read at any time; a data set that fits is decoded
once and kept in memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from edgefusion.data import sample, shards
from edgefusion.data.shards import StoredSample
from edgefusion.errors import UserError
from edgefusion.train.order import Pick, pick_generator

Batch = dict[str, torch.Tensor]


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Pictures are scaled so that the shorter side has `size` pixels, and their centre is cut out."""

    datasets: list[Path]
    size: int
    #: A square of this many pixels is cut out at a random place of the picture; 0 takes it whole.
    random_crop: int = 0
    flip: bool = False
    #: Red, green and blue change places in half of the pictures, so that an autoencoder learns all hues alike.
    swap_colours: bool = False
    #: Keep decoded pictures in memory: size x size x 3 bytes each.
    in_memory: bool = True

    def __post_init__(self) -> None:
        if not self.datasets:
            raise ValueError("datasets must name at least one dataset")
        if self.size < 1 or not 0 <= self.random_crop <= self.size:
            raise ValueError("size must be at least 1 and random_crop between 0 and size")

    @property
    def varied(self) -> bool:
        """Does a picture look different each time it is drawn?"""
        return bool(self.random_crop or self.flip or self.swap_colours)


def index_datasets(datasets: Sequence[Path]) -> list[StoredSample]:
    """The samples of `datasets` that have a picture, in order; a UserError where there are none."""
    entries = [entry for dataset in datasets for shard in shards.shard_paths(dataset) for entry in shards.index_shard(shard)]
    if not entries:
        raise UserError(f"{', '.join(map(str, datasets))}: no sample with a picture to train on")
    return entries


def captions_of(entry: StoredSample) -> list[str]:
    """Every caption that may stand for the sample: those of `recaption`, else its one."""
    return entry.fields.get("captions") or [entry.fields["caption"]]


def read_picture(entry: StoredSample, size: int) -> torch.Tensor:
    """The picture, scaled and cut to a square: uint8 [3, size, size]."""
    try:
        image = sample.on_white(sample.decode(entry.picture()))
    except sample.BadPictureError as error:
        raise UserError(
            f"{entry.shard}: the picture of {entry.key} cannot be decoded ({error}); make the dataset again"
        ) from None
    return torch.from_numpy(np.array(_square(image, size))).permute(2, 0, 1).contiguous()


def _square(image: Image.Image, size: int) -> Image.Image:
    if image.size == (size, size):
        return image
    scale = size / min(image.size)
    scaled = image.resize([max(size, round(side * scale)) for side in image.size], Image.Resampling.LANCZOS)
    left, top = (scaled.width - size) // 2, (scaled.height - size) // 2
    return scaled.crop((left, top, left + size, top + size))


class Pictures:
    """The pictures of datasets as batches: `pixels` float32 [N, 3, height, width] in [-1, 1]."""

    def __init__(self, config: DataConfig, seed: int) -> None:
        self.config = config
        self.seed = seed
        self.entries = index_datasets(config.datasets)
        self._decoded: torch.Tensor | None = None
        if config.in_memory:
            self._decoded = torch.stack([read_picture(entry, config.size) for entry in self.entries])

    def __len__(self) -> int:
        return len(self.entries)

    def picture(self, index: int) -> torch.Tensor:
        """uint8 [3, size, size]."""
        return self._decoded[index] if self._decoded is not None else read_picture(self.entries[index], self.config.size)

    def __getitem__(self, picks: Sequence[Pick]) -> Batch:
        pixels = torch.stack([self._augmented(pick) for pick in picks])
        return {"pixels": to_unit_range(pixels)}

    def _augmented(self, pick: Pick) -> torch.Tensor:
        picture, config = self.picture(pick[1]), self.config
        random = pick_generator(self.seed, pick)
        if config.random_crop:
            top, left = random.integers(0, config.size - config.random_crop + 1, 2)
            picture = picture[:, top : top + config.random_crop, left : left + config.random_crop]
        if config.flip and random.random() < 0.5:
            picture = picture.flip(-1)
        if config.swap_colours and random.random() < 0.5:
            picture = picture[random.permutation(3)]
        return picture

    def caption(self, pick: Pick) -> str:
        """One of the sample's captions, drawn anew in each epoch."""
        captions = captions_of(self.entries[pick[1]])
        return captions[int(pick_generator(self.seed, (pick[0], pick[1])).integers(len(captions)))]


def to_unit_range(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 values as float32 in [-1, 1], the range of the VAE."""
    return pixels.float().div_(127.5).sub_(1)
