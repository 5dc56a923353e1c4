"""What the ingest asks of a source."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from edgefusion.data.executor import Unit
from edgefusion.data.sample import BadPictureError, decode
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
    """`units` lists the work in pieces of `shard_size` samples; `pairs` reads one and counts what it reads and drops.

    A unit holds the states of the files that are read for it, so that a changed source is not taken for the same one.
    """

    def units(self, shard_size: int) -> list[Unit]: ...

    def pairs(self, unit: Unit, counts: Counts) -> Iterator[Pair]: ...


def chunks(items: list[Any], size: int) -> list[list[Any]]:
    """`items` in lists of `size`, the last one shorter."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def file_states(*paths: Path) -> list[list[int]]:
    """Size and time of the last change, in nanoseconds, of each file; nothing for one that is not there."""
    return [_file_state(path) for path in paths]


def _file_state(path: Path) -> list[int]:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return []
    return [found.st_size, found.st_mtime_ns]


def read_picture(key: str, path: Path, counts: Counts) -> tuple[bytes, Image.Image] | None:
    """The bytes of a file and the picture in them; None, counted as dropped, where there is none."""
    try:
        data = path.read_bytes()
    except (FileNotFoundError, ValueError):
        # A ValueError: no file can have such a name.
        counts.drop(key, "missing picture", str(path))
        return None
    except OSError as error:
        counts.drop(key, "unreadable file", f"{path}: {error.strerror}")
        return None
    try:
        return data, decode(data)
    except BadPictureError as error:
        counts.drop(key, "corrupt picture", f"{path}: {error}")
        return None
