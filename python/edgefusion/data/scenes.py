"""Scenes: what a synthetic picture shows, as data, so that a prompt can be written from it and a picture composed of it."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

from edgefusion.data import colours
from edgefusion.data.caption_grammar import with_article

#: Where the first of two objects is, seen from the second.
RELATIONS = ("next to", "to the left of", "to the right of", "above", "below", "on top of", "in front of", "and")
#: Backgrounds with a place of their own; plain ones are named by their colour.
PLACES = {
    "on the grass": "grass",
    "in the sky": "sky",
    "at the beach": "beach",
    "at night": "night",
    "in the snow": "snow",
    "in the desert": "desert",
    "under water": "water",
}
PLAIN = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "grey", "black")
_PAINTS = ("red", "orange", "yellow", "green", "blue", "purple", "pink")
_NUMBERS = {2: "two", 3: "three", 4: "four"}
_SIZES = ("small", "big")


@dataclasses.dataclass(frozen=True)
class Thing:
    """`count` copies of the library's `subject`, repainted in `colour` if there is one; `size` is "", "small" or "big"."""

    subject: str
    colour: str = ""
    size: str = ""
    count: int = 1


@dataclasses.dataclass(frozen=True)
class Scene:
    """One or two things, the relation of the first to the second, and a background: a place, a plain colour, or "white"."""

    things: tuple[Thing, ...]
    relation: str = ""
    background: str = "white"

    def as_dict(self) -> dict[str, Any]:
        return {
            "things": [dataclasses.asdict(thing) for thing in self.things],
            "relation": self.relation,
            "background": self.background,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Scene:
        """The scene that as_dict gave; KeyError, TypeError or ValueError for other values."""
        scene = cls(tuple(Thing(**thing) for thing in values["things"]), values["relation"], values["background"])
        if not 1 <= len(scene.things) <= 2 or (len(scene.things) == 2) != (scene.relation in RELATIONS):
            raise ValueError("a scene has one thing, or two with a relation")
        return scene

    def prompt(self) -> str:
        """The scene in words."""
        text = f" {self.relation} ".join(_phrase(thing) for thing in self.things)
        if self.background == "white":
            return text
        place = next((words for words, name in PLACES.items() if name == self.background), None)
        return f"{text} {place or f'on {with_article(self.background)} background'}"


def random_scene(subjects: list[str], generator: random.Random) -> Scene:
    """A scene with subjects drawn from `subjects`: alone on a background, repainted, several, or two in a relation."""
    kind = generator.choices(("place", "paint", "number", "pair"), (3, 3, 1, 4))[0]
    background = generator.choice(("white", "white", *PLAIN, *PLACES.values()))
    first = generator.choice(subjects)
    if kind == "pair":
        second = generator.choice([subject for subject in subjects if subject != first] or [first])
        things = [Thing(first, size=generator.choice(("", "", "", *_SIZES))), Thing(second)]
        things[0], things[1] = (_painted(thing, background, generator, 0.25) for thing in things)
        return Scene(tuple(things), generator.choice(RELATIONS), background)
    if kind == "number":
        return Scene((_painted(Thing(first, count=generator.choice((2, 2, 3, 4))), background, generator, 0.2),), "", background)
    if kind == "paint":
        return Scene((_painted(Thing(first), background, generator, 1.0),), "", background)
    return Scene((Thing(first, size=generator.choice(("", "", *_SIZES))),), "", background)


def _painted(thing: Thing, background: str, generator: random.Random, chance: float) -> Thing:
    if generator.random() >= chance or set(thing.subject.split()) & set(colours.NAMES):
        return thing
    # A subject in its background's colour could not be seen.
    return dataclasses.replace(thing, colour=generator.choice([name for name in _PAINTS if name != background]))


def _phrase(thing: Thing) -> str:
    name = " ".join(word for word in (thing.size, thing.colour, thing.subject) if word)
    return with_article(name) if thing.count == 1 else f"{_NUMBERS[thing.count]} {plural(name)}"


def plural(name: str) -> str:
    """The plural of a noun phrase, formed regularly at its head (what stands before "with", "of" or "in")."""
    words = name.split()
    end = next((index for index, word in enumerate(words) if index and word in ("with", "of", "in", "on")), len(words))
    head = words[end - 1]
    if head.endswith(("s", "x", "ch", "sh")):
        ending = head + "es" if not head.endswith("s") or head.endswith("ss") else head
    elif head.endswith("y") and head[-2:-1] not in "aeiou":
        ending = head[:-1] + "ies"
    elif head.endswith("man"):
        ending = head[:-3] + "men"
    else:
        ending = {"mouse": "mice", "fish": "fish", "sheep": "sheep", "foot": "feet", "tooth": "teeth", "leaf": "leaves"}.get(
            head, head + "s"
        )
    return " ".join([*words[: end - 1], ending, *words[end:]])
