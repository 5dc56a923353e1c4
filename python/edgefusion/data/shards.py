"""Shards: tar files in webdataset's layout (KEY.png or KEY.jpg, KEY.json), written whole or not at all."""

from __future__ import annotations

import dataclasses
import functools
import gzip
import hashlib
import io
import json
import lzma
import os
import tarfile
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from edgefusion.data.sample import Sample
from edgefusion.errors import UserError

PICTURES = {"png": "png", "jpg": "jpg", "jpeg": "jpg", "webp": "webp"}
SUMMARY = "summary.json"
#: What reading a damaged tar file raises, compressed or not.
DAMAGE = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)


def shard_path(dataset: Path, index: int) -> Path:
    return dataset / f"shard-{index:05d}.tar"


def summary_path(dataset: Path) -> Path:
    """The record of a dataset that is complete; a UserError if the folder is none."""
    path = dataset / SUMMARY
    if not path.is_file():
        reason = "its stage has not finished: run that to its end" if (dataset / ".stage").is_dir() else "it has no summary.json"
        raise UserError(f"{dataset}: not a complete dataset ({reason if dataset.is_dir() else 'no such folder'})")
    return path


def shard_paths(dataset: Path) -> list[Path]:
    """The shards of a dataset that is complete, in order; a UserError if the folder is none."""
    summary_path(dataset)
    return sorted(dataset.glob("shard-*.tar"))


def read_dataset(dataset: Path) -> Iterator[Sample]:
    """All samples of a complete dataset, in order."""
    for path in shard_paths(dataset):
        yield from read_shard(path)


def read_shard(path: Path) -> Iterator[Sample]:
    """The samples of a shard that a stage has written; a UserError if the file is damaged."""
    try:
        for key, members in grouped_members(path):
            extension = next((name for name in members if name in PICTURES), None)
            fields = json.loads(members["json"])
            yield Sample(key, fields, members[extension] if extension else None, PICTURES.get(extension or "", "png"))
    except (*DAMAGE, KeyError, ValueError) as error:
        raise _damaged(path, error) from None


def keys(path: Path) -> list[str]:
    """The keys of a shard's samples, in order; a UserError if the file is damaged."""
    try:
        with tarfile.open(path, "r:") as archive:
            return list(dict.fromkeys(member.name.partition(".")[0] for member in _members(archive)))
    except DAMAGE as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(f"{path}: not a whole shard ({error}); make the dataset again")


@dataclasses.dataclass(frozen=True)
class StoredSample:
    """A sample with a picture, which stays in its shard until it is read."""

    key: str
    fields: dict[str, Any]
    extension: str
    shard: Path
    #: Of the encoded picture, in the shard, in bytes.
    offset: int
    size: int

    def picture(self) -> bytes:
        with self.shard.open("rb") as stream:
            stream.seek(self.offset)
            return stream.read(self.size)


def index_shard(path: Path) -> list[StoredSample]:
    """The samples of a shard that have a picture, in order, without reading the pictures; a UserError if the file is damaged."""
    pictures: dict[str, tuple[tarfile.TarInfo, str]] = {}
    fields: dict[str, dict[str, Any]] = {}
    try:
        with tarfile.open(path, "r:") as archive:
            for member in _members(archive):
                key, _, extension = member.name.partition(".")
                if extension in PICTURES:
                    pictures[key] = member, PICTURES[extension]
                elif extension == "json" and (stream := archive.extractfile(member)):
                    fields[key] = json.load(stream)
    except (*DAMAGE, ValueError) as error:
        raise _damaged(path, error) from None
    return [
        StoredSample(key, fields[key], extension, path, member.offset_data, member.size)
        for key, (member, extension) in pictures.items()
        if key in fields
    ]


def grouped_members(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """A tar file's neighbouring members with the same key, as (key, {extension: bytes}); keys end at the name's first point.

    One of DAMAGE when the file is damaged, after the samples before the damage.
    """
    current, members = "", {}
    with tarfile.open(path, "r:*") as archive:
        for member in _members(archive):
            if not member.isfile():
                continue
            folder, slash, name = member.name.rpartition("/")
            stem, _, extension = name.partition(".")
            key = folder + slash + stem
            if members and key != current:
                yield current, members
                members = {}
            current = key
            stream = archive.extractfile(member)
            members[extension.lower()] = stream.read() if stream else b""
    if members:
        yield current, members


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members of a tar file; tarfile.ReadError behind the last one if the format's end mark, blocks of zeros, is not there.

    tarfile takes the end of the file, and whatever is no header, for the end of the archive.
    """
    yield from archive
    archive.fileobj.seek(archive.offset)
    mark = archive.fileobj.read(2 * tarfile.BLOCKSIZE)
    if len(mark) < tarfile.BLOCKSIZE or mark.strip(tarfile.NUL):
        raise tarfile.ReadError("no end mark: cut short or damaged")


def digest(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_shard(path: Path, samples: Iterable[Sample]) -> int:
    """Writes the samples beside `path` and renames the file when it is whole; returns how many. No samples: no file."""
    written = 0

    def write(stream: IO[bytes]) -> None:
        nonlocal written
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for sample in samples:
                if sample.picture is not None:
                    _add(archive, f"{sample.key}.{sample.extension}", sample.picture)
                text = json.dumps(sample.fields, ensure_ascii=False, sort_keys=True)
                _add(archive, f"{sample.key}.json", text.encode("utf-8"))
                written += 1

    write_whole(path, write, keep=lambda: written > 0)
    return written


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    # Times and owners stay zero: equal samples give equal files.
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def write_text(path: Path, text: str) -> None:
    """Writes a text file whole or not at all."""
    write_whole(path, lambda stream: stream.write(text.encode("utf-8")))


def write_whole(path: Path, write: Callable[[IO[bytes]], object], keep: Callable[[], bool] = lambda: True) -> None:
    """Calls `write` with a new file beside `path` and renames that to `path`, unless `keep` says no; a failure leaves nothing."""
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
