"""Small pictures and datasets for the tests of `edgefusion data`."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from edgefusion import files
from edgefusion.data import shards
from edgefusion.data.sample import Sample, encode
from edgefusion.data.summary import Counts, Summary


def picture(seed: int, size: tuple[int, int] = (64, 64)) -> Image.Image:
    """Coloured shapes on white, different for each seed."""
    generator = np.random.default_rng(seed)
    image = Image.new("RGB", size, (255, 255, 255))
    draw = ImageDraw.Draw(image)
    for _ in range(4):
        x, y = generator.integers(0, np.array(size) * 3 // 4)
        width, height = generator.integers(6, 1 + np.array(size) // 2)
        shape = draw.ellipse if generator.random() < 0.5 else draw.rectangle
        shape(
            (int(x), int(y), int(x + width), int(y + height)), fill=tuple(int(value) for value in generator.integers(0, 220, 3))
        )
    return image


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def sample(key: str, image: Image.Image, caption: str = "a thing", **fields: object) -> Sample:
    known = {
        "caption": caption,
        "keywords": [],
        "source": f"test/{key}",
        "license": "test",
        "width": image.width,
        "height": image.height,
    }
    return Sample(key, {**known, **fields}, encode(image, "png"))


def write_dataset(folder: Path, samples: list[Sample], shard_size: int = 10) -> Path:
    """A complete dataset of the samples."""
    starts = range(0, len(samples), shard_size)
    for index, start in enumerate(starts):
        shards.write_shard(shards.shard_path(folder, index), samples[start : start + shard_size])
    counts = Counts(read=len(samples), written=len(samples))
    contents = " ".join(shards.digest(path) for path in sorted(folder.glob("shard-*.tar")))
    files.write_json(folder / shards.SUMMARY, Summary("test", {}, len(starts), counts, contents).as_dict())
    return folder


def write_folder(folder: Path, count: int, seed: int = 0) -> Path:
    """Pictures with captions beside them, as image-text folders have them."""
    folder.mkdir(parents=True)
    for index in range(count):
        (folder / f"{index:04d}.png").write_bytes(png(picture(seed + index)))
        (folder / f"{index:04d}.txt").write_text(f"picture number {index}", encoding="utf-8")
    return folder


def contents(dataset: Path) -> dict[str, tuple[dict, bytes | None]]:
    """Fields and encoded picture of every sample by key; keys must be unique."""
    read = list(shards.read_dataset(dataset))
    assert len({item.key for item in read}) == len(read)
    return {item.key: (item.fields, item.picture) for item in read}
