"""Folders of pictures with captions: beside each picture a .txt file, or one metadata.jsonl or metadata.csv for all.

metadata.* is in the layout of Hugging Face's imagefolder: `file_name` (relative to it), the caption in `caption` or `text`, and
others, of which `keywords`, `license` and `source` are kept. An entry without its picture is read and dropped.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgefusion.data.executor import Unit
from edgefusion.data.sources.base import Pair, chunks, file_states, read_picture
from edgefusion.data.summary import Counts
from edgefusion.errors import UserError

PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}


@dataclasses.dataclass(frozen=True)
class FolderSource:
    """A folder, searched with all below it. Keys are `name`-NUMBER by the sorted file names."""

    path: Path
    name: str = "folder"
    license: str = "unknown"

    def units(self, shard_size: int) -> list[Unit]:
        if not self.path.is_dir():
            raise UserError(f"{self.path}: no such folder of pictures")
        found = (path for path in self.path.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
        files = sorted(str(path.relative_to(self.path)) for path in found)
        if not files:
            raise UserError(f"{self.path}: holds no picture ({', '.join(sorted(PICTURE_SUFFIXES))})")
        metadata = _metadata(self.path)
        # What only the metadata know comes last, where it changes no other's key.
        files += sorted(metadata.keys() - set(files))
        items = [self._item(file, number, metadata.get(file)) for number, file in enumerate(files)]
        return [{"files": chunk} for chunk in chunks(items, shard_size)]

    def _item(self, file: str, number: int, metadata: dict[str, Any] | None) -> dict[str, Any]:
        path = self.path / file
        return {"file": file, "number": number, "metadata": metadata, "states": file_states(path, _text_beside(path))}

    def pairs(self, unit: Unit, counts: Counts) -> Iterator[Pair]:
        for item in unit["files"]:
            counts.read += 1
            key, path = f"{self.name}-{item['number']:08d}", self.path / item["file"]
            known = item["metadata"] or {}
            found = read_picture(key, path, counts)
            if found is None:
                continue
            caption = known.get("caption") or known.get("text") or _beside(path)
            fields: dict[str, Any] = {"source": known.get("source") or str(path), "license": known.get("license") or self.license}
            data, image = found
            yield Pair(key, image, str(caption), {**fields, "keywords": keyword_list(known.get("keywords"))}, data)


def keyword_list(value: object) -> list[str]:
    """Keywords given as a list, or as text between commas."""
    words = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
    return [str(word).strip() for word in words if str(word).strip()]


def _text_beside(picture: Path) -> Path:
    return picture.with_suffix(".txt")


def _beside(picture: Path) -> str:
    try:
        return _text_beside(picture).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _metadata(folder: Path) -> dict[str, dict[str, Any]]:
    """The rows of all metadata files below `folder`, by the picture's path relative to it."""
    rows: dict[str, dict[str, Any]] = {}
    for path in sorted([*folder.rglob("metadata.jsonl"), *folder.rglob("metadata.csv")]):
        for number, row in _rows(path):
            if not isinstance(row, dict) or not isinstance(row.get("file_name"), str):
                raise UserError(f"{path}, line {number}: expected an entry with file_name")
            file = os.path.relpath(path.parent / row["file_name"], folder)
            if Path(file).parts[:1] in ((), ("..",)):
                raise UserError(f"{path}, line {number}: file_name: expected a file below {folder}, found {row['file_name']!r}")
            rows[file] = row
    return rows


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    with path.open(encoding="utf-8", errors="replace", newline="") as lines:
        if path.suffix == ".csv":
            yield from _csv_rows(path, csv.DictReader(lines))
            return
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except json.JSONDecodeError as error:
                    raise UserError(f"{path}, line {number}: is not JSON ({error.msg})") from None


def _csv_rows(path: Path, reader: csv.DictReader) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        for row in reader:
            # What has no column is kept under None.
            if None in row:
                raise UserError(f"{path}, line {reader.line_num}: has too many columns; put text with commas in quotation marks")
            yield reader.line_num, row
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num + 1}: is not CSV ({error})") from None
