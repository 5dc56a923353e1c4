"""`edgefusion eval compare`: a page on which a person chooses between two sets of pictures without knowing which is which.

Order and sides are drawn from a seed. Each vote is a line of a file, {"pair": ..., "choice": "a" | "b" | "tie"}; the last line
of a pair counts, and an undone vote is a line with "choice": null. The first line says what was compared.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

from edgefusion.data.sample import encode
from edgefusion.errors import UserError
from edgefusion.eval.pictures import Picture, by_prompt
from edgefusion.json_lines import Log
from edgefusion.local_page import Content

_CHOICES = ("left", "right", "tie")


def wilson_interval(wins: int, votes: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion; (0, 1) without votes."""
    if not votes:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    rate, share = wins / votes, z * z / votes
    centre = (rate + share / 2) / (1 + share)
    half = z / (1 + share) * math.sqrt(rate * (1 - rate) / votes + share / (4 * votes))
    return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True)
class Tally:
    """What the votes say about set A."""

    wins: int
    losses: int
    ties: int
    pairs: int

    @property
    def rate(self) -> float:
        """Share of A among the votes that prefer one; not a number without any."""
        return self.wins / (self.wins + self.losses) if self.wins + self.losses else math.nan

    def sentence(self, first: str, second: str) -> str:
        votes = self.wins + self.losses
        if not votes:
            return f"no vote prefers either of {first} and {second} ({self.ties} ties of {self.pairs} pairs)"
        low, high = wilson_interval(self.wins, votes)
        return (
            f"{first} wins {100 * self.rate:.1f}% (95% interval {100 * low:.1f} to {100 * high:.1f}) of {votes} votes "
            f"against {second}; {self.ties} ties, {self.pairs - votes - self.ties} of {self.pairs} pairs not judged"
        )


@dataclass(frozen=True)
class _Trial:
    """A row as the person sees it."""

    name: str
    prompt: str
    pictures: tuple[Picture, Picture]
    #: Whether set A stands on the left.
    first_left: bool

    def shown(self, side: str) -> Picture:
        return self.pictures[(side == "left") != self.first_left]

    def choice(self, side: str) -> str:
        if side == "tie":
            return side
        return "a" if (side == "left") == self.first_left else "b"


def _digest(trials: Sequence[_Trial]) -> str:
    """Of all pixels: votes on a folder's earlier pictures are not votes on those that it holds now."""
    digest = hashlib.blake2b(digest_size=8)
    for picture in (picture for trial in trials for picture in trial.pictures):
        digest.update(picture.pixels().numpy().tobytes())
    return digest.hexdigest()


class Comparison:
    """The page over the rows that sets `first` and `second`, (name, pictures) each, have in common; votes go to `log`."""

    html = Path(__file__).with_name("comparison.html")

    def __init__(self, first: tuple[str, list[Picture]], second: tuple[str, list[Picture]], log: Path, seed: int = 0) -> None:
        draw = random.Random(seed)
        self.names = first[0], second[0]
        self._trials = [
            _Trial(f"{a.prompt}#{a.seed}", a.prompt, (a, b), draw.random() < 0.5) for a, b in by_prompt([first, second])
        ]
        draw.shuffle(self._trials)
        self._numbers = {trial.name: number for number, trial in enumerate(self._trials)}
        self._votes: dict[str, str] = {}
        self._history: list[str] = []
        self._log = Log(log)
        header = {"a": self.names[0], "b": self.names[1], "seed": seed, "pictures": _digest(self._trials)}
        records = list(self._log)
        if not records:
            self._log.append(header)
        elif records[0] != header:
            raise UserError(f"'{log}' has votes of {json.dumps(records[0])}, not of {json.dumps(header)}; choose another file")
        for record in records[1:]:
            self._replay(record)

    def _replay(self, record: dict[str, Any]) -> None:
        pair, choice = record.get("pair"), record.get("choice")
        if not isinstance(pair, str) or choice not in ("a", "b", "tie", None):
            raise UserError(f"{self._log.path}: expected pair and choice (a, b, tie or null), found {json.dumps(record)}")
        if choice is None:
            self._votes.pop(pair, None)
            if pair in self._history:
                self._history.remove(pair)
        else:
            self._votes[pair] = choice
            self._history.append(pair)

    def _record(self, record: dict[str, Any]) -> None:
        self._log.append(record)
        self._replay(record)

    def tally(self) -> Tally:
        counts = Counter(self._votes[trial.name] for trial in self._trials if trial.name in self._votes)
        return Tally(counts["a"], counts["b"], counts["tie"], len(self._trials))

    def get(self, path: str, query: dict[str, str]) -> Any:  # noqa: ANN401 - Content or any JSON value
        if path == "state":
            return self._state()
        kind, _, rest = path.partition("/")
        number, _, side = rest.partition("/")
        if kind == "picture" and number.isdecimal() and int(number) < len(self._trials) and side in _CHOICES[:2]:
            # Encoded anew: neither the file's name nor what it has inside may tell where a picture comes from.
            return Content(encode(self._trials[int(number)].shown(side).open(), "png"), "image/png")
        raise KeyError(path)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path == "vote":
            number, side = body.get("number"), body.get("choice")
            if side not in _CHOICES or not isinstance(number, int) or not 0 <= number < len(self._trials):
                raise UserError(f"a vote has the number of a pair and one of {', '.join(_CHOICES)}")
            trial = self._trials[number]
            self._record({"pair": trial.name, "choice": trial.choice(side)})
        elif path == "undo":
            if not self._history:
                raise UserError("there is nothing to undo")
            self._record({"pair": self._history[-1], "choice": None})
        else:
            raise KeyError(path)
        return self._state()

    def _state(self) -> dict[str, Any]:
        """The next pair; the outcome only when all are judged, for it would bias the person."""
        left = [number for number, trial in enumerate(self._trials) if trial.name not in self._votes]
        state: dict[str, Any] = {"pairs": len(self._trials), "judged": len(self._trials) - len(left), "undo": bool(self._history)}
        if left:
            return {**state, "number": left[0], "prompt": self._trials[left[0]].prompt}
        return {**state, "result": self.tally().sentence(*self.names)}
