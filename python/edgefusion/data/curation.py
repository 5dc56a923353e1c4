"""`edgefusion data curate`: a local page that shows the pairs of a dataset and records what a person keeps and drops.

Each decision is a line of a file, {"key": ..., "decision": "keep" | "drop" | "undecided"}, and the last line of a key counts
(an undone decision adds a line with "undo"). The stage that applies the decisions reads that file.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from edgefusion.data import shards
from edgefusion.data.shards import StoredSample
from edgefusion.errors import UserError
from edgefusion.json_lines import Log
from edgefusion.local_page import Content, add_serving, serve

DECISIONS = ("keep", "drop", "undecided")
_STATES = ("all", *DECISIONS)
_MAX_PAGE = 200
_TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}


def origin(pair: StoredSample) -> str:
    """The collection that the source names: what stands before the first # / or colon."""
    source = str(pair.fields.get("source", ""))
    end = min((position for position in map(source.find, "#/:") if position > 0), default=len(source))
    return source[:end]


class Curation:
    """The page over the pairs of `dataset`, with its decisions in `log`."""

    html = Path(__file__).with_name("curation.html")

    def __init__(self, dataset: Path, log: Path) -> None:
        self._name = dataset.name
        self._pairs = [pair for shard in shards.shard_paths(dataset) for pair in shards.index_shard(shard)]
        if not self._pairs:
            raise UserError(f"'{dataset}' holds no picture to look at")
        self._position = {pair.key: position for position, pair in enumerate(self._pairs)}
        self._origins = Counter(origin(pair) for pair in self._pairs)
        self._log = Log(log)
        self._decisions: dict[str, str] = {}
        #: (key, decision before) of each decision that can be undone.
        self._history: list[tuple[str, str]] = []
        for record in self._log:
            self._replay(record)

    def _replay(self, record: dict[str, Any]) -> None:
        key, decision = record.get("key"), record.get("decision")
        if not isinstance(key, str) or decision not in DECISIONS:
            raise UserError(f"{self._log.path}: expected key and decision (keep, drop or undecided), found {json.dumps(record)}")
        if record.get("undo"):
            if self._history:
                self._history.pop()
        else:
            self._history.append((key, self._decisions.get(key, "undecided")))
        self._decisions[key] = decision

    def _record(self, record: dict[str, Any]) -> None:
        self._log.append(record)
        self._replay(record)

    def counts(self) -> dict[str, int]:
        """How many pairs are kept, dropped, undecided."""
        found = Counter(self._decisions.get(pair.key, "undecided") for pair in self._pairs)
        return {decision: found[decision] for decision in DECISIONS}

    def get(self, path: str, query: dict[str, str]) -> Any:  # noqa: ANN401 - Content or any JSON value
        if path == "pairs":
            return self._list(query)
        if path.startswith("picture/"):
            pair = self._pairs[self._position[path.removeprefix("picture/")]]
            return Content(pair.picture(), _TYPES[pair.extension])
        raise KeyError(path)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path == "decide":
            key, decision = body.get("key"), body.get("decision")
            if decision not in DECISIONS:
                raise UserError(f"a decision is one of {', '.join(DECISIONS)}")
            self._record({"key": self._pairs[self._position[key]].key, "decision": decision})
        elif path == "undo":
            if not self._history:
                raise UserError("there is nothing to undo")
            key, before = self._history[-1]
            self._record({"key": key, "decision": before, "undo": True})
        else:
            raise KeyError(path)
        return {"key": key, "position": self._position.get(key, 0), "decision": self._decisions[key], **self._state()}

    def _state(self) -> dict[str, Any]:
        return {"counts": self.counts(), "undo": bool(self._history)}

    def _matches(self, pair: StoredSample, wanted: str, state: str, words: list[str]) -> bool:
        if wanted and origin(pair) != wanted:
            return False
        if state != "all" and self._decisions.get(pair.key, "undecided") != state:
            return False
        text = " ".join([pair.fields.get("caption", ""), *pair.fields.get("keywords", ())]).lower()
        return all(word in text for word in words)

    def _list(self, query: dict[str, str]) -> dict[str, Any]:
        """A page of pairs: those from position `start` on, or with `back` those before it. Positions are those of the dataset, so
        that paging stays right while decisions change what matches."""
        try:
            start, size = int(query.get("start", "0")), min(_MAX_PAGE, max(1, int(query.get("size", "12"))))
        except ValueError:
            raise UserError("start and size are whole numbers") from None
        wanted, state = query.get("origin", ""), query.get("state", "all")
        if state not in _STATES:
            raise UserError(f"state is one of {', '.join(_STATES)}")
        words = query.get("text", "").lower().split()
        matching = [p for p, pair in enumerate(self._pairs) if self._matches(pair, wanted, state, words)]
        before = [position for position in matching if position < start]
        after = matching[len(before) :]
        shown = before[-size:] if "back" in query else after[:size]
        first = shown[0] if shown else start
        return {
            "dataset": self._name,
            "pairs": [self._described(position) for position in shown],
            "matching": len(matching),
            "first": len([position for position in matching if position < first]),
            "next": shown[-1] + 1 if shown and shown[-1] < matching[-1] else None,
            "previous": first if shown and matching[0] < first else None,
            "origins": dict(self._origins.most_common()),
            **self._state(),
        }

    def _described(self, position: int) -> dict[str, Any]:
        pair = self._pairs[position]
        kept = ("caption", "keywords", "source", "license", "width", "height")
        fields = {name: pair.fields.get(name) for name in kept}
        return {"key": pair.key, "position": position, "decision": self._decisions.get(pair.key, "undecided"), **fields}


def add_command(stages: argparse._SubParsersAction) -> None:
    """Adds `curate` to the commands of `edgefusion data`."""
    parser = stages.add_parser("curate", help="a local page to keep and drop pairs by hand, for apply-decisions")
    parser.add_argument("dataset", type=Path)
    parser.add_argument(
        "--decisions", type=Path, metavar="FILE", help="where decisions go (default: beside the dataset, as .decisions.jsonl)"
    )
    add_serving(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    dataset = arguments.dataset.resolve()
    log = arguments.decisions or dataset.with_name(f"{dataset.name}.decisions.jsonl")
    page = Curation(arguments.dataset, log)
    serve(page, arguments.port, not arguments.no_browser)
    counts = page.counts()
    print(f"{log}: {counts['keep']} kept, {counts['drop']} dropped, {counts['undecided']} undecided")
    return 0
