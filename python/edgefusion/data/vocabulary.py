"""English words, and what single words of some other languages are in English, both from Unicode's CLDR annotations.

CLDR names the same emoji in every language, which makes it a small dictionary: Italian "ragno" and English "spider" are one.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from edgefusion.errors import UserError

_LANGUAGES = ("it", "fr", "es", "de", "pt", "nl")


def word_set(text: str) -> frozenset[str]:
    """The words of a text between spaces."""
    return frozenset(text.split())


# Words of captions that CLDR has no sign for.
_FUNCTION_WORDS = word_set("a an the of with and on in at by for to from two three four")
#: Words that speak of the file, not of what it shows.
NOISE = word_set(
    """clipart clip art svg png icon icons theme image picture drawing remix symbol example collection sign signs various
    illustration version contorno"""
)


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """`words`: English ones in lower case; `english`: the name in English of words that are not."""

    words: frozenset[str]
    english: dict[str, str]

    def knows(self, word: str) -> bool:
        """Whether the word, or what it is the plural of, is English."""
        return word in self.words or word.removesuffix("s") in self.words or word.removesuffix("es") in self.words

    def translated(self, words: list[str]) -> str | None:
        """The English of the first of the words that is known in another language and is not English."""
        return next((self.english[word] for word in words if word in self.english and not self.knows(word)), None)


def tokens(text: str) -> list[str]:
    """The words of a caption or file name in lower case: letters only, of two or more, CamelCase taken apart."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text.replace("\u2019", "'"))
    return [
        word
        for word in (found.lower().strip("'") for found in re.findall(r"[^\W\d_']+(?:'s)?", parted))
        if len(word) > 1 or word == "a"
    ]


@functools.lru_cache(maxsize=2)
def load(cldr: Path) -> Vocabulary:
    """The vocabulary of CLDR's `common` folder; UserError if there is none."""
    names = _names(cldr, "en")
    words = {word for name, keywords in names.values() for text in (name, *keywords) for word in tokens(text)}
    english: dict[str, str] = {}
    for language in _LANGUAGES:
        for sign, (name, _) in _names(cldr, language).items():
            if sign in names and len(tokens(name)) == 1:
                english.setdefault(tokens(name)[0], names[sign][0])
    return Vocabulary(frozenset(words | _FUNCTION_WORDS), english)


def _names(cldr: Path, language: str) -> dict[str, tuple[str, list[str]]]:
    path = cldr / "annotations" / f"{language}.xml"
    try:
        root = ElementTree.parse(path)
    except (OSError, ElementTree.ParseError) as error:
        raise UserError(f"{path}: no CLDR annotations ({error}); Debian has them in unicode-cldr-core") from None
    names: dict[str, tuple[str, list[str]]] = {}
    for annotation in root.iter("annotation"):
        sign, text = annotation.attrib["cp"], annotation.text or ""
        name, keywords = names.get(sign, ("", []))
        if annotation.attrib.get("type") == "tts":
            names[sign] = (text.strip(), keywords)
        else:
            names[sign] = (name, [word.strip() for word in text.split("|")])
    return names
