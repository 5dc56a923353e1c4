"""The generated pages under docs/ say what the sources say."""

from __future__ import annotations

import os
import subprocess

from conftest import BUILD, REPOSITORY


def test_generated_pages_are_fresh() -> None:
    environment = {**os.environ, "EFC_BUILD_DIR": str(BUILD)}
    command = [REPOSITORY / "scripts" / "docs", "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, result.stdout + result.stderr
