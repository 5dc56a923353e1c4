"""Fixtures of the integration tests: the tools of the build under test, and a small random pipeline, exported and compiled once.

EFC_BUILD_DIR names the build folder (default: build). EFC_TEST_TIER is `fast` (leaves out tests marked slow), unset, or `full`
(adds tests marked full, on the full-size models).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("EFC_BUILD_DIR", REPOSITORY / "build")).resolve()

os.environ["HF_HUB_OFFLINE"] = "1"
# The models are tiny: threads that spin while they wait would only take the cores from the tools under test.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# The build under test, whichever one the environment's own path file names.
sys.path[:0] = [str(REPOSITORY / "python"), str(BUILD / "python")]

Run = Callable[..., subprocess.CompletedProcess]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tier = os.environ.get("EFC_TEST_TIER", "")
    for item in items:
        if "full" in item.keywords and tier != "full":
            item.add_marker(pytest.mark.skip(reason="needs EFC_TEST_TIER=full"))
        if "slow" in item.keywords and tier == "fast":
            item.add_marker(pytest.mark.skip(reason="left out of the fast tier"))


def _tool(name: str) -> Run:
    def run(*arguments: object, **options: object) -> subprocess.CompletedProcess:
        command = [str(BUILD / "bin" / name), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=600, check=False, **options)

    return run


@pytest.fixture(scope="session")
def efc() -> Run:
    """Runs the compiler with the given arguments."""
    return _tool("efc")


@pytest.fixture(scope="session")
def efrun() -> Run:
    """Runs the runtime's tool with the given arguments."""
    return _tool("efrun")


@pytest.fixture(scope="session")
def edgefusion_command() -> Run:
    """Runs the Python command with the given arguments."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "python"), str(BUILD / "python")])}

    def run(*arguments: object) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "edgefusion", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False, env=environment)

    return run


def _exported(name: str) -> Path:
    """The random pipeline `name` as a bundle with its diffusers pipeline beside it, kept until the exporting code changes."""
    from edgefusion.export import bundle, sources

    digest = hashlib.sha256()
    for path in sorted((REPOSITORY / "python/edgefusion/export").glob("*.py")):
        digest.update(path.read_bytes())
    folder = BUILD / "test-data" / f"{name}-{digest.hexdigest()[:12]}"
    if not (folder / "bundle" / "pipeline.json").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        source = sources.random_pipeline(name, seed=0)
        bundle.save_pipeline(source, folder / "pipeline")
        bundle.write(source, folder / "bundle")
    return folder


@pytest.fixture(scope="session")
def tiny_source() -> Path:
    """A folder with the miniature pipeline: pipeline/ as diffusers saves it, bundle/ as it was exported."""
    return _exported("tiny")


def compile_models(efc: Run, bundle: Path) -> None:
    """Compiles the models of `bundle` for this machine's CPU, in their places."""
    for model in sorted(bundle.glob("*.onnx")):
        result = efc(model, "--target=cpu", "--cpu=host", "-o", model.with_suffix(".efa"))
        assert result.returncode == 0, result.stderr


def _compiled(efc: Run, source: Path, folder: Path) -> Path:
    target = folder / "bundle"
    shutil.copytree(source / "bundle", target)
    compile_models(efc, target)
    return target


@pytest.fixture(scope="session")
def tiny_bundle(efc: Run, tiny_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature bundle with its artifacts, compiled by the build under test. Read only."""
    return _compiled(efc, tiny_source, tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def full_source() -> Path:
    """As tiny_source, in the full size."""
    return _exported("bk-sdm-tiny")


@pytest.fixture(scope="session")
def full_bundle(efc: Run, full_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As tiny_bundle, in the full size."""
    return _compiled(efc, full_source, tmp_path_factory.mktemp("full"))
