"""Emoji: the bitmaps of a colour font with the names, keywords and groups of Unicode's CLDR.

Bitmaps come from the font's CBDT table, through its cmap for one code point and its GSUB ligatures for a sequence. CLDR's
annotations give the name (type="tts") and the keywords; its labels.txt the groups. Both leave out the variation selector U+FE0F.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import itertools
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

from fontTools.ttLib import TTFont
from PIL import Image

from edgefusion.data import patterns
from edgefusion.data.executor import Unit
from edgefusion.data.sources.base import Pair, chunks, file_states
from edgefusion.data.summary import Counts
from edgefusion.errors import UserError

_SKIN_TONES = {chr(code) for code in range(0x1F3FB, 0x1F400)}
_VARIATION_SELECTOR = "\ufe0f"
LICENSE = "OFL-1.1 (picture), Unicode-DFS-2016 (text)"


@dataclasses.dataclass(frozen=True)
class EmojiSource:
    """The font and CLDR's folder, where Debian's fonts-noto-color-emoji and unicode-cldr-core put them.

    `exclude_groups` are second-level labels of CLDR (family, country-flag, ...), `exclude_names` regular expressions that
    are searched in the name. Variants in a skin tone are always left out.
    """

    font: Path = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
    cldr: Path = Path("/usr/share/unicode/cldr/common")
    language: str = "en"
    exclude_groups: tuple[str, ...] = ()
    exclude_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for pattern in self.exclude_names:
            patterns.check("exclude_names", pattern)

    @property
    def annotations(self) -> tuple[Path, ...]:
        """CLDR's files of names and keywords."""
        return tuple(self.cldr / folder / f"{self.language}.xml" for folder in ("annotations", "annotationsDerived"))

    @property
    def labels(self) -> Path:
        """CLDR's file of groups."""
        return self.cldr / "properties/labels.txt"

    def units(self, shard_size: int) -> list[Unit]:
        sequences = [text for text in _annotations(self) if not _SKIN_TONES & set(text) or text in _SKIN_TONES]
        glyphs = _Glyphs.of(self.font)
        # CLDR also names letters, arrows and currencies, which no emoji font draws.
        drawn = [text for text in sequences if glyphs.bitmap(text)]
        states = file_states(self.font, *self.annotations, self.labels)
        return [{"sequences": chunk, "states": states} for chunk in chunks(drawn, shard_size)]

    def pairs(self, unit: Unit, counts: Counts) -> Iterator[Pair]:
        annotations, groups, glyphs = _annotations(self), _groups(self.labels), _Glyphs.of(self.font)
        excluded = [re.compile(pattern) for pattern in self.exclude_names]
        for text in unit["sequences"]:
            counts.read += 1
            name, keywords = annotations[text]
            key = "emoji-" + "-".join(f"{ord(character):x}" for character in text)
            group = groups.get(text, ("", ""))
            if group[1] in self.exclude_groups:
                counts.drop(key, "excluded group", group[1])
                continue
            if any(pattern.search(name) for pattern in excluded):
                counts.drop(key, "excluded name", name)
                continue
            fields = {"source": f"{self.font.name}#{text}", "license": LICENSE, "keywords": keywords, "group": group[0]}
            yield Pair(key, glyphs.picture(text), name, {**fields, "subgroup": group[1]})


@functools.lru_cache(maxsize=2)
def _annotations(source: EmojiSource) -> dict[str, tuple[str, list[str]]]:
    """Name and keywords of each annotated character or sequence."""
    names: dict[str, str] = {}
    keywords: dict[str, list[str]] = {}
    for path in source.annotations:
        try:
            root = ElementTree.parse(path)
        except (OSError, ElementTree.ParseError) as error:
            raise UserError(f"{path}: no CLDR annotations ({error}); Debian has them in unicode-cldr-core") from None
        for annotation in root.iter("annotation"):
            text = annotation.attrib["cp"].replace(_VARIATION_SELECTOR, "")
            if annotation.attrib.get("type") == "tts":
                names[text] = (annotation.text or "").strip()
            else:
                keywords[text] = [word.strip() for word in (annotation.text or "").split("|") if word.strip()]
    return {text: (name, keywords.get(text, [])) for text, name in names.items()}


@functools.lru_cache(maxsize=2)
def _groups(path: Path) -> dict[str, tuple[str, str]]:
    """The two labels of each character or sequence in labels.txt, whose sets hold characters, ranges a-b and sequences {ab}."""
    if not path.is_file():
        return {}
    groups = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        found = re.match(r"\s*\[(.*)\]\s*;\s*([^;]*?)\s*(?:;\s*(.*?)\s*)?$", line)
        if not found:
            continue
        characters = found[1].replace(_VARIATION_SELECTOR, "")
        for sequence, first, last, single in re.findall(r"\{([^}]*)\}|(.)-(.)|(.)", characters):
            members = [sequence or single] if sequence or single else map(chr, range(ord(first), ord(last) + 1))
            for member in members:
                groups.setdefault(member, (found[2], found[3] or ""))
    return groups


class _Glyphs:
    """The colour bitmaps of a font."""

    def __init__(self, path: Path) -> None:
        try:
            font = TTFont(path)
            self._bitmaps = font["CBDT"].strikeData[0]
            self._characters: dict[int, str] = font.getBestCmap()
            substitutions = font["GSUB"].table.LookupList.Lookup if "GSUB" in font else []
        except Exception as error:  # fontTools has no error of its own for a damaged file
            raise UserError(f"{path}: no font with colour bitmaps (CBDT): {error}; Debian's is fonts-noto-color-emoji") from None
        selector = self._characters.get(ord(_VARIATION_SELECTOR))
        self._ligatures: dict[tuple[str, ...], str] = {}
        for table in itertools.chain.from_iterable(lookup.SubTable for lookup in substitutions if lookup.LookupType == 4):
            for first, ligatures in table.ligatures.items():
                for ligature in ligatures:
                    glyphs = tuple(glyph for glyph in (first, *ligature.Component) if glyph != selector)
                    self._ligatures.setdefault(glyphs, ligature.LigGlyph)

    @staticmethod
    @functools.lru_cache(maxsize=2)
    def of(path: Path) -> _Glyphs:
        return _Glyphs(path)

    def bitmap(self, text: str) -> bytes | None:
        """The PNG of a character or sequence; None where the font draws none."""
        glyphs = tuple(self._characters.get(ord(character), "") for character in text)
        name = glyphs[0] if len(glyphs) == 1 else self._ligatures.get(glyphs, "")
        if name not in self._bitmaps:
            return None
        return self._bitmaps[name].imageData

    def picture(self, text: str) -> Image.Image:
        """The bitmap in RGBA without the margins that fill the advance width: square, as high as the font's line."""
        image = Image.open(io.BytesIO(self.bitmap(text) or b"")).convert("RGBA")
        left = (image.width - image.height) // 2
        return image.crop((left, 0, left + image.height, image.height))
