"""Composes pictures of scenes: subjects, cut out along their transparency, on drawn backgrounds."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from edgefusion.data import colours, shards
from edgefusion.data.ingest import fit
from edgefusion.data.sample import decode
from edgefusion.data.scenes import Scene, Thing

# Pictures are drawn at twice their size and scaled down, which smooths the edges of what is drawn.
_OVERSAMPLING = 2
_SIZES = {"": 1.0, "small": 0.6, "big": 1.25}


class Library:
    """Subjects with transparency by their caption, from datasets that were ingested with keep_alpha."""

    def __init__(self, datasets: Sequence[Path]) -> None:
        self._pictures: dict[str, list[bytes]] = {}
        for dataset in datasets:
            for sample in shards.read_dataset(dataset):
                if sample.picture is not None:
                    self._pictures.setdefault(sample.caption, []).append(sample.picture)

    @staticmethod
    def load(datasets: Sequence[Path]) -> Library:
        """The library, read once a process while the datasets stay as they are."""
        return _load(tuple((dataset, shards.summary_path(dataset).stat().st_mtime_ns) for dataset in datasets))

    def __contains__(self, name: str) -> bool:
        return name in self._pictures

    def cutout(self, name: str, generator: random.Random) -> Image.Image:
        """A picture of the subject in RGBA; KeyError if there is none."""
        return decode(generator.choice(self._pictures[name])).convert("RGBA")


@functools.lru_cache(maxsize=1)
def _load(datasets: tuple[tuple[Path, int], ...]) -> Library:
    return Library([dataset for dataset, _ in datasets])


class CannotComposeError(ValueError):
    """Why a scene cannot be composed."""


def compose(scene: Scene, library: Library, size: int, generator: random.Random) -> Image.Image:
    """An RGB picture [size, size] of the scene; CannotComposeError if a subject is missing or takes no other colour."""
    canvas = background(scene.background, size * _OVERSAMPLING, generator)
    things = [_cutout(thing, library, generator) for thing in scene.things]
    places = list(_places(scene, generator))
    # What is in front is drawn last.
    for index in reversed(range(len(things))):
        for x, y, extent in places[index]:
            _paste(canvas, things[index], x, y, extent * _SIZES[scene.things[index].size], generator)
    return canvas.resize((size, size), Image.Resampling.LANCZOS)


def _cutout(thing: Thing, library: Library, generator: random.Random) -> Image.Image:
    if thing.subject not in library:
        raise CannotComposeError("no such subject")
    picture = library.cutout(thing.subject, generator)
    if not thing.colour:
        return picture
    recoloured = colours.recolour(picture, thing.colour)
    if recoloured is None:
        raise CannotComposeError("subject takes no other colour")
    return recoloured


def _places(scene: Scene, generator: random.Random) -> Iterator[list[tuple[float, float, float]]]:
    """For each thing the centre and extent of each copy, in parts of the picture's side."""
    if len(scene.things) == 1:
        count = scene.things[0].count
        grid = {1: [(0.5, 0.52)], 2: [(0.27, 0.52), (0.73, 0.52)], 3: [(0.5, 0.28), (0.27, 0.72), (0.73, 0.72)]}
        spots = grid.get(count, [(0.28, 0.28), (0.72, 0.28), (0.28, 0.72), (0.72, 0.72)])
        yield [(x, y, {1: 0.74, 2: 0.44}.get(count, 0.42)) for x, y in spots]
        return
    relation = scene.relation
    if relation in ("next to", "and"):
        relation = generator.choice(("to the left of", "to the right of"))
    yield from {
        "to the left of": ([(0.27, 0.52, 0.46)], [(0.73, 0.52, 0.46)]),
        "to the right of": ([(0.73, 0.52, 0.46)], [(0.27, 0.52, 0.46)]),
        "above": ([(0.5, 0.25, 0.42)], [(0.5, 0.74, 0.46)]),
        "below": ([(0.5, 0.74, 0.46)], [(0.5, 0.25, 0.42)]),
        "on top of": ([(0.5, 0.3, 0.42)], [(0.5, 0.68, 0.52)]),
        "in front of": ([(0.5, 0.66, 0.46)], [(0.5, 0.42, 0.66)]),
    }[relation]


def _paste(canvas: Image.Image, cutout: Image.Image, x: float, y: float, extent: float, generator: random.Random) -> None:
    side = canvas.width
    angle = generator.uniform(-8, 8)
    extent *= generator.uniform(0.92, 1.06)
    placed = fit(
        cutout.convert("RGBa").rotate(angle, Image.Resampling.BICUBIC, expand=True).convert("RGBA"), round(extent * side), 0
    )
    left = round((x + generator.uniform(-0.02, 0.02)) * side - placed.width / 2)
    top = round((y + generator.uniform(-0.02, 0.02)) * side - placed.height / 2)
    canvas.paste(placed, (left, top), placed)


def background(name: str, side: int, generator: random.Random) -> Image.Image:
    """A plain colour, or one of the drawn places of edgefusion.data.scenes, in RGB [side, side]."""
    if name in colours.RGB:
        return Image.new("RGB", (side, side), colours.RGB[name])
    canvas = _gradient(side, *_SKIES[name])
    draw = ImageDraw.Draw(canvas)
    horizon = round(side * generator.uniform(0.5, 0.66))
    if name in _GROUNDS:
        draw.rectangle((0, horizon, side, side), fill=_GROUNDS[name])
    if name == "beach":
        draw.rectangle((0, round(side * 0.45), side, horizon), fill=(58, 134, 196))
    if name in ("sky", "grass"):
        for _ in range(generator.randint(2, 3)):
            _cloud(draw, generator.uniform(0, 1) * side, generator.uniform(0.06, 0.3) * side, side * 0.07)
    spots = {"night": (30, 0.006, (255, 248, 214)), "snow": (40, 0.008, (255, 255, 255)), "water": (14, 0.014, (176, 222, 240))}
    if name in spots:
        count, radius, colour = spots[name]
        for _ in range(count):
            x, y = generator.uniform(0, side), generator.uniform(0, side if name != "night" else side * 0.8)
            draw.ellipse((x - radius * side, y - radius * side, x + radius * side, y + radius * side), fill=colour)
    return canvas


# Colours at the top and at the bottom of the sky (or the water), and of the ground below the horizon.
_SKIES = {
    "grass": ((120, 190, 245), (205, 232, 250)),
    "sky": ((84, 164, 236), (200, 230, 250)),
    "beach": ((120, 196, 246), (214, 238, 250)),
    "night": ((10, 14, 48), (38, 44, 96)),
    "snow": ((176, 206, 232), (220, 234, 244)),
    "desert": ((250, 200, 130), (252, 226, 178)),
    "water": ((48, 146, 206), (10, 62, 128)),
}
_GROUNDS = {"grass": (104, 176, 74), "beach": (236, 212, 150), "snow": (246, 250, 253), "desert": (222, 174, 104)}


def _gradient(side: int, top: tuple[int, ...], bottom: tuple[int, ...]) -> Image.Image:
    column = Image.new("RGB", (1, 2))
    column.putpixel((0, 0), top)
    column.putpixel((0, 1), bottom)
    return column.resize((side, side), Image.Resampling.BILINEAR)


def _cloud(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float) -> None:
    for shift, scale in ((-1.1, 0.7), (0, 1), (1.1, 0.75)):
        centre, extent = x + shift * radius, radius * scale
        draw.ellipse((centre - extent, y - extent * 0.8, centre + extent, y + extent * 0.8), fill=(255, 255, 255))
