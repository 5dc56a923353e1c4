"""The image-text scorer's folder: what is saved is what is loaded, its figures say what they are, broken folders are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from data_samples import picture, sample, write_dataset

from edgefusion.cli import main
from edgefusion.errors import UserError
from edgefusion.eval import scorer
from edgefusion.train.networks import packaged_tokenizer

TEXTS = ["a red circle", "two blue squares"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[scorer.Scorer, Path]:
    """An untrained scorer of 16 tokens, and its folder."""
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    tokenizer = packaged_tokenizer(16)
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = CLIPTextModel(CLIPTextConfig(vocab_size=len(tokenizer), max_position_embeddings=16, **sizes, **ids))
    model = scorer.Scorer.create(text, tokenizer, dim=8, hidden=12).eval()
    folder = tmp_path_factory.mktemp("scorer")
    model.save_pretrained(folder)
    return model, folder


def pixels(seed: int) -> torch.Tensor:
    return torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_a_loaded_scorer_is_the_saved_one(saved: tuple[scorer.Scorer, Path]) -> None:
    model, folder = saved
    loaded = scorer.load(str(folder))
    pictures = [pixels(1), pixels(2)]
    assert torch.equal(loaded.embed_pictures(pictures), model.embed_pictures(pictures))
    assert torch.equal(loaded.embed_texts(TEXTS), model.embed_texts(TEXTS))
    assert torch.allclose(loaded.embed_texts(TEXTS).norm(dim=-1), torch.ones(2))
    assert "stand-in" in loaded.title
    # The extractor is named, not stored.
    assert (folder / "model.safetensors").stat().st_size < 4 * (49408 * 16 + 100_000)


def test_a_text_longer_than_the_tower_takes_is_cut(saved: tuple[scorer.Scorer, Path]) -> None:
    model, _ = saved
    assert model.tokenize(["word " * 500])["input_ids"].shape == (1, 16)
    assert model.embed_texts(["word " * 500, "a"]).shape == (2, 8)


def test_retrieval_command(saved: tuple[scorer.Scorer, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = [sample(f"key-{index}", picture(index), f"thing {index}") for index in range(6)]
    pairs = write_dataset(tmp_path / "pairs", samples)
    report = tmp_path / "retrieval.json"
    assert main(["eval", "retrieval", str(saved[1]), str(pairs), "--json", str(report)]) == 0
    found = json.loads(report.read_text(encoding="utf-8"))
    assert found["pairs"] == 6
    assert found["chance_r1"] == pytest.approx(1 / 6)
    assert found["text_to_image_r1"] <= found["text_to_image_r5"]
    assert "guessing: R@1 0.167" in capsys.readouterr().out


def test_folders_that_are_none_are_refused(saved: tuple[scorer.Scorer, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no config.json"):
        scorer.load(str(tmp_path))
    (tmp_path / "config.json").write_text('{"type": "edgefusion-scorer", "features": "efficientnet-lite0"}', encoding="utf-8")
    with pytest.raises(UserError, match="does not hold a whole"):
        scorer.load(str(tmp_path))
    cut = tmp_path / "cut"
    shutil.copytree(saved[1], cut)
    (cut / "model.safetensors").write_bytes((cut / "model.safetensors").read_bytes()[:-8])
    with pytest.raises(UserError, match="does not hold a whole"):
        scorer.load(str(cut))
    with pytest.raises(UserError, match="cannot load CLIP"):
        scorer.load(str(tmp_path / "nothing"))


def test_clip_s_own_layout_is_taken(tmp_path: Path) -> None:
    """A tiny CLIP as transformers saves it: cosines as its own forward gives them."""
    from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPVisionConfig

    torch.manual_seed(0)
    tokenizer = packaged_tokenizer(16)
    text = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=16, eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.bos_token_id,
    )  # fmt: skip
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=16
    )
    clip = CLIPModel(CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=8)).eval()
    clip.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = scorer.load(str(tmp_path))
    pictures = [pixels(1), pixels(2)]
    cosines = model.embed_pictures(pictures) @ model.embed_texts(TEXTS).T
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
    with torch.no_grad():
        expected = (
            clip(pixel_values=(torch.stack(pictures) / 255 - mean) / std, **model.tokenize(TEXTS)).logits_per_image
            / clip.logit_scale.exp()
        )
    assert torch.allclose(cosines, expected, atol=1e-5)
    assert model.title == f"CLIP {tmp_path.name}"
