"""The frame of every stage: shards in, shards out, resumed where it stopped, every sample accounted for."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from edgefusion import configuration, files
from edgefusion.data import shards
from edgefusion.data.executor import Executor, LocalExecutor, Record, Unit
from edgefusion.data.sample import BadPictureError, Sample
from edgefusion.data.summary import Counts, Summary
from edgefusion.errors import UserError

Progress = Callable[[str], None]


class Stage(Protocol):
    """A stage: `units` lists the work, a shard each, always the same for the same input; `samples` does one unit of it.

    `config` is a dataclass with `output`. `samples` counts what it reads and drops; what it yields is counted as written.
    It runs in any process and must give the same samples each time. `prepare` does, before the first shard, what needs to see the
    whole input; it keeps its results below `output`/.stage, and what it has done once it does not do again.
    """

    name: str
    config: Any

    def units(self) -> list[Unit]: ...

    def prepare(self, executor: Executor, progress: Progress | None) -> None: ...

    def samples(self, unit: Unit, counts: Counts) -> Iterator[Sample]: ...


class SampleStage:
    """A stage that looks at one sample after the other: `apply` gives what becomes of it, or counts why it is dropped.

    `config` has `input`, the datasets to read, one after the other.
    """

    name: str
    config: Any

    def units(self) -> list[Unit]:
        return input_units(self.config.input)

    def prepare(self, executor: Executor, progress: Progress | None) -> None:
        """Refuses inputs in which a key is found twice: by keys, samples are told apart."""
        shard_of: dict[str, Path] = {}
        for path in (path for dataset in self.config.input for path in shards.shard_paths(dataset)):
            for key in shards.keys(path):
                other = shard_of.setdefault(key, path)
                if other != path:
                    raise UserError(f"{path} and {other} both have a sample {key}; ingest them under different names")

    def samples(self, unit: Unit, counts: Counts) -> Iterator[Sample]:
        for sample in shards.read_shard(Path(unit["shard"])):
            counts.read += 1
            try:
                kept = self.apply(sample, counts)
            except BadPictureError as error:
                counts.drop(sample.key, "corrupt picture", str(error))
                continue
            if kept is not None:
                yield kept

    def apply(self, sample: Sample, counts: Counts) -> Sample | None:
        raise NotImplementedError


def input_units(datasets: Sequence[Path]) -> list[Unit]:
    """One unit a shard of the input datasets, with the digest of how each dataset was made and of what it holds."""
    units, seen = [], set()
    for dataset in datasets:
        if dataset.resolve() in seen:
            raise UserError(f"input: {dataset} is listed twice; leave it out once")
        seen.add(dataset.resolve())
        paths = shards.shard_paths(dataset)
        made = state(dataset)
        units += [{"shard": str(path), "made": made} for path in paths]
    return units


def state(dataset: Path) -> str:
    """A digest of the summary of a complete dataset: of how it was made and of what it holds."""
    return shards.digest(shards.summary_path(dataset))[:16]


@dataclasses.dataclass
class ShardTask:
    """Writes the shard of one unit and its record; an error of the file system is returned, for the whole stage to end with."""

    stage: Stage
    output: Path

    def __call__(self, unit: Unit) -> Record:
        index, counts = unit["index"], Counts()
        path = shards.shard_path(self.output, index)
        try:
            counts.written = shards.write_shard(path, self.stage.samples(unit["unit"], counts))
            if not counts.balanced():
                raise AssertionError(f"{self.stage.name}, shard {index}: counts do not add up: {counts}")
            digest = shards.digest(path) if counts.written else None
            record = {"index": index, **counts.as_dict(), "sha256": digest, "dropped_keys": counts.dropped_keys}
            files.write_json(record_path(self.output, index), record)
        except UserError as error:
            return {"index": index, "failure": str(error)}
        except OSError as error:
            return {"index": index, "failure": _failure(error, path)}
        return record


def _failure(error: OSError, path: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (
            f"{path}: no space left to write it; free some and run the same command again, which goes on where this one stopped"
        )
    return f"{error.filename or path}: {error.strerror or error}"


@contextlib.contextmanager
def _ended_by_errors(stage: Stage) -> Iterator[None]:
    """Ends the stage with a sentence when what it writes beside its shards meets an error of the file system."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{stage.name} stopped: {_failure(error, Path(stage.config.output))}") from None


def record_path(output: Path, index: int) -> Path:
    return output / ".stage" / f"{index:05d}.json"


def run_stage(stage: Stage, executor: Executor | None = None, progress: Progress | None = None) -> Summary:
    """Runs what is left to do of `stage` into its output folder and returns the summary, which is also written there.

    UserError when the folder holds something else, when the input is no complete dataset, or when a shard could not be written.
    """
    output, units = Path(stage.config.output), stage.units()
    executor = executor or LocalExecutor()
    with _ended_by_errors(stage):
        _claim(stage, output, units)
        stage.prepare(executor, progress)
    records = {index: record for index in range(len(units)) if (record := _read_record(record_path(output, index)))}
    left = [{"index": index, "unit": unit} for index, unit in enumerate(units) if index not in records]
    failures: list[str] = []
    for record in executor.map(ShardTask(stage, output), left):
        if "failure" in record:
            failures.append(record["failure"])
            break
        records[record["index"]] = record
        if progress:
            progress(_progress_line(stage.name, records, len(units)))
    if failures:
        raise UserError(f"{stage.name} stopped after {len(records)} of {len(units)} shards: {failures[0]}")
    summary = _summary(stage, [records[index] for index in range(len(units))])
    with _ended_by_errors(stage):
        files.write_json(output / shards.SUMMARY, summary.as_dict())
    return summary


def _summary(stage: Stage, records: list[Record]) -> Summary:
    counts = Counts()
    for record in records:
        counts.add(Counts.from_dict(record))
    written = sum(record["written"] > 0 for record in records)
    # Without one where a record has none: what was made of such a dataset holds the digest of a summary without it.
    known = all("sha256" in record for record in records)
    contents = hashlib.sha256(json.dumps([record["sha256"] for record in records]).encode()).hexdigest() if known else None
    return Summary(stage.name, configuration.as_dict(stage.config), written, counts, contents)


def _progress_line(name: str, records: dict[int, Record], total: int) -> str:
    read = sum(record["read"] for record in records.values())
    written = sum(record["written"] for record in records.values())
    return f"{name}: {len(records)} of {total} shards, {read:,} read, {written:,} written"


def _read_record(path: Path) -> Record | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def _claim(stage: Stage, output: Path, units: list[Unit]) -> None:
    """Marks `output` as this stage's with this configuration and input, or refuses; removes what killed tasks left in it."""
    digest = hashlib.sha256(json.dumps(units, sort_keys=True).encode()).hexdigest()
    identity = {"stage": stage.name, "config": configuration.as_dict(stage.config), "input": digest}
    path = output / ".stage" / "stage.json"
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        for part, what in (
            ("stage", "another stage"),
            ("config", "another configuration"),
            ("input", "another state of its input"),
        ):
            if found.get(part) != identity[part]:
                raise UserError(f"{output}: was begun with {what}; remove the folder or name another output")
    elif output.is_dir() and any(found.name != ".stage" for found in output.iterdir()):
        raise UserError(f"{output}: is not empty and no stage of `edgefusion data` has begun it; name another output")
    else:
        files.write_json(path, identity)
    for folder in (output, path.parent):
        files.remove_partials(folder)


def terminal_progress(seconds: float = 10.0) -> Progress:
    """Progress on stderr: one line that is rewritten on a terminal, else a line every so many seconds."""
    last = 0.0

    def report(line: str) -> None:
        nonlocal last
        if sys.stderr.isatty():
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - last >= seconds:
            last = time.monotonic()
            print(line, file=sys.stderr, flush=True)

    return report
