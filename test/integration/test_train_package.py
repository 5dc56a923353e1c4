"""The packaged model: one folder in half precision that diffusers and the exporter read, with a card that tells the truth."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import LatentConsistencyModelPipeline, StableDiffusionPipeline
from small_training import SIZE, TOKENS, dataset, loop, write_pipeline

from edgefusion.errors import UserError
from edgefusion.export import bundle, sources
from edgefusion.train import kd, latents, lcm, networks, package, run_record, teacher, vae
from edgefusion.train.conditioning import LatentDataConfig
from edgefusion.train.data import DataConfig
from edgefusion.train.diffusion import DiffusionConfig
from edgefusion.train.model_card import CardConfig

CARD = CardConfig(
    "tiny", "A tiny model.", "print('hello')", "As the project.", licences={"test": "made up by a test"},
    samples=["../samples.png"], limits=["It draws noise."], commands=["make it"],
)  # fmt: skip


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> package.PackageConfig:
    """Runs of each stage, in two steps; the text encoder's run is stood in for by the teacher's."""
    folder = tmp_path_factory.mktemp("runs")
    start = write_pipeline(folder / "start", prediction="v_prediction")
    pictures = DataConfig([dataset(folder / "shapes")], SIZE)
    vae.run(vae.VaeConfig(folder / "vae", loop(2, log_every=1), 0, pictures, start=start))
    decoder = vae.VaeConfig(folder / "decoder", loop(2), 0, pictures, start=folder / "vae", decoder_only=True)
    vae.run(decoder)
    latents.run(latents.LatentsConfig(folder / "latents", pictures, folder / "vae", start, TOKENS))
    cached = LatentDataConfig([folder / "latents"])
    predicts = {"start": start, "diffusion": DiffusionConfig("v_prediction")}
    teacher.run(teacher.TeacherConfig(folder / "teacher", loop(2), 0, cached, folder / "vae", start, **predicts))
    large = str(folder / "teacher" / "pipeline")
    kd.run(kd.KdConfig(folder / "kd-first", loop(2), 0, cached, large))
    kd.run(kd.KdConfig(folder / "kd", loop(2), 0, cached, large, start=str(folder / "kd-first" / "pipeline")))
    for origin, name in (("kd", "lcm-first"), ("lcm-first", "lcm")):
        student = str(folder / origin / "pipeline")
        lcm.run(lcm.LcmConfig(folder / name, loop(2, batch_size=3), 0, cached, student, large, guidance_embedding=32))
    runs = {name: folder / name for name in ("vae", "teacher", "kd", "lcm", "decoder")}
    before = {"vae_before": [folder / "decoder"], "kd_before": [folder / "kd-first"], "lcm_before": [folder / "lcm-first"]}
    return package.PackageConfig(folder / "model", text=folder / "teacher", card=CARD, **before, **runs)


@pytest.fixture(scope="module")
def model(config: package.PackageConfig) -> Path:
    size = package.run(config)
    files = [path for path in config.output.rglob("*") if path.is_file()]
    assert size == pytest.approx(sum(path.stat().st_size for path in files) / 1e6)
    return config.output


def assert_half_of(packaged: torch.nn.Module, original: torch.nn.Module) -> None:
    for name, value in original.state_dict().items():
        assert torch.equal(packaged.state_dict()[name].half(), value.half()), name


def test_parts_are_the_runs_in_half_precision(model: Path, config: package.PackageConfig) -> None:
    assert_half_of(networks.load_unet(model), networks.load_unet(config.lcm / "pipeline"))
    assert_half_of(networks.load_unet(model / "teacher"), networks.load_unet(config.teacher / "pipeline"))
    assert_half_of(networks.load_vae(model), networks.load_vae(config.decoder))
    assert_half_of(networks.load_text_encoder(model), networks.load_text_encoder(config.lcm / "pipeline"))
    from safetensors.torch import load_file

    for path in model.rglob("*.safetensors"):
        assert {value.dtype for value in load_file(path).values() if value.is_floating_point()} == {torch.float16}


def test_tokenizer_is_the_same_without_what_can_be_derived(model: Path, config: package.PackageConfig) -> None:
    ours, whole = networks.load_tokenizer(model), networks.load_tokenizer(config.lcm / "pipeline")
    for prompt in ("slice of pizza", "Café №7, 日本語 — a  \t cat's 🐱", "", "a " * 40):
        options = {"padding": "max_length", "truncation": True, "max_length": TOKENS}
        assert ours(prompt, **options)["input_ids"] == whole(prompt, **options)["input_ids"]
    assert ours.model_max_length == TOKENS
    assert sum(path.stat().st_size for path in (model / "tokenizer").iterdir()) < 2e6


def test_diffusers_and_the_exporter_read_it(model: Path, config: package.PackageConfig) -> None:
    pipeline = LatentConsistencyModelPipeline.from_pretrained(model, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline("a thing", num_inference_steps=2, output_type="np").images[0].shape == (SIZE, SIZE, 3)
    described = bundle.describe(sources.load_pipeline(str(model)))
    assert described["scheduler"]["prediction_type"] == "v_prediction"
    assert described["guidance_embedding_dim"] == 32


def test_card_tells_what_ran(model: Path) -> None:
    text = (model / "README.md").read_text(encoding="utf-8")
    stage = next(line for line in text.splitlines() if line.startswith("| student (consistency) |"))
    assert stage.startswith("| student (consistency) | 2 | 6 |")
    assert "learning_rate 0.001" in stage
    assert "guidance_max 15.0" in stage
    assert "| shapes | autoencoder (part 1), autoencoder, decoder, text encoder, teacher, " in text
    assert "10 test" in text
    for words in ("made up by a test", "It draws noise.", "make it", "teacher/unet", "](../samples.png)", "](curves.png)"):
        assert words in text
    assert (model / "curves.png").stat().st_size > 1000


def test_teacher_is_a_pipeline_of_its_own(model: Path, config: package.PackageConfig) -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(model / "teacher", dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline("a thing", num_inference_steps=2, output_type="np").images[0].shape == (SIZE, SIZE, 3)
    assert networks.same_weights(pipeline.vae, networks.load_vae(model))
    copied = config.output.parent / "copied"
    shutil.copytree(model, copied, symlinks=True)
    networks.load_text_encoder(copied / "teacher")


@pytest.fixture(scope="module")
def cached(model: Path) -> LatentDataConfig:
    """Latents of the packaged autoencoder."""
    folder = model.parent / "packaged-latents"
    latents.run(latents.LatentsConfig(folder, DataConfig([model.parent / "shapes"], SIZE), model, model, TOKENS))
    return LatentDataConfig([folder])


@pytest.fixture(scope="module")
def continued_teacher(model: Path, cached: LatentDataConfig) -> package.PackageConfig:
    """Runs that begin with the packaged teacher."""
    folder, large = model.parent / "continued-teacher", model / "teacher"
    predicts = DiffusionConfig("v_prediction")
    teacher.run(teacher.TeacherConfig(folder / "teacher", loop(3), 0, cached, large, large, start=large, diffusion=predicts))
    trained, student = str(folder / "teacher" / "pipeline"), str(folder / "kd" / "pipeline")
    kd.run(kd.KdConfig(folder / "kd", loop(2), 0, cached, trained))
    lcm.run(lcm.LcmConfig(folder / "lcm", loop(2), 0, cached, student, trained, guidance_embedding=32))
    runs = {name: folder / name for name in ("teacher", "kd", "lcm")}
    return package.PackageConfig(folder / "model", card=CARD, continues=model, **runs)


@pytest.fixture(scope="module")
def continued_student(model: Path, cached: LatentDataConfig) -> package.PackageConfig:
    """A run that begins with the packaged student."""
    folder, large = model.parent / "continued-student", str(model / "teacher")
    lcm.run(lcm.LcmConfig(folder / "lcm", loop(3), 0, cached, str(model), large, guidance_embedding=32))
    return package.PackageConfig(folder / "model", folder / "lcm", CARD, continues=model)


def stages(model: Path) -> list[str]:
    return [record.stage for record in run_record.read_packaged(model)]


def test_teacher_of_a_packaged_model_goes_on(continued_teacher: package.PackageConfig, model: Path) -> None:
    """The card tells of what the package tells, but for its student, which was distilled anew."""
    package.run(continued_teacher)
    output = continued_teacher.output
    assert_half_of(networks.load_unet(output), networks.load_unet(continued_teacher.lcm / "pipeline"))
    assert stages(output) == [
        *("autoencoder", "autoencoder", "decoder", "text encoder", "teacher"),
        *("teacher", "student (distilled)", "student (consistency)"),
    ]
    card = (output / "README.md").read_text(encoding="utf-8")
    assert "| teacher (part 1) | 2 | " in card
    assert "| teacher | 3 | " in card
    before = (model / "README.md").read_text(encoding="utf-8").splitlines()
    assert all(line in card for line in before if line.startswith(("| autoencoder", "| decoder", "| text encoder")))


def test_student_of_a_packaged_model_goes_on(continued_student: package.PackageConfig, model: Path) -> None:
    (model / "curves-1.png").write_bytes(b"drawn long ago")
    package.run(continued_student)
    output = continued_student.output
    assert (output / "curves-1.png").read_bytes() == b"drawn long ago"
    assert_half_of(networks.load_unet(output), networks.load_unet(continued_student.lcm / "pipeline"))
    assert networks.same_weights(networks.load_unet(output / "teacher"), networks.load_unet(model / "teacher"))
    assert stages(output) == [*stages(model), "student (consistency)"]
    card = (output / "README.md").read_text(encoding="utf-8")
    assert "| student (consistency, part 3) | " not in card
    assert "| student (consistency, part 2) | 2 | " in card
    assert "| student (consistency) | 3 | " in card
    assert "](curves-1.png)" in card


def test_refuses_to_go_on_from_what_is_none(
    continued_teacher: package.PackageConfig,
    continued_student: package.PackageConfig,
    config: package.PackageConfig,
    tmp_path: Path,
) -> None:
    new = dataclasses.replace(continued_teacher, output=tmp_path / "model")
    copied = tmp_path / "copied"
    shutil.copytree(new.continues, copied, symlinks=True)
    with pytest.raises(UserError, match=f"its start was '{new.continues}/teacher', not '{copied}/teacher'"):
        package.run(dataclasses.replace(new, continues=copied))
    with pytest.raises(UserError, match=f"its student was '{new.continues}', not '{copied}'"):
        package.run(dataclasses.replace(continued_student, output=new.output, continues=copied))
    with pytest.raises(ValueError, match="unless continues names a packaged model"):
        dataclasses.replace(new, continues=None)
    with pytest.raises(ValueError, match="kd is needed"):
        dataclasses.replace(new, kd=None)
    (copied / "training.json").write_text("[{}]", encoding="utf-8")
    with pytest.raises(UserError, match="not the record of a training"):
        run_record.read_packaged(copied)
    (copied / "training.json").unlink()
    with pytest.raises(UserError, match=r"No such file or directory: training\.json"):
        run_record.read_packaged(copied)
    with pytest.raises(UserError, match=r"its start was '.*kd-first/pipeline', which is not given"):
        package.run(dataclasses.replace(config, output=tmp_path / "model", kd_before=[]))
    assert not new.output.exists()


def test_made_again_in_its_place(model: Path, config: package.PackageConfig) -> None:
    (model / "README.md").write_text("old", encoding="utf-8")
    package.run(config)
    assert (model / "README.md").read_text(encoding="utf-8").startswith("# tiny")


def test_refusals_leave_nothing(config: package.PackageConfig, tmp_path: Path) -> None:
    new = dataclasses.replace(config, output=tmp_path / "model")
    with pytest.raises(UserError, match="more than max_megabytes 1; the largest files in MB"):
        package.run(dataclasses.replace(new, max_megabytes=1.0))
    other = write_pipeline(tmp_path / "other" / "pipeline", seed=9, prediction="v_prediction")
    with pytest.raises(UserError, match="different text encoders"):
        package.run(dataclasses.replace(new, teacher=other.parent))
    with pytest.raises(UserError, match="train it with decoder_only"):
        package.run(dataclasses.replace(new, decoder=other))
    with pytest.raises(UserError, match=f"its student was '{config.lcm_before[0]}/pipeline', not '{config.kd}/pipeline'"):
        package.run(dataclasses.replace(new, lcm_before=[]))
    copied = tmp_path / "teacher"
    shutil.copytree(config.teacher, copied)
    with pytest.raises(UserError, match=f"its teacher was '{config.teacher}/pipeline', not '{copied}/pipeline'"):
        package.run(dataclasses.replace(new, teacher=copied))
    shutil.rmtree(copied / "logs")
    with pytest.raises(UserError, match="was logs/ removed"):
        package.run(dataclasses.replace(new, text=copied))
    with pytest.raises(UserError, match="not the folder of a training run"):
        package.run(dataclasses.replace(new, text=tmp_path / "nothing"))
    assert not new.output.exists()
    new.output.mkdir()
    (new.output / "thesis.txt").write_text("precious", encoding="utf-8")
    with pytest.raises(UserError, match="not a packaged model"):
        package.run(new)
