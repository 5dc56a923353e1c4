"""FID, KID, Inception Score and CLIP-score of a set of pictures, by torchmetrics on features that are computed once a picture."""

from __future__ import annotations

import json
import math
import statistics
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from edgefusion import accuracy, files
from edgefusion.errors import UserError
from edgefusion.eval import features, pictures
from edgefusion.eval.pictures import Picture

if TYPE_CHECKING:
    from edgefusion.eval.scorer import ImageTextModel

#: Fewest pictures a split of the Inception Score has; the literature's 10 splits come with 500 pictures and more.
_SPLIT = 50
#: Size of KID's subsets (1000 in the literature), where there are as many pictures.
_SUBSET = 100


@dataclass
class Value:
    """A figure, and its standard deviation where its definition has one."""

    name: str
    value: float
    deviation: float | None = None


@dataclass
class Report:
    pictures: int
    reference: int
    values: dict[str, Value] = field(default_factory=dict)

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"

    def as_table(self) -> str:
        lines = [f"{self.pictures} pictures" + (f" against {self.reference} of the reference" if self.reference else "")]
        for value in self.values.values():
            spread = f" +- {value.deviation:.4f}" if value.deviation is not None else ""
            lines.append(f"  {value.value:10.4f}{spread}  {value.name}")
        return "\n".join(lines)


class _Features(nn.Module):
    """Stands where torchmetrics expects a network: what it is given are the features."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_features = width

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values


def frechet_distance(real: torch.Tensor, made: torch.Tensor) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of features [N, F] (Heusel et al. 2017), in float64."""
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(feature=_Features(real.shape[1])).set_dtype(torch.float64)
    metric.update(real.double(), real=True)
    metric.update(made.double(), real=False)
    return float(metric.compute())


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Random numbers of their own, and none of the warnings on memory and on a single split, both of which are known here."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        torch.manual_seed(seed)
        yield


def kernel_distance(real: torch.Tensor, made: torch.Tensor, seed: int) -> tuple[float, float]:
    """KID, mean and deviation over 100 subsets (Binkowski et al. 2018): unlike FID unbiased with few pictures."""
    from torchmetrics.image.kid import KernelInceptionDistance

    subset = min(_SUBSET, len(real), len(made))
    with _seeded(seed):
        metric = KernelInceptionDistance(feature=_Features(real.shape[1]), subsets=100, subset_size=subset)
        metric.update(real, real=True)
        metric.update(made, real=False)
        mean, deviation = metric.compute()
    return float(mean), float(deviation)


def inception_score(logits: torch.Tensor, seed: int) -> tuple[float, float]:
    """exp E KL(p(y|x) | p(y)) of class scores [N, classes], mean and deviation over splits (Salimans et al. 2016)."""
    from torchmetrics.image.inception import InceptionScore

    splits = max(1, min(10, len(logits) // _SPLIT))
    with _seeded(seed):
        metric = InceptionScore(feature=_Features(logits.shape[1]), splits=splits)
        metric.update(logits)
        mean, deviation = metric.compute()
    return float(mean), float(deviation) if splits > 1 else math.nan


class _Processor:
    """Hands CLIPScore's pictures and texts to a scorer as its methods take them."""

    def __init__(self, model: ImageTextModel) -> None:
        self._model = model

    def __call__(self, images: list[torch.Tensor] | None = None, text: list[str] | None = None, **_: Any) -> Any:  # noqa: ANN401
        return {"pixel_values": torch.stack(images)} if images is not None else self._model.tokenize(text or [])


@torch.no_grad()
def clip_score(model: ImageTextModel, pixels: list[torch.Tensor], prompts: list[str]) -> float:
    """Mean cosine of picture and prompt, in [0, 1] as the paper's tables have it (torchmetrics counts to 100)."""
    from torchmetrics.multimodal import CLIPScore

    model.config = None  # torchmetrics asks it for a limit of the text's length, which the processor keeps already
    metric = CLIPScore(model_name_or_path=lambda: (model, _Processor(model)))
    for part in features.batches(pixels, 32):
        metric.update(pixels[part], prompts[part])
    return float(metric.compute()) / 100


def agreement(first: list[Picture], second: list[Picture]) -> dict[str, float]:
    """PSNR in dB of pictures of the same prompt and seed: of all pixels together, the median and the worst; and their number."""
    pairs = []
    for a, b in pictures.by_prompt([("A", first), ("B", second)]):
        one, other = a.pixels().numpy(), b.pixels().numpy()
        if one.shape != other.shape:
            raise UserError(f"the pictures of '{a.prompt}' have different sizes: {one.shape} and {other.shape}")
        pairs.append((one, other))
    each = [accuracy.psnr_db(one, other) for one, other in pairs]
    together = accuracy.psnr_db(*(np.concatenate([array.ravel() for array in side]) for side in zip(*pairs, strict=True)))
    return {"pictures": len(pairs), "psnr": together, "psnr_median": statistics.median(each), "psnr_worst": min(each)}


def write_features(path: Path, values: torch.Tensor, title: str) -> None:
    """Saves a reference's features [N, F], so that they are computed once for many evaluations."""
    files.write_whole(path, lambda stream: np.savez(stream, features=values.numpy(), title=np.array(title)))


def read_features(path: Path, title: str) -> torch.Tensor:
    """Features [N, F] that `write_features` saved; a UserError unless the extractor `title` made them."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            values, made_by = stored["features"], str(stored["title"])
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"'{path}' does not hold the features that `edgefusion eval features` writes ({error})") from None
    if made_by != title:
        raise UserError(f"'{path}' holds {made_by}, but the pictures are looked at with {title}; give --features the same name")
    return torch.from_numpy(values)


def evaluate(
    made: list[Picture],
    memo: features.Memo,
    reference: torch.Tensor | None = None,
    scorer: ImageTextModel | None = None,
    seed: int = 0,
) -> Report:
    """Every figure that `reference` (features [N, F] of `memo`'s extractor) and `scorer` make possible."""
    title = memo.extractor.title
    pixels = [picture.pixels() for picture in made]
    values = memo(pixels)
    report = Report(len(made), 0 if reference is None else len(reference))
    if reference is not None:
        if min(len(made), len(reference)) < 2:
            raise UserError("FID needs at least two pictures on either side")
        report.values["fid"] = Value(f"FID ({title})", frechet_distance(reference, values))
        report.values["kid"] = Value(f"KID ({title})", *kernel_distance(reference, values, seed))
    try:
        mean, deviation = inception_score(memo.extractor.logits(values), seed)
        report.values["is"] = Value(f"IS ({title})", mean, None if math.isnan(deviation) else deviation)
    except UserError:
        if reference is None and scorer is None:
            raise
    if scorer is not None:
        score = clip_score(scorer, pixels, [picture.prompt for picture in made])
        report.values["clip_score"] = Value(f"CLIP-score ({scorer.title})", score)
    return report
