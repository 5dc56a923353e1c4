"""A run's folder: its configuration, its checkpoints, and whether an invocation may go on with them.

RUN/config.yaml               the configuration of the last invocation
RUN/checkpoints/step-00001000 what accelerate saves: weights, optimizer, averages, random states
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from edgefusion.errors import UserError
from edgefusion.files import write_text
from edgefusion.train import config as shared

_NAME = re.compile(r"step-(\d{8})")


class RunFolder:
    """The folder of one run. `config` is the whole configuration as a dictionary, with the command's name."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.folder = folder
        self.config = config

    @property
    def _record(self) -> Path:
        return self.folder / "config.yaml"

    def checkpoints(self) -> list[tuple[int, Path]]:
        """(step, folder) of the complete checkpoints, oldest first."""
        folder = self.folder / "checkpoints"
        found = folder.iterdir() if folder.is_dir() else ()
        return sorted((int(match[1]), path) for path in found if (match := _NAME.fullmatch(path.name)))

    def claim(self, start_over: bool) -> tuple[int, Path] | None:
        """Makes the folder this run's own; the newest checkpoint to go on from, if there is one.

        UserError when the folder holds a run of another configuration, or something that is no run. `start_over` removes the
        checkpoints of an earlier run first.
        """
        if self._record.is_file():
            if start_over:
                shutil.rmtree(self.folder / "checkpoints", ignore_errors=True)
            elif self.checkpoints():
                self._check_same()
        elif self.folder.is_dir() and any(self.folder.iterdir()):
            raise UserError(f"{self.folder}: not empty and not the folder of a training run; choose another output")
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self._record, yaml.safe_dump(self.config, sort_keys=False))
        return self.newest()

    def newest(self) -> tuple[int, Path] | None:
        """The newest of `checkpoints`."""
        return max(self.checkpoints(), default=None)

    def _check_same(self) -> None:
        try:
            earlier = yaml.safe_load(self._record.read_text(encoding="utf-8"))
            difference = _first_difference(shared.identity(earlier), shared.identity(self.config))
        except (yaml.YAMLError, KeyError, TypeError, AttributeError):
            raise UserError(f"{self._record}: not the configuration of a run; choose another output") from None
        if difference:
            raise UserError(
                f"{self.folder}: holds a run with another configuration ({difference}); choose another output, "
                "or give --start-over to discard its checkpoints"
            )

    def _final(self, step: int) -> Path:
        return self.folder / "checkpoints" / f"step-{step:08d}"

    def partial(self, step: int) -> Path:
        """Where the checkpoint of `step` is written before it is whole."""
        final = self._final(step)
        return final.with_name(f".{final.name}.partial")

    def begin(self, step: int) -> None:
        """Makes an empty partial(step)."""
        shutil.rmtree(self.partial(step), ignore_errors=True)
        self.partial(step).mkdir(parents=True)

    def finish(self, step: int, kept: int) -> None:
        """Gives the checkpoint of `step` its name and removes all but the `kept` newest."""
        shutil.rmtree(self._final(step), ignore_errors=True)
        self.partial(step).rename(self._final(step))
        for _, old in self.checkpoints()[:-kept]:
            shutil.rmtree(old)


def _first_difference(earlier: Any, now: Any, key: str = "") -> str:  # noqa: ANN401 - YAML values
    if isinstance(earlier, dict) and isinstance(now, dict):
        for name in [*now, *(name for name in earlier if name not in now)]:
            difference = _first_difference(earlier.get(name), now.get(name), f"{key}.{name}" if key else name)
            if difference:
                return difference
        return ""
    return "" if earlier == now else f"{key} was {earlier} and is now {now}"


def replace_folder(final: Path, write: Callable[[Path], None]) -> None:
    """Has `write` fill a folder beside `final`, which then takes its place: what is there under that name is always whole."""
    final.parent.mkdir(parents=True, exist_ok=True)
    partial, old = final.with_name(f".{final.name}.partial"), final.with_name(f".{final.name}.old")
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir()
    write(partial)
    if final.exists():
        final.rename(old)
    partial.rename(final)
    shutil.rmtree(old, ignore_errors=True)
