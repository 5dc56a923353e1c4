"""Prompts written by a language model of transformers."""

from __future__ import annotations

import dataclasses
import functools
import re

from edgefusion.errors import UserError

_INSTRUCTION = (
    "Write one prompt for a text-to-image model, a single sentence in English of at most 30 words, that describes a picture "
    "of {subject}: what it looks like, where it is, the light and the style. Answer with the prompt alone."
)


@dataclasses.dataclass(frozen=True)
class LanguageModelConfig:
    """`model`: a folder or hub id that transformers' text-generation pipeline loads. `instruction` holds {subject}."""

    model: str
    instruction: str = _INSTRUCTION
    max_new_tokens: int = 64
    temperature: float = 0.9
    batch: int = 16

    def __post_init__(self) -> None:
        if "{subject}" not in self.instruction:
            raise ValueError("instruction: has no {subject} to be filled in")
        if self.max_new_tokens < 1 or self.batch < 1 or self.temperature <= 0:
            raise ValueError("max_new_tokens and batch: at least 1; temperature: above 0")


class LanguageModel:
    """A text-generation pipeline that answers the instruction, once for each subject."""

    def __init__(self, config: LanguageModelConfig) -> None:
        from transformers import pipeline

        self._config = config
        try:
            self._pipeline = pipeline("text-generation", model=config.model)
        except (OSError, ValueError, ImportError, KeyError) as error:
            raise UserError(f"model {config.model}: cannot be loaded: {str(error).strip().splitlines()[0]}") from None
        tokenizer = self._pipeline.tokenizer
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token_id = tokenizer.eos_token_id
        self._chat = tokenizer.chat_template is not None

    @staticmethod
    @functools.lru_cache(maxsize=1)
    def load(config: LanguageModelConfig) -> LanguageModel:
        """The model, loaded once a process."""
        return LanguageModel(config)

    def prompts(self, subjects: list[str], seed: int) -> list[str]:
        """A prompt for each subject, in one line; empty where the model gave none. The same for the same seed."""
        import torch

        torch.manual_seed(seed)
        asked = [self._config.instruction.replace("{subject}", subject) for subject in subjects]
        inputs = [[{"role": "user", "content": text}] for text in asked] if self._chat else asked
        answers = self._pipeline(
            inputs,
            batch_size=self._config.batch,
            max_new_tokens=self._config.max_new_tokens,
            do_sample=True,
            temperature=self._config.temperature,
            return_full_text=False,
        )
        return [first_sentence(answer[0]["generated_text"]) for answer in answers]


def first_sentence(answer: str) -> str:
    """The first line of an answer that says something, without numbering, quotation marks and "Prompt:"."""
    for line in answer.splitlines():
        text = re.sub(r"^\s*(?:\d+[.)]|[-*\u2022])?\s*(?:prompt\s*:)?\s*", "", line, flags=re.IGNORECASE)
        text = " ".join(text.strip().strip("\"'\u201c\u201d").split())
        if text:
            return text
    return ""
