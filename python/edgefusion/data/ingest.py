"""Ingest: the pairs of a source as a dataset, pictures in RGB on white, captions in one line."""

from __future__ import annotations

import dataclasses
import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from edgefusion.data.executor import Executor, Unit
from edgefusion.data.sample import Sample, encodable, encode, in_8_bits, on_white
from edgefusion.data.sources.base import Pair, Source
from edgefusion.data.sources.emoji import EmojiSource
from edgefusion.data.sources.folder import FolderSource
from edgefusion.data.sources.openclipart import OpenclipartSource
from edgefusion.data.sources.tar import WebdatasetSource
from edgefusion.data.stage import Progress
from edgefusion.data.summary import Counts

# What turns a picture upright, by the orientation that its EXIF data give.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclasses.dataclass(frozen=True)
class IngestConfig:
    """One of the sources, and how its pictures are stored.

    `size`: trimmed to what is not transparent, scaled and centred on a white square of that many pixels; otherwise as found, but
    scaled down to at most `max_side`. `keep_alpha` keeps transparency, for the compositor's subjects. A caption of more than
    `max_caption` characters is cut at a word, and kept whole as `caption_original`.
    """

    output: Path
    emoji: EmojiSource | None = None
    openclipart: OpenclipartSource | None = None
    folder: FolderSource | None = None
    webdataset: WebdatasetSource | None = None
    shard_size: int = 1000
    size: int | None = None
    margin: float = 0.03
    max_side: int = 1024
    keep_alpha: bool = False
    max_caption: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.sources()) != 1:
            raise ValueError("sources: exactly one of emoji, openclipart, folder, webdataset is given")
        if self.shard_size < 1 or self.max_side < 1 or self.max_caption < 1 or (self.size is not None and self.size < 1):
            raise ValueError("shard_size, size, max_side and max_caption: at least 1")
        if not 0 <= self.margin < 0.5:
            raise ValueError("margin: a part of the side, from 0 to below 0.5")

    def sources(self) -> list[Source]:
        return [source for source in (self.emoji, self.openclipart, self.folder, self.webdataset) if source is not None]


@dataclasses.dataclass(frozen=True)
class Ingest:
    """The stage; see IngestConfig."""

    config: IngestConfig
    name = "ingest"

    def units(self) -> list[Unit]:
        return self.config.sources()[0].units(self.config.shard_size)

    def prepare(self, executor: Executor, progress: Progress | None) -> None:
        """Nothing: a source is read unit by unit."""

    def samples(self, unit: Unit, counts: Counts) -> Iterator[Sample]:
        seen: set[str] = set()
        for pair in self.config.sources()[0].pairs(unit, counts):
            # In a tar, a key ends at the first point, and a slash would make folders.
            pair = dataclasses.replace(pair, key=re.sub(r"[^\w-]", "_", pair.key))
            if pair.key in seen:
                counts.drop(pair.key, "repeated key")
                continue
            seen.add(pair.key)
            sample = self._sample(pair, counts)
            if sample:
                yield sample

    def _sample(self, pair: Pair, counts: Counts) -> Sample | None:
        whole = " ".join(pair.caption.split())
        if not whole:
            counts.drop(pair.key, "no caption")
            return None
        fields = {"keywords": [], **pair.fields, "caption": cut_at_word(whole, self.config.max_caption)}
        if fields["caption"] != whole:
            fields["caption_original"] = whole
            counts.note("caption cut")
        if min(pair.image.size) < 1:
            counts.drop(pair.key, "corrupt picture", "no pixels")
            return None
        image = self._placed(pair.image)
        fields = _encodable(fields, counts)
        fields |= {"width": image.width, "height": image.height}
        if image is pair.image and pair.encoded and image.mode == "RGB" and image.format in ("JPEG", "PNG"):
            return Sample(pair.key, fields, pair.encoded, "jpg" if image.format == "JPEG" else "png")
        extension = "jpg" if pair.image.format == "JPEG" else "png"
        return Sample(pair.key, fields, encode(image, extension), extension)

    def _placed(self, image: Image.Image) -> Image.Image:
        image = in_8_bits(upright(image))
        if self.config.size is None:
            image = shrink(image, self.config.max_side)
        else:
            image = fit(image.convert("RGBA"), self.config.size, self.config.margin)
        return image.convert("RGBA") if self.config.keep_alpha else on_white(image)


def _encodable(fields: dict[str, Any], counts: Counts) -> dict[str, Any]:
    """The fields with U+FFFD for what UTF-8 cannot hold, which is noted."""
    text = json.dumps(fields, ensure_ascii=False)
    if encodable(text) == text:
        return fields
    counts.note("text that is not Unicode")
    return json.loads(encodable(text))


def upright(image: Image.Image) -> Image.Image:
    """The picture itself, or turned as its EXIF data say that it is to be looked at."""
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    except (SyntaxError, ValueError, struct.error):
        # Damaged EXIF data say nothing.
        return image
    return image if turn is None else image.transpose(turn)


def cut_at_word(text: str, limit: int) -> str:
    """`text` in at most `limit` characters, cut after a word where it has one."""
    if len(text) <= limit:
        return text
    return text[: limit + 1].rpartition(" ")[0].rstrip() or text[:limit]


def shrink(image: Image.Image, max_side: int) -> Image.Image:
    """The picture itself, or scaled down so that its longer side has `max_side` pixels."""
    if max(image.size) <= max_side:
        return image
    scale = max_side / max(image.size)
    size = tuple(max(1, round(side * scale)) for side in image.size)
    if image.mode in ("P", "1"):
        image = image.convert("RGBA")
    scaled = image.resize(size, Image.Resampling.LANCZOS)
    scaled.format = image.format
    return scaled


def fit(image: Image.Image, size: int, margin: float) -> Image.Image:
    """What is not transparent of an RGBA picture, scaled to a square of `size` pixels, a part `margin` of it on each side."""
    # Soft shadows do not count as subject.
    box = image.getchannel("A").point(lambda alpha: 255 if alpha > 8 else 0).getbbox()
    subject = image.crop(box) if box else image
    scale = size * (1 - 2 * margin) / max(subject.size)
    width, height = (max(1, round(side * scale)) for side in subject.size)
    # Scaled with premultiplied alpha, or the colour of what is transparent would bleed into the edges.
    scaled = subject.convert("RGBa").resize((width, height), Image.Resampling.LANCZOS).convert("RGBA")
    square = Image.new("RGBA", (size, size), (255, 255, 255, 0))
    square.paste(scaled, ((size - width) // 2, (size - height) // 2))
    return square
