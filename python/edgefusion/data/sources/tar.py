"""Webdataset shards made elsewhere, such as img2dataset's: KEY.jpg (or .png, .webp), KEY.txt and KEY.json in tar files."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

from edgefusion.data.executor import Unit
from edgefusion.data.sample import BadPictureError, decode
from edgefusion.data.shards import DAMAGE, PICTURES, grouped_members
from edgefusion.data.sources.base import Pair, file_states
from edgefusion.data.sources.folder import keyword_list
from edgefusion.data.summary import Counts
from edgefusion.errors import UserError


@dataclasses.dataclass(frozen=True)
class WebdatasetSource:
    """A folder of tar files. Each becomes one shard; keys are `name`-TARFILE-KEY."""

    path: Path
    name: str = "wds"
    license: str = "unknown"
    pattern: str = "*.tar"

    def units(self, shard_size: int) -> list[Unit]:
        paths = sorted(self.path.glob(self.pattern))
        if not paths:
            raise UserError(f"{self.path}: no file matches {self.pattern}")
        return [{"tar": str(path), "states": file_states(path)} for path in paths]

    def pairs(self, unit: Unit, counts: Counts) -> Iterator[Pair]:
        path = Path(unit["tar"])
        name = f"{self.name}-{path.relative_to(self.path).with_suffix('')}"
        try:
            for key, members in grouped_members(path):
                pair = self._pair(f"{name}-{key}", f"{path}#{key}", members, counts)
                if pair:
                    yield pair
        except DAMAGE as error:
            # What follows the damage cannot be counted; the damage itself is.
            counts.read += 1
            counts.drop(name, "damaged shard (the rest of it)", f"{path}: {error}")

    def _pair(self, key: str, origin: str, members: dict[str, bytes], counts: Counts) -> Pair | None:
        counts.read += 1
        data = next((members[extension] for extension in PICTURES if extension in members), None)
        if data is None:
            counts.drop(key, "no picture")
            return None
        try:
            known = json.loads(members.get("json", b"{}"))
        except ValueError:
            known = {}
            counts.note("unreadable json")
        known = known if isinstance(known, dict) else {}
        try:
            image = decode(data)
        except BadPictureError as error:
            counts.drop(key, "corrupt picture", str(error))
            return None
        caption = members.get("txt", b"").decode("utf-8", errors="replace") or str(known.get("caption") or "")
        fields = {"source": known.get("source") or known.get("url") or origin, "license": known.get("license") or self.license}
        return Pair(key, image, caption, {**fields, "keywords": keyword_list(known.get("keywords"))}, data)
