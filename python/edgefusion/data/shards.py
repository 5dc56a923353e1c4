"""Shards: tar files in webdataset's layout (KEY.png or KEY.jpg, KEY.json), written whole or not at all."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
import lzma
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from edgefusion import files
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
    for name, data in _files(path):
        folder, slash, base = name.rpartition("/")
        stem, _, extension = base.partition(".")
        key = folder + slash + stem
        if members and key != current:
            yield current, members
            members = {}
        current = key
        members[extension.lower()] = data
    if members:
        yield current, members


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file in a tar file."""
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in _members(archive):
                if member.isfile():
                    stream = archive.extractfile(member)
                    yield member.name, stream.read() if stream else b""
    except OSError as error:
        # What bzip2 finds damaged has no number, unlike a file that the system cannot read.
        if error.errno is not None:
            raise
        raise tarfile.ReadError(str(error)) from None


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

    files.write_whole(path, write, keep=lambda: written > 0)
    return written


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    # Times and owners stay zero: equal samples give equal files.
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))
