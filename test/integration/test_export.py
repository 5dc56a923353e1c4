"""Exports: the bundle's files, and that its ONNX models compute what the PyTorch networks compute."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from transformers import CLIPTokenizer

from edgefusion import UserError, accuracy, cli, reference
from edgefusion.export import bundle, onnx_export, sources, tokenizer_files

MODELS = ("text_encoder", "unet", "vae_decoder")


def test_pipeline_json(tiny_source: Path) -> None:
    content = json.loads((tiny_source / "bundle" / "pipeline.json").read_text(encoding="utf-8"))
    assert content["format"] == "edgefusion-pipeline"
    assert content["latent"] == {"channels": 4, "height": 16, "width": 16, "scaling_factor": 0.18215}
    assert content["image"] == {"height": 64, "width": 64}
    assert content["guidance_embedding_dim"] == 32
    assert content["scheduler"] == {
        "type": "lcm",
        "num_train_timesteps": 1000,
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "original_inference_steps": 50,
        "timestep_scaling": 10.0,
        "sigma_data": 0.5,
        "prediction_type": "epsilon",
        "set_alpha_to_one": True,
    }
    assert set(content["models"]) == set(MODELS)


def test_signatures_are_static(tiny_source: Path) -> None:
    expected = {
        "text_encoder": {"input_ids": [1, 77], "last_hidden_state": [1, 77, 32]},
        "unet": {
            "sample": [1, 4, 16, 16],
            "timestep": [1],
            "encoder_hidden_states": [1, 77, 32],
            "timestep_cond": [1, 32],
            "noise_pred": [1, 4, 16, 16],
        },
        "vae_decoder": {"latent": [1, 4, 16, 16], "image": [1, 3, 64, 64]},
    }
    for name in MODELS:
        graph = onnx.load(tiny_source / "bundle" / f"{name}.onnx", load_external_data=False).graph
        ports = {port.name: [dim.dim_value for dim in port.type.tensor_type.shape.dim] for port in (*graph.input, *graph.output)}
        assert ports == expected[name]


def test_large_weights_lie_outside(tiny_source: Path) -> None:
    for name in ("text_encoder", "unet"):
        model = onnx.load(tiny_source / "bundle" / f"{name}.onnx", load_external_data=False)
        assert (tiny_source / "bundle" / f"{name}.onnx_data").stat().st_size > 1 << 20
        inside = [tensor.name for tensor in model.graph.initializer if len(tensor.raw_data) > 1024]
        assert inside == []


def test_no_trace_of_the_exporting_machine(tiny_source: Path) -> None:
    for name in MODELS:
        assert b"site-packages" not in (tiny_source / "bundle" / f"{name}.onnx").read_bytes()


@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
def test_models_compute_what_torch_computes(exporter: str, tmp_path: Path) -> None:
    source = sources.random_pipeline("tiny", seed=3)
    for network in onnx_export.networks(source):
        path = tmp_path / f"{network.name}.onnx"
        onnx_export.export_network(network, path, exporter, None)
        running = reference.session(path)
        inputs = reference.seeded_inputs(running, seed=3)
        with torch.no_grad():
            expected = network.module(*(torch.from_numpy(inputs[name]) for name in network.inputs)).numpy()
        assert accuracy.sqnr_db(expected, reference.run(running, inputs)[network.output]) > 100


def test_saved_pipeline_exports_the_same_weights(tiny_source: Path, tmp_path: Path) -> None:
    bundle.write(sources.load_pipeline(str(tiny_source / "pipeline")), tmp_path / "again")
    for file in sorted((tiny_source / "bundle").rglob("*")):
        if file.is_file() and file.suffix != ".onnx":
            assert (tmp_path / "again" / file.relative_to(tiny_source / "bundle")).read_bytes() == file.read_bytes(), file.name


def test_random_weights_depend_on_the_seed_alone() -> None:
    first, again, other = (sources.random_pipeline("tiny", seed).unet.conv_in.weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_tokenizer_files_give_clips_ids(tmp_path: Path) -> None:
    tokenizer_files.write_packaged(tmp_path)
    tokenizer = CLIPTokenizer(vocab=str(tmp_path / "vocab.json"), merges=str(tmp_path / "merges.txt"))
    assert len(tokenizer) == 49408
    assert tokenizer("a photo of a cat")["input_ids"] == [49406, 320, 1125, 539, 320, 2368, 49407]


def test_unreadable_pipeline_is_a_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for arguments in (
        ["export", tmp_path, "-o", tmp_path / "out"],
        ["export", tmp_path / "absent", "-o", tmp_path / "out"],
        ["export", "--random", "huge", "-o", tmp_path / "out"],
        ["export", "-o", tmp_path / "out"],
        ["export", "--random", "tiny", "--opset", "5", "-o", tmp_path / "out"],
    ):
        assert cli.main([str(argument) for argument in arguments]) == 1, arguments
        assert capsys.readouterr().err.startswith("edgefusion: error: "), arguments
        assert list(tmp_path.iterdir()) == []


def test_foreign_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("keep", encoding="utf-8")
    with pytest.raises(UserError, match="not a bundle"):
        bundle.write(sources.random_pipeline("tiny", seed=0), tmp_path)
    assert (tmp_path / "precious").exists()


def test_accuracy_measures() -> None:
    reference_values = np.array([3.0, 4.0])
    assert accuracy.sqnr_db(reference_values, reference_values) == np.inf
    assert accuracy.sqnr_db(reference_values, np.array([3.0, 4.5])) == pytest.approx(20.0)
    assert accuracy.sqnr_db(reference_values, np.array([3.0, np.nan])) == -np.inf
    assert accuracy.largest_error(reference_values, np.array([3.0, np.nan])) == np.inf
    assert accuracy.psnr_db(np.zeros(4), np.full(4, 25.5)) == pytest.approx(20.0)
