"""Image-text scorers: how well a picture fits a text, as the cosine of two embeddings.

`Scorer` is what `edgefusion train text` trains beside the text encoder: a CLIP text tower, and a small network on the frozen
features of a registered extractor as the image tower. It stands in for CLIP where CLIP's weights cannot be had, and says so.
Both kinds have what torchmetrics' CLIPScore asks of a model: get_image_features and get_text_features.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from edgefusion.errors import UserError
from edgefusion.eval import DEFAULT_FEATURES, features

_WEIGHTS = "model.safetensors"


class ImageTextModel(nn.Module, ABC):
    """Embeddings of pictures and texts in one space; neither is normalised."""

    #: What the figures made with it are called.
    title: str
    tokenizer: CLIPTokenizer
    #: Tokens that the text tower takes.
    max_tokens: int

    @abstractmethod
    def get_image_features(self, pictures: torch.Tensor) -> torch.Tensor:
        """uint8 [N, 3, H, W] -> float32 [N, D]."""

    @abstractmethod
    def get_text_features(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """int64 [N, L] -> float32 [N, D]."""

    def tokenize(self, texts: Sequence[str]) -> Any:  # noqa: ANN401 - transformers' BatchEncoding
        """input_ids and attention_mask [N, L], cut at what the text tower takes."""
        length = self.max_tokens
        return self.tokenizer(list(texts), padding="max_length", truncation=True, max_length=length, return_tensors="pt")

    @torch.inference_mode()
    def embed_pictures(self, pictures: Sequence[torch.Tensor], batch: int = 32) -> torch.Tensor:
        """Unit vectors [N, D] of uint8 pictures [3, H, W], which may differ in size."""
        ranges = features.batches(pictures, batch)
        parts = [self.get_image_features(torch.stack(list(pictures[part]))) for part in ranges]
        return functional.normalize(torch.cat(parts), dim=-1)

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str], batch: int = 256) -> torch.Tensor:
        """Unit vectors [N, D]."""
        parts = []
        for start in range(0, len(texts), batch):
            tokens = self.tokenize(texts[start : start + batch])
            parts.append(self.get_text_features(tokens["input_ids"], tokens["attention_mask"]))
        return functional.normalize(torch.cat(parts), dim=-1)


class Scorer(ImageTextModel):
    """CLIP text tower and projection; two-layer network on an extractor's features.

    Its folder holds config.json, the weights and tokenizer/. The extractor is not part of the weights: it is named in config.json
    and loaded from the registry.
    """

    def __init__(
        self, text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer, extractor: str, dim: int, hidden: int, dropout: float
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.max_tokens = text_encoder.config.max_position_embeddings
        self.text_encoder = text_encoder
        self.settings = {"features": extractor, "dim": dim, "hidden": hidden, "dropout": dropout}
        # In a list, so that its weights are neither trained nor saved with these.
        self._extractor = [features.Memo(features.load(extractor))]
        width = self.memo.extractor.num_features
        self.image_tower = nn.Sequential(
            nn.LayerNorm(width),
            nn.Dropout(dropout),
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, dim),
        )
        self.text_projection = nn.Linear(text_encoder.config.hidden_size, dim, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))  # CLIP's initial temperature
        self.title = f"image-text scorer trained on the pairs, on {extractor}, stand-in"

    @classmethod
    def create(
        cls,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        extractor: str = DEFAULT_FEATURES,
        dim: int = 256,
        hidden: int = 512,
        dropout: float = 0.2,
    ) -> Scorer:
        """An untrained one around `text_encoder`, which trains along."""
        return cls(text_encoder, tokenizer, extractor, dim, hidden, dropout)

    @property
    def memo(self) -> features.Memo:
        """The extractor, with what it has computed."""
        return self._extractor[0]

    def picture_features(self, pictures: Sequence[torch.Tensor]) -> torch.Tensor:
        """What `image_embedding` takes, [N, features], of uint8 pictures [3, H, W]; compute once before training."""
        return self.memo(pictures)

    def image_embedding(self, picture_features: torch.Tensor) -> torch.Tensor:
        """[N, features] -> [N, dim]."""
        return self.image_tower(picture_features)

    def text_embedding(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """int64 [N, L] -> [N, dim], from the state of the end token, as CLIP has it."""
        return self.text_projection(self.text_encoder(input_ids=input_ids, attention_mask=attention_mask).pooler_output)

    def get_image_features(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.image_embedding(self.picture_features(list(pictures)))

    def get_text_features(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        # Padding lies behind the end token, where the causal mask hides it: the mask that was trained with is none.
        return self.text_embedding(input_ids)

    def save_pretrained(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.tokenizer.save_pretrained(folder / "tokenizer")
        save_file({name: value.contiguous() for name, value in self.state_dict().items()}, folder / _WEIGHTS)
        config = {"type": "edgefusion-scorer", "version": 1, **self.settings, "text": self.text_encoder.config.to_dict()}
        (folder / "config.json").write_text(json.dumps(config, indent=1, default=str) + "\n", encoding="utf-8")

    @classmethod
    def from_pretrained(cls, folder: Path) -> Scorer:
        """The scorer in `folder`, in evaluation mode and float32."""
        config = _read_config(folder)
        try:
            text_encoder = CLIPTextModel(CLIPTextConfig(**config["text"]))
            tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
            scorer = cls(text_encoder, tokenizer, config["features"], config["dim"], config["hidden"], config["dropout"])
            weights = load_file(folder / _WEIGHTS)
            scorer.load_state_dict(
                {name: value.float() if value.is_floating_point() else value for name, value in weights.items()}
            )
        except (KeyError, OSError, RuntimeError, TypeError, ValueError, SafetensorError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(f"'{folder}' does not hold a whole image-text scorer: {reason}") from None
        return scorer.eval().requires_grad_(False)


class ClipScorer(ImageTextModel):
    """A CLIP model in a folder of transformers' layout, or in the hub's cache on this machine."""

    def __init__(self, origin: str) -> None:
        super().__init__()
        from transformers import CLIPModel

        try:
            self.network = CLIPModel.from_pretrained(origin, local_files_only=True, dtype=torch.float32).eval()
            self.tokenizer = CLIPTokenizer.from_pretrained(origin, local_files_only=True)
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(f"cannot load CLIP from '{origin}': {reason}; give a folder that holds model and tokenizer") from None
        self.requires_grad_(False)
        self.max_tokens = self.network.config.text_config.max_position_embeddings
        self.title = f"CLIP {Path(origin).name}"

    def get_image_features(self, pictures: torch.Tensor) -> torch.Tensor:
        size = self.network.config.vision_config.image_size
        return self.network.get_image_features(features.clip_normalized(pictures, size)).pooler_output

    def get_text_features(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        return self.network.get_text_features(input_ids, attention_mask).pooler_output


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"'{folder}' is not an image-text scorer: it has no config.json; `edgefusion train text` writes one"
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read '{path}': {error}") from None
    if not isinstance(config, dict):
        raise UserError(f"'{path}' is not a model's configuration")
    return config


def load(origin: str) -> ImageTextModel:
    """The scorer in folder `origin`: one of `edgefusion train text`, or CLIP (a folder, or an id in the hub's cache)."""
    folder = Path(origin)
    if folder.is_dir() and _read_config(folder).get("type") == "edgefusion-scorer":
        return Scorer.from_pretrained(folder)
    return ClipScorer(origin)
