"""Removes pictures whose shorter side is too small to be trained on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from edgefusion.data.sample import Sample
from edgefusion.data.stage import SampleStage
from edgefusion.data.summary import Counts


@dataclasses.dataclass(frozen=True)
class FilterSmallConfig:
    """`min_side`: pixels of the shorter side that a picture must have (EdgeFusion's data: 300)."""

    input: list[Path]
    output: Path
    min_side: int = 300
    seed: int = 0

    def __post_init__(self) -> None:
        if self.min_side < 1:
            raise ValueError("min_side: at least 1")


@dataclasses.dataclass(frozen=True)
class FilterSmall(SampleStage):
    """The stage; see FilterSmallConfig."""

    config: FilterSmallConfig
    name = "filter-small"

    def apply(self, sample: Sample, counts: Counts) -> Sample | None:
        width, height = sample.fields["width"], sample.fields["height"]
        if min(width, height) < self.config.min_side:
            counts.drop(sample.key, f"smaller than {self.config.min_side} pixels", f"{width} x {height}")
            return None
        return sample
