"""Prompts for synthetic pictures, by a language model or, where there is none, by a grammar of scenes.

What is written is a dataset without pictures: `caption` is the prompt, and the grammar's prompts carry their `scene`.
"""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from edgefusion.data import scenes, shards
from edgefusion.data.executor import Executor, Unit
from edgefusion.data.language_model import LanguageModel, LanguageModelConfig
from edgefusion.data.sample import Sample
from edgefusion.data.stage import Progress
from edgefusion.data.summary import Counts
from edgefusion.errors import UserError


@dataclasses.dataclass(frozen=True)
class SynthesizePromptsConfig:
    """`subjects`: datasets whose captions name what the prompts are about. `count`: prompts asked for. A prompt that came up
    before in its shard is dropped. `name`: what their keys begin with."""

    output: Path
    subjects: list[Path]
    count: int
    backend: Literal["grammar", "language-model"]
    model: LanguageModelConfig | None = None
    shard_size: int = 1000
    name: str = "synt"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 1 or self.shard_size < 1:
            raise ValueError("count and shard_size: at least 1")
        # In a tar, a key ends at the first point, and a slash would make folders.
        if not re.fullmatch(r"[\w-]+", self.name):
            raise ValueError(f"name: begins the keys; expected letters, digits, hyphens and underscores, found {self.name}")
        if (self.backend == "language-model") != (self.model is not None):
            raise ValueError("model: goes with the backend language-model, and is needed there")


@dataclasses.dataclass(frozen=True)
class SynthesizePrompts:
    """The stage; see SynthesizePromptsConfig."""

    config: SynthesizePromptsConfig
    name = "synthesize-prompts"

    def units(self) -> list[Unit]:
        subjects = sorted({sample.caption for dataset in self.config.subjects for sample in shards.read_dataset(dataset)})
        if not subjects:
            raise UserError("subjects: the datasets hold no sample to write prompts about")
        starts = range(0, self.config.count, self.config.shard_size)
        size = self.config.shard_size
        return [{"start": start, "count": min(size, self.config.count - start), "subjects": subjects} for start in starts]

    def prepare(self, executor: Executor, progress: Progress | None) -> None:
        """Nothing: each shard has a seed of its own."""

    def samples(self, unit: Unit, counts: Counts) -> Iterator[Sample]:
        seen: set[str] = set()
        write = self._by_grammar if self.config.model is None else self._by_model
        for number, (prompt, fields) in enumerate(write(unit), unit["start"]):
            counts.read += 1
            key = f"{self.config.name}-{number:07d}"
            if not prompt:
                counts.drop(key, "the model gave none")
            elif prompt.lower() in seen:
                counts.drop(key, "repeated prompt", prompt)
            else:
                seen.add(prompt.lower())
                source = f"{self.config.name}/{self.config.backend}/{number}"
                known = {"source": source, "license": "generated", "width": 0, "height": 0}
                yield Sample(key, {**known, "caption": prompt, **fields})

    def _by_grammar(self, unit: Unit) -> Iterator[tuple[str, dict]]:
        for number in range(unit["start"], unit["start"] + unit["count"]):
            scene = scenes.random_scene(unit["subjects"], random.Random(f"{self.config.seed}/{number}"))
            yield scene.prompt(), {"scene": scene.as_dict(), "keywords": [thing.subject for thing in scene.things]}

    def _by_model(self, unit: Unit) -> Iterator[tuple[str, dict]]:
        model = LanguageModel.load(self.config.model)
        generator = random.Random(f"{self.config.seed}/{unit['start']}")
        subjects = [generator.choice(unit["subjects"]) for _ in range(unit["count"])]
        for subject, prompt in zip(subjects, model.prompts(subjects, generator.getrandbits(32)), strict=True):
            yield prompt, {"keywords": [subject]}
