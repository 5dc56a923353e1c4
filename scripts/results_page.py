"""docs/results.md from the figures that scripts/results.py collects: a table a question, the paper's direction beside ours."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from results_plan import METRICS, ExpectationConfig, ModelConfig, Plan, QuestionConfig

_NAMES = {"clip_score": "CLIP-score", "fid": "FID", "kid": "KID x 1000", "is": "IS"}
_SCALES = {"kid": 1000.0}
_DIGITS = {"clip_score": 3, "fid": 1, "kid": 2, "is": 2}

_HEAD = """# Results

What the paper (arXiv 2404.11925) asks of its models at full size, asked of small ones. What is trained here is trained from
{seeds} seeds. `scripts/results.py` made the runs and wrote this page from docs/results.json; python/configs/mini/results.yaml has
every command.

Read it with its limits in mind. The models are small, train for minutes on a CPU core, and see drawings of single things.
{metrics}They order models of this page and must not be compared with published figures. Each cell is the mean over the seeds,
with the smallest and the largest in brackets. A direction counts as found only if every seed of one side is better than every
seed of the other; else the two cannot be told apart by so few runs. If there were no difference, that would still happen in
one case of {chance}, each way.
"""

_STAND_INS = (
    "The metrics are stand-ins, because neither Inception's nor CLIP's weights could be had: FID, KID and IS look through\n"
    "{features}, CLIP-score is the mean cosine of the {scorer}.\n"
)


def _reports(figures: dict) -> list[dict]:
    return [
        report for question in figures["questions"].values() for variant in question["variants"].values() for report in variant
    ]


def _between(text: str) -> str:
    """What stands in the brackets of a metric's name."""
    return text.partition("(")[2].rpartition(")")[0]


def _head(figures: dict) -> str:
    reports = _reports(figures)
    metrics = ""
    if reports:
        names = {key: value["name"] for report in reports for key, value in report["values"].items()}
        if "stand-in" in names.get("fid", "") or "stand-in" in names.get("clip_score", ""):
            features = _between(names.get("fid", "")).removesuffix(", stand-in")
            scorer = _between(names.get("clip_score", "")).removesuffix(", stand-in")
            metrics = _STAND_INS.format(features=features, scorer=scorer)
    seeds = len(figures["seeds"])
    return _HEAD.format(seeds=seeds, metrics=metrics, chance=math.comb(2 * seeds, seeds))


def _values(reports: Sequence[dict], metric: str) -> list[float]:
    scale = _SCALES.get(metric, 1.0)
    return [scale * report["values"][metric]["value"] for report in reports if metric in report["values"]]


def _cell(values: Sequence[float], digits: int) -> str:
    if not values:
        return "not run"
    mean = f"{statistics.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def compare(worse: Sequence[float], better: Sequence[float], more_is_better: bool) -> str:
    """'agrees', 'disagrees', 'open' (the ranges overlap), 'single' (one seed shows no spread) or 'missing'.

    `worse` and `better` are the values of each seed on the sides that the paper finds worse and better.
    """
    if not worse or not better:
        return "missing"
    if min(len(worse), len(better)) < 2:
        return "single"
    sign = 1 if more_is_better else -1
    low, high = [sign * value for value in worse], [sign * value for value in better]
    if min(high) > max(low):
        return "agrees"
    return "disagrees" if max(high) < min(low) else "open"


_WORDS = {
    "agrees": "as in the paper",
    "disagrees": "**against the paper**",
    "open": "cannot be told apart",
    "single": "one seed does not tell",
    "missing": "not run",
}


def _sentence(expectation: ExpectationConfig, variants: dict[str, list[dict]]) -> str:
    """What the runs say about one expectation, metric by metric."""
    parts = []
    for metric in expectation.metrics:
        values = [_values(variants.get(label, []), metric) for label in (expectation.worse, expectation.better)]
        parts.append(f"{_NAMES[metric]} {_WORDS[compare(*values, METRICS[metric])]}")
    return f"- The paper has *{expectation.better}* above *{expectation.worse}*. Here: {'; '.join(parts)}."


def _question(question: QuestionConfig, found: dict) -> list[str]:
    lines = [f"## {question.title}", "", question.here.strip(), "", f"Paper: {question.paper.strip()}", ""]
    variants = found["variants"]
    shown = [metric for metric in METRICS if any(_values(reports, metric) for reports in variants.values())]
    if question.variants:
        arrows = [f"{_NAMES[metric]} {'↑' if METRICS[metric] else '↓'}" for metric in shown]
        lines += ["| | " + " | ".join([*arrows, "seeds"]) + " |", "|---|" + "---|" * (len(shown) + 1)]
        for label, reports in variants.items():
            cells = [_cell(_values(reports, metric), _DIGITS[metric]) for metric in shown]
            lines.append(f"| {label} | " + " | ".join([*cells, str(len(reports))]) + " |")
        lines.append("")
    for label, values in found["figures"].items():
        numbers = [float(value) for value in values]
        lines.append(f"- {label}: {_cell(numbers, 1)}")
    lines += [_sentence(expectation, variants) for expectation in question.expectations]
    return [*lines, ""]


def _speed_row(model: ModelConfig, found: dict) -> tuple[float, float, float] | None:
    """M parameters, GMAC and ms of one image; None where it was not measured."""
    if not found:
        return None
    runs = {"text_encoder": 1, "unet": model.forwards, "vae_decoder": 1}
    total = {key: sum(runs[name] * found[name][key] for name in runs) for key in ("macs", "seconds")}
    return sum(found[name]["parameters"] for name in runs) / 1e6, total["macs"] / 1e9, total["seconds"] * 1e3


def _speed(models: Sequence[ModelConfig], figures: dict) -> list[str]:
    lines = [
        "## Size and speed",
        "",
        "One image through the project's own compiler and runtime, batch 1, on two CPU cores: text encoder, U-Net (as often as",
        "the sampler calls it, twice a step with guidance), VAE decoder. Medians of single networks, added up.",
        "",
        "| | M parameters | of them U-Net | GMAC a U-Net pass | passes | GMAC an image | ms an image | speed-up |",
        "|---|---|---|---|---|---|---|---|",
    ]
    slowest = None
    for model in models:
        found = figures["speed"].get(model.label, {})
        row = _speed_row(model, found)
        if row is None:
            lines.append(f"| {model.label} | not run | | | {model.forwards} | | | |")
            continue
        slowest = slowest or row[2]
        unet = found["unet"]
        cells = [f"{row[0]:.2f}", f"{unet['parameters'] / 1e6:.2f}", f"{unet['macs'] / 1e9:.3f}", str(model.forwards)]
        cells += [f"{row[1]:.2f}", f"{row[2]:.0f}", f"{slowest / row[2]:.1f}"]
        lines.append(f"| {model.label} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _time(figures: dict) -> list[str]:
    seconds = figures["job_seconds"]
    total = sum(seconds.values()) / 60
    return ["## What it took", "", f"{len(seconds)} jobs, {total:.0f} minutes in all, other work running beside them.", ""]


def render(plan: Plan, figures: dict) -> str:
    """The page."""
    lines = [_head(figures)]
    if plan.seen:
        lines += [plan.seen.strip(), ""]
    for question in plan.questions:
        lines += _question(question, figures["questions"].get(question.name, {"variants": {}, "figures": {}}))
    if plan.models:
        lines += _speed(plan.models, figures)
    return "\n".join([*lines, *_time(figures)]).rstrip() + "\n"
