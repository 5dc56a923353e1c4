"""Sets of pictures with their prompts: folders with a prompts.jsonl, and datasets (docs/design/training.md has both formats)."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from edgefusion import json_lines
from edgefusion.data import sample, shards
from edgefusion.errors import UserError

PROMPTS = "prompts.jsonl"


@dataclass(frozen=True)
class Picture:
    """One picture of a set; `open` decodes it when it is needed."""

    name: str
    prompt: str
    seed: int | None
    group: str
    open: Callable[[], Image.Image] = field(repr=False, compare=False)

    def pixels(self) -> torch.Tensor:
        """uint8 [3, H, W]."""
        return torch.from_numpy(np.array(self.open())).permute(2, 0, 1).contiguous()


def read_records(folder: Path) -> list[dict[str, Any]]:
    """The lines of `folder`/prompts.jsonl; the last one may have been cut short by an interruption and is then left out."""
    records = []
    for number, record in json_lines.read(folder / PROMPTS).records:
        if not isinstance(record.get("file"), str) or not isinstance(record.get("prompt"), str):
            raise UserError(f"{folder / PROMPTS}, line {number}: expected file and prompt, both texts")
        records.append(record)
    return records


def _opener(load: Callable[[], Image.Image], where: str, remedy: str) -> Callable[[], Image.Image]:
    """`load`, whose failure is a UserError."""

    def checked() -> Image.Image:
        try:
            return load()
        except (OSError, sample.BadPictureError) as error:
            raise UserError(f"{where}: cannot be read as a picture ({error}); {remedy}") from None

    return checked


def _of_file(path: Path) -> Callable[[], Image.Image]:
    return _opener(lambda: sample.on_white(sample.decode(path.read_bytes())), str(path), "generate it again or take its line out")


def _of_sample(dataset: Path, entry: sample.Sample) -> Callable[[], Image.Image]:
    return _opener(entry.image, f"{dataset}, sample {entry.key}", "make the dataset again")


def read(folder: Path, limit: int = 0, seed: int = 0) -> list[Picture]:
    """The pictures of `folder`, in order; with `limit`, so many of them, chosen by `seed`."""
    if (folder / PROMPTS).is_file():
        found = [
            Picture(line["file"], line["prompt"], line.get("seed"), line.get("group", ""), _of_file(folder / line["file"]))
            for line in read_records(folder)
        ]
    elif (folder / shards.SUMMARY).is_file() or (folder / ".stage").is_dir():
        found = [Picture(entry.key, entry.caption, None, "", _of_sample(folder, entry)) for entry in shards.read_dataset(folder)]
    else:
        raise UserError(f"'{folder}' holds neither {PROMPTS} (as `edgefusion eval generate` writes it) nor a dataset")
    if not found:
        raise UserError(f"'{folder}' holds no picture")
    if 0 < limit < len(found):
        found = [found[index] for index in sorted(random.Random(seed).sample(range(len(found)), limit))]
    return found


def read_prompts(path: Path) -> list[tuple[str, str]]:
    """(prompt, group) of a text file: a prompt a line; `# group: NAME` begins a group, other lines with # are remarks."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the prompts of '{path}': {error}") from None
    prompts, group = [], ""
    for line in (line.strip() for line in lines):
        if line.startswith("# group:"):
            group = line.removeprefix("# group:").strip()
        elif line and not line.startswith("#"):
            prompts.append((line, group))
    if not prompts:
        raise UserError(f"'{path}' holds no prompt; write one a line")
    return prompts


def by_prompt(sets: Sequence[tuple[str, Sequence[Picture]]]) -> list[list[Picture]]:
    """Rows of pictures with the same prompt and seed, one from each (name, pictures), in the order of the first.

    Pictures without a counterpart are left out; a UserError when none remains.
    """
    tables = [{(picture.prompt, picture.seed): picture for picture in pictures} for _, pictures in sets]
    rows = [[table[key] for table in tables] for key in tables[0] if all(key in table for table in tables)]
    if not rows:
        names = ", ".join(name for name, _ in sets)
        raise UserError(f"no prompt has a picture of the same seed in each of {names}; generate them from the same prompts")
    return rows
