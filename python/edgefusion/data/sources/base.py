"""What the ingest asks of a source."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Protocol

from PIL import Image

from edgefusion.data.executor import Unit
from edgefusion.data.summary import Counts


@dataclasses.dataclass
class Pair:
    """A picture of any mode with its caption, as found; `fields` holds `source`, `license`, `keywords` and what else is known.

    `encoded` is the file's own bytes, for the ingest to keep where nothing has to change.
    """

    key: str
    image: Image.Image
    caption: str
    fields: dict[str, Any]
    encoded: bytes | None = None


class Source(Protocol):
    """`units` lists the work in pieces of `shard_size` samples; `pairs` reads one and counts what it reads and drops."""

    def units(self, shard_size: int) -> list[Unit]: ...

    def pairs(self, unit: Unit, counts: Counts) -> Iterator[Pair]: ...


def chunks(items: list[Any], size: int) -> list[list[Any]]:
    """`items` in lists of `size`, the last one shorter."""
    return [items[start : start + size] for start in range(0, len(items), size)]
