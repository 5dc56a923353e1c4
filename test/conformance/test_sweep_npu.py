"""The sweep's families, and random blocks of a U-Net, compiled for exynos-npu in float16 and executed by the simulator.

EFC_SWEEP_SEED (default 0) chooses the cases. What the NPU does not execute runs on the CPU inside the same artifact.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from sweep_cases import FAMILIES, Case, Generator, build_model, make_cases
from test_sweep import SEED, reference, run_artifact, run_tool, sqnr_db

# Of float16 tensors: about 70 dB a rounding, less where a norm or a sum magnifies what its operands lost.
THRESHOLD_DB = 40.0
# Families of which the NPU executes a part; the others are channels-first or batches when they stand alone.
NPU_FAMILIES = ("conv", "matmul", "gemm", "attention", "layer_norm", "geglu", "elementwise", "reduce", "pool")


def simulated(path: Path, cases: list[Case], *options: str) -> list[np.ndarray]:
    """The outputs that the simulator gives; skips the test if these cases leave nothing for the NPU."""
    partitioned = path.with_suffix(".mlir")
    run_tool("efc", path, "-o", partitioned, "--target=exynos-npu", "--quiet", "--compile-to=partitioned")
    if "npu.launch" not in partitioned.read_text():
        pytest.skip(f"no case of seed {SEED} meets the NPU's constraints")
    artifact = path.with_suffix(".efa")
    run_tool("efc", path, "-o", artifact, "--target=exynos-npu", "--quiet", *options)
    return run_artifact(artifact, cases, "--device=exynos-npu-sim")


def check(cases: list[Case], expected: list[np.ndarray], values: list[np.ndarray], what: str) -> None:
    failures = []
    for case, want, value in zip(cases, expected, values, strict=True):
        quality = sqnr_db(want, value) if value.shape == want.shape else -np.inf
        if not quality >= THRESHOLD_DB:
            failures.append(f"{case.prefix}: {quality:.1f} dB, {value.dtype}{value.shape}: {case.description}")
    assert not failures, f"seed {SEED}, {what}, {len(failures)} of {len(cases)}:\n" + "\n".join(failures)


@pytest.mark.parametrize("name", NPU_FAMILIES)
def test_family(name: str, tmp_path: Path) -> None:
    cases = make_cases(name, SEED)
    path = tmp_path / f"{name}.onnx"
    onnx.save(build_model(cases), path)
    print(f"{name}: {len(cases)} cases of seed {SEED} in {tmp_path}")
    check(cases, reference(path, cases, FAMILIES[name].double), simulated(path, cases), "mlt=full")


def add_block(generator: Generator, case: Case) -> None:
    """Image -> convolution -> residual block -> attention on its tokens -> resize -> concatenation, sizes at random."""
    groups = generator.choose(2, 4, 5)
    channels = groups * generator.choose(4, 8, 10)
    height, width = generator.choose(4, 6, 7, 9, 12), generator.choose(4, 5, 8, 11)
    x = case.input(generator.values(1, 4, height, width))

    def shaped(name: str, *shape: int) -> str:
        case.shapes[name] = shape
        return name

    def conv(value: str, inputs: int, kernel: int = 3) -> str:
        weights = generator.values(channels, inputs, kernel, kernel) / np.float32(kernel * np.sqrt(inputs))
        bias = case.weight(generator.values(channels))
        pads = [kernel // 2] * 4
        name = case.node("Conv", [value, case.weight(weights), bias], kernel_shape=[kernel] * 2, pads=pads)
        return shaped(name, 1, channels, height, width)

    def norm(value: str) -> str:
        scale, bias = (case.weight(generator.values(channels)) for _ in "sb")
        normed = case.node("GroupNormalization", [value, scale, bias], num_groups=groups)
        shaped(normed, 1, channels, height, width)
        gate = shaped(case.node("Sigmoid", [normed]), 1, channels, height, width)
        return shaped(case.node("Mul", [normed, gate]), 1, channels, height, width)

    hidden = conv(x, 4)
    inner = conv(norm(conv(norm(hidden), channels)), channels, kernel=generator.choose(1, 3))
    hidden = shaped(case.node("Add", [hidden, inner]), 1, channels, height, width)
    tokens, flat = height * width, case.weight(np.array([1, channels, height * width], np.int64))
    rows = shaped(case.node("Reshape", [hidden, flat]), 1, channels, tokens)
    rows = shaped(case.node("Transpose", [rows], perm=[0, 2, 1]), 1, tokens, channels)
    product = case.weight(generator.values(channels, channels) / np.float32(np.sqrt(channels)))
    rows = shaped(case.node("MatMul", [rows, product]), 1, tokens, channels)
    scale, bias = (case.weight(generator.values(channels)) for _ in "sb")
    rows = shaped(case.node("LayerNormalization", [rows, scale, bias]), 1, tokens, channels)
    rows = shaped(case.node("Transpose", [rows], perm=[0, 2, 1]), 1, channels, tokens)
    image = case.weight(np.array([1, channels, height, width], np.int64))
    hidden = shaped(case.node("Concat", [case.node("Reshape", [rows, image]), hidden], axis=1), 1, 2 * channels, height, width)
    factor = generator.choose(2, 3)
    scales = case.weight(np.array([1, 1, factor, factor], np.float32))
    case.node("Resize", [hidden, "", scales], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    case.shapes[case.output] = (1, 2 * channels, height * factor, width * factor)
    case.description = f"block of {channels} channels in {groups} groups, {height} x {width}, times {factor}"


OPTIONS = [("--mlt=full",), ("--mlt=off",), ("--mlt=full", "--machine-set=scratchpad=64KiB")]


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_blocks(options: tuple[str, ...], tmp_path: Path) -> None:
    generator = Generator(SEED)
    cases = [Case(f"b{index}_", THRESHOLD_DB) for index in range(6)]
    for case in cases:
        add_block(generator, case)
    path = tmp_path / "blocks.onnx"
    onnx.save(build_model(cases), path)
    print(f"{len(cases)} blocks of seed {SEED} in {tmp_path}")
    check(cases, reference(path, cases), simulated(path, cases, *options), " ".join(options))
