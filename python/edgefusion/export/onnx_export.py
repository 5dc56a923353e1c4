"""One PyTorch network to one ONNX file, by either of torch's exporters, with large weights in a file beside it.

The wrappers give the three networks of a pipeline plain tensor signatures; those names are what the runtime binds to.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx_ir
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel

from edgefusion.errors import UserError
from edgefusion.export.sources import PipelineSource

#: The newest operator set that each exporter writes.
NEWEST_OPSET = {
    "dynamo": torch.onnx._constants.ONNX_MAX_OPSET,
    "torchscript": torch.onnx._constants.ONNX_TORCHSCRIPT_EXPORTER_MAX_OPSET,
}

#: The oldest one: what torch's function library is written in, and the oldest that the compiler reads.
OLDEST_OPSET = {"dynamo": 18, "torchscript": 9}

#: A model with more bytes of weights than this keeps them in a file beside it.
_EXTERNAL_DATA_BYTES = 1 << 20
#: Smaller tensors stay in the model, where shape code can be read without opening the data file.
_EXTERNAL_TENSOR_BYTES = 1 << 10
#: Large tensors start on a page, so that a reader can map them one by one.
_PAGE_BYTES = 4096


class TextEncoder(nn.Module):
    """input_ids int64[1, tokens] -> last_hidden_state f32[1, tokens, hidden], after the final layer norm."""

    def __init__(self, model: CLIPTextModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=input_ids).last_hidden_state


class Unet(nn.Module):
    """Predicts the noise in `sample` f32[1, 4, h, w]; `timestep_cond` is the guidance embedding, where the network takes one."""

    def __init__(self, model: UNet2DConditionModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        timestep_cond: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return self.model(sample, timestep, encoder_hidden_states, timestep_cond=timestep_cond, return_dict=False)[0]


class VaeDecoder(nn.Module):
    """latent f32[1, 4, h, w], already divided by the scaling factor, -> image f32[1, 3, 8h, 8w] around [-1, 1], not clamped."""

    def __init__(self, model: AutoencoderKL) -> None:
        super().__init__()
        self.model = model

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        return self.model.decode(latent, return_dict=False)[0]


@dataclass
class Network:
    """A module with the inputs it is traced with and the names of its ports."""

    name: str
    module: nn.Module
    inputs: dict[str, torch.Tensor]
    output: str


def networks(source: PipelineSource) -> list[Network]:
    """The three networks of `source` with static shapes and batch 1."""
    text, unet, vae = source.text_encoder.config, source.unet.config, source.vae.config
    tokens, size = text.max_position_embeddings, unet.sample_size
    unet_inputs = {
        "sample": torch.zeros(1, unet.in_channels, size, size),
        "timestep": torch.full((1,), 999, dtype=torch.int64),
        "encoder_hidden_states": torch.zeros(1, tokens, unet.cross_attention_dim),
    }
    if unet.time_cond_proj_dim:
        unet_inputs["timestep_cond"] = torch.zeros(1, unet.time_cond_proj_dim)
    ids = torch.full((1, tokens), text.eos_token_id, dtype=torch.int64)
    latent = torch.zeros(1, vae.latent_channels, size, size)
    return [
        Network("text_encoder", TextEncoder(source.text_encoder), {"input_ids": ids}, "last_hidden_state"),
        Network("unet", Unet(source.unet), unet_inputs, "noise_pred"),
        Network("vae_decoder", VaeDecoder(source.vae), {"latent": latent}, "image"),
    ]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the exporters' progress and deprecation notes off the terminal; errors still come out as exceptions."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _strip_traces(model: onnx_ir.Model) -> None:
    """Drops the exporter's Python stack traces: they name files of this machine and outweigh the graph itself."""
    model.graph.doc_string = None
    model.graph.metadata_props.clear()
    values = [*model.graph.inputs, *model.graph.outputs, *model.graph.initializers.values()]
    for node in model.graph:
        node.doc_string = None
        node.metadata_props.clear()
        values += node.outputs
    for value in values:
        value.doc_string = None
        value.metadata_props.clear()


def _save(model: onnx_ir.Model, path: Path) -> None:
    _strip_traces(model)
    weight_bytes = sum(value.const_value.nbytes for value in model.graph.initializers.values() if value.const_value is not None)
    if weight_bytes <= _EXTERNAL_DATA_BYTES:
        onnx_ir.save(model, path)
        return
    data = path.with_name(path.name + "_data")
    onnx_ir.save(
        model,
        path,
        external_data=data.name,
        size_threshold_bytes=_EXTERNAL_TENSOR_BYTES,
        alignment=_PAGE_BYTES,
    )
    data.chmod(0o644)  # written through a temporary file that only its owner may read


def export_network(network: Network, path: Path, exporter: str, opset: int | None) -> None:
    """Writes `network` to `path`, and its weights to `path` + "_data" when they are large."""
    opset = NEWEST_OPSET[exporter] if opset is None else opset
    oldest, newest = OLDEST_OPSET[exporter], NEWEST_OPSET[exporter]
    if not oldest <= opset <= newest:
        raise UserError(f"torch's {exporter} exporter does not write opset {opset}; choose one from {oldest} to {newest}")
    arguments = tuple(network.inputs.values())
    common = {"input_names": list(network.inputs), "output_names": [network.output], "opset_version": opset}
    with torch.no_grad(), _quiet(), tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        try:
            if exporter == "dynamo":
                program = torch.onnx.export(network.module, arguments, dynamo=True, verbose=False, **common)
                model = program.model
            else:
                raw = Path(scratch) / path.name
                torch.onnx.export(network.module, arguments, raw, dynamo=False, **common)
                model = onnx_ir.load(raw)
        except (torch.onnx.errors.OnnxExporterError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(f"torch's {exporter} exporter cannot export {network.name} at opset {opset}: {reason}") from error
        _save(model, path)
