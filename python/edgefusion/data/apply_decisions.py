"""Applies the decisions that people have taken on the curation page."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Literal

from edgefusion import files, json_lines
from edgefusion.data.executor import Executor, Unit
from edgefusion.data.sample import Sample
from edgefusion.data.stage import Progress, SampleStage
from edgefusion.data.summary import Counts
from edgefusion.errors import UserError


@dataclasses.dataclass(frozen=True)
class ApplyDecisionsConfig:
    """`decisions`: JSONL of `key` and `decision` (keep, drop or undecided), the last one of a key counting. `undecided`: what
    becomes of samples that have none."""

    input: list[Path]
    output: Path
    decisions: Path
    undecided: Literal["keep", "drop"] = "drop"
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class ApplyDecisions(SampleStage):
    """The stage; see ApplyDecisionsConfig. The decisions are part of its input: when they have changed it does not go on."""

    config: ApplyDecisionsConfig
    name = "apply-decisions"

    def units(self) -> list[Unit]:
        decisions = json.dumps(read_decisions(self.config.decisions), sort_keys=True)
        digest = hashlib.sha256(decisions.encode()).hexdigest()[:16]
        return [{**unit, "decisions": digest} for unit in super().units()]

    def prepare(self, executor: Executor, progress: Progress | None) -> None:
        super().prepare(executor, progress)
        if not self._taken().is_file():
            files.write_json(self._taken(), read_decisions(self.config.decisions))

    def apply(self, sample: Sample, counts: Counts) -> Sample | None:
        decision = files.read_json(self._taken()).get(sample.key)
        if decision is None and self.config.undecided == "drop":
            counts.drop(sample.key, "undecided")
            return None
        if decision == "drop":
            counts.drop(sample.key, "dropped by hand")
            return None
        return sample

    def _taken(self) -> Path:
        return self.config.output / ".stage" / "decisions.json"


def read_decisions(path: Path) -> dict[str, str]:
    """The last decision of each key. A last line that was cut short (the page was killed while it wrote) is left out."""
    decisions: dict[str, str] = {}
    for number, row in json_lines.read(path).records:
        if row.get("decision") not in ("keep", "drop", "undecided") or not isinstance(row.get("key"), str):
            raise UserError(f"decisions: {path}, line {number}: expected a key and a decision (keep, drop or undecided)")
        decisions[row["key"]] = row["decision"]
    return {key: decision for key, decision in decisions.items() if decision != "undecided"}
