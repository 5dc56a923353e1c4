"""The student's U-Net by removal of blocks, as BK-SDM-Tiny (Kim et al., 2023): architecture, weights and features by name.

Of each level the first of two layers stays on the way down, the first and the last of three on the way up; the mid block and the
innermost level go.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import UNet2DConditionModel

from edgefusion.errors import UserError


def student_config(teacher: UNet2DConditionModel) -> dict[str, Any]:
    """The configuration of the student of `teacher`, which has two layers a block, a mid block and at least two levels."""
    config = {key: value for key, value in teacher.config.items() if not key.startswith("_")}
    if config["layers_per_block"] != 2 or config["mid_block_type"] is None or len(config["block_out_channels"]) < 2:
        raise UserError("the teacher's U-Net has not two layers a block, a mid block and two levels or more: no blocks to remove")
    if config["block_out_channels"][-1] != config["block_out_channels"][-2]:
        raise UserError(
            "the teacher's two innermost levels differ in channels: without the last one, the weights of the way up do not fit"
        )
    per_level = ("down_block_types", "block_out_channels", "attention_head_dim", "num_attention_heads", "only_cross_attention")
    for key in per_level:
        if isinstance(config[key], list | tuple):
            config[key] = tuple(config[key])[:-1]
    return {**config, "up_block_types": tuple(config["up_block_types"])[1:], "layers_per_block": 1, "mid_block_type": None}


def teacher_name(name: str) -> str:
    """The teacher's parameter (or module) that the student's one of that name comes from."""
    parts = name.split(".")
    if parts[0] == "up_blocks":
        parts[1] = str(int(parts[1]) + 1)
        if parts[2] in ("resnets", "attentions"):
            parts[3] = {"0": "0", "1": "2"}[parts[3]]
    return ".".join(parts)


def copy_weights(student: UNet2DConditionModel, teacher: UNet2DConditionModel) -> None:
    """Fills every parameter of `student` from the teacher's."""
    source = teacher.state_dict()
    student.load_state_dict({name: source[teacher_name(name)] for name in student.state_dict()})


def remove_blocks(teacher: UNet2DConditionModel) -> UNet2DConditionModel:
    """The student of `teacher`, with its weights."""
    student = UNet2DConditionModel(**student_config(teacher))
    copy_weights(student, teacher)
    return student


def feature_pairs(student: UNet2DConditionModel) -> list[tuple[str, str]]:
    """(student's module, teacher's module) whose outputs feature distillation compares, as published.

    Each level's output; at the student's innermost level, whose downsampling is gone, the last layer before it.
    """
    last = len(student.down_blocks) - 1
    has_attention = hasattr(student.down_blocks[last], "attentions")
    inner = "attentions.{}.proj_out" if has_attention else "resnets.{}"
    down = [(f"down_blocks.{level}", f"down_blocks.{level}") for level in range(last)]
    middle = [(f"down_blocks.{last}.{inner.format(0)}", f"down_blocks.{last}.{inner.format(1)}")]
    up = [(f"up_blocks.{level}", f"up_blocks.{level + 1}") for level in range(len(student.up_blocks))]
    return down + middle + up


class Features:
    """The outputs of named modules in the last forward pass of `network`."""

    def __init__(self, network: torch.nn.Module, names: list[str]) -> None:
        self._names = names
        self._outputs: dict[str, torch.Tensor] = {}
        for name in names:
            network.get_submodule(name).register_forward_hook(self._keep(name))

    def _keep(self, name: str) -> Any:  # noqa: ANN401 - a forward hook
        def hook(_module: torch.nn.Module, _inputs: tuple, output: torch.Tensor | tuple) -> None:
            # Blocks on the way down also return their skip connections.
            self._outputs[name] = output[0] if isinstance(output, tuple) else output

        return hook

    def take(self) -> list[torch.Tensor]:
        """The outputs in the order of the names; they are let go of here."""
        taken = [self._outputs[name] for name in self._names]
        self._outputs.clear()
        return taken
