"""What a training run left behind about itself, for a model card: its configuration, its curves, and the data it saw.

A packaged model brings the records of its trainings along as training.json, so that what is trained on from it can tell of them.
"""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from edgefusion import files
from edgefusion.data import shards
from edgefusion.errors import UserError

#: The file of a packaged model, and the curves that it keeps.
_FILE = "training.json"
_KEPT_CURVES = ("loss", "images_per_second")


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """`stage` is what was trained. `curves` are (step, value) by name of the value; `datasets` says by name of a dataset how many
    of its pictures come under each licence.
    """

    stage: str
    config: dict[str, Any]
    curves: dict[str, list[tuple[int, float]]]
    datasets: dict[str, dict[str, int]]

    @property
    def steps(self) -> int:
        """The last step that was logged."""
        return self.curves["loss"][-1][0]

    @property
    def samples(self) -> int:
        """How many pictures went through, counting repetitions."""
        loop = self.config["loop"]
        return self.steps * loop["batch_size"] * loop["accumulate"] * loop.get("processes", 1)

    @property
    def minutes(self) -> float:
        """Time spent in steps, from the logged rates."""
        per_step = self.samples / self.steps
        seconds, before = 0.0, 0
        for step, rate in self.curves["images_per_second"]:
            seconds += (step - before) * per_step / max(rate, 1e-9)
            before = step
        return seconds / 60


def read(stage: str, run: Path) -> RunRecord:
    """The record of the folder `run`, which trained `stage`; UserError if it is none, or if nothing was logged."""
    configuration = config(run)
    curves = {}
    if (run / "logs").is_dir():
        # 0 keeps every point.
        events = EventAccumulator(str(run / "logs"), size_guidance={"scalars": 0}).Reload()
        curves = {name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]}
    if "loss" not in curves:
        raise UserError(f"{run}: its logs hold no loss; was logs/ removed?")
    return RunRecord(stage, configuration, curves, {path.name: licences(path) for path in datasets(configuration)})


def read_packaged(model: Path) -> list[RunRecord]:
    """The records that the packaged `model` brings along, in order; UserError if it has none."""
    try:
        return [RunRecord(**record) for record in files.read_json(model / _FILE)]
    except OSError as error:
        raise UserError(f"{model}: not a packaged model with the record of its training ({error.strerror}: {_FILE})") from None
    except (ValueError, TypeError):
        raise UserError(f"{model / _FILE}: not the record of a training as `edgefusion train package` writes it") from None


def write_packaged(records: Sequence[RunRecord], model: Path) -> None:
    """Has the packaged `model` bring `records` along."""
    shorter = [
        dataclasses.replace(record, curves={name: record.curves[name] for name in _KEPT_CURVES if name in record.curves})
        for record in records
    ]
    files.write_json(model / _FILE, [dataclasses.asdict(record) for record in shorter])


def config(run: Path) -> dict[str, Any]:
    """The configuration of the folder `run`; UserError if it is none."""
    try:
        return yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{run}: not the folder of a training run ({error.strerror}: config.yaml)") from None


def datasets(config: dict[str, Any]) -> list[Path]:
    """The datasets that a run's configuration names, those of its cached latents included."""
    data = config["data"]
    if data.get("latents"):
        found = []
        for cache in data["latents"]:
            record = json.loads((Path(cache) / "latents.json").read_text(encoding="utf-8"))
            found += datasets(record["configuration"])
        return found
    return [Path(name) for name in (data.get("pictures") or data)["datasets"]]


def licences(dataset: Path) -> dict[str, int]:
    """How many pictures of a dataset come under each licence."""
    samples = [sample for shard in shards.shard_paths(dataset) for sample in shards.index_shard(shard)]
    return dict(collections.Counter(sample.fields.get("license", "unknown") for sample in samples).most_common())
