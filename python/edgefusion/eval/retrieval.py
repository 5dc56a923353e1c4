"""How well an image-text scorer finds the partner of a held-out picture or caption among all: what its scores are worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from edgefusion.eval.scorer import ImageTextModel


def recall(scores: torch.Tensor, captions: Sequence[str], tops: Sequence[int]) -> dict[int, float]:
    """R@k of queries (rows) among candidates (columns), scores [N, N] with the partner on the diagonal.

    A candidate with the query's own caption is neither right nor wrong: it does not compete with the partner. A tie counts
    against the partner.
    """
    number = {caption: index for index, caption in enumerate(dict.fromkeys(captions))}
    kinds = torch.tensor([number[caption] for caption in captions])
    competes = kinds[:, None] != kinds[None, :]
    rank = ((scores >= scores.diagonal()[:, None]) & competes).sum(1)
    return {top: float((rank < top).float().mean()) for top in tops}


def evaluate(
    model: ImageTextModel, pictures: Sequence[torch.Tensor], captions: Sequence[str], tops: Sequence[int] = (1, 5)
) -> dict[str, float]:
    """R@k in both directions over uint8 pictures [3, H, W] and their captions, beside what guessing would give."""
    cosines = model.embed_texts(captions) @ model.embed_pictures(pictures).T
    found: dict[str, float] = {"pairs": len(captions)}
    for direction, scores in (("text_to_image", cosines), ("image_to_text", cosines.T)):
        for top, value in recall(scores, captions, tops).items():
            found[f"{direction}_r{top}"] = value
    for top in tops:
        found[f"chance_r{top}"] = min(1.0, top / len(captions))
    return found
