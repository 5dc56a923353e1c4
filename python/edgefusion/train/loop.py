"""The loop of every training command: steps on accelerate, averaged weights, logs, checkpoints, exact resume, orderly stops."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import signal
import time
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import ProjectConfiguration, set_seed
from diffusers.optimization import get_scheduler

from edgefusion import configuration
from edgefusion.errors import UserError
from edgefusion.train import machine
from edgefusion.train.averages import moving_average
from edgefusion.train.checkpoint import RunFolder
from edgefusion.train.config import UNLIMITED, Limits, LoopConfig, RunConfig
from edgefusion.train.order import Order, Pick, step_generator
from edgefusion.train.progress import Meter, Progress
from edgefusion.train.task import Task, Values


class Source(Protocol):
    """Samples: how many, and a batch of them."""

    def __len__(self) -> int: ...

    def __getitem__(self, picks: Sequence[Pick]) -> Values: ...


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Where an invocation ended. `reason` is empty when the run is finished, else why it stopped before."""

    step: int
    reason: str


class Stop:
    """While entered, SIGTERM and SIGINT ask for a stop after the current step; a second SIGINT interrupts at once."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._deadline = time.monotonic() + 60 * limits.max_minutes if limits.max_minutes else math.inf
        self._signal = ""

    def __enter__(self) -> Stop:
        self._earlier = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._earlier.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        if self._signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._signal = signal.Signals(number).name

    def reached(self, step: int) -> str:
        """Why a run that is at `step` is not to go on at all; empty if it may."""
        return f"--max-steps {self._limits.max_steps}" if self._limits.max_steps and step >= self._limits.max_steps else ""

    def reason(self, step: int) -> str:
        """Why to stop after `step` steps; empty to go on."""
        if self._signal:
            return self._signal
        if reached := self.reached(step):
            return reached
        return f"--max-minutes {self._limits.max_minutes:g}" if time.monotonic() >= self._deadline else ""


def train(task: Task, source: Source, config: RunConfig, limits: Limits = UNLIMITED, start_over: bool = False) -> Outcome:
    """Trains `task` on `source` from the newest checkpoint in `config.output`, or from its beginning.

    Whenever it ends, at the last step or before, a checkpoint and the task's result are in `config.output`.
    UserError when that folder holds another run, or when the loss is no longer a number.
    """
    with Stop(limits) as stop:
        return _Loop(task, source, config).run(stop, start_over)


def _enable_gradient_checkpointing(network: torch.nn.Module) -> None:
    # diffusers and transformers name it differently.
    for name in ("enable_gradient_checkpointing", "gradient_checkpointing_enable"):
        for part in network.modules():
            if hasattr(part, name):
                getattr(part, name)()
                return
    raise UserError(f"loop.gradient_checkpointing: {type(network).__name__} cannot recompute its activations; set it to false")


class _Reporting:
    """A source whose UserErrors are handed over as batches: torch would make a traceback of those of its worker processes."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def __getitem__(self, picks: Sequence[Pick]) -> Values | UserError:
        try:
            return self._source[picks]
        except UserError as error:
            return error


class _Loop:
    def __init__(self, task: Task, source: Source, config: RunConfig) -> None:
        self.task, self.source, self.config = task, source, config
        self.loop: LoopConfig = config.loop
        machine.prepare(self.loop.threads)
        # accelerate keeps a process's first precision; a later run in the same process may want another.
        AcceleratorState._reset_state()
        project = ProjectConfiguration(project_dir=str(config.output), logging_dir=str(config.output / "logs"))
        self.accelerator = Accelerator(
            mixed_precision={"float32": "no"}.get(self.loop.precision, self.loop.precision),
            gradient_accumulation_steps=self.loop.accumulate,
            log_with="tensorboard",
            project_config=project,
        )
        if self.loop.precision == "fp16" and self.accelerator.device.type == "cpu":
            raise UserError("loop.precision: fp16 needs a GPU; use bf16 or float32 on a CPU")
        self.folder = RunFolder(config.output, self._record())
        self._prepare()

    def _record(self) -> dict[str, Any]:
        """The configuration, with the processes that there are: a launcher may have started others than it says."""
        record = {"command": self.task.name, **configuration.as_dict(self.config)}
        record["loop"]["processes"] = self.accelerator.num_processes
        return record

    def _prepare(self) -> None:
        """Puts networks, optimizer and averages where they run, and registers what a checkpoint holds."""
        set_seed(self.config.seed)
        task, loop, accelerator = self.task, self.loop, self.accelerator
        for network in task.trained.values():
            network.train()
            if loop.gradient_checkpointing:
                _enable_gradient_checkpointing(network)
        for network in task.frozen.values():
            network.requires_grad_(False).eval().to(accelerator.device)
        self.averages = {
            name: moving_average(network, loop.ema_decay).to(accelerator.device)
            for name, network in (task.trained.items() if loop.ema_decay else ())
        }
        parameters = [
            parameter for network in task.trained.values() for parameter in network.parameters() if parameter.requires_grad
        ]
        optimizer = torch.optim.AdamW(
            parameters, lr=loop.learning_rate, betas=(loop.beta1, loop.beta2), weight_decay=loop.weight_decay, fused=True
        )
        # accelerate advances the schedule once a process and update; its lengths are counted in those.
        schedule = get_scheduler(
            loop.schedule,
            optimizer,
            num_warmup_steps=loop.warmup_steps * accelerator.num_processes,
            num_training_steps=loop.steps * accelerator.num_processes,
        )
        task.trained = {name: accelerator.prepare(network) for name, network in task.trained.items()}
        self.parameters = [parameter for network in task.trained.values() for parameter in network.parameters()]
        self.optimizer, self.schedule = accelerator.prepare(optimizer, schedule)
        accelerator.register_for_checkpointing(*self.averages.values(), *task.state.values())

    def run(self, stop: Stop, start_over: bool) -> Outcome:
        step = self._resume(start_over)
        progress = Progress(self.task.name, self.loop.steps, self._samples_per_step(), self.accelerator.is_main_process)
        if step >= self.loop.steps:
            # Written again: the earlier invocation may have been killed between its last checkpoint and its result.
            self._write_result()
            progress.say(f"{self.task.name}: finished before, at step {step:,}; the result is in {self.config.output}")
            return Outcome(step, "")
        if reason := stop.reached(step):
            progress.say(self._stopped(step, reason))
            return Outcome(step, reason)
        # On resume, what an interrupted invocation logged after its last checkpoint is dropped.
        self.accelerator.init_trackers("", init_kwargs={"tensorboard": {"purge_step": step + 1}})
        with contextlib.closing(self._batches(step)) as batches:
            outcome = self._steps(step, batches, stop, progress)
        self.accelerator.end_training()
        return outcome

    def _samples_per_step(self) -> int:
        return self.loop.batch_size * self.loop.accumulate * self.accelerator.num_processes

    def _resume(self, start_over: bool) -> int:
        # One process takes the folder and the others follow.
        with self.accelerator.main_process_first():
            newest = self.folder.claim(start_over) if self.accelerator.is_main_process else self.folder.newest()
        if not newest:
            return 0
        self.accelerator.load_state(str(newest[1]))
        return newest[0]

    def _batches(self, step: int) -> Iterator[tuple[int, Values]]:
        """(number, batch) from the first batch of `step` on, read ahead by worker processes where there are any."""
        accelerator, start = self.accelerator, step * self.loop.accumulate
        order = Order(
            len(self.source), self.loop.batch_size, self.config.seed, accelerator.process_index, accelerator.num_processes
        )
        loader = torch.utils.data.DataLoader(
            _Reporting(self.source),  # type: ignore[arg-type]
            sampler=order.batches(start),
            batch_size=None,
            num_workers=self.loop.workers,
            # Otherwise a loader takes a number from torch's own generator, and a resumed run goes on with other ones.
            generator=torch.Generator(),
        )
        for number, batch in enumerate(loader, start):
            if isinstance(batch, UserError):
                raise batch
            yield number, {name: value.to(accelerator.device) for name, value in batch.items()}

    def _steps(self, step: int, batches: Iterator[tuple[int, Values]], stop: Stop, progress: Progress) -> Outcome:
        meter = Meter()
        progress.pause()
        while True:
            self._step(batches, meter)
            step += 1
            progress.step()
            if step % self.loop.log_every == 0 or step == self.loop.steps:
                self._log(step, meter.take(), progress)
            reason = "" if step >= self.loop.steps else self._agreed(stop.reason(step))
            if reason or step % self.loop.checkpoint_every == 0 or step == self.loop.steps:
                self._save(step)
                progress.pause()
            if reason:
                progress.say(self._stopped(step, reason))
                return Outcome(step, reason)
            if step >= self.loop.steps:
                progress.say(f"{self.task.name}: finished, {step:,} steps; the result is in {self.config.output}")
                return Outcome(step, "")

    def _stopped(self, step: int, reason: str) -> str:
        place = f"step {step:,} of {self.loop.steps:,}"
        return f"{self.task.name}: stopped at {place} ({reason}); run the same command again to go on from there"

    def _step(self, batches: Iterator[tuple[int, Values]], meter: Meter) -> None:
        """One update of the weights."""
        accelerator, trained = self.accelerator, list(self.task.trained.values())
        for _ in range(self.loop.accumulate):
            number, batch = next(batches)
            random = step_generator(self.config.seed, number, accelerator.process_index)
            with accelerator.accumulate(*trained):
                with accelerator.autocast():
                    loss, values = self.task.loss(batch, random)
                accelerator.backward(loss)
                if accelerator.sync_gradients and self.loop.max_gradient_norm:
                    accelerator.clip_grad_norm_(self.parameters, self.loop.max_gradient_norm)
                self.optimizer.step()
                self.schedule.step()
                self.optimizer.zero_grad()
            self.last_loss = loss.detach()
            meter.add({"loss": loss, **values}, 1 / self.loop.accumulate)
        meter.step()
        for name, average in self.averages.items():
            average.update_parameters(accelerator.unwrap_model(self.task.trained[name]))
        self.task.updated()

    def _log(self, step: int, means: dict[str, float], progress: Progress) -> None:
        rate = {"images_per_second": progress.rate(), "learning_rate": self.schedule.get_last_lr()[0]}
        self.accelerator.log({**means, **rate}, step=step)
        progress.report(step, means)

    def _agreed(self, reason: str) -> str:
        """The reason to stop of any process, so that all stop at the same step."""
        if self.accelerator.num_processes == 1:
            return reason
        asked = torch.tensor(float(bool(reason)), device=self.accelerator.device)
        return (reason or "another process stopped") if self.accelerator.reduce(asked) > 0 else ""

    def _save(self, step: int) -> None:
        """A checkpoint, to which every process adds its random state, then the result with the averaged weights."""
        accelerator = self.accelerator
        # The loss is from before the update, and may still be a number when a weight is none any more.
        broken = not math.isfinite(float(accelerator.reduce(self.last_loss)))
        if broken or not all(bool(parameter.isfinite().all()) for parameter in self.parameters):
            raise UserError(
                f"{self.task.name}: the {'loss' if broken else 'weights'} at step {step:,} are no finite numbers; lower "
                "loop.learning_rate or warm up for longer; the last checkpoint is from before (--start-over discards it)"
            )
        if accelerator.is_main_process:
            self.folder.begin(step)
        accelerator.wait_for_everyone()
        accelerator.save_state(str(self.folder.partial(step)))
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            self.folder.finish(step, self.loop.checkpoints_kept)
        self._write_result()

    def _write_result(self) -> None:
        accelerator = self.accelerator
        if accelerator.is_main_process:
            networks = {name: accelerator.unwrap_model(network) for name, network in self.task.trained.items()}
            networks |= {name: average.module for name, average in self.averages.items()}
            with torch.no_grad():
                self.task.write(networks, self.config.output)
        accelerator.wait_for_everyone()
