"""The stages' model backends on tiny random models in the layout of real ones: they load, run and give what a stage expects."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from data_samples import contents, picture, sample, write_dataset
from PIL import Image

from edgefusion.data import detectors
from edgefusion.data.language_model import LanguageModelConfig
from edgefusion.data.recaption import Recaption, RecaptionConfig, VisionLanguageConfig
from edgefusion.data.sample import Sample
from edgefusion.data.stage import run_stage
from edgefusion.data.synthesize_images import DiffusionConfig, SynthesizeImages, SynthesizeImagesConfig
from edgefusion.data.synthesize_prompts import SynthesizePrompts, SynthesizePromptsConfig
from edgefusion.errors import UserError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

WORDS = "[PAD] [UNK] [BOS] [EOS] a red blue cat dog sits on the grass . picture of".split()  # noqa: SIM905 - a vocabulary


def tokenizer() -> transformers.PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "bos_token": "[BOS]", "eos_token": "[EOS]", "sep_token": "[EOS]"}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=words,
        padding_side="left",
        cls_token="[BOS]",
        model_input_names=["input_ids", "attention_mask"],
        **special,
    )


@pytest.fixture(scope="module")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("lm")
    sizes = {"vocab_size": len(WORDS), "n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 256}
    config = transformers.GPT2Config(**sizes, bos_token_id=2, eos_token_id=3, pad_token_id=0)
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def vision_language_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("vlm")
    text = {
        "vocab_size": len(WORDS),
        "hidden_size": 16,
        "encoder_hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
    }
    text |= {"num_attention_heads": 2, "bos_token_id": 2, "eos_token_id": 3, "sep_token_id": 3, "pad_token_id": 0}
    text |= {"max_position_embeddings": 64, "projection_dim": 16}
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 32}
    config = transformers.BlipConfig(text_config=text, vision_config=vision, projection_dim=16, image_text_hidden_size=16)
    transformers.BlipForConditionalGeneration(config).save_pretrained(folder)
    images = transformers.BlipImageProcessorPil(size={"height": 32, "width": 32})
    transformers.BlipProcessor(images, tokenizer()).save_pretrained(folder)
    return str(folder)


def test_a_vision_language_model_writes_captions(tmp_path: Path, vision_language_model: str) -> None:
    write_dataset(tmp_path / "in", [sample(f"s{index}", picture(index), caption="as found") for index in range(3)])
    model = VisionLanguageConfig(vision_language_model, prompt="a picture of", max_new_tokens=6)
    summary = run_stage(Recaption(RecaptionConfig([tmp_path / "in"], tmp_path / "out", "vision-language", model)))
    assert summary.counts.written == 3
    kept = summary.counts.noted["caption kept, the model gave none"]
    for fields, _ in contents(tmp_path / "out").values():
        assert fields["caption"]
        if fields["caption"] != "as found":
            assert fields["caption_original"] == "as found" and set(fields["caption"].split()) <= set(WORDS)
            assert fields["captions"] == [fields["caption"]]
        else:
            kept -= 1
    assert kept == 0


def test_a_language_model_writes_prompts_again_alike(tmp_path: Path, language_model: str) -> None:
    write_dataset(tmp_path / "subjects", [sample("s", picture(0), caption="cat"), sample("t", picture(1), caption="dog")])
    model = LanguageModelConfig(language_model, instruction="a picture of {subject}", max_new_tokens=8, batch=3)
    for run in ("a", "b"):
        config = SynthesizePromptsConfig(tmp_path / run, [tmp_path / "subjects"], 7, "language-model", model, shard_size=4)
        summary = run_stage(SynthesizePrompts(config))
        assert summary.counts.read == 7 and summary.counts.balanced()
    prompts = contents(tmp_path / "a")
    assert prompts and prompts == contents(tmp_path / "b")
    for fields, data in prompts.values():
        assert data is None and set(fields["keywords"]) <= {"cat", "dog"} and set(fields["caption"].split()) <= set(WORDS)


def test_a_diffusion_pipeline_makes_the_pictures(tmp_path: Path) -> None:
    from edgefusion.export import bundle, sources

    bundle.save_pipeline(sources.random_pipeline("tiny", 0), tmp_path / "pipeline")
    fields = {**sample("p", picture(0)).fields, "caption": "a red cat", "width": 0, "height": 0}
    write_dataset(tmp_path / "prompts", [Sample("p", fields), Sample("q", {**fields, "caption": "a blue dog"})])
    options = DiffusionConfig(str(tmp_path / "pipeline"), steps=2, guidance=3.0, dtype="float32", device="cpu")
    pictures = []
    for run in ("a", "b"):
        config = SynthesizeImagesConfig([tmp_path / "prompts"], tmp_path / run, "diffusion", 64, diffusion=options)
        assert run_stage(SynthesizeImages(config)).counts.written == 2
        pictures.append(contents(tmp_path / run))
    assert pictures[0] == pictures[1]
    assert pictures[0]["p"][1] != pictures[0]["q"][1]
    for fields, data in pictures[0].values():
        assert Image.open(io.BytesIO(data)).size == (64, 64) and fields["width"] == 64 and fields["made_by"] == options.model


def test_a_device_that_is_not_there_is_named(tmp_path: Path) -> None:
    from edgefusion.export import bundle, sources

    bundle.save_pipeline(sources.random_pipeline("tiny", 0), tmp_path / "pipeline")
    write_dataset(tmp_path / "prompts", [sample("p", picture(0))])
    options = DiffusionConfig(str(tmp_path / "pipeline"), dtype="float32", device="cuda:77")
    config = SynthesizeImagesConfig([tmp_path / "prompts"], tmp_path / "out", "diffusion", 64, diffusion=options)
    with pytest.raises(UserError, match=r"diffusion.device cuda:77: cannot be used: .*; name another"):
        run_stage(SynthesizeImages(config))
    with pytest.raises(ValueError, match="steps: at least 1"):
        DiffusionConfig("x", steps=0)


def test_an_object_detector_gives_boxes_inside_the_picture(tmp_path: Path) -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "image_size": [32, 32]}
    config = transformers.YolosConfig(**sizes, num_detection_tokens=4, num_labels=2, use_mid_position_embeddings=False)
    transformers.YolosForObjectDetection(config).save_pretrained(tmp_path)
    transformers.YolosImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    left, top, right, bottom = detectors.load(f"objects:{tmp_path}").subject(picture(0, (80, 60)), "a thing")
    assert 0 <= left < right <= 80 and 0 <= top < bottom <= 60


def test_models_that_are_not_there_are_named(tmp_path: Path) -> None:
    write_dataset(tmp_path / "in", [sample("s", picture(0))])
    with pytest.raises(UserError, match=r"model /no/such/model: cannot be loaded"):
        run_stage(
            Recaption(
                RecaptionConfig([tmp_path / "in"], tmp_path / "a", "vision-language", VisionLanguageConfig("/no/such/model"))
            )
        )
    options = DiffusionConfig("/no/such/model", device="cpu")
    with pytest.raises(UserError, match=r"diffusion.model /no/such/model: cannot be loaded"):
        config = SynthesizeImagesConfig([tmp_path / "in"], tmp_path / "b", "diffusion", 64, diffusion=options)
        run_stage(SynthesizeImages(config))
