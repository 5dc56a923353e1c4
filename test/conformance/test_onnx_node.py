"""ONNX's node tests, all of them: each passes, or stands with its reason in expected_failures.txt and fails."""

from __future__ import annotations

import concurrent.futures
import fnmatch
import functools
import json
import pathlib
import subprocess

import onnx
import onnx_cases
import pytest

TABLE = pathlib.Path(__file__).with_name("expected_failures.txt")
# The tests that an implementation of these operators must pass, whatever stands in the table.
REQUIRED_PASSES = 1340


@functools.cache
def all_cases() -> tuple[dict[str, onnx_cases.Case], dict[str, str]]:
    return onnx_cases.collect()


@functools.cache
def expected_failures() -> dict[str, str]:
    """Row -> reason. A row is a pattern of names, perhaps "except" another pattern."""
    table = {}
    for line in TABLE.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            pattern, _, reason = line.partition(":")
            table[pattern.strip()] = reason.strip()
    return table


def matches(name: str, row: str) -> bool:
    pattern, _, exception = row.partition(" except ")
    return fnmatch.fnmatchcase(name, pattern) and not fnmatch.fnmatchcase(name, exception)


def reason_for(name: str) -> str | None:
    return next((reason for row, reason in expected_failures().items() if matches(name, row)), None)


def interpret(build: pathlib.Path, folder: pathlib.Path) -> dict[str, str]:
    """Runs all cases in one process; a message for each that failed."""
    report = folder / "outcomes.json"
    command = [build / "bin" / "efc-interpret", "--cases", folder, "--json", report]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"efc-interpret ended with {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(report.read_text())


def compile_and_run(build: pathlib.Path, folder: pathlib.Path) -> str:
    """Compiles one case and runs the artifact; a message if it failed."""
    artifact = folder / "model.efa"
    done = subprocess.run(
        [build / "bin" / "efc", folder / "model.onnx", "--cpu=host", "--quiet", "-o", artifact],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        return f"efc ended with {done.returncode}: {done.stderr.strip()}"
    graph = onnx.load(folder / "model.onnx").graph
    command = [build / "bin" / "efrun", artifact, "--output-dir", folder / "out"]
    known = {tensor.name for tensor in graph.initializer}
    names = [info.name for info in graph.input if info.name not in known]
    for index, name in enumerate(names):
        command += ["--input", f"{name}={folder / f'input_{index}.npy'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return f"efrun ended with {done.returncode}: {done.stderr.strip()}"
    for index, info in enumerate(graph.output):
        (folder / "out" / f"{info.name}.npy").rename(folder / f"result_{index}.npy")
    return ""


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """For each test what went wrong; empty if nothing did."""
    build = pathlib.Path(request.config.getoption("--build-dir"))
    folder = tmp_path_factory.mktemp("cases")
    cases, unusable = all_cases()
    for name, case in cases.items():
        onnx_cases.write_case(case, folder / name)
    if request.config.getoption("--runner") == "interpret":
        messages = interpret(build, folder)
    else:
        with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
            runs = pool.map(lambda name: compile_and_run(build, folder / name), cases)
            messages = dict(zip(cases, runs, strict=True))
    results = dict(unusable)
    for name, case in cases.items():
        results[name] = messages[name] or onnx_cases.check_results(case, folder / name)
    return results


@pytest.mark.parametrize("name", sorted([*all_cases()[0], *all_cases()[1]]))
def test_node(name: str, outcomes: dict[str, str]) -> None:
    message, reason = outcomes[name], reason_for(name)
    if reason is None:
        assert not message, message
    else:
        assert message, f"passes, but expected_failures.txt has it as failing: {reason}"


def test_enough_pass(outcomes: dict[str, str]) -> None:
    passed = sum(not message for message in outcomes.values())
    assert passed >= REQUIRED_PASSES, f"only {passed} of {len(outcomes)} node tests pass"


def test_table_has_no_stale_rows() -> None:
    names = [*all_cases()[0], *all_cases()[1]]
    stale = [row for row in expected_failures() if not any(matches(name, row) for name in names)]
    assert not stale, f"rows of expected_failures.txt that match no test: {stale}"
