"""One sample of a dataset: an encoded picture, and the fields of its KEY.json."""

from __future__ import annotations

import dataclasses
import io
import struct
import zlib
from typing import Any

from PIL import Image

# Pictures are decoded up to this size (a scan of A0); PIL's own limit would only warn.
MAX_PIXELS = 200_000_000
Image.MAX_IMAGE_PIXELS = None


class BadPictureError(ValueError):
    """The bytes are no picture that can be decoded whole."""


@dataclasses.dataclass
class Sample:
    """A picture as PNG or JPEG bytes (none for a prompt that has no picture yet), with its fields.

    `fields` hold what docs/design/training.md lists (caption, keywords, source, license, width, height) and what stages add.
    """

    key: str
    fields: dict[str, Any]
    picture: bytes | None = None
    extension: str = "png"

    @property
    def caption(self) -> str:
        return self.fields["caption"]

    def image(self) -> Image.Image:
        """The decoded picture in RGB; BadPictureError if it cannot be decoded."""
        if self.picture is None:
            raise BadPictureError(f"{self.key} has no picture")
        return on_white(decode(self.picture))

    def with_image(self, image: Image.Image, **fields: Any) -> Sample:  # noqa: ANN401 - JSON values
        """The same sample with another picture, and with `fields` added or replaced."""
        data = {**self.fields, **fields, "width": image.width, "height": image.height}
        return Sample(self.key, data, encode(image, self.extension), self.extension)


def decode(data: bytes) -> Image.Image:
    """The picture in `data`, in whatever mode it has; BadPictureError if it is none, is cut short or is unreasonably large."""
    try:
        image = Image.open(io.BytesIO(data))
        if image.width * image.height > MAX_PIXELS:
            raise BadPictureError(f"{image.width} x {image.height} pixels, more than the {MAX_PIXELS:,} that are decoded")
        image.load()
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, struct.error, zlib.error) as error:
        raise BadPictureError(str(error)) from None
    return image


def on_white(image: Image.Image) -> Image.Image:
    """The picture in RGB, with what is transparent placed on white."""
    if image.mode == "RGB":
        return image
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    if image.mode.startswith("I;16"):
        # PIL converts 16-bit grey by clipping at 255.
        image = image.point(lambda value: value / 256.0).convert("L")
    return image.convert("RGB")


def encode(image: Image.Image, extension: str) -> bytes:
    """The picture as PNG, or as JPEG of quality 95 when `extension` is jpg."""
    buffer = io.BytesIO()
    if extension == "jpg":
        image.save(buffer, "JPEG", quality=95)
    else:
        image.save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()
