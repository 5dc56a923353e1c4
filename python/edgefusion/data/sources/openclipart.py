"""openclipart: PNG pictures whose titles and keywords are in the metadata (Dublin Core) of the SVG files of the same names."""

from __future__ import annotations

import dataclasses
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgefusion.data.executor import Unit
from edgefusion.data.sources.base import Pair, chunks, file_states, read_picture
from edgefusion.data.summary import Counts
from edgefusion.data.vocabulary import tokens
from edgefusion.errors import UserError

_DC = "{http://purl.org/dc/elements/1.1/}"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
# Metadata may stand behind any length of drawing, but has not been seen to be long itself.
_METADATA = re.compile(rb"<metadata\b.*?</metadata>", re.DOTALL)
_NAMESPACE = re.compile(rb"""xmlns:(\w+)\s*=\s*("[^"]*"|'[^']*')""")


@dataclasses.dataclass(frozen=True)
class OpenclipartSource:
    """The folders of pictures and of their SVG twins, where Debian's openclipart-png and openclipart-svg put them.

    `categories` are the top folders to read (all when empty); a picture that is a link to another is left out.
    """

    pictures: Path = Path("/usr/share/openclipart/png")
    drawings: Path = Path("/usr/share/openclipart/svg")
    categories: tuple[str, ...] = ()

    def units(self, shard_size: int) -> list[Unit]:
        if not self.pictures.is_dir():
            raise UserError(f"{self.pictures}: no such folder; Debian has it in openclipart-png (and openclipart-svg)")
        names = [path.relative_to(self.pictures) for path in self.pictures.rglob("*.png")]
        folders = {name.parts[0] for name in names if len(name.parts) > 1}
        if not names or not folders.issuperset(self.categories):
            missing = ", ".join(sorted(set(self.categories) - folders))
            raise UserError(f"{self.pictures}: holds no PNG picture" + (f" in the categories {missing}" if missing else ""))
        chosen = sorted(str(name) for name in names if not self.categories or name.parts[0] in self.categories)
        items = [self._item(key, name) for key, name in zip(_keys(chosen), chosen, strict=True)]
        return [{"pictures": chunk} for chunk in chunks(items, shard_size)]

    def _item(self, key: str, name: str) -> dict[str, Any]:
        return {"key": key, "name": name, "states": file_states(self.pictures / name, self._drawing(name))}

    def _drawing(self, name: str) -> Path:
        return (self.drawings / name).with_suffix(".svg")

    def pairs(self, unit: Unit, counts: Counts) -> Iterator[Pair]:
        for item in unit["pictures"]:
            counts.read += 1
            key, name = item["key"], item["name"]
            path = self.pictures / name
            if path.is_symlink():
                counts.drop(key, "link to another picture")
                continue
            found = read_picture(key, path, counts)
            if found is None:
                continue
            title, keywords, people = _metadata(self._drawing(name))
            fields = {"source": f"openclipart/{name}", "license": "public domain", "keywords": keywords}
            words = [word for word in tokens(Path(name).stem) if not any(person.startswith(word) for person in people)]
            yield Pair(key, found[1], title, {**fields, "category": str(Path(name).parent), "file_words": words})


def _keys(names: list[str]) -> list[str]:
    """A key for each file name, of letters, digits and hyphens; names that differ in other characters alone are numbered."""
    taken: Counter[str] = Counter()
    keys = []
    for name in names:
        key = "openclipart-" + re.sub(r"[^0-9A-Za-z]+", "-", name.removesuffix(".png"))
        taken[key] += 1
        keys.append(key if taken[key] == 1 else f"{key}--{taken[key]}")
    return keys


def _metadata(path: Path) -> tuple[str, list[str], set[str]]:
    """Title and keywords of a drawing, and the words of its authors' names; empty where it is missing or unreadable."""
    try:
        data = path.read_bytes()
    except OSError:
        return "", [], set()
    found = _METADATA.search(data)
    if not found:
        return "", [], set()
    # The prefixes may be declared outside of the part that is cut out.
    namespaces = {name: value for name, value in _NAMESPACE.findall(data)}
    declared = b" ".join(b"xmlns:" + name + b"=" + value for name, value in namespaces.items())
    inner = re.sub(rb"^<metadata\b[^>]*>", b"<metadata " + declared + b">", found[0])
    try:
        root = ElementTree.fromstring(inner)
    except ElementTree.ParseError:
        return "", [], set()
    work = root.find(".//*[@" + _RDF + "about]")
    titles = [element.text or "" for element in (work if work is not None else root).findall(f"./{_DC}title")]
    people = {title.text.strip().lower() for title in root.findall(f".//{_DC}creator//{_DC}title") if title.text}
    words = [(item.text or "").strip() for item in root.findall(f".//{_DC}subject//{_RDF}li")]
    keywords = [word for word in words if word and word.lower() not in people and not word.startswith("HASH(")]
    return (titles[0].strip() if titles else ""), keywords, {part for person in people for part in tokens(person)}
