"""Files are written whole or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from edgefusion import files


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    files.write_json(path, {"n": 1})
    with pytest.raises(TypeError):
        files.write_json(path, {"n": object()})

    def fail(stream: object) -> None:
        stream.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        files.write_whole(path, fail)
    assert files.read_json(path) == {"n": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    link, path = tmp_path / "link", tmp_path / "elsewhere" / "report.txt"
    link.symlink_to(path)
    files.write_text(link, "one")
    files.write_text(link, "two")
    assert link.is_symlink()
    assert path.read_text(encoding="utf-8") == "two"


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    """As in `--json /dev/stdout | jq`."""
    pipe, found = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: found.append(pipe.read_text(encoding="utf-8")))
    reader.start()
    files.write_text(pipe, "text")
    reader.join()
    assert found == ["text"]
    assert pipe.is_fifo()
