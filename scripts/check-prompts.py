#!/usr/bin/env python3
"""Checks the prompts of the sample sheets against the datasets that were trained on: a prompt of the first group must be one of
their captions, a prompt of the other groups none. Case, articles in front and spaces do not count.

    scripts/check-prompts.py DATASET... [--prompts python/configs/mini/prompts.txt]
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from edgefusion.data import shards
from edgefusion.errors import UserError
from edgefusion.eval import pictures

REPOSITORY = Path(__file__).resolve().parent.parent


def plain(text: str) -> str:
    return re.sub(r"^(an?|the) ", "", " ".join(text.lower().split()))


def training_captions(datasets: Iterable[Path]) -> set[str]:
    """Every text that a training may show beside a picture."""
    found = set()
    for dataset in datasets:
        for sample in shards.read_dataset(dataset):
            found |= {plain(text) for text in (sample.caption, *sample.fields.get("captions", ()))}
    return found


def problems(prompts: list[tuple[str, str]], captions: set[str]) -> list[str]:
    """A sentence for each prompt that is in the wrong group."""
    first = prompts[0][1]
    wrong = []
    for prompt, group in prompts:
        known = plain(prompt) in captions
        if known != (group == first):
            wrong.append(f"'{prompt}' is {'a' if known else 'no'} training caption, but stands under '{group}'")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--prompts", type=Path, default=REPOSITORY / "python/configs/mini/prompts.txt")
    arguments = parser.parse_args()
    try:
        prompts = pictures.read_prompts(arguments.prompts)
        found = problems(prompts, training_captions(arguments.datasets))
    except UserError as error:
        print(f"check-prompts: error: {error}", file=sys.stderr)
        return 1
    for sentence in found:
        print(sentence)
    groups = [group for _, group in prompts]
    print(
        f"{len(prompts)} prompts, {len(found)} in the wrong group; "
        + ", ".join(f"{groups.count(g)} {g}" for g in dict.fromkeys(groups))
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
