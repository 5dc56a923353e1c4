"""Chooses samples by what is known of them, joins datasets, and sets held-out pairs apart."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from pathlib import Path
from typing import Literal

from edgefusion.data import patterns
from edgefusion.data.sample import Sample
from edgefusion.data.stage import SampleStage
from edgefusion.data.summary import Counts


@dataclasses.dataclass(frozen=True)
class SelectConfig:
    """`exclude`: for a field (caption, subgroup, category, ...) a regular expression; a sample in whose field it is found goes.

    `part`: of the samples left, `held_out` (a part of them, chosen by a hash of their keys and `seed`) or the others, or all.
    """

    input: list[Path]
    output: Path
    exclude: dict[str, str] = dataclasses.field(default_factory=dict)
    part: Literal["all", "training", "held-out"] = "all"
    held_out: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.held_out < 1:
            raise ValueError("held_out: a part, above 0 and below 1")
        for field, pattern in self.exclude.items():
            patterns.check(f"exclude.{field}", pattern)


@dataclasses.dataclass(frozen=True)
class Select(SampleStage):
    """The stage; see SelectConfig."""

    config: SelectConfig
    name = "select"

    def apply(self, sample: Sample, counts: Counts) -> Sample | None:
        for field, pattern in self.config.exclude.items():
            value = str(sample.fields.get(field, ""))
            if re.search(pattern, value):
                counts.drop(sample.key, f"excluded {field}", value[:100])
                return None
        if self.config.part != "all" and self._held_out(sample.key) != (self.config.part == "held-out"):
            counts.drop(sample.key, "in the other part")
            return None
        return sample

    def _held_out(self, key: str) -> bool:
        digest = hashlib.sha256(f"{self.config.seed}/{key}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64 < self.config.held_out
