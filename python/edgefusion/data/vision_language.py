"""Captions by a vision-language model of transformers."""

from __future__ import annotations

import functools

from PIL import Image

from edgefusion.errors import UserError


class VisionLanguageModel:
    """An image-text-to-text pipeline, with a conversation where the model has a chat template and a plain prompt where not."""

    def __init__(self, model: str) -> None:
        from transformers import pipeline

        try:
            self._pipeline = pipeline("image-text-to-text", model=model)
        except (OSError, ValueError, ImportError, KeyError) as error:
            raise UserError(
                f"model {model}: cannot be loaded as image-text-to-text: {str(error).strip().splitlines()[0]}"
            ) from None
        self._chat = getattr(self._pipeline.processor, "chat_template", None) is not None

    @staticmethod
    @functools.lru_cache(maxsize=1)
    def load(model: str) -> VisionLanguageModel:
        """The model, loaded once a process."""
        return VisionLanguageModel(model)

    def describe(self, image: Image.Image, prompt: str, max_new_tokens: int) -> str:
        """The model's answer in one line, by greedy decoding; empty if it says nothing."""
        options = {"max_new_tokens": max_new_tokens, "do_sample": False}
        if self._chat:
            content = [{"type": "image", "image": image}, {"type": "text", "text": prompt}]
            answer = self._pipeline(text=[{"role": "user", "content": content}], return_full_text=False, generate_kwargs=options)
        else:
            answer = self._pipeline(images=image, text=prompt, return_full_text=False, generate_kwargs=options)
        text = answer[0]["generated_text"]
        return " ".join(str(text).split())
