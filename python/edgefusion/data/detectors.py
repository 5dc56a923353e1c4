"""Where the subject of a picture is, as a box (left, top, right, bottom) in pixels.

`center`: the whole picture, so that the crop is the middle one. `saliency`: what differs from a plain background where there is
one, else where the spectral residual of the picture is large. `objects:MODEL`: the boxes of a transformers object-detection model
(a folder or hub id), those whose labels the caption names if there are any.
"""

from __future__ import annotations

import functools
from typing import Any, Protocol

import numpy as np
from PIL import Image
from scipy import ndimage

from edgefusion.errors import UserError

Box = tuple[int, int, int, int]

# Levels of 255 by which a pixel differs from a plain background, and by which that itself may vary along the border.
_DIFFERENCE = 24
_PLAIN = 0.9


class Detector(Protocol):
    """Finds the subject of an RGB picture; None if there is nothing to see."""

    def subject(self, image: Image.Image, caption: str) -> Box | None: ...


class Center:
    """Every picture is its own subject."""

    def subject(self, image: Image.Image, caption: str) -> Box | None:
        return 0, 0, image.width, image.height


class Saliency:
    """Plain background or spectral residual; needs no weights."""

    def subject(self, image: Image.Image, caption: str) -> Box | None:
        pixels = np.asarray(image)
        background = plain_background(pixels)
        if background is not None:
            return _box(_differs(pixels, background))
        saliency = spectral_residual(pixels)
        return _box(saliency > saliency.mean() + saliency.std()) or (0, 0, image.width, image.height)


class Objects:
    """A transformers object-detection model."""

    def __init__(self, model: str) -> None:
        from transformers import pipeline

        try:
            self._pipeline = pipeline("object-detection", model=model)
        except (OSError, ValueError, ImportError) as error:
            raise UserError(f"detector objects:{model}: cannot be loaded: {str(error).strip().splitlines()[0]}") from None

    def subject(self, image: Image.Image, caption: str) -> Box | None:
        found: list[dict[str, Any]] = self._pipeline(image)
        named = [item for item in found if item["label"].lower() in caption.lower()]
        boxes = [item["box"] for item in named or found]
        if not boxes:
            return 0, 0, image.width, image.height
        return (
            max(0, min(int(box["xmin"]) for box in boxes)),
            max(0, min(int(box["ymin"]) for box in boxes)),
            min(image.width, max(int(box["xmax"]) for box in boxes)),
            min(image.height, max(int(box["ymax"]) for box in boxes)),
        )


def check(name: str) -> None:
    """ValueError if there is no detector `name`."""
    if name not in ("center", "saliency") and not name.startswith("objects:"):
        raise ValueError(f"detector: expected center, saliency or objects:MODEL, found {name}")


@functools.lru_cache(maxsize=2)
def load(name: str) -> Detector:
    """The detector `name`, loaded once a process."""
    check(name)
    if name.startswith("objects:"):
        return Objects(name.removeprefix("objects:"))
    return Center() if name == "center" else Saliency()


def border_colour(pixels: np.ndarray) -> np.ndarray:
    """The median colour [3] of the outermost pixels of [height, width, 3]."""
    return np.median(_border(pixels), axis=0)


def plain_background(pixels: np.ndarray) -> np.ndarray | None:
    """The colour [3] of the background of [height, width, 3], if nine tenths of the border have it; else None."""
    border = _border(pixels)
    colour = np.median(border, axis=0)
    return colour if np.mean(np.abs(border - colour).max(axis=1) <= _DIFFERENCE) >= _PLAIN else None


def spectral_residual(pixels: np.ndarray) -> np.ndarray:
    """Saliency [height, width] in [0, 1] by Hou & Zhang 2007: the log spectrum at 64 pixels, less its local mean."""
    height, width = pixels.shape[:2]
    small = Image.fromarray(pixels).convert("L").resize((64, 64), Image.Resampling.BOX)
    spectrum = np.fft.fft2(np.asarray(small, np.float64))
    logarithm = np.log(np.abs(spectrum) + 1e-9)
    residual = logarithm - ndimage.uniform_filter(logarithm, 3, mode="wrap")
    saliency = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    saliency = ndimage.gaussian_filter(saliency, 2.5)
    saliency /= saliency.max() + 1e-30
    return np.asarray(Image.fromarray(saliency.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR))


def subject_mask(image: Image.Image) -> np.ndarray:
    """True [height, width] where an RGB picture differs from its plain background; all true if it has none."""
    pixels = np.asarray(image)
    background = plain_background(pixels)
    return np.ones(pixels.shape[:2], bool) if background is None else _differs(pixels, background)


def _border(pixels: np.ndarray) -> np.ndarray:
    sides = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
    return np.concatenate([side.reshape(-1, 3) for side in sides]).astype(np.float64)


def _differs(pixels: np.ndarray, colour: np.ndarray) -> np.ndarray:
    return np.abs(pixels.astype(np.float64) - colour).max(axis=2) > _DIFFERENCE


def _box(mask: np.ndarray) -> Box | None:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
