"""The plan of scripts/results.py: what it runs and what it asks, as python/configs/mini/results.yaml says it."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgefusion import configuration
from edgefusion.errors import UserError

#: Metrics, with whether more is better.
METRICS = {"clip_score": True, "fid": False, "kid": False, "is": True}


@dataclass(frozen=True)
class JobConfig:
    """Commands of `edgefusion` (or of this script), for each combination of the values that its texts name as {KEY}.

    {seed} stands for each of the plan's seeds, {KEY} of `each` for each of its values, {KEY} of `choose` for the text that goes
    with the combination, any other for one of the plan's `values`. `output` is what the commands make; it is {output} in them.
    """

    name: str
    output: str
    commands: list[str]
    each: dict[str, list[str]] = field(default_factory=dict)
    #: KEY: {a value of a key of `each`: text}
    choose: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class VariantConfig:
    label: str
    #: The file that `edgefusion eval metrics` writes, with {seed}.
    metrics: str


@dataclass(frozen=True)
class ExpectationConfig:
    """The paper finds `better` better than `worse`, in these metrics."""

    worse: str
    better: str
    metrics: list[str] = field(default_factory=lambda: ["clip_score", "fid", "is"])


@dataclass(frozen=True)
class QuestionConfig:
    name: str
    title: str
    #: What was compared here, and what the paper says.
    here: str
    paper: str
    variants: list[VariantConfig]
    expectations: list[ExpectationConfig] = field(default_factory=list)
    #: JSON files with further figures, {seed} each: label -> file#key.
    figures: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelConfig:
    """A model whose size and speed are compared: the file that `speed` writes, and the U-Net's forward passes an image."""

    label: str
    measured: str
    forwards: int


@dataclass(frozen=True)
class Plan:
    work: Path
    seeds: list[int]
    values: dict[str, str]
    jobs: list[JobConfig]
    questions: list[QuestionConfig]
    models: list[ModelConfig] = field(default_factory=list)
    #: What somebody who looked at the pictures has to say about them.
    seen: str = ""


@dataclass(frozen=True)
class Job:
    """One combination of a JobConfig. `digest` changes with its commands and with those of every job that it builds on."""

    name: str
    output: Path
    commands: list[list[str]]
    digest: str


def read(path: Path, overrides: list[str], factor: float = 1.0) -> Plan:
    """The plan in `path`; `factor` multiplies those of its values that are numbers of steps (KEY_steps)."""
    plan = configuration.read(path, Plan, overrides)
    for key, value in plan.values.items():
        if key.endswith("_steps"):
            plan.values[key] = str(max(1, round(int(value) * factor)))
    for question in plan.questions:
        labels = {variant.label for variant in question.variants}
        for expectation in question.expectations:
            for label in {expectation.worse, expectation.better} - labels:
                raise UserError(f"{path}: question {question.name}: there is no variant '{label}'")
            for metric in set(expectation.metrics) - set(METRICS):
                raise UserError(f"{path}: question {question.name}: there is no metric '{metric}'")
    return plan


def filled(text: str, values: dict[str, str], where: str) -> str:
    """`text` with its {KEY}s replaced, those in the values too."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise UserError(f"{where}: {{{match[1]}}} is none of {', '.join(values)}")
        return filled(values[match[1]], values, where)

    return re.sub(r"\{(\w+)\}", value, text)


def _combinations(plan: Plan, config: JobConfig) -> Iterator[dict[str, str]]:
    """The value of every {KEY} of a job, for each combination."""
    chosen_texts = [text for table in config.choose.values() for text in table.values()]
    ranges = dict(config.each)
    if "{seed}" in " ".join([config.name, config.output, *config.commands, *chosen_texts]):
        ranges["seed"] = [str(seed) for seed in plan.seeds]
    for chosen in itertools.product(*ranges.values()):
        values = {"work": str(plan.work), **plan.values, **dict(zip(ranges, chosen, strict=True))}
        for key, table in config.choose.items():
            text = next((table[name] for name in chosen if name in table), None)
            if text is None:
                raise UserError(f"job {config.name}: {key} has nothing for {', '.join(chosen)}")
            values[key] = text
        yield values


def _paths(work: Path, commands: list[list[str]]) -> set[Path]:
    """What of the work folder the commands name."""
    found = re.findall(re.escape(f"{work}/") + r"[^\s,\]\[=]+", " ".join(itertools.chain(*commands)))
    return {Path(path) for path in found}


def _meet(one: set[Path], other: set[Path]) -> bool:
    return any(a == b or a in b.parents or b in a.parents for a in one for b in other)


def expanded(plan: Plan) -> list[Job]:
    """Every job of the plan, in order. A job builds on each earlier one that names the same file or folder of the work folder."""
    jobs: list[Job] = []
    paths: list[set[Path]] = []
    for config in plan.jobs:
        where = f"job {config.name}"
        for values in _combinations(plan, config):
            name, output = (filled(text, values, where) for text in (config.name, config.output))
            commands = [shlex.split(filled(text, {**values, "output": output}, where)) for text in config.commands]
            named = _paths(plan.work, commands)
            digest = hashlib.sha256(json.dumps(commands).encode())
            for job, earlier in zip(jobs, paths, strict=True):
                if job.name == name:
                    raise UserError(f"job {name}: occurs twice; its name must hold every key of `each`, and {{seed}}")
                if _meet(named, earlier):
                    digest.update(job.digest.encode())
            jobs.append(Job(name, Path(output), commands, digest.hexdigest()))
            paths.append(named)
    return jobs
