"""edgefusion calibrate and quality on small models: what the table holds, that it can be edited, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefusion import calibrate, cli, quality
from edgefusion.compiler import compile
from edgefusion.errors import UserError
from edgefusion.session import Session

SEED = 5


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """x W1 -> GELU -> attention with itself -> W2: one of each kind of range."""
    generator = np.random.default_rng(SEED)
    weights = {name: generator.standard_normal((16, 16), np.float32) / 4 for name in ("w1", "wq", "wk", "w2")}
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["h"]),
        helper.make_node("Gelu", ["h"], ["g"]),
        helper.make_node("MatMul", ["g", "wq"], ["q"]),
        helper.make_node("MatMul", ["g", "wk"], ["k"]),
        helper.make_node("Attention", ["q", "k", "g"], ["a"], q_num_heads=2, kv_num_heads=2),
        helper.make_node("MatMul", ["a", "w2"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, 16])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    path = tmp_path_factory.mktemp("calibrate") / "small.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)]), path)
    return path


@pytest.fixture(scope="module")
def samples(model: Path) -> Path:
    path = model.with_name("samples.npz")
    np.savez(path, x=np.random.default_rng(SEED).standard_normal((3, 1, 8, 16), np.float32))
    return path


@pytest.fixture(scope="module")
def table(model: Path, samples: Path) -> Path:
    path = model.with_name("table.tsv")
    assert cli.main(["calibrate", str(model), "--inputs", str(samples), "-o", str(path)]) == 0
    return path


def ranges(path: Path) -> dict[str, tuple[float, float]]:
    rows = [line.split("\t") for line in path.read_text().splitlines() if not line.startswith("#")]
    assert rows[0] == ["tensor", "minimum", "maximum"]
    return {name: (float(low), float(high)) for name, low, high in rows[1:]}


def test_ranges_are_those_of_the_values(model: Path, samples: Path, table: Path) -> None:
    found = ranges(table)
    assert list(found) == sorted(found)
    x = np.load(samples)["x"]
    assert found["x"] == pytest.approx((x.min(), x.max()))
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(model).graph.initializer}
    assert {"g", "q", "k", "a", "y", "scores:a"} <= set(found)
    g = _gelu(x @ weights["w1"])
    assert found["g"] == pytest.approx((g.min(), g.max()), rel=1e-4)
    q, k = g @ weights["wq"], g @ weights["wk"]
    scores = [q[i, 0, :, c : c + 8] @ k[i, 0, :, c : c + 8].T / np.sqrt(8) for i in range(3) for c in (0, 8)]
    assert found["scores:a"] == pytest.approx((np.min(scores), np.max(scores)), rel=1e-4)


def _gelu(x: np.ndarray) -> np.ndarray:
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))).astype(np.float32)


def test_same_samples_same_bytes(model: Path, samples: Path, table: Path) -> None:
    again = calibrate.calibrate_model(model, [samples])
    assert again.as_text() == table.read_text()


def test_an_edited_table_changes_the_artifact(model: Path, table: Path, tmp_path: Path) -> None:
    x = {"x": np.ones((1, 8, 16), np.float32)}
    edited = tmp_path / "edited.tsv"
    lines = ["y\t-0.001\t0.001" if line.startswith("y\t") else line for line in table.read_text().splitlines()]
    edited.write_text("# by hand\n" + "\n".join(lines) + "\n")
    results = []
    for path in (table, edited):
        artifact = tmp_path / f"{path.stem}.efa"
        compile(model, artifact, cpu="host", quantize="w8a16", calibration=path)
        results.append(Session(artifact).run(x)["y"])
    assert np.abs(results[1]).max() == pytest.approx(0.001, rel=1e-3)
    assert np.abs(results[0]).max() > 0.01


def test_quality_tells_the_errors_apart(model: Path, samples: Path, table: Path) -> None:
    result = quality.quality(model, table, inputs=[samples])
    (output,) = result.outputs
    assert output.float32 > 100
    assert 30 < output.total <= output.weights_alone + 1
    assert output.activations_own > 60
    assert len(output.total_by_sample) == 3
    assert {check.tensor for check in result.tensors} >= {"g", "q", "k", "a"}
    assert all(check.sqnr_db > 30 and check.rounding_db > 60 for check in result.tensors)
    assert "activations' own part" in result.as_table(5)


def test_the_rounding_of_a_tensor_is_told_from_what_it_inherits() -> None:
    generator = np.random.default_rng(20261123)
    exact = generator.standard_normal((64, 64)).astype(np.float32)
    stored = np.rint(exact / 0.001).astype(np.int16)
    rounded = quality.compare("t", "node", "conv", stored.ravel(), exact)
    assert rounded.rounding_db == pytest.approx(20 * np.log10(np.sqrt(12) / 0.001), abs=0.5)
    assert rounded.sqnr_db == pytest.approx(rounded.rounding_db, abs=0.5)
    noisy = stored + np.rint(generator.standard_normal(stored.shape) * 100).astype(np.int16)
    inherited = quality.compare("t", "node", "conv", noisy, exact)
    assert inherited.sqnr_db == pytest.approx(20, abs=0.5)
    assert inherited.rounding_db == pytest.approx(rounded.rounding_db, abs=0.5)
    assert quality.compare("t", "node", "conv", exact, exact).rounding_db == np.inf


def test_bad_samples_are_refused(model: Path, tmp_path: Path) -> None:
    def refuse(pattern: str, **arrays: np.ndarray) -> None:
        path = tmp_path / "bad.npz"
        np.savez(path, **arrays)
        with pytest.raises(UserError, match=pattern):
            calibrate.calibrate_model(model, [path])

    refuse("has no array 'x'", z=np.zeros(3))
    refuse("has shape", x=np.zeros((8, 16), np.float32))
    refuse("not finite", x=np.full((1, 8, 16), np.nan, np.float32))
    with pytest.raises(UserError, match="not a readable"):
        calibrate.calibrate_model(model, [tmp_path / "absent.npz"])


def test_mistakes_end_in_a_sentence(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["calibrate", str(model)]) == 1
    assert "give --inputs" in capsys.readouterr().err
    empty = tmp_path / "prompts.txt"
    empty.write_text("# nothing\n")
    with pytest.raises(UserError, match="holds no prompt"):
        calibrate.read_prompts(empty)
    missing = tmp_path / "missing.tsv"
    missing.write_text("tensor\tminimum\tmaximum\nx\t-1\t1\n")
    with pytest.raises(UserError, match=r"lacks \d+ tensors"):
        compile(model, tmp_path / "m.efa", cpu="host", quantize="w8a16", calibration=missing)


def test_packaged_prompts_and_progress() -> None:
    assert len(calibrate.read_prompts(None)) == 8
