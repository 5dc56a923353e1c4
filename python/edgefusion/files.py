"""Files that are written whole or not at all."""

from __future__ import annotations

import functools
import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any


def write_text(path: Path, text: str) -> None:
    """Writes a text file whole or not at all."""
    write_whole(path, lambda stream: stream.write(text.encode("utf-8")))


def write_whole(path: Path, write: Callable[[IO[bytes]], object], keep: Callable[[], bool] = lambda: True) -> None:
    """Calls `write` with a new file beside `path` and renames that to `path`, unless `keep` says no; a failure leaves nothing.

    What `path` links to is replaced, not the link. A terminal, pipe or other device is written to as it is.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:
            write(stream)
        return
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.partial")
    try:
        with partial.open("wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        if keep():
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def remove_partials(folder: Path) -> None:
    """Removes what processes that were killed have begun to write into `folder`."""
    for partial in folder.glob(".*.partial"):
        partial.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Writes `value` as JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:  # noqa: ANN401 - any JSON value
    """What write_json has written, parsed again only when the file has changed."""
    return _read_json(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=2)
def _read_json(path: Path, changed: int) -> Any:  # noqa: ANN401 - any JSON value
    return json.loads(path.read_text(encoding="utf-8"))
