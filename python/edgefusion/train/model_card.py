"""The model card of a package: what it is, how it was trained on what, its curves, and its limits."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure
from safetensors import safe_open

from edgefusion.train.run_record import RunRecord

#: Curves beside each other.
_COLUMNS = 5

#: Pictures in a package of curves whose points are lost; packages that continue it have them, too.
EARLIER_CURVES = "curves-*.png"

#: What the table of stages shows of a run's loop.
_KEYS = (
    "batch_size",
    "accumulate",
    "processes",
    "learning_rate",
    "schedule",
    "warmup_steps",
    "weight_decay",
    "ema_decay",
    "precision",
)


@dataclasses.dataclass(frozen=True)
class CardConfig:
    """What the runs cannot tell. `licences` explains the licences that samples name, `samples` are pictures to show (paths or
    addresses as seen from the card), `commands` make the model again.
    """

    name: str
    description: str
    usage: str
    licence: str
    licences: dict[str, str] = dataclasses.field(default_factory=dict)
    samples: list[str] = dataclasses.field(default_factory=list)
    limits: list[str] = dataclasses.field(default_factory=list)
    commands: list[str] = dataclasses.field(default_factory=list)


def write(config: CardConfig, trainings: Sequence[RunRecord], folder: Path) -> None:
    """Writes README.md and curves.png into the package `folder`, of its `trainings` in order."""
    records = _titled(trainings)
    _draw(records, folder / "curves.png")
    sections = [f"# {config.name}", config.description.strip(), "```python\n" + config.usage.strip() + "\n```"]
    sections += ["## Parts", _parts(folder), "## Training", _training(records), "![Loss by step](curves.png)"]
    sections += [f"![Loss by step, before]({picture.name})" for picture in sorted(folder.glob(EARLIER_CURVES))]
    sections += ["Made by:", "```sh\n" + "\n".join(config.commands) + "\n```"] if config.commands else []
    sections += ["## Data", _data(records, config), "## Licence", config.licence.strip()]
    if config.samples:
        sections += ["## Samples", *(f"![Samples]({sample})" for sample in config.samples)]
    if config.limits:
        sections += ["## Limits", "\n".join(f"- {limit}" for limit in config.limits)]
    (folder / "README.md").write_text("\n\n".join(sections) + "\n", encoding="utf-8")


def _titled(records: Sequence[RunRecord]) -> dict[str, RunRecord]:
    """The records by title: the stage; where it was trained in several runs, all but the last are parts 1, 2, ..."""
    titled: dict[str, RunRecord] = {}
    for index, record in enumerate(records):
        if any(later.stage == record.stage for later in records[index + 1 :]):
            part = f"part {1 + sum(earlier.stage == record.stage for earlier in records[:index])}"
            stage, in_brackets = record.stage.removesuffix(")"), record.stage.endswith(")")
            titled[f"{stage}, {part})" if in_brackets else f"{stage} ({part})"] = record
        else:
            titled[record.stage] = record
    return titled


def _parts(folder: Path) -> str:
    rows = ["| part | parameters | size |", "|---|---|---|"]
    for path in sorted(folder.rglob("*.safetensors")):
        with safe_open(path, "pt") as tensors:
            count = sum(torch.Size(tensors.get_slice(name).get_shape()).numel() for name in tensors.keys())  # noqa: SIM118
        rows.append(f"| {path.parent.relative_to(folder)} | {count / 1e6:.2f} M | {path.stat().st_size / 1e6:.1f} MB |")
    return "\n".join(rows)


def _training(records: dict[str, RunRecord]) -> str:
    rows = ["| stage | steps | pictures | minutes | loss | settings |", "|---|---|---|---|---|---|"]
    for name, record in records.items():
        loop = record.config["loop"]
        settings = [f"{key} {loop[key]}" for key in _KEYS if key in loop]
        settings += [f"{key} {value}" for key, value in record.config.items() if isinstance(value, float | bool)]
        last = record.curves["loss"][-1][1]
        rows.append(
            f"| {name} | {record.steps:,} | {record.samples:,} | {record.minutes:.0f} | {last:.4g} | {', '.join(settings)} |"
        )
    return "\n".join(rows)


def _data(records: dict[str, RunRecord], config: CardConfig) -> str:
    rows = ["| dataset | used for | pictures | licences |", "|---|---|---|---|"]
    uses: dict[str, list[str]] = {}
    sizes: dict[str, dict[str, int]] = {}
    for name, record in records.items():
        for dataset, counts in record.datasets.items():
            uses.setdefault(dataset, []).append(name)
            sizes[dataset] = counts
    seen: dict[str, int] = {}
    for dataset, names in uses.items():
        counts = sizes[dataset]
        seen |= counts
        listed = "; ".join(f"{count:,} {licence}" for licence, count in counts.items())
        rows.append(f"| {dataset} | {', '.join(names)} | {sum(counts.values()):,} | {listed} |")
    explained = [f"- {licence}: {config.licences[licence]}" for licence in seen if licence in config.licences]
    return "\n".join([*rows, "", *explained]).rstrip()


def _draw(records: dict[str, RunRecord], path: Path) -> None:
    """The losses by step, a panel a stage of which more than the end is known."""
    drawn = {name: record for name, record in records.items() if len(record.curves["loss"]) > 1} or records
    columns = min(_COLUMNS, len(drawn))
    rows = math.ceil(len(drawn) / columns)
    figure = Figure(figsize=(2.6 * columns, 2.4 * rows), layout="constrained")
    for index, (name, record) in enumerate(drawn.items()):
        axes = figure.add_subplot(rows, columns, index + 1)
        axes.plot(*zip(*record.curves["loss"], strict=True), linewidth=1)
        axes.set_title(name, fontsize=9)
        axes.set_yscale("log")
        axes.tick_params(labelsize=7)
        axes.set_xlabel("step", fontsize=8)
    figure.savefig(path, dpi=80)
