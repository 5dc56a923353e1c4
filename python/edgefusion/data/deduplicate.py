"""Removes pictures that repeat another one: close in perceptual hash, and confirmed by the features of a network.

A perceptual hash (pHash, of the ImageHash package) sees neither colour nor small parts: a red and a blue heart share it. So
pictures whose hashes are close are candidates, and the cosine between their features decides. Of each set of repeats the largest
stays, the first one read among equals. Only candidates are put through the network.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import imagehash
import numpy as np

from edgefusion.data import shards
from edgefusion.data.executor import Executor, Unit
from edgefusion.data.sample import BadPictureError, Sample
from edgefusion.data.stage import Progress, SampleStage, input_units, run_stage
from edgefusion.data.summary import Counts


@dataclasses.dataclass(frozen=True)
class DeduplicateConfig:
    """`hash_distance`: bits of 64 in which the hashes of repeats may differ. `features`: an extractor of
    `edgefusion.eval.features`; without one the hash alone decides. `cosine`: the least cosine between the features of repeats.
    """

    input: list[Path]
    output: Path
    hash_distance: int = 6
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
        target = self._work() / "repeats.json"
        if target.is_file():
            return
        hashes = _Hashes(_WorkConfig(self.config.input, self._work() / "hashes"))
        run_stage(hashes, executor, progress)
        index = _Index(hashes.config.output)
        cosine = None
        if self.config.features:
            wanted = self._work() / "candidates.json"
            shards.write_json(wanted, sorted(index.candidates(self.config.hash_distance)))
            embeddings = _Embeddings(
                _EmbeddingConfig(self.config.input, self._work() / "embeddings", self.config.features, str(wanted))
            )
            run_stage(embeddings, executor, progress)
            index.add_features(embeddings.config.output)
            cosine = self.config.cosine
        shards.write_json(target, index.repeats(self.config.hash_distance, cosine))

    def apply(self, sample: Sample, counts: Counts) -> Sample | None:
        original = _read_json(self._work() / "repeats.json").get(sample.key)
        if original is None:
            return sample
        reason = "corrupt picture" if original == "" else "repeated picture"
        counts.drop(sample.key, reason, original)
        return None

    def _work(self) -> Path:
        return self.config.output / ".stage" / "deduplicate"


@functools.lru_cache(maxsize=1)
def _read_json(path: Path) -> dict[str, str]:
    return json.loads(path.read_text(encoding="utf-8"))


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
    """Hash, digest and size of every picture. Equal bytes are decoded once a shard."""

    config: _WorkConfig
    name = "deduplicate (hashes)"

    def samples(self, unit: Unit, counts: Counts) -> Iterator[Sample]:
        known: dict[str, str | None] = {}
        for sample in shards.read_shard(Path(unit["shard"])):
            counts.read += 1
            digest = hashlib.sha256(sample.picture or b"").hexdigest()
            if digest not in known:
                try:
                    known[digest] = str(imagehash.phash(sample.image()))
                except BadPictureError:
                    known[digest] = None
            pixels = sample.fields["width"] * sample.fields["height"]
            yield Sample(sample.key, {"hash": known[digest], "digest": digest, "pixels": pixels})


@dataclasses.dataclass(frozen=True)
class _Embeddings(_WorkStage):
    """Features of the candidates, as float16 of unit length."""

    config: _EmbeddingConfig
    name = "deduplicate (features)"

    def samples(self, unit: Unit, counts: Counts) -> Iterator[Sample]:
        candidates = _read_set(Path(self.config.candidates))
        chosen = []
        for sample in shards.read_shard(Path(unit["shard"])):
            counts.read += 1
            if sample.key in candidates:
                chosen.append(sample)
            else:
                counts.drop(sample.key, "no candidate")
        for start in range(0, len(chosen), 64):
            yield from _with_features(chosen[start : start + 64], self.config.features)


@functools.lru_cache(maxsize=1)
def _read_set(path: Path) -> frozenset[str]:
    return frozenset(json.loads(path.read_text(encoding="utf-8")))


def _with_features(samples: list[Sample], extractor: str) -> Iterator[Sample]:
    import torch

    from edgefusion.eval import features

    pictures = [torch.from_numpy(np.array(sample.image())).permute(2, 0, 1) for sample in samples]
    vectors = torch.nn.functional.normalize(features.extract(features.load(extractor), pictures)).half().numpy()
    for sample, vector in zip(samples, vectors, strict=True):
        yield Sample(sample.key, {"features": base64.b64encode(vector.tobytes()).decode()})


class _Index:
    """The pictures that differ in their bytes, in the order in which they are preferred: larger first, then as read."""

    def __init__(self, hashes: Path) -> None:
        rows = [(sample.key, sample.fields) for sample in shards.read_dataset(hashes)]
        self._bad = [key for key, fields in rows if fields["hash"] is None]
        rows = [row for row in rows if row[1]["hash"] is not None]
        order = sorted(range(len(rows)), key=lambda index: (-rows[index][1]["pixels"], index))
        self._equal: dict[str, str] = {}
        first: dict[str, str] = {}
        self._keys: list[str] = []
        values: list[int] = []
        for index in order:
            key, fields = rows[index]
            original = first.setdefault(fields["digest"], key)
            if original != key:
                self._equal[key] = original
                continue
            self._keys.append(key)
            values.append(int(fields["hash"], 16))
        self._hashes = np.array(values, np.uint64)
        self._features: dict[str, np.ndarray] = {}

    def add_features(self, dataset: Path) -> None:
        for sample in shards.read_dataset(dataset):
            vector = np.frombuffer(base64.b64decode(sample.fields["features"]), np.float16)
            self._features[sample.key] = vector.astype(np.float32)

    def candidates(self, distance: int) -> set[str]:
        """The keys of pictures whose hash is close to that of another with other bytes."""
        close = np.zeros(len(self._keys), bool)
        for index in range(1, len(self._keys)):
            near = np.bitwise_count(self._hashes[:index] ^ self._hashes[index]) <= distance
            close[:index] |= near
            close[index] |= near.any()
        return {self._keys[index] for index in np.flatnonzero(close)}

    def repeats(self, distance: int, cosine: float | None) -> dict[str, str]:
        """For each picture to remove the key of the one that stays, "" for one that cannot be decoded."""
        kept_hashes, kept_keys = np.zeros(len(self._keys), np.uint64), []
        repeats: dict[str, str] = {}
        for key, value in zip(self._keys, self._hashes, strict=True):
            near = np.flatnonzero(np.bitwise_count(kept_hashes[: len(kept_keys)] ^ value) <= distance)
            same = (kept_keys[index] for index in near if cosine is None or self._cosine(kept_keys[index], key) >= cosine)
            original = next(same, None)
            if original is not None:
                repeats[key] = original
                continue
            kept_hashes[len(kept_keys)] = value
            kept_keys.append(key)
        # A picture equal to one that repeats a third repeats that third one.
        equal = {key: repeats.get(original, original) for key, original in self._equal.items()}
        return repeats | equal | dict.fromkeys(self._bad, "")

    def _cosine(self, first: str, second: str) -> float:
        return float(self._features[first] @ self._features[second])
