"""Captions without a model: a grammar over what is known of a picture (title, keywords, folder, measured colour).

It stands in for a vision-language model where there is none. It sees nothing of the picture but its colour, so it
can be no better than the words that came with it; what it does is to tell words that describe from words that do not, and to
say the same in several ways.
"""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from edgefusion.data import colours
from edgefusion.data.vocabulary import NOISE, Vocabulary, tokens, word_set

# A title is believed if so many of its words are English; folders and keywords as frequent as this say nothing of one picture.
_ENGLISH = 0.7
_MEASURES = ("slice", "piece", "bowl", "cup", "glass", "bottle", "bunch", "pair", "stack", "bag", "pot")
# Subjects that take no article.
_MASS = word_set(
    """bread rice spaghetti cheese milk bacon butter salt corn broccoli garlic fire snow water rain money wood hair
    tennis golf football"""
)
# Keywords that say too little to name a picture by.
_GENERIC = word_set(
    """animal mammal mammals food unsorted object thing equipment menu tool transport transportation symbols hash
    recreation people cartoon colour color old back two simple"""
) | set(colours.NAMES)
# What a title does not end with when its last words have been left out.
_DANGLING = word_set("a an the of with and on in at by for to from")


@dataclasses.dataclass(frozen=True)
class Frequencies:
    """In how many pictures of the dataset a caption and a keyword are found, in lower case."""

    captions: Mapping[str, int]
    keywords: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class CaptionGrammar:
    """`common`: a caption of more pictures than this describes none of them; `rare`: a keyword of no more names its picture."""

    vocabulary: Vocabulary
    frequencies: Frequencies
    common: int = 5
    rare: int = 3

    def captions(self, fields: Mapping[str, Any], colour: str | None, generator: random.Random) -> list[str]:
        """Different captions for one picture, the plainest first; `colour` is that of its subject."""
        subject = self.subject(fields)
        keywords = self._keywords(fields, subject)
        synonyms = [
            word
            for word in keywords
            if self.frequencies.keywords.get(word, 0) <= self.rare and not set(tokens(word)) & (set(tokens(subject)) | _GENERIC)
        ]
        captions = [subject, with_article(subject)]
        captions += [f"{measure} of {subject}" for measure in _MEASURES if measure in keywords and measure not in subject]
        if colour and not set(tokens(subject)) & {colour, "black", "white"}:
            captions += [f"{colour} {subject}", with_article(f"{colour} {subject}")]
        captions += synonyms[:2]
        if keywords:
            captions.append(", ".join([subject, *generator.sample(keywords, min(2, len(keywords)))]))
        opening = generator.choice(("a picture of", "a drawing of", "clip art of", "an illustration of"))
        captions.append(f"{opening} {with_article(subject)}")
        captions.append(f"{with_article(subject)} on a white background")
        return list(dict.fromkeys(captions))

    def subject(self, fields: Mapping[str, Any]) -> str:
        """What the picture shows, in a few words without an article."""
        caption = str(fields["caption"])
        if ": " in caption:
            kind, _, detail = caption.partition(": ")
            return f"{kind} {'of' if kind == 'flag' else 'with'} {detail}".lower()
        words = _words(caption)
        if self._believed(caption, words):
            return " ".join(words)
        return self._from_words(fields, caption)

    def _believed(self, caption: str, words: list[str]) -> bool:
        known = sum(self.vocabulary.knows(word) for word in words)
        frequent = self.frequencies.captions.get(caption.lower(), 0) > self.common
        return not frequent and 0 < len(words) <= 8 and known >= _ENGLISH * len(words)

    def _from_words(self, fields: Mapping[str, Any], caption: str) -> str:
        folders = [part.replace("_", " ").strip() for part in PurePosixPath(fields.get("category", "")).parts]
        file = [word for word in fields.get("file_words", []) if word not in NOISE]
        keywords = [word for word in self._keywords(fields, "") if word not in _GENERIC and word not in folders[:1]]
        named = [word for word in file if word in keywords]
        if named:
            return " ".join(dict.fromkeys(named))
        translated = self.vocabulary.translated([*_words(caption), *file])
        if translated:
            return translated.lower()
        if keywords:
            return min(keywords, key=lambda word: (self.frequencies.keywords.get(word, 0), word))
        known = [word for word in file if self.vocabulary.knows(word) and len(word) > 3]
        if known:
            return " ".join(dict.fromkeys(known[:3]))
        return (_singular(folders[-1]) if folders else "") or " ".join(caption.lower().split())

    def _keywords(self, fields: Mapping[str, Any], subject: str) -> list[str]:
        """The English keywords in lower case, without noise and without the subject itself."""
        # What has digits or brackets is a number of something, or was written by a program.
        words = [" ".join(tokens(str(word))) for word in fields.get("keywords", []) if not re.search(r"[\d()]", str(word))]
        return [
            word
            for word in dict.fromkeys(words)
            if word and word != subject and not set(tokens(word)) & NOISE and all(map(self.vocabulary.knows, tokens(word)))
        ]


def _words(caption: str) -> list[str]:
    """The words of a title that can describe: without what is in brackets, noise, an article before and a preposition behind."""
    words = [word for word in tokens(re.sub(r"\(.*?\)", " ", caption)) if word not in NOISE]
    if words and words[0] in ("a", "an", "the"):
        words = words[1:]
    while words and words[-1] in _DANGLING:
        words.pop()
    return words


def _singular(word: str) -> str:
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word.removesuffix("s") if word.endswith("s") and not word.endswith("ss") else word


def with_article(phrase: str) -> str:
    """`phrase` with "a" or "an", unless it names several things or a substance, or has a number or an article."""
    words = phrase.split()
    head = words[: words.index("with", 1)] if "with" in words[1:] else words
    head = head[: head.index("of", 1)] if "of" in head[1:] else head
    plural = head[-1].endswith("s") and not head[-1].endswith(("ss", "us", "bus", "gas"))
    if plural or head[-1] in _MASS or words[0] in ("a", "an", "the", "two", "three", "four"):
        return phrase
    # "unicorn" and "European" begin with a consonant's sound.
    vowel = words[0][0].lower() in "aeiou" and not words[0].lower().startswith(("uni", "eu", "one", "us", "ut"))
    return f"an {phrase}" if vowel else f"a {phrase}"
