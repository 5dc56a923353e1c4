"""A training, as edgefusion.train.processes runs it, that fails in one process while the others wait for it."""

from __future__ import annotations

from accelerate import PartialState

from edgefusion.errors import UserError


def main(rank: int) -> None:
    state = PartialState()
    if state.process_index == rank:
        raise UserError(f"process {rank} has had enough")
    state.wait_for_everyone()
