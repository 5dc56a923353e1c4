"""Files of JSON objects, a line each, whose last line may have been cut short when its writer was stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgefusion.errors import UserError


@dataclass
class Lines:
    """The content of such a file."""

    #: Number of the line, from 1, and its object.
    records: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    #: Bytes of a last line that was cut short.
    cut_short: int = 0
    #: Whether a whole last line has no end.
    unended: bool = False


def read(path: Path) -> Lines:
    """What `path` holds but for empty lines and a last one that was cut short; a UserError if another line is no JSON object."""
    try:
        *ended, rest = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    lines = Lines([(number, _parsed(path, number, line)) for number, line in enumerate(ended, 1) if line.strip()])
    if rest.strip():
        try:
            lines.records.append((len(ended) + 1, _parsed(path, len(ended) + 1, rest)))
            lines.unended = True
        except UserError:
            lines.cut_short = len(rest)
    return lines


def _parsed(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise UserError(f"{path}, line {number}: is not JSON ({error}); repair or remove the line") from None
    if not isinstance(record, dict):
        raise UserError(f"{path}, line {number}: is not a JSON object; repair or remove the line")
    return record


class Log:
    """Such a file to append to; a record is on the disk when `append` returns.

    Nothing is changed before the first `append`. A last line that was cut short when the machine stopped is then overwritten; a
    UserError, if a line before it is no JSON object.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = read(path) if path.exists() else Lines()
        if lines.cut_short and not lines.records:
            # Only whole lines before it show that the file is of this kind.
            raise UserError(f"{path}, line 1: is not a JSON object; repair or remove the line")
        self._records = [record for _, record in lines.records]
        self._cut_short, self._unended = lines.cut_short, lines.unended
        path.parent.mkdir(parents=True, exist_ok=True)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(list(self._records))

    def append(self, record: dict[str, Any]) -> None:
        line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
        with self.path.open("ab+") as stream:
            if self._cut_short:
                stream.truncate(stream.tell() - self._cut_short)
            stream.write(b"\n" + line if self._unended else line)
            stream.flush()
            os.fsync(stream.fileno())
        self._cut_short, self._unended = 0, False
        self._records.append(record)
