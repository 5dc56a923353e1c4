"""The names of colours, and which of them a picture's subject has."""

from __future__ import annotations

import numpy as np
from PIL import Image

from edgefusion.data.detectors import subject_mask

#: Hue in degrees up to which a saturated colour has a name, going round the circle.
_HUES = ((14, "red"), (40, "orange"), (68, "yellow"), (165, "green"), (258, "blue"), (295, "purple"), (343, "pink"), (361, "red"))
NAMES = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey")
#: Plain colours for backgrounds, and the hue and saturation (0 to 1) that a subject takes when it is coloured anew.
RGB = {
    "red": (214, 54, 48),
    "orange": (243, 146, 44),
    "yellow": (250, 214, 74),
    "green": (86, 170, 84),
    "blue": (66, 133, 214),
    "purple": (142, 84, 190),
    "pink": (244, 158, 196),
    "brown": (133, 94, 66),
    "black": (38, 38, 40),
    "white": (255, 255, 255),
    "grey": (150, 152, 156),
}
_DOMINANT = 0.55


def name_pixels(pixels: np.ndarray) -> np.ndarray:
    """For uint8 RGB [count, 3] the index in NAMES of each pixel's colour."""
    hsv = np.asarray(Image.fromarray(pixels[None]).convert("HSV"), np.float64)[0]
    hue, saturation, value = hsv[:, 0] * 360 / 255, hsv[:, 1] / 255, hsv[:, 2] / 255
    limits = [limit for limit, _ in _HUES]
    named = np.array([NAMES.index(name) for _, name in _HUES])[np.searchsorted(limits, hue, side="right")]
    warm = (hue < 45) | (hue > 343)
    named[warm & (value < 0.62) & (value >= 0.2) & (saturation < 0.85)] = NAMES.index("brown")
    named[((hue < 14) | (hue > 330)) & (saturation < 0.5) & (value > 0.8)] = NAMES.index("pink")
    grey = saturation < 0.18
    named[grey] = NAMES.index("grey")
    named[grey & (value > 0.9)] = NAMES.index("white")
    named[value < 0.2] = NAMES.index("black")
    return named


def dominant(image: Image.Image) -> str | None:
    """The name of the colour that most of the subject has; None when it has several. Black outlines do not count."""
    mask = subject_mask(image)
    pixels = np.asarray(image)[mask]
    if len(pixels) == 0:
        return None
    shares = np.bincount(name_pixels(pixels), minlength=len(NAMES)) / len(pixels)
    black = NAMES.index("black")
    if shares[black] < 0.5:
        shares[black] = 0
    best = int(shares.argmax())
    return NAMES[best] if shares[best] >= _DOMINANT * shares.sum() else None


def recolour(image: Image.Image, name: str) -> Image.Image | None:
    """An RGBA picture in another colour: its coloured parts take the hue of `name`, light and shade and what is grey stay.

    None for a picture that is mostly grey, white or black, which would not come out in that colour.
    """
    hsv = np.array(image.convert("RGB").convert("HSV"))
    target = np.asarray(Image.new("RGB", (1, 1), RGB[name]).convert("HSV"))[0, 0]
    # Of 255: below this saturation, or this dark, a colour has no hue to speak of.
    coloured = (hsv[..., 1] > 46) & (hsv[..., 2] > 40)
    visible = np.asarray(image.getchannel("A")) > 127
    if np.count_nonzero(coloured & visible) < _DOMINANT * np.count_nonzero(visible):
        return None
    hsv[..., 0][coloured] = target[0]
    hsv[..., 1][coloured] = (hsv[..., 1][coloured].astype(np.uint16) + target[1]) // 2
    result = Image.fromarray(hsv, "HSV").convert("RGB")
    result.putalpha(image.getchannel("A"))
    return result
