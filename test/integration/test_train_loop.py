"""The training loop on a network of two layers: resume, stops, averages, refusals."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import plain_regression
import pytest
import torch
from plain_regression import PlainRegression, Points
from small_training import assert_same_weights, loop, weights

from edgefusion.errors import UserError
from edgefusion.train.averages import moving_average
from edgefusion.train.config import Limits, RunConfig
from edgefusion.train.loop import Outcome, train
from edgefusion.train.order import Order, Pick
from edgefusion.train.task import Values


class Regression(PlainRegression):
    """The same with noise, through dropout: every source of randomness takes part. `signals` maps updates to signals."""

    def __init__(self, signals: dict[int, int] | None = None, broken_at: int = 0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.trained = {"net": torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.3), torch.nn.Linear(8, 1))}
        self._signals, self._broken_at, self.updates = signals or {}, broken_at, 0

    def loss(self, batch: Values, random: torch.Generator) -> tuple[torch.Tensor, Values]:
        x = batch["x"]
        noise = torch.randn(len(x), 1, generator=random)
        loss = (self.trained["net"](x) - x.sum(1, keepdim=True) - noise).square().mean()
        return (loss * float("nan") if self._broken_at == self.updates + 1 else loss), {"noise": noise.mean()}

    def updated(self) -> None:
        self.updates += 1
        if self.updates in self._signals:
            os.kill(os.getpid(), self._signals[self.updates])


def config(output: Path, **keys: object) -> RunConfig:
    common = {"ema_decay": 0.9, "accumulate": 2, "schedule": "cosine", "warmup_steps": 2, "checkpoint_every": 3}
    return RunConfig(output, loop(**{"steps": 8, **common, **keys}), seed=5)


def state(output: Path) -> dict[str, object]:
    """The newest checkpoint's optimizer, schedule and averages."""
    folder = max((output / "checkpoints").iterdir())
    names = [path.name for path in folder.iterdir() if path.suffix == ".bin" or path.name.startswith("custom")]
    return {name: torch.load(folder / name, weights_only=False) for name in names}


def assert_equal(one: object, other: object) -> None:
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_equal(value, other[key])
    elif isinstance(one, list | tuple):
        for mine, theirs in zip(one, other, strict=True):
            assert_equal(mine, theirs)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


@pytest.mark.parametrize("stops", [(3,), (1, 5)])
def test_interrupted_equals_uninterrupted(tmp_path: Path, stops: tuple[int, ...]) -> None:
    assert train(Regression(), Points(), config(tmp_path / "whole")) == Outcome(8, "")
    for stop in stops:
        outcome = train(Regression(), Points(), config(tmp_path / "parts"), Limits(max_steps=stop))
        assert outcome == Outcome(stop, f"--max-steps {stop}")
    assert train(Regression(), Points(), config(tmp_path / "parts")) == Outcome(8, "")
    assert_same_weights(tmp_path / "whole", tmp_path / "parts")
    assert_equal(state(tmp_path / "whole"), state(tmp_path / "parts"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_with_a_checkpoint(tmp_path: Path, number: int, capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(number)
    train(Regression(), Points(), config(tmp_path / "whole"))
    outcome = train(Regression({2: number}), Points(), config(tmp_path / "parts"))
    assert outcome == Outcome(2, signal.Signals(number).name)
    assert "run the same command again" in capfd.readouterr().err
    assert signal.getsignal(number) == before
    train(Regression(), Points(), config(tmp_path / "parts"))
    assert_same_weights(tmp_path / "whole", tmp_path / "parts")


def test_a_limit_that_is_reached_is_no_more_steps(tmp_path: Path) -> None:
    for _ in range(2):
        assert train(Regression(), Points(), config(tmp_path), Limits(max_steps=2)) == Outcome(2, "--max-steps 2")


def test_time_limit(tmp_path: Path) -> None:
    outcome = train(Regression(), Points(), config(tmp_path), Limits(max_minutes=1e-9))
    assert outcome.step == 1
    assert outcome.reason.startswith("--max-minutes")


def test_checkpoint_that_was_cut_short_does_not_count(tmp_path: Path) -> None:
    train(Regression(), Points(), config(tmp_path / "whole"))
    train(Regression(), Points(), config(tmp_path / "parts"), Limits(max_steps=3))
    (tmp_path / "parts" / "checkpoints" / ".step-00000005.partial").mkdir()
    train(Regression(), Points(), config(tmp_path / "parts"))
    assert_same_weights(tmp_path / "whole", tmp_path / "parts")


def test_finished_run_does_nothing(tmp_path: Path) -> None:
    train(Regression(), Points(), config(tmp_path))
    task = Regression()
    assert train(task, Points(), config(tmp_path)) == Outcome(8, "")
    assert task.updates == 0


def test_a_run_can_be_prolonged(tmp_path: Path) -> None:
    train(Regression(), Points(), config(tmp_path / "whole", schedule="constant_with_warmup"))
    train(Regression(), Points(), config(tmp_path / "parts", schedule="constant_with_warmup", steps=4))
    train(Regression(), Points(), config(tmp_path / "parts", schedule="constant_with_warmup", steps=8, log_every=1))
    assert_same_weights(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"loop": loop(steps=8, learning_rate=0.5)}, "loop.learning_rate"),
        ({"seed": 6}, "seed was 5 and is now 6"),
        ({"loop": loop(steps=9, schedule="cosine")}, "loop."),
    ],
)
def test_another_configuration_is_refused(tmp_path: Path, changed: dict, words: str) -> None:
    first = config(tmp_path)
    train(Regression(), Points(), first, Limits(max_steps=2))
    with pytest.raises(UserError, match="another configuration") as error:
        train(Regression(), Points(), dataclasses.replace(first, **changed))
    assert words in str(error.value)


def test_start_over(tmp_path: Path) -> None:
    train(Regression(), Points(), config(tmp_path / "one"))
    train(Regression(), Points(), config(tmp_path / "other", learning_rate=0.5), Limits(max_steps=5))
    train(Regression(), Points(), config(tmp_path / "other"), start_over=True)
    assert_same_weights(tmp_path / "one", tmp_path / "other")


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious", encoding="utf-8")
    with pytest.raises(UserError, match="not the folder of a training run"):
        train(Regression(), Points(), config(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_loss_that_is_no_number_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="learning_rate"):
        train(Regression(broken_at=6), Points(), config(tmp_path))
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000003"]


def test_weights_that_are_no_numbers_keep_the_last_checkpoint(tmp_path: Path) -> None:
    """The loss of the step in which a gradient overflows is still finite."""

    class Overflow(Regression):
        def loss(self, batch: Values, random: torch.Generator) -> tuple[torch.Tensor, Values]:
            loss, values = super().loss(batch, random)
            if self.updates == 5:
                loss.register_hook(lambda gradient: gradient * float("inf"))
            return loss, values

    with pytest.raises(UserError, match="the weights at step 6 are no finite numbers"):
        train(Overflow(), Points(), config(tmp_path))
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000003"]


class BadPoint(Points):
    def __getitem__(self, picks: Sequence[Pick]) -> Values:
        raise UserError("the picture of p7 cannot be decoded; make the dataset again")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_source_s_error_stays_a_sentence(tmp_path: Path, workers: int) -> None:
    with pytest.raises(UserError, match=r"^the picture of p7 cannot be decoded; make the dataset again$"):
        train(Regression(), BadPoint(), config(tmp_path, workers=workers))


def test_reading_ahead_changes_nothing(tmp_path: Path) -> None:
    for workers in (0, 1):
        train(Regression(), Points(), config(tmp_path / str(workers), workers=workers))
    assert_same_weights(tmp_path / "0", tmp_path / "1")


def test_logs_hold_every_interval(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(Regression(), Points(), config(tmp_path, log_every=2), Limits(max_steps=5))
    # TensorBoard orders files by the seconds in their names; within one second, as text, by how many a process has written.
    time.sleep(1)
    train(Regression(), Points(), config(tmp_path, log_every=2))
    events = EventAccumulator(str(tmp_path / "logs")).Reload()
    assert [event.step for event in events.Scalars("loss")] == [2, 4, 6, 8]
    assert {"loss", "noise", "learning_rate", "images_per_second"} <= set(events.Tags()["scalars"])


def assert_close(one: Path, other: Path) -> None:
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert torch.allclose(value, theirs[name], atol=1e-6), name


def test_accumulation_is_a_larger_batch(tmp_path: Path) -> None:
    plain_regression.run(tmp_path / "whole", batch_size=6)
    plain_regression.run(tmp_path / "parts", batch_size=2, accumulate=3)
    assert_close(tmp_path / "whole" / "net", tmp_path / "parts" / "net")


@pytest.mark.slow
def test_two_processes_are_a_larger_batch(tmp_path: Path) -> None:
    """Also through a stop and resume, for which both write their random states."""
    plain_regression.run(tmp_path / "one", batch_size=4)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    path = ":".join(entry for entry in sys.path if entry)
    for max_steps in ("2", "0"):
        command = [*launch, plain_regression.__file__, str(tmp_path / "two"), "2", max_steps]
        environment = {**os.environ, "PYTHONPATH": path, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
        result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
        assert result.returncode == 0, result.stderr
    assert_close(tmp_path / "one" / "net", tmp_path / "two" / "net")
    states = [path.name for path in (tmp_path / "two" / "checkpoints").rglob("random_states*")]
    assert sorted(states) == ["random_states_0.pkl", "random_states_1.pkl"]


def test_moving_average_is_the_formula() -> None:
    """Against the sum written out, with the warm-up of its decay."""
    net = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(net.weight, 1.0)
    average, plain = moving_average(net, 0.9), moving_average(net, 0.9, warm_up=False)
    expected = expected_plain = 1.0
    for update in range(1, 40):
        torch.nn.init.constant_(net.weight, float(update % 5))
        average.update_parameters(net)
        plain.update_parameters(net)
        decay = min(0.9, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * (update % 5)
        expected_plain = 0.9 * expected_plain + 0.1 * (update % 5)
        assert float(average.module.weight.detach()) == pytest.approx(expected, rel=1e-5)
        assert float(plain.module.weight.detach()) == pytest.approx(expected_plain, rel=1e-5)


def test_order_is_a_permutation_an_epoch() -> None:
    order = Order(samples=10, batch_size=4, seed=3)
    picks = [pick for number in range(5) for pick in order.batch(number)]
    assert [epoch for epoch, _ in picks] == [0] * 10 + [1] * 10
    for epoch in (0, 1):
        assert sorted(index for number, index in picks if number == epoch) == list(range(10))
    assert picks[:10] != [(0, index) for _, index in picks[10:]]


def test_processes_share_the_order_out() -> None:
    together = Order(samples=10, batch_size=4, seed=3)
    ranks = [Order(samples=10, batch_size=2, seed=3, process=process, processes=2) for process in (0, 1)]
    for number in range(6):
        assert together.batch(number) == ranks[0].batch(number) + ranks[1].batch(number)
