"""edgefusion calibrate: the range of every tensor that W8A16 stores as int16, measured on the float32 model.

The compiler says which tensors those are; the float32 artifact runs on samples, and the runtime shows each kernel's result. The
scores of attention, which no kernel stores, are computed from the queries and keys that were shown. The table is a text file
(passes/quantize/CalibrationTable.h): sorted, the same for the same samples, meant to be read and edited.
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgefusion import files, pipeline_file
from edgefusion.compiler import compile
from edgefusion.errors import UserError, extension
from edgefusion.session import Session

#: Values of one input by name.
Sample = Mapping[str, np.ndarray]
#: Called with (samples done, samples in all).
Progress = Callable[[int, int], None]

DEFAULT_STEPS = (1, 2, 4)
DEFAULT_GUIDANCE = (1.0, 4.0, 8.0)
#: Scores computed at a time, in elements.
_SCORE_CHUNK = 1 << 24


@dataclass
class Table:
    """Minimum and maximum of each tensor, and comments for the head of the file."""

    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)

    def add(self, tensor: str, value: np.ndarray) -> None:
        if value.size == 0:
            return
        low, high = float(value.min()), float(value.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise UserError(f"tensor '{tensor}' has values that are not finite: the model overflows on this sample")
        self.merge(Table({tensor: (low, high)}))

    def merge(self, other: Table) -> None:
        for tensor, (low, high) in other.ranges.items():
            known = self.ranges.get(tensor, (low, high))
            self.ranges[tensor] = (min(known[0], low), max(known[1], high))

    def as_text(self) -> str:
        lines = ["# edgefusion calibration 1", *(f"# {comment}" for comment in self.comments), "tensor\tminimum\tmaximum"]
        lines += [f"{name}\t{low:.9g}\t{high:.9g}" for name, (low, high) in sorted(self.ranges.items())]
        return "\n".join(lines) + "\n"

    def write(self, path: Path) -> None:
        """The file appears complete or not at all."""
        try:
            files.write_text(path, self.as_text())
        except OSError as error:
            raise UserError(f"cannot write the calibration table '{path}': {error.strerror}") from None


@dataclass
class Plan:
    """What the compiler wants to know (`efc --list-tensors`)."""

    tensors: list[str]
    elements: list[int]
    scores: list[dict[str, Any]]

    @staticmethod
    def of(model: Path, scratch: Path, **options: object) -> Plan:
        listing = scratch / "tensors.json"
        compile(model, scratch / "unused.efa", list_tensors=listing, **options)
        content = json.loads(listing.read_text(encoding="utf-8"))
        return Plan(content["tensors"], content["elements"], content["scores"])

    def wanted(self) -> set[tuple[str, int]]:
        """(tensor, number of elements): a kernel's partial results carry the tensor's name too, mostly with other sizes."""
        return set(zip(self.tensors, self.elements, strict=True))

    def operands(self) -> set[str]:
        """Tensors that attention scores are computed from."""
        return {scores[side]["tensor"] for scores in self.scores for side in ("query", "key")}


def _shown(value: np.ndarray, operand: Mapping[str, Any]) -> np.ndarray:
    """What an attention reads of the stored tensor `value`: the movements between the two."""
    value = value.reshape(operand["shape"])
    for movement in operand["movements"]:
        if movement["op"] == "transpose":
            value = value.transpose(movement["permutation"])
        elif movement["op"] == "reshape":
            value = value.reshape(movement["shape"])
        elif movement["op"] == "slice":
            steps = zip(movement["starts"], movement["steps"], movement["shape"], strict=True)
            value = value[np.ix_(*(start + step * np.arange(size) for start, step, size in steps))]
        else:
            raise UserError(f"attention reads its operand through '{movement['op']}', which calibration does not follow")
    return value


def add_scores(table: Table, scores: Mapping[str, Any], query: np.ndarray, key: np.ndarray) -> None:
    """Adds the range of scale * Q K^T over all heads; keys that a causal attention drops do not count."""
    heads, key_heads = scores["heads"], scores["kv_heads"]
    batch, queries, keys = query.shape[0], query.shape[1], key.shape[1]
    size = query.shape[2] // heads
    rows = max(1, _SCORE_CHUNK // max(keys, 1))
    scale = np.float32(scores["scale"])
    for index in range(batch):
        for head in range(heads):
            own = query[index, :, head * size : (head + 1) * size] * scale
            shared = head // (heads // key_heads)
            other = key[index, :, shared * size : (shared + 1) * size].T
            for first in range(0, queries, rows):
                values = own[first : first + rows] @ other
                if scores["causal"]:
                    row = np.arange(first, first + len(values))[:, None]
                    values = values[np.arange(keys)[None, :] <= row + keys - queries]
                table.add(scores["name"], values)


def measure(session: Session, plan: Plan, samples: Iterable[Sample], count: int, progress: Progress | None = None) -> Table:
    """Runs `session` on each sample and takes the ranges that `plan` asks for."""
    table, wanted, operands = Table(), plan.wanted(), plan.operands()
    for done, sample in enumerate(samples):
        if progress:
            progress(done, count)
        kept: dict[str, np.ndarray] = {}
        seen: dict[str, Table] = {}

        def observe(tensor: str, node: str, op: str, value: np.ndarray, kept: dict = kept, seen: dict[str, Table] = seen) -> None:
            if (tensor, value.size) not in wanted:
                return
            # The last launch of a kernel gives its result; earlier ones may give parts of the same size.
            seen[tensor] = Table()
            seen[tensor].add(tensor, value)
            if tensor in operands:
                kept[tensor] = value.copy()

        for name, value in sample.items():
            observe(name, "", "input", value)
        session.run_observed(sample, observe)
        for own in seen.values():
            table.merge(own)
        for scores in plan.scores:
            query, key = (_shown(kept[scores[side]["tensor"]], scores[side]) for side in ("query", "key"))
            add_scores(table, scores, query, key)
    if progress:
        progress(count, count)
    missing = [name for name in plan.tensors if name not in table.ranges]
    if missing:
        raise UserError(f"no kernel of the artifact gives the tensors {', '.join(missing[:5])}: was it compiled from this model?")
    return table


# --- Samples of one model ---


def read_samples(paths: Sequence[Path], session: Session) -> list[Sample]:
    """The samples of .npz files: each input has the model's shape, or that shape with samples along a new first axis."""
    samples: list[Sample] = []
    for path in paths:
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        except (OSError, ValueError, AttributeError) as error:
            raise UserError(f"'{path}' is not a readable .npz file ({error})") from None
        samples += _split(path, arrays, session)
    if not samples:
        raise UserError("no samples were given")
    return samples


def _split(path: Path, arrays: Mapping[str, np.ndarray], session: Session) -> list[Sample]:
    counts = {}
    for port in session.inputs:
        if port.name not in arrays:
            raise UserError(f"'{path}' has no array '{port.name}', which the model reads")
        array = arrays[port.name]
        if array.shape != port.shape and array.shape[1:] != port.shape:
            raise UserError(
                f"'{path}': array '{port.name}' has shape {list(array.shape)}, but the model's input is {list(port.shape)} "
                "(samples may stand along a new first axis)"
            )
        if array.shape != port.shape:
            counts[port.name] = len(array)
    if len(set(counts.values())) > 1:
        raise UserError(f"'{path}': the arrays hold different numbers of samples: {counts}")
    count = next(iter(counts.values()), 1)
    return [
        {
            port.name: np.ascontiguousarray(
                arrays[port.name][index] if port.name in counts else arrays[port.name], port.dtype
            ).reshape(port.shape)
            for port in session.inputs
        }
        for index in range(count)
    ]


def calibrate_model(
    model: Path,
    inputs: Sequence[Path],
    *,
    artifact: Path | None = None,
    threads: int = 0,
    progress: Progress | None = None,
    **options: object,
) -> Table:
    """The table of `model` from the samples of .npz files. `artifact` is its float32 artifact (compiled now if absent)."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        plan = Plan.of(model, scratch, **options)
        session = _float_session(model, artifact, scratch, threads, options)
        samples = read_samples(inputs, session)
        table = measure(session, plan, samples, len(samples), progress)
    table.comments = [f"model: {model.name}", f"samples: {len(samples)} from {', '.join(path.name for path in inputs)}"]
    return table


def _float_session(model: Path, artifact: Path | None, scratch: Path, threads: int, options: Mapping[str, Any]) -> Session:
    if artifact is None:
        artifact = scratch / f"{model.stem}.efa"
        compile(model, artifact, cpu="host", **options)
    return Session(artifact, threads=threads)


# --- Samples of a bundle's U-Net: the loop of latent consistency sampling ---


class _Loop:
    """The U-Net's inputs along sampling runs, with its float32 predictions in the loop."""

    def __init__(self, bundle: Path, unet: Session, text_encoder: Session, seed: int) -> None:
        efrt = extension("_efrt")
        content = pipeline_file.read(bundle)
        tokenizer, schedule = content["tokenizer"], content["scheduler"]
        self._tokenizer = efrt.ClipTokenizer(
            vocab=os.fspath(bundle / tokenizer["vocab"]),
            merges=os.fspath(bundle / tokenizer["merges"]),
            **{key: tokenizer[key] for key in ("max_length", "bos", "eos", "pad")},
        )
        fields = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "original_inference_steps")
        fields += ("timestep_scaling", "sigma_data", "prediction_type")
        self._scheduler = efrt.LcmScheduler(**{key: schedule[key] for key in fields})
        self._embed = efrt.guidance_embedding
        self._unet, self._text_encoder = unet, text_encoder
        self._ports = {port.name: port for port in unet.inputs}
        self._generator = np.random.default_rng(seed)

    def _noise(self) -> np.ndarray:
        return self._generator.standard_normal(self._ports["sample"].shape, np.float32)

    def _encode(self, prompt: str) -> np.ndarray:
        (port,) = self._text_encoder.inputs
        ids = np.array(self._tokenizer.encode(prompt), port.dtype).reshape(port.shape)
        outputs = self._text_encoder.run({port.name: ids})
        wanted = self._ports["encoder_hidden_states"].shape
        return next(value for value in outputs.values() if value.shape == wanted)

    def samples(self, prompts: Sequence[str], steps: Sequence[int], guidance: Sequence[float]) -> Iterator[Sample]:
        """One sample a U-Net step; prompts take the guidance values in turn."""
        for index, prompt in enumerate(prompts):
            fixed = {"encoder_hidden_states": self._encode(prompt)}
            if "timestep_cond" in self._ports:
                port = self._ports["timestep_cond"]
                embedding = self._embed(guidance[index % len(guidance)], port.shape[-1])
                fixed["timestep_cond"] = np.array(embedding, np.float32).reshape(port.shape)
            for count in steps:
                yield from self._run(fixed, self._scheduler.timesteps(count))

    def _run(self, fixed: Sample, timesteps: Sequence[int]) -> Iterator[Sample]:
        latent, port = self._noise(), self._ports["timestep"]
        for index, timestep in enumerate(timesteps):
            step = np.full(port.shape, timestep).astype(port.dtype)
            sample = {"sample": latent, "timestep": step, **fixed}
            yield sample
            last = index + 1 == len(timesteps)
            if last:
                return
            (prediction,) = self._unet.run(sample).values()
            latent, _ = self._scheduler.step(timestep, timesteps[index + 1], prediction, self._noise(), latent)
            latent = latent.reshape(self._ports["sample"].shape)


def read_prompts(path: Path | None) -> list[str]:
    """One prompt a line; the packaged ones without a file."""
    source = path or Path(__file__).with_name("calibration_prompts.txt")
    try:
        prompts = [line.strip() for line in source.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the prompts '{source}': {error}") from None
    prompts = [prompt for prompt in prompts if prompt and not prompt.startswith("#")]
    if not prompts:
        raise UserError(f"'{source}' holds no prompt")
    return prompts


def calibrate_bundle(
    bundle: Path,
    prompts: Sequence[str],
    *,
    steps: Sequence[int] = DEFAULT_STEPS,
    guidance: Sequence[float] = DEFAULT_GUIDANCE,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """The table of the U-Net of `bundle`: every step of runs with each number of steps, prompts with the guidance values in turn.

    Artifacts of the bundle are not used, because they may be quantised: the float32 ones are compiled into a scratch folder.
    """
    entries = pipeline_file.read(bundle)["models"]
    unet, encoder = (bundle / entries[name]["onnx"] for name in ("unet", "text_encoder"))
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        plan = Plan.of(unet, scratch)
        session = _float_session(unet, None, scratch, threads, {})
        loop = _Loop(bundle, session, _float_session(encoder, None, scratch, threads, {}), seed)
        count = len(prompts) * sum(steps)
        table = measure(session, plan, loop.samples(prompts, steps, guidance), count, progress)
    table.comments = [
        f"model: {unet.name}",
        f"samples: {count} U-Net steps: {len(prompts)} prompts, runs of {', '.join(map(str, steps))} steps, "
        f"guidance {', '.join(f'{value:g}' for value in guidance)}, seed {seed}",
    ]
    return table


def terminal_progress() -> Progress | None:
    """One line that overwrites itself; nothing where stderr is no terminal."""
    if not sys.stderr.isatty():
        return None
    start = time.monotonic()

    def show(done: int, count: int) -> None:
        rate = f", {(time.monotonic() - start) / done:.1f} s each" if done else ""
        end = "\n" if done == count else ""
        print(f"\rcalibrating: {done} of {count} samples{rate}\033[K", end=end, file=sys.stderr, flush=True)

    return show
