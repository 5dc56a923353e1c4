"""One sample of a dataset: an encoded picture, and the fields of its KEY.json."""

from __future__ import annotations

import dataclasses
import io
import re
import struct
import zlib
from typing import Any

from PIL import Image

# Pictures are decoded up to this size (a scan of A0); PIL's own limit would only warn.
MAX_PIXELS = 200_000_000
Image.MAX_IMAGE_PIXELS = None
_SURROGATES = re.compile("[\ud800-\udfff]")


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
    image = in_8_bits(image)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def in_8_bits(image: Image.Image) -> Image.Image:
    """The picture itself, or 16-bit grey scaled to 8 bits, which PIL would clip at 255."""
    if not image.mode.startswith("I;16"):
        return image
    grey = image.point(lambda value: value / 256.0).convert("L")
    # The one transparent value is among 65,536.
    grey.info.pop("transparency", None)
    return grey


def encode(image: Image.Image, extension: str) -> bytes:
    """The picture as PNG, or as JPEG of quality 95 when `extension` is jpg."""
    buffer = io.BytesIO()
    if extension == "jpg":
        image.save(buffer, "JPEG", quality=95)
    else:
        image.save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def encodable(text: str) -> str:
    """`text` with U+FFFD for what UTF-8 cannot hold, such as bytes of a file name in another encoding."""
    return _SURROGATES.sub("\ufffd", text)
