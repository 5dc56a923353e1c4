"""Training in several processes of this machine. On a CPU, processes of one thread each outrun one process of as many threads."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import socket
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from typing import TypeVar

import torch
from accelerate.state import AcceleratorState
from accelerate.utils import patch_environment

from edgefusion.errors import UserError
from edgefusion.train import machine

#: Set by torchrun and `accelerate launch`, which then have the say over how many processes there are.
_LAUNCHED = "WORLD_SIZE"
#: Seconds that other processes have to end by themselves.
_PATIENCE, _PATIENCE_AFTER_ERROR = 10.0, 2.0

Result = TypeVar("Result")


def run(count: int, train: Callable[..., Result], *arguments: object) -> Result:
    """`train(*arguments)` in `count` processes that know of each other (as torchrun starts them): this one, whose result is
    returned, and others, which end when it ends. Function and arguments are pickled.

    UserError when another process ended and this one could not go on without it: with that one's sentence, if it had one.
    """
    if count == 1 or _LAUNCHED in os.environ:
        return train(*arguments)
    shared = {_LAUNCHED: str(count), "LOCAL_WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port()}
    if not torch.accelerator.is_available():
        shared["ACCELERATE_USE_CPU"] = "true"
    spawn = multiprocessing.get_context("spawn")
    sentences = spawn.SimpleQueue()
    environments = [{**shared, **_rank(rank)} for rank in range(1, count)]
    others = [spawn.Process(target=_other, args=(each, sentences, train, arguments)) for each in environments]
    for other in others:
        other.start()
    patience = _PATIENCE_AFTER_ERROR
    with patch_environment(**shared, **_rank(0)), _fresh_state():
        try:
            result = train(*arguments)
            patience = _PATIENCE
        except RuntimeError as error:
            # Collective operations report a lost process so.
            raise _lost(others, sentences) or error from None
        finally:
            _end(others, patience)
    return result


def _rank(rank: int) -> dict[str, str]:
    return {"RANK": str(rank), "LOCAL_RANK": str(rank)}


def _other(
    environment: dict[str, str], sentences: SimpleQueue[str], train: Callable[..., object], arguments: tuple[object, ...]
) -> None:
    os.environ.update(environment)
    machine.quiet_libraries()
    try:
        train(*arguments)
    except UserError as error:
        # The first process says it, unless it has met the same.
        sentences.put(str(error))
        raise SystemExit(1) from None
    except Exception:
        traceback.print_exc()
        raise SystemExit(1) from None


def _lost(others: list[BaseProcess], sentences: SimpleQueue[str]) -> UserError | None:
    for rank, other in enumerate(others, 1):
        other.join(timeout=2)
        if not sentences.empty():
            return UserError(sentences.get())
        if other.exitcode is not None and other.exitcode < 0:
            return UserError(
                f"training process {rank} was ended by signal {-other.exitcode}; "
                "run the same command again to go on from the newest checkpoint"
            )
    return None


def _end(others: list[BaseProcess], patience: float) -> None:
    """Waits `patience` seconds for each process to end by itself, and ends those that wait for this one.

    In a collective operation a process does not hear that it is asked to, and is then killed.
    """
    for other in others:
        other.join(timeout=patience)
    for end in (BaseProcess.terminate, BaseProcess.kill):
        for other in others:
            end(other)
            other.join(timeout=patience)


@contextlib.contextmanager
def _fresh_state() -> Iterator[None]:
    """What accelerate knows of a process's neighbours outlives a training; it is forgotten before and after."""
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        yield
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        AcceleratorState._reset_state(reset_partial_state=True)


def _free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])
