"""Options of the conformance tests: which build, and how the models are run."""

from __future__ import annotations

import os
import pathlib

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--build-dir",
        default=os.environ.get("EFC_BUILD_DIR", str(REPOSITORY / "build")),
        help="build folder whose bin/ holds the tools (default: $EFC_BUILD_DIR, then build)",
    )
    parser.addoption(
        "--runner",
        choices=("interpret", "compiled"),
        default="interpret",
        help="interpret: reference evaluation of the imported model; compiled: efc, then efrun",
    )
