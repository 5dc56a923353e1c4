"""`edgefusion train text`: a text encoder by contrastive training on picture-caption pairs (CLIP, Radford et al., 2021).

The image tower is a small network on the frozen features of an extractor (edgefusion.eval.scorer), which are computed once. Both
towers together are the image-text scorer of the evaluation; the text tower is where the U-Net's conditioning starts from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from edgefusion import files
from edgefusion.data import stage
from edgefusion.eval import DEFAULT_FEATURES, features
from edgefusion.eval.scorer import Scorer
from edgefusion.train.checkpoint import replace_folder
from edgefusion.train.config import UNLIMITED, Limits, RunConfig
from edgefusion.train.data import Batch, DataConfig, Pictures
from edgefusion.train.loop import Outcome, train
from edgefusion.train.networks import packaged_tokenizer
from edgefusion.train.order import Pick
from edgefusion.train.progress import say
from edgefusion.train.task import Task, Values


@dataclasses.dataclass(frozen=True)
class TextModelConfig:
    """The text tower, as transformers' CLIPTextModel names it, with CLIP's vocabulary."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    #: Tokens of a prompt; longer ones are cut.
    max_position_embeddings: int = 77

    def __post_init__(self) -> None:
        if self.num_attention_heads < 1 or self.hidden_size % self.num_attention_heads:
            raise ValueError("hidden_size must be a multiple of num_attention_heads")


@dataclasses.dataclass(frozen=True)
class TextConfig(RunConfig):
    data: DataConfig
    model: TextModelConfig
    #: The extractor whose features the image tower sees, and the size of the common space.
    extractor: str = DEFAULT_FEATURES
    embedding_size: int = 256
    dropout: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data.varied:
            raise ValueError("data.flip, random_crop and swap_colours: features are of one view of each picture; leave them out")
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout must be in [0, 1)")


def build(model: TextModelConfig, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_act="quick_gelu",
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            projection_dim=model.hidden_size,
            **dataclasses.asdict(model),
        )
    )


def token_ids(tokenizer: CLIPTokenizer, texts: Sequence[str], length: int) -> torch.Tensor:
    """int64 [len(texts), length], cut or padded with the end token as Stable Diffusion does."""
    return tokenizer(list(texts), padding="max_length", truncation=True, max_length=length, return_tensors="pt")["input_ids"]


class Pairs:
    """Pictures' features [N, F] and token ids [N, L] of one caption each; `same` [N, N] is true where two captions are equal.

    The features are computed when the first batch is asked for, and kept in `cache`.
    """

    def __init__(self, config: TextConfig, tokenizer: CLIPTokenizer, cache: Path) -> None:
        self._pictures = Pictures(config.data, config.seed)
        self._config, self._tokenizer, self._cache = config, tokenizer, cache
        self._features: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, picks: Sequence[Pick]) -> Batch:
        if self._features is None:
            self._features = self._load()
        captions = [self._pictures.caption(pick) for pick in picks]
        ids = token_ids(self._tokenizer, captions, self._config.model.max_position_embeddings)
        # The state of the end token does not depend on what comes after it: padding that all captions have is left out.
        longest = int((ids == self._tokenizer.eos_token_id).int().argmax(-1).max()) + 1
        same = torch.tensor([[one == other for other in captions] for one in captions])
        return {"features": self._features[[index for _, index in picks]], "input_ids": ids[:, :longest], "same": same}

    def _origin(self) -> dict[str, str]:
        """What the features depend on."""
        data = self._config.data
        made = ",".join(stage.state(dataset) for dataset in data.datasets)
        return {"datasets": made, "size": str(data.size), "extractor": self._config.extractor}

    def _load(self) -> torch.Tensor:
        if self._cache.is_file():
            with safe_open(self._cache, "pt") as found:
                if found.metadata() == self._origin():
                    return found.get_tensor("features")
        extractor = features.load(self._config.extractor)
        parts = []
        for first in range(0, len(self), 256):
            pictures = [self._pictures.picture(index) for index in range(first, min(first + 256, len(self)))]
            parts.append(features.extract(extractor, pictures))
            say(f"text: features of {first + len(pictures):,} of {len(self):,} pictures", passing=True)
        computed = torch.cat(parts)
        # Each process of a training computes them.
        files.write_whole(self._cache, lambda stream: stream.write(save({"features": computed}, self._origin())))
        return computed


class _Contrast(torch.nn.Module):
    """Both towers as one call."""

    def __init__(self, scorer: Scorer) -> None:
        super().__init__()
        self.scorer = scorer

    def forward(self, picture_features: torch.Tensor, input_ids: torch.Tensor) -> torch.Tensor:
        """Scaled cosines [N, N]: pictures by texts."""
        pictures = F.normalize(self.scorer.image_embedding(picture_features), dim=-1)
        texts = F.normalize(self.scorer.text_embedding(input_ids), dim=-1)
        # CLIP's bound on the temperature.
        return pictures @ texts.T * self.scorer.logit_scale.clamp(max=4.6052).exp()


class TextTask(Task):
    """Each caption is to be found among the batch's by its picture, and the other way round."""

    name = "text"

    def __init__(self, config: TextConfig, tokenizer: CLIPTokenizer) -> None:
        super().__init__()
        torch.manual_seed(config.seed)
        encoder = build(config.model, tokenizer)
        scorer = Scorer.create(encoder, tokenizer, config.extractor, config.embedding_size, dropout=config.dropout)
        self.trained = {"contrast": _Contrast(scorer)}

    def loss(self, batch: Values, random: torch.Generator) -> tuple[torch.Tensor, Values]:
        logits = self.trained["contrast"](batch["features"], batch["input_ids"])
        # A caption that occurs several times in the batch is right for each of its pictures.
        target = batch["same"].float()
        target = target / target.sum(-1, keepdim=True)
        loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        found = batch["same"].gather(1, logits.argmax(1, keepdim=True)).float().mean()
        return loss, {"accuracy": found}

    def write(self, networks: Mapping[str, torch.nn.Module], folder: Path) -> None:
        scorer = networks["contrast"].scorer
        replace_folder(folder / "text_encoder", scorer.text_encoder.save_pretrained)
        replace_folder(folder / "tokenizer", scorer.tokenizer.save_pretrained)
        replace_folder(folder / "scorer", scorer.save_pretrained)


def run(config: TextConfig, limits: Limits = UNLIMITED, start_over: bool = False) -> Outcome:
    """Trains both towers; writes `config.output`/text_encoder, tokenizer and scorer."""
    tokenizer = packaged_tokenizer(config.model.max_position_embeddings)
    pairs = Pairs(config, tokenizer, config.output / "features.safetensors")
    return train(TextTask(config, tokenizer), pairs, config, limits, start_over)
