"""A training, as edgefusion.train.processes runs it, that fails in one process while the others wait for it."""

from __future__ import annotations

from accelerate import Accelerator

from edgefusion.errors import UserError


def main(rank: int) -> None:
    accelerator = Accelerator()
    if accelerator.process_index == rank:
        raise UserError(f"process {rank} has had enough")
    accelerator.wait_for_everyone()
