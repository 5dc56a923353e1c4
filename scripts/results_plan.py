"""The plan of scripts/results.py: what it runs and what it asks, as python/configs/mini/results.yaml says it."""

from __future__ import annotations

import itertools
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from edgefusion import configuration
from edgefusion.errors import UserError

#: Metrics, with whether more is better.
METRICS = {"clip_score": True, "fid": False, "kid": False, "is": True}


@dataclass(frozen=True)
class JobConfig:
    """Commands of `edgefusion` (or of this script), for each combination of the values that its texts name as {KEY}.

    {seed} stands for each of the plan's seeds, {KEY} of `each` for each of its values, any other for one of `values`.
    `output` is what the commands make; it is {output} in them.
    """

    name: str
    output: str
    commands: list[str]
    each: dict[str, list[str]] = field(default_factory=dict)
    values: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class VariantConfig:
    label: str
    #: The metrics file, with {seed}; or files to choose other figures from.
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
    """A model whose size and speed are compared: a bundle, the U-Net's forward passes an image, and what that means."""

    label: str
    bundle: str
    forwards: int
    note: str = ""


@dataclass(frozen=True)
class Plan:
    work: Path
    seeds: list[int]
    values: dict[str, str]
    jobs: list[JobConfig]
    questions: list[QuestionConfig]
    models: list[ModelConfig] = field(default_factory=list)


@dataclass(frozen=True)
class Job:
    """One combination of a JobConfig."""

    name: str
    output: Path
    commands: list[list[str]]


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


def expanded(plan: Plan) -> list[Job]:
    """Every job of the plan, in order."""
    jobs = []
    for config in plan.jobs:
        texts = " ".join([config.name, config.output, *config.commands, *(t for v in config.values.values() for t in v.values())])
        ranges = dict(config.each)
        if "{seed}" in texts:
            ranges["seed"] = [str(seed) for seed in plan.seeds]
        for chosen in itertools.product(*ranges.values()):
            values = {"work": str(plan.work), **plan.values, **dict(zip(ranges, chosen, strict=True))}
            # values: {KEY: {value of another key: text}}, e.g. what each variant's configuration is.
            for key, table in config.values.items():
                selected = next((table[name] for name in chosen if name in table), None)
                if selected is None:
                    raise UserError(f"job {config.name}: {key} has nothing for {', '.join(chosen)}")
                values[key] = selected
            where = f"job {config.name}"
            output = filled(config.output, values, where)
            commands = [shlex.split(filled(text, {**values, "output": output}, where)) for text in config.commands]
            jobs.append(Job(filled(config.name, values, where), Path(output), commands))
    names = [job.name for job in jobs]
    for name in {name for name in names if names.count(name) > 1}:
        raise UserError(f"job {name}: occurs {names.count(name)} times; its name must hold every key of `each`, and {{seed}}")
    return jobs
