"""Crops pictures to squares that keep the subject, and scales them to the training's size."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from PIL import Image

from edgefusion.data import detectors
from edgefusion.data.sample import Sample
from edgefusion.data.stage import SampleStage
from edgefusion.data.summary import Counts


@dataclasses.dataclass(frozen=True)
class CropConfig:
    """`size`: side of the square written, in pixels. `detector`: what finds the subject (see edgefusion.data.detectors).

    Two keys count only on a plain background. `smallest`: the least side of the crop, as a part of the picture's shorter side;
    below 1 a small subject is zoomed in on, with `margin` (a part of the subject) around it. `pad`: a subject longer than the
    picture's shorter side keeps both ends, on the background's colour; otherwise the crop lies at its middle. `min_subject`: a
    picture whose subject is smaller than this part of its area is dropped as empty.
    """

    input: list[Path]
    output: Path
    size: int = 512
    detector: str = "saliency"
    smallest: float = 1.0
    margin: float = 0.05
    pad: bool = False
    min_subject: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError("size: at least 1")
        if not 0 < self.smallest <= 1:
            raise ValueError("smallest: above 0, up to 1")
        if self.margin < 0 or not 0 <= self.min_subject < 1:
            raise ValueError("margin and min_subject: not negative, min_subject below 1")
        detectors.check(self.detector)


@dataclasses.dataclass(frozen=True)
class Crop(SampleStage):
    """The stage; see CropConfig."""

    config: CropConfig
    name = "crop"

    def apply(self, sample: Sample, counts: Counts) -> Sample | None:
        image = sample.image()
        box = detectors.load(self.config.detector).subject(image, sample.caption)
        if box is None or (box[2] - box[0]) * (box[3] - box[1]) < self.config.min_subject * image.width * image.height:
            counts.drop(sample.key, "no subject")
            return None
        # On any other background what a detector finds is too uncertain to cut all else away.
        plain = detectors.plain_background(np.asarray(image)) is not None
        smallest = self.config.smallest if plain else 1.0
        window = square_around(image.size, box, smallest, self.config.margin, self.config.pad and plain)
        crop = cut(image, window).resize((self.config.size, self.config.size), Image.Resampling.LANCZOS)
        return sample.with_image(crop, crop=list(window))


def square_around(
    size: tuple[int, int], box: detectors.Box, smallest: float, margin: float, pad: bool
) -> tuple[int, int, int, int]:
    """The square (left, top, right, bottom) of a picture of `size` that keeps `box`; outside the picture only if `pad`.

    As large as the shorter side, or down to `smallest` of it while `box` with its margin fits; centred on the box as far as the
    picture reaches.
    """
    shorter = min(size)
    needed = max(box[2] - box[0], box[3] - box[1]) * (1 + 2 * margin)
    wanted = max(needed, smallest * shorter)
    side = max(1, round(wanted if pad else min(wanted, shorter)))
    corners = []
    for length, low, high in ((size[0], box[0], box[2]), (size[1], box[1], box[3])):
        start = round((low + high - side) / 2)
        corners.append(min(max(start, 0), length - side) if side <= length else start)
    return corners[0], corners[1], corners[0] + side, corners[1] + side


def cut(image: Image.Image, window: tuple[int, int, int, int]) -> Image.Image:
    """The window of the picture; what lies outside has the colour of the picture's border."""
    left, top, right, bottom = window
    if left >= 0 and top >= 0 and right <= image.width and bottom <= image.height:
        return image.crop(window)
    colour = tuple(int(channel) for channel in detectors.border_colour(np.asarray(image)))
    square = Image.new("RGB", (right - left, bottom - top), colour)
    square.paste(image, (-left, -top))
    return square
