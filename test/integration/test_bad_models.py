"""What `efc` says to bad models: one or more sentences on stderr, a non-zero exit, no crash, and no artifact left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
import small_models
from conftest import Run
from onnx import TensorProto, helper

import edgefusion


def refuse(efc: Run, model: Path, folder: Path, *mentions: str, flags: tuple[str, ...] = (), output: Path | None = None) -> str:
    """Compiles `model`, which must fail as a user's mistake does, and returns what was said."""
    output = output or folder / "out.efa"
    before = sorted(path.name for path in folder.iterdir())
    result = efc(model, "-o", output, *flags)
    assert result.returncode == 1, f"exit status {result.returncode}\n{result.stderr}"
    assert "error: " in result.stderr
    for crash in ("Stack dump", "Assertion", "PLEASE submit", "terminate called", "Sanitizer"):
        assert crash not in result.stderr, result.stderr
    for mention in mentions:
        assert mention in result.stderr, f"'{mention}' is missing from: {result.stderr}"
    assert sorted(path.name for path in folder.iterdir()) == before, "something was left behind"
    return result.stderr


def test_missing_file(efc: Run, tmp_path: Path) -> None:
    refuse(efc, tmp_path / "absent.onnx", tmp_path, "absent.onnx")


def test_folder_instead_of_file(efc: Run, tmp_path: Path) -> None:
    (tmp_path / "folder.onnx").mkdir()
    refuse(efc, tmp_path / "folder.onnx", tmp_path, "folder.onnx")


def test_empty_file(efc: Run, tmp_path: Path) -> None:
    path = tmp_path / "empty.onnx"
    path.touch()
    refuse(efc, path, tmp_path, "empty.onnx")


def test_not_onnx(efc: Run, tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("this is no model\n" * 100, encoding="utf-8")
    refuse(efc, path, tmp_path, "text.onnx")


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9, 0.999])
def test_truncated(efc: Run, tmp_path: Path, fraction: float) -> None:
    data = small_models.mlp().SerializeToString()
    path = tmp_path / "cut.onnx"
    path.write_bytes(data[: int(len(data) * fraction)])
    refuse(efc, path, tmp_path)


def test_bit_flips_never_crash(efc: Run, tmp_path: Path) -> None:
    """A flipped bit may leave a valid model; whatever happens, it is success or a sentence."""
    seed = int.from_bytes(os.urandom(4), "little")
    print(f"seed {seed}")
    generator = np.random.default_rng(seed)
    data = small_models.mlp(width=4).SerializeToString()
    path, output = tmp_path / "flipped.onnx", tmp_path / "out.efa"
    for _ in range(40):
        position, bit = int(generator.integers(len(data))), int(generator.integers(8))
        flipped = bytearray(data)
        flipped[position] ^= 1 << bit
        path.write_bytes(flipped)
        result = efc(path, "--cpu=host", "-o", output)
        where = f"seed {seed}, byte {position}, bit {bit}: {result.stderr}"
        assert result.returncode in (0, 1), where
        assert (result.returncode == 0) == output.exists(), where
        assert result.returncode == 0 or "error: " in result.stderr, where
        output.unlink(missing_ok=True)


def test_all_unknown_operations_are_listed(efc: Run, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Frobnicate", ["x"], ["a"], name="first_odd_node"),
        helper.make_node("Relu", ["a"], ["b"], name="fine"),
        helper.make_node("Twiddle", ["b"], ["y"], name="second_odd_node", domain="com.example"),
    ]
    model = small_models.model(nodes, {"x": [2, 3]}, {"y": [2, 3]})
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    path = small_models.save(model, tmp_path / "unknown.onnx")
    refuse(efc, path, tmp_path, "first_odd_node", "Frobnicate", "second_odd_node", "Twiddle")


def test_shapes_that_do_not_fit(efc: Run, tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "W"], ["y"], name="bad_product")]
    model = small_models.model(nodes, {"x": [4, 5]}, {"y": [4, 8]}, {"W": np.ones((6, 8), np.float32)})
    refuse(efc, small_models.save(model, tmp_path / "shapes.onnx"), tmp_path, "bad_product")


def test_types_that_do_not_fit(efc: Run, tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["x", "W"], ["y"], name="mixed_sum")]
    model = small_models.model(nodes, {"x": [4]}, {"y": [4]}, {"W": np.ones(4, np.int64)})
    refuse(efc, small_models.save(model, tmp_path / "types.onnx"), tmp_path, "mixed_sum")


def test_undefined_value(efc: Run, tmp_path: Path) -> None:
    model = small_models.model([helper.make_node("Relu", ["nowhere"], ["y"], name="orphan")], {"x": [4]}, {"y": [4]})
    refuse(efc, small_models.save(model, tmp_path / "undefined.onnx"), tmp_path, "nowhere")


def test_cycle(efc: Run, tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["x", "b"], ["a"], name="one"), helper.make_node("Relu", ["a"], ["b"], name="two")]
    model = small_models.model(nodes, {"x": [4]}, {"b": [4]})
    refuse(efc, small_models.save(model, tmp_path / "cycle.onnx"), tmp_path)


def test_symbolic_dimension_asks_for_a_value(efc: Run, tmp_path: Path) -> None:
    model = small_models.model([helper.make_node("Relu", ["x"], ["y"], name="relu")], {"x": ["batch", 3]}, {"y": ["batch", 3]})
    path = small_models.save(model, tmp_path / "symbolic.onnx")
    refuse(efc, path, tmp_path, "batch", "--dim")
    assert efc(path, "--cpu=host", "--dim", "batch=2", "-o", tmp_path / "out.efa").returncode == 0


def test_unknown_symbolic_dimension(efc: Run, tmp_path: Path) -> None:
    path = small_models.save(small_models.mlp(), tmp_path / "mlp.onnx")
    refuse(efc, path, tmp_path, "height", flags=("--dim", "height=2"))


@pytest.mark.parametrize(
    "flags", [("--dim", "batch"), ("--dim", "batch=-1"), ("--input-shape", "x=4xq"), ("--cpu", "z80"), ("--target", "tpu")]
)
def test_bad_flags(efc: Run, tmp_path: Path, flags: tuple[str, ...]) -> None:
    path = small_models.save(small_models.mlp(), tmp_path / "mlp.onnx")
    refuse(efc, path, tmp_path, flags[1].split("=")[0], flags=flags)


def test_zero_size_dimension(efc: Run, tmp_path: Path) -> None:
    """Valid in ONNX: the model compiles, and gives an empty result."""
    nodes = [helper.make_node("Relu", ["x"], ["y"], name="nothing_to_do")]
    path = small_models.save(small_models.model(nodes, {"x": [0, 3]}, {"y": [0, 3]}), tmp_path / "zero.onnx")
    result = efc(path, "--cpu=host", "-o", tmp_path / "zero.efa")
    assert result.returncode == 0, result.stderr
    outputs = edgefusion.Session(tmp_path / "zero.efa").run({"x": np.zeros((0, 3), np.float32)})
    assert outputs["y"].shape == (0, 3)


def test_nan_weights(efc: Run, tmp_path: Path) -> None:
    """Not an error: a network may hold them. They must reach the output and must not break the compiler."""
    weights = {"W": np.full((4, 8), np.nan, np.float32)}
    nodes = [helper.make_node("MatMul", ["x", "W"], ["y"], name="product")]
    path = small_models.save(small_models.model(nodes, {"x": [2, 4]}, {"y": [2, 8]}, weights), tmp_path / "nan.onnx")
    result = efc(path, "--cpu=host", "-o", tmp_path / "nan.efa")
    assert result.returncode in (0, 1), result.stderr
    if result.returncode == 0:
        outputs = edgefusion.Session(tmp_path / "nan.efa", threads=1).run({"x": np.ones((2, 4), np.float32)})
        assert np.isnan(outputs["y"]).all()


class TestExternalData:
    """Weights in a file beside the model."""

    def test_accepted(self, efc: Run, tmp_path: Path) -> None:
        path = small_models.save_external(small_models.mlp(), tmp_path / "mlp.onnx")
        result = efc(path, "--cpu=host", "-o", tmp_path / "out.efa")
        assert result.returncode == 0, result.stderr

    def test_missing(self, efc: Run, tmp_path: Path) -> None:
        path = small_models.save_external(small_models.mlp(), tmp_path / "mlp.onnx")
        (tmp_path / "mlp.onnx_data").unlink()
        refuse(efc, path, tmp_path, "mlp.onnx_data")

    def test_too_short(self, efc: Run, tmp_path: Path) -> None:
        path = small_models.save_external(small_models.mlp(), tmp_path / "mlp.onnx")
        os.truncate(tmp_path / "mlp.onnx_data", 100)
        refuse(efc, path, tmp_path, "mlp.onnx_data")

    @pytest.mark.parametrize("offset", ["-8", "18446744073709551615", "9223372036854775800", "many"])
    def test_bad_offset(self, efc: Run, tmp_path: Path, offset: str) -> None:
        path = small_models.save_external(small_models.mlp(), tmp_path / "mlp.onnx")
        small_models.redirect_external(path, "offset", offset)
        refuse(efc, path, tmp_path)

    @pytest.mark.parametrize("kind", ["relative", "absolute", "link"])
    def test_path_that_leaves_the_folder(self, efc: Run, tmp_path: Path, kind: str) -> None:
        folder = tmp_path / "model"
        folder.mkdir()
        path = small_models.save_external(small_models.mlp(), folder / "mlp.onnx")
        secret = tmp_path / "secret"
        shutil.move(folder / "mlp.onnx_data", secret)
        if kind == "link":
            (folder / "innocent").symlink_to(secret)
        location = {"relative": "../secret", "absolute": str(secret), "link": "innocent"}[kind]
        small_models.redirect_external(path, "location", location)
        refuse(efc, path, folder, location)


class TestOutput:
    """Places where the artifact cannot be written."""

    def test_missing_folder(self, efc: Run, tmp_path: Path) -> None:
        path = small_models.save(small_models.mlp(), tmp_path / "mlp.onnx")
        refuse(efc, path, tmp_path, "absent", output=tmp_path / "absent" / "out.efa")

    def test_output_is_a_folder(self, efc: Run, tmp_path: Path) -> None:
        path = small_models.save(small_models.mlp(), tmp_path / "mlp.onnx")
        (tmp_path / "out.efa").mkdir()
        refuse(efc, path, tmp_path, "out.efa")

    def test_read_only_folder(self, efc: Run, tmp_path: Path) -> None:
        path = small_models.save(small_models.mlp(), tmp_path / "mlp.onnx")
        folder = Path("/proc/self") if os.geteuid() == 0 else tmp_path / "locked"  # root may write to any ordinary folder
        if os.geteuid() != 0:
            folder.mkdir(mode=0o500)
        refuse(efc, path, tmp_path, "out.efa", output=folder / "out.efa")

    def test_full_disk(self, efc: Run, tmp_path: Path) -> None:
        path = small_models.save(small_models.mlp(width=512), tmp_path / "mlp.onnx")
        disk = tmp_path / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, check=False)
        if mounted.returncode != 0:
            pytest.skip("mounting a small file system needs root")
        try:
            refuse(efc, path, tmp_path, "out.efa", output=disk / "out.efa")
            assert list(disk.iterdir()) == [], "a part of the artifact was left behind"
        finally:
            subprocess.run(["umount", disk], check=True)

    def test_failed_compile_keeps_the_old_artifact(self, efc: Run, tmp_path: Path) -> None:
        output = tmp_path / "out.efa"
        output.write_bytes(b"precious")
        broken = tmp_path / "broken.onnx"
        broken.write_bytes(b"\x08\x01")
        assert efc(broken, "-o", output).returncode == 1
        assert output.read_bytes() == b"precious"


def test_unsupported_data_type(efc: Run, tmp_path: Path) -> None:
    nodes = [helper.make_node("Identity", ["x"], ["y"], name="words")]
    model = small_models.model(nodes, {"x": [3]}, {"y": [3]}, dtype=TensorProto.STRING)
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.STRING
    refuse(efc, small_models.save(model, tmp_path / "strings.onnx"), tmp_path)
