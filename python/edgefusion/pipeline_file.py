"""Reads pipeline.json, the file that makes a folder a bundle (docs/design/bundle.md has its format)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgefusion.errors import UserError


def read(bundle: Path) -> dict[str, Any]:
    """The content of `bundle`/pipeline.json."""
    path = bundle / "pipeline.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"'{bundle}' is not a bundle: it has no pipeline.json; `edgefusion export` writes one") from None
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read '{path}': {error}") from None
    if not isinstance(content, dict) or content.get("format") != "edgefusion-pipeline" or content.get("version") != 1:
        raise UserError(f"'{path}' is not a pipeline description of version 1")
    return content


def models(bundle: Path) -> list[tuple[Path, Path]]:
    """(ONNX file, artifact) of each model of `bundle`."""
    try:
        return [(bundle / entry["onnx"], bundle / entry["artifact"]) for entry in read(bundle)["models"].values()]
    except (AttributeError, KeyError, TypeError):
        raise UserError(f"'{bundle / 'pipeline.json'}' does not name the ONNX file and artifact of each model") from None
