"""The parts of scripts/validation.py that can be checked by hand: models built from their published structure, time by steps."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

onnx = pytest.importorskip("onnx")
REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "scripts"))

import validation  # noqa: E402
import validation_models  # noqa: E402


def event(name: str, start: float, duration: float, **args: object) -> dict:
    return {"ph": "X", "name": name, "ts": start, "dur": duration, "args": {"node": "attn", "sequence": 0, **args}}


def dma(name: str, start: float, duration: float, sequence: int, offset: int, store: bool = False, node: str = "attn") -> dict:
    return event(name, start, duration, bytes=100, slot=1, offset=offset, store=store, sequence=sequence, node=node)


def test_stable_diffusion_unet_has_the_published_size(tmp_path: Path) -> None:
    model = onnx.load(validation_models.stable_diffusion_unet(tmp_path), load_external_data=False)
    sizes = [tensor for tensor in model.graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL]
    parameters = 0
    for tensor in sizes:
        count = 1
        for extent in tensor.dims:
            count *= extent
        parameters += count
    assert parameters == 859_520_964  # SD v1.4's U-Net
    onnx.checker.check_model(str(tmp_path / "sd14-unet.onnx"))


def test_edsr_is_a_valid_model(tmp_path: Path) -> None:
    path = validation_models.edsr(tmp_path, height=8, width=12)
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    onnx.checker.check_model(str(path))
    assert [d.dim_value for d in model.graph.output[0].type.tensor_type.shape.dim] == [1, 3, 16, 24]


def test_moments_are_divided_among_what_runs() -> None:
    first = [event("a", 0, 2000), event("a", 1000, 1000)]
    second = [event("b", 1000, 3000), event("b", 8000, 500)]
    # 1 ms of the first alone, 1 ms of both (two parts to one), 2 ms and 0.5 ms of the second alone.
    assert validation.divide([first, second, []]) == pytest.approx([1 + 2 / 3, 1 / 3 + 2.5, 0])


def test_steps_without_mlt() -> None:
    layers = {"scores": (1, 2, 3), "softmax": (4, 5, 6), "context": (7, 8, 9)}
    events, now = [], 0.0
    for layer, (load, compute, store) in layers.items():
        name = f"attention.{layer}"
        tensor = {} if layer == "softmax" else {"macs": 1, "channels": 40, "outputs": 8}
        events.append(dma(name, now, 1e3 * load, 0, 0))
        # Two engines side by side count once.
        events += [event(name, now + 1e3 * load, 1e3 * compute, **tensor) for _ in range(2)]
        events.append(dma(name, now + 1e3 * (load + compute), 1e3 * store, 0, 0, store=True))
        now += 1e3 * (load + compute + store)
    assert validation.steps_without_mlt(events) == pytest.approx([1, 2, 3, 4, 5, 6, 7, 8, 9])


def test_steps_with_mlt_tell_values_from_keys() -> None:
    class Compiled:
        def events(self) -> list[dict]:
            stores = [dma("matmul", 0, 1, 1, 0, True, "to_q"), dma("matmul", 0, 1, 2, 100, True, "to_k")]
            return [*stores, dma("matmul", 0, 1, 3, 200, True, "to_v"), *attention]

    attention = [
        dma("attention", 0, 1000, 4, 0),
        dma("attention", 1000, 1000, 5, 150),
        event("attention", 2000, 2000, macs=1, channels=40, outputs=4096),
        event("attention", 4000, 3000),
        dma("attention", 7000, 4000, 8, 250),
        event("attention", 11000, 5000, macs=1, channels=4096, outputs=40),
        dma("attention", 16000, 6000, 10, 300, store=True),
    ]
    steps = validation.steps_with_mlt(Compiled(), attention)
    assert steps == pytest.approx([2, 2, 0, 0, 3, 0, 4, 5, 6])
