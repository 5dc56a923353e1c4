"""Removes pictures that repeat another one: close in perceptual hash and in colours, and confirmed by the features of a network.

A perceptual hash (pHash, of the ImageHash package) sees neither colour nor small parts: a red and a blue heart share it, and to a
network that was trained to name things they are one thing, too. So pictures whose hashes and colours (on a grid of 4x4) are
close are candidates, and the cosine between their features decides. Of each set of repeats the largest stays, the first one read
among equals. Only candidates are put through the network.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image

from edgefusion import files
from edgefusion.data import shards
from edgefusion.data.executor import Executor, Unit
from edgefusion.data.sample import BadPictureError, Sample
from edgefusion.data.stage import Progress, SampleStage, input_units, run_stage
from edgefusion.data.summary import Counts


@dataclasses.dataclass(frozen=True)
class DeduplicateConfig:
    """`hash_distance`: bits of 64 in which the hashes of repeats may differ. `colour_distance`: levels of 255 by which their
    colours may differ, in the mean. `features`: an extractor of `edgefusion.eval.features`; without one hash and colours decide.
    `cosine`: the least cosine between the features of repeats.
    """

    input: list[Path]
    output: Path
    hash_distance: int = 6
    colour_distance: float = 12.0
    features: str | None = "efficientnet-lite0"
    cosine: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.hash_distance <= 64:
            raise ValueError("hash_distance: 0 to 64 bits")
        if not -1 <= self.cosine <= 1:
            raise ValueError("cosine: -1 to 1")


@dataclasses.dataclass(frozen=True)
class Deduplicate(SampleStage):
    """The stage; see DeduplicateConfig."""

    config: DeduplicateConfig
    name = "deduplicate"

    def prepare(self, executor: Executor, progress: Progress | None) -> None:
        super().prepare(executor, progress)
        target = self._work() / "repeats.json"
        if target.is_file():
            return
        hashes = _Hashes(_WorkConfig(self.config.input, self._work() / "hashes"))
        run_stage(hashes, executor, progress)
        index = _Index(hashes.config.output, self.config)
        if self.config.features:
            wanted = self._work() / "candidates.json"
            files.write_json(wanted, sorted(index.candidates()))
            embeddings = _Embeddings(
                _EmbeddingConfig(self.config.input, self._work() / "embeddings", self.config.features, str(wanted))
            )
            run_stage(embeddings, executor, progress)
            index.add_features(embeddings.config.output)
        files.write_json(target, index.repeats())

    def apply(self, sample: Sample, counts: Counts) -> Sample | None:
        original = files.read_json(self._work() / "repeats.json").get(sample.key)
        if original is None:
            return sample
        reason = "corrupt picture" if original == "" else "repeated picture"
        counts.drop(sample.key, reason, original)
        return None

    def _work(self) -> Path:
        return self.config.output / ".stage" / "deduplicate"


@dataclasses.dataclass(frozen=True)
class _WorkConfig:
    input: list[Path]
    output: Path


@dataclasses.dataclass(frozen=True)
class _EmbeddingConfig(_WorkConfig):
    features: str
    candidates: str


class _WorkStage:
    """A stage whose samples are figures of pictures, without the pictures."""

    def units(self) -> list[Unit]:
        return input_units(self.config.input)

    def prepare(self, executor: Executor, progress: Progress | None) -> None:
        """Nothing."""


@dataclasses.dataclass(frozen=True)
class _Hashes(_WorkStage):
    """Hash, colours, digest and size of every picture. Equal bytes are decoded once a shard."""

    config: _WorkConfig
    name = "deduplicate (hashes)"

    def samples(self, unit: Unit, counts: Counts) -> Iterator[Sample]:
        known: dict[str, tuple[str | None, list[int]]] = {}
        for sample in shards.read_shard(Path(unit["shard"])):
            counts.read += 1
            digest = hashlib.sha256(sample.picture or b"").hexdigest()
            if digest not in known:
                known[digest] = _fingerprint(sample)
            value, grid = known[digest]
            pixels = sample.fields["width"] * sample.fields["height"]
            yield Sample(sample.key, {"hash": value, "colours": grid, "digest": digest, "pixels": pixels})


def _fingerprint(sample: Sample) -> tuple[str | None, list[int]]:
    """pHash and the mean colours of 4x4 fields; None for a picture that cannot be decoded."""
    try:
        image = sample.image()
    except BadPictureError:
        return None, []
    return str(imagehash.phash(image)), np.asarray(image.resize((4, 4), Image.Resampling.BOX)).ravel().tolist()


@dataclasses.dataclass(frozen=True)
class _Embeddings(_WorkStage):
    """Features of the candidates, as float16 of unit length."""

    config: _EmbeddingConfig
    name = "deduplicate (features)"

    def samples(self, unit: Unit, counts: Counts) -> Iterator[Sample]:
        candidates = frozenset(files.read_json(Path(self.config.candidates)))
        chosen = []
        for sample in shards.read_shard(Path(unit["shard"])):
            counts.read += 1
            if sample.key in candidates:
                chosen.append(sample)
            else:
                counts.drop(sample.key, "no candidate")
        for start in range(0, len(chosen), 64):
            yield from _with_features(chosen[start : start + 64], self.config.features)


def _with_features(samples: list[Sample], extractor: str) -> Iterator[Sample]:
    import torch

    from edgefusion.eval import features

    pictures = [torch.from_numpy(np.array(sample.image())).permute(2, 0, 1) for sample in samples]
    vectors = torch.nn.functional.normalize(features.extract(features.load(extractor), pictures)).half().numpy()
    for sample, vector in zip(samples, vectors, strict=True):
        yield Sample(sample.key, {"features": base64.b64encode(vector.tobytes()).decode()})


class _Index:
    """The pictures that differ in their bytes, in the order in which they are preferred: larger first, then as read."""

    def __init__(self, hashes: Path, config: DeduplicateConfig) -> None:
        self._config = config
        rows = [(sample.key, sample.fields) for sample in shards.read_dataset(hashes)]
        self._bad = [key for key, fields in rows if fields["hash"] is None]
        rows = [row for row in rows if row[1]["hash"] is not None]
        order = sorted(range(len(rows)), key=lambda index: (-rows[index][1]["pixels"], index))
        self._equal: dict[str, str] = {}
        first: dict[str, str] = {}
        self._keys: list[str] = []
        values: list[int] = []
        grids: list[list[int]] = []
        for index in order:
            key, fields = rows[index]
            original = first.setdefault(fields["digest"], key)
            if original != key:
                self._equal[key] = original
                continue
            self._keys.append(key)
            values.append(int(fields["hash"], 16))
            grids.append(fields["colours"])
        self._hashes = np.array(values, np.uint64)
        self._colours = np.array(grids, np.int16).reshape(len(values), 48)
        self._features: dict[str, np.ndarray] = {}

    def add_features(self, dataset: Path) -> None:
        for sample in shards.read_dataset(dataset):
            vector = np.frombuffer(base64.b64decode(sample.fields["features"]), np.float16)
            self._features[sample.key] = vector.astype(np.float32)

    def candidates(self) -> set[str]:
        """The keys of pictures that are close in hash and colours to another with other bytes."""
        chosen = set()
        for index in range(1, len(self._keys)):
            near = self._close(index, np.arange(index))
            chosen.update(near.tolist())
            if near.size:
                chosen.add(index)
        return {self._keys[index] for index in chosen}

    def repeats(self) -> dict[str, str]:
        """For each picture to remove the key of the one that stays, "" for one that cannot be decoded."""
        kept, count = np.zeros(len(self._keys), np.int64), 0
        repeats: dict[str, str] = {}
        for index, key in enumerate(self._keys):
            near = (self._keys[other] for other in self._close(index, kept[:count]))
            original = next((other for other in near if self._confirmed(other, key)), None)
            if original is not None:
                repeats[key] = original
                continue
            kept[count] = index
            count += 1
        # A picture equal to one that repeats a third repeats that third one.
        equal = {key: repeats.get(original, original) for key, original in self._equal.items()}
        return repeats | equal | dict.fromkeys(self._bad, "")

    def _close(self, index: int, others: np.ndarray) -> np.ndarray:
        """Those of `others` that are close to picture `index` in hash and in colours."""
        near = others[np.bitwise_count(self._hashes[others] ^ self._hashes[index]) <= self._config.hash_distance]
        difference = np.abs(self._colours[near] - self._colours[index]).mean(axis=1)
        return near[difference <= self._config.colour_distance]

    def _confirmed(self, first: str, second: str) -> bool:
        if not self._config.features:
            return True
        return float(self._features[first] @ self._features[second]) >= self._config.cosine
