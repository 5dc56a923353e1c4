"""What became of the samples: counts of a shard, and of a whole stage."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

from edgefusion.data.sample import encodable


@dataclasses.dataclass
class Counts:
    """Counts of one shard or stage: every sample read is written or dropped for one reason; `noted` counts what was changed."""

    read: int = 0
    written: int = 0
    dropped: Counter[str] = dataclasses.field(default_factory=Counter)
    noted: Counter[str] = dataclasses.field(default_factory=Counter)
    dropped_keys: dict[str, str] = dataclasses.field(default_factory=dict)

    def drop(self, key: str, reason: str, detail: str = "") -> None:
        """Counts a sample that was read as dropped for `reason`; `detail` is kept with its key."""
        self.dropped[reason] += 1
        self.dropped_keys[encodable(key)] = encodable(f"{reason}: {detail}" if detail else reason)

    def note(self, what: str) -> None:
        """Counts a change to a sample that is kept."""
        self.noted[what] += 1

    def balanced(self) -> bool:
        return self.read == self.written + self.dropped.total()

    def add(self, other: Counts) -> None:
        self.read += other.read
        self.written += other.written
        self.dropped.update(other.dropped)
        self.noted.update(other.noted)

    def as_dict(self) -> dict[str, Any]:
        return {
            "read": self.read,
            "written": self.written,
            "dropped": dict(sorted(self.dropped.items())),
            "noted": dict(sorted(self.noted.items())),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Counts:
        return cls(values["read"], values["written"], Counter(values["dropped"]), Counter(values["noted"]))


@dataclasses.dataclass
class Summary:
    """The record summary.json of how a dataset came about. `contents`: a digest of its shards; older records have none."""

    stage: str
    config: dict[str, Any]
    shards: int
    counts: Counts
    contents: str | None = None

    def as_dict(self) -> dict[str, Any]:
        contents = {"contents": self.contents} if self.contents else {}
        return {"stage": self.stage, "config": self.config, "shards": self.shards, **contents, **self.counts.as_dict()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Summary:
        return cls(values["stage"], values["config"], values["shards"], Counts.from_dict(values), values.get("contents"))

    def sentence(self) -> str:
        """The counts for a person, in a line."""
        text = f"{self.stage}: read {self.counts.read:,}, wrote {self.counts.written:,} in {self.shards:,} shards"
        for title, counter in (("dropped", self.counts.dropped), ("noted", self.counts.noted)):
            if counter:
                text += f"; {title} " + ", ".join(f"{count:,} {reason}" for reason, count in sorted(counter.items()))
        return text
