"""Rewrites captions, by a vision-language model or, where there is none, by a grammar over the keywords."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from pathlib import Path
from typing import Literal

from edgefusion import files
from edgefusion.data import caption_grammar, colours, shards, vocabulary
from edgefusion.data.executor import Executor
from edgefusion.data.sample import Sample
from edgefusion.data.stage import Progress, SampleStage
from edgefusion.data.summary import Counts
from edgefusion.data.vision_language import VisionLanguageModel


@dataclasses.dataclass(frozen=True)
class VisionLanguageConfig:
    """`model`: a folder or hub id for transformers' image-text-to-text pipeline. `prompt` may hold {caption} and {keywords}."""

    model: str
    prompt: str = "Describe what this picture shows in one short sentence."
    max_new_tokens: int = 64


@dataclasses.dataclass(frozen=True)
class GrammarConfig:
    """`cldr`: Unicode's CLDR, the source of English words; see edgefusion.data.caption_grammar for the two limits."""

    cldr: Path = Path("/usr/share/unicode/cldr/common")
    common: int = 5
    rare: int = 3


@dataclasses.dataclass(frozen=True)
class RecaptionConfig:
    """The backend, and its own keys in `model` or `grammar`."""

    input: list[Path]
    output: Path
    backend: Literal["grammar", "vision-language"]
    model: VisionLanguageConfig | None = None
    grammar: GrammarConfig = dataclasses.field(default_factory=GrammarConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.backend == "vision-language") != (self.model is not None):
            raise ValueError("model: goes with the backend vision-language, and is needed there")


@dataclasses.dataclass(frozen=True)
class Recaption(SampleStage):
    """The stage: writes `caption`, `captions` (all variants, of which training draws one), and `caption_original`."""

    config: RecaptionConfig
    name = "recaption"

    def prepare(self, executor: Executor, progress: Progress | None) -> None:
        super().prepare(executor, progress)
        if self.config.backend != "grammar" or self._frequencies_path().is_file():
            return
        captions, keywords = Counter(), Counter()
        for dataset in self.config.input:
            for sample in shards.read_dataset(dataset):
                captions[sample.caption.lower()] += 1
                keywords.update({" ".join(vocabulary.tokens(word)) for word in sample.fields["keywords"]})
        files.write_json(self._frequencies_path(), {"captions": captions, "keywords": keywords})

    def apply(self, sample: Sample, counts: Counts) -> Sample | None:
        image = sample.image()
        if self.config.model is not None:
            text = VisionLanguageModel.load(self.config.model.model).describe(
                image, _filled(self.config.model.prompt, sample), self.config.model.max_new_tokens
            )
            captions = [text] if text else []
        else:
            grammar = _grammar(self.config.grammar, self._frequencies_path())
            generator = random.Random(f"{self.config.seed}/{sample.key}")
            captions = grammar.captions(sample.fields, colours.dominant(image), generator)
        if not captions:
            counts.note("caption kept, the model gave none")
            return sample
        original = sample.fields.get("caption_original", sample.caption)
        fields = {**sample.fields, "caption": captions[0], "captions": captions, "caption_original": original}
        return Sample(sample.key, fields, sample.picture, sample.extension)

    def _frequencies_path(self) -> Path:
        return self.config.output / ".stage" / "frequencies.json"


def _filled(prompt: str, sample: Sample) -> str:
    return prompt.replace("{caption}", sample.caption).replace("{keywords}", ", ".join(sample.fields["keywords"]))


def _grammar(config: GrammarConfig, frequencies: Path) -> caption_grammar.CaptionGrammar:
    counted = files.read_json(frequencies)
    return caption_grammar.CaptionGrammar(
        vocabulary.load(config.cldr),
        caption_grammar.Frequencies(counted["captions"], counted["keywords"]),
        config.common,
        config.rare,
    )
