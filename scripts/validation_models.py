"""ONNX models for docs/validation.md that are published by their structure alone: Stable Diffusion v1.4's U-Net and EDSR.

Simulated time depends on shapes and types, not on weights: every weight of a model is the same zeros, in one file as large as
the largest of them, so that a U-Net of 860 million parameters takes 118 MB.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper


class Graph:
    """Builds an ONNX model node by node; tensors are named after what makes them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.largest = 0
        self.parameters = 0

    def input(self, name: str, shape: list[int]) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name

    def weight(self, name: str, *shape: int) -> str:
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
        size = 4 * int(np.prod(shape))
        for key, value in (("location", f"{self.name}.weights"), ("offset", "0"), ("length", str(size))):
            tensor.external_data.add(key=key, value=value)
        self.largest = max(self.largest, size)
        self.parameters += size // 4
        self.initializers.append(tensor)
        return name

    def constant(self, name: str, value: list[int] | list[float]) -> str:
        dtype = TensorProto.INT64 if isinstance(value[0], int) else TensorProto.FLOAT
        self.initializers.append(helper.make_tensor(name, dtype, [len(value)], value))
        return name

    def op(self, kind: str, name: str, *inputs: str, outputs: int = 1, **attributes: object) -> str:
        names = [name] if outputs == 1 else [f"{name}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=name, **attributes))
        return name

    def conv(self, name: str, x: str, cin: int, cout: int, kernel: int = 3, stride: int = 1) -> str:
        pad = kernel // 2
        weights = self.weight(f"{name}.weight", cout, cin, kernel, kernel)
        return self.op(
            "Conv",
            name,
            x,
            weights,
            self.weight(f"{name}.bias", cout),
            kernel_shape=[kernel] * 2,
            pads=[pad] * 4,
            strides=[stride] * 2,
        )

    def linear(self, name: str, x: str, cin: int, cout: int, bias: bool = True) -> str:
        y = self.op("MatMul", f"{name}.product" if bias else name, x, self.weight(f"{name}.weight", cin, cout))
        return self.op("Add", name, y, self.weight(f"{name}.bias", cout)) if bias else y

    def silu(self, name: str, x: str) -> str:
        return self.op("Mul", name, x, self.op("Sigmoid", f"{name}.sigmoid", x))

    def save(self, folder: Path, output: str, shape: list[int]) -> Path:
        result = helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)
        graph = helper.make_graph(self.nodes, self.name, self.inputs, [result], self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{self.name}.weights").open("wb") as file:
            file.truncate(self.largest)
        path = folder / f"{self.name}.onnx"
        path.write_bytes(model.SerializeToString())
        return path


class UNet(Graph):
    """The U-Net of Stable Diffusion v1.4 (public config), batch 1, 64x64 latents, 77 tokens."""

    channels = (320, 640, 1280, 1280)
    heads = 8

    def norm(self, name: str, x: str, channels: int, epsilon: float) -> str:
        scale, bias = self.weight(f"{name}.weight", channels), self.weight(f"{name}.bias", channels)
        return self.op("GroupNormalization", name, x, scale, bias, num_groups=32, epsilon=epsilon)

    def resnet(self, name: str, x: str, cin: int, cout: int) -> str:
        h = self.silu(f"{name}.silu1", self.norm(f"{name}.norm1", x, cin, 1e-5))
        h = self.conv(f"{name}.conv1", h, cin, cout)
        time = self.linear(f"{name}.time", self.silu(f"{name}.time.silu", "time"), 1280, cout)
        h = self.op(
            "Add",
            f"{name}.add1",
            h,
            self.op("Reshape", f"{name}.time.map", time, self.constant(f"{name}.time.shape", [1, cout, 1, 1])),
        )
        h = self.silu(f"{name}.silu2", self.norm(f"{name}.norm2", h, cout, 1e-5))
        h = self.conv(f"{name}.conv2", h, cout, cout)
        return self.op("Add", f"{name}.add2", h, self.conv(f"{name}.shortcut", x, cin, cout, 1) if cin != cout else x)

    def layer_norm(self, name: str, x: str, channels: int) -> str:
        return self.op(
            "LayerNormalization", name, x, self.weight(f"{name}.weight", channels), self.weight(f"{name}.bias", channels)
        )

    def attend(self, name: str, x: str, context: str, tokens: int, keys: int, channels: int, width: int) -> str:
        size = channels // self.heads

        def split(which: str, source: str, count: int, cin: int, permutation: list[int]) -> str:
            y = self.linear(f"{name}.{which}", source, cin, channels, bias=False)
            y = self.op(
                "Reshape", f"{name}.{which}.heads", y, self.constant(f"{name}.{which}.shape", [1, count, self.heads, size])
            )
            return self.op("Transpose", f"{name}.{which}.transposed", y, perm=permutation)

        query = split("to_q", x, tokens, channels, [0, 2, 1, 3])
        key = split("to_k", context, keys, width, [0, 2, 3, 1])
        value = split("to_v", context, keys, width, [0, 2, 1, 3])
        scores = self.op(
            "Mul", f"{name}.scaled", self.op("MatMul", f"{name}.scores", query, key), self.constant(f"{name}.scale", [size**-0.5])
        )
        result = self.op("MatMul", f"{name}.context", self.op("Softmax", f"{name}.softmax", scores, axis=-1), value)
        result = self.op("Transpose", f"{name}.context.transposed", result, perm=[0, 2, 1, 3])
        result = self.op("Reshape", f"{name}.merged", result, self.constant(f"{name}.merged.shape", [1, tokens, channels]))
        return self.linear(f"{name}.to_out", result, channels, channels)

    def transformer(self, name: str, x: str, channels: int, side: int) -> str:
        tokens = side * side
        h = self.conv(f"{name}.proj_in", self.norm(f"{name}.norm", x, channels, 1e-6), channels, channels, 1)
        h = self.op("Transpose", f"{name}.last", h, perm=[0, 2, 3, 1])
        h = self.op("Reshape", f"{name}.tokens", h, self.constant(f"{name}.tokens.shape", [1, tokens, channels]))
        normed = self.layer_norm(f"{name}.norm1", h, channels)
        h = self.op("Add", f"{name}.add1", self.attend(f"{name}.attn1", normed, normed, tokens, tokens, channels, channels), h)
        normed = self.layer_norm(f"{name}.norm2", h, channels)
        h = self.op(
            "Add", f"{name}.add2", self.attend(f"{name}.attn2", normed, "encoder_hidden_states", tokens, 77, channels, 768), h
        )
        wide = self.linear(f"{name}.ff.in", self.layer_norm(f"{name}.norm3", h, channels), channels, 8 * channels)
        self.op("Split", f"{name}.ff.split", wide, outputs=2, axis=-1, num_outputs=2)
        gate = self.op("Gelu", f"{name}.ff.gelu", f"{name}.ff.split_1")
        gated = self.op("Mul", f"{name}.ff.gated", f"{name}.ff.split_0", gate)
        h = self.op("Add", f"{name}.add3", self.linear(f"{name}.ff.out", gated, 4 * channels, channels), h)
        h = self.op("Reshape", f"{name}.image", h, self.constant(f"{name}.image.shape", [1, side, side, channels]))
        h = self.conv(f"{name}.proj_out", self.op("Transpose", f"{name}.first", h, perm=[0, 3, 1, 2]), channels, channels, 1)
        return self.op("Add", f"{name}.add4", h, x)


def stable_diffusion_unet(folder: Path) -> Path:
    """Two resnets a down block, three an up block, a middle block; transformers at all resolutions but the lowest."""
    g = UNet("sd14-unet")
    sample = g.input("sample", [1, 4, 64, 64])
    time = g.linear("time_embedding.linear_1", g.input("timestep_embedding", [1, 320]), 320, 1280)
    g.linear("time", g.silu("time_embedding.silu", time), 1280, 1280)
    g.input("encoder_hidden_states", [1, 77, 768])
    x, side, channels = g.conv("conv_in", sample, 4, 320), 64, 320
    skips = [(x, channels)]
    for block, out in enumerate(g.channels):
        for layer in range(2):
            x, channels = g.resnet(f"down.{block}.resnet.{layer}", x, channels, out), out
            if block < 3:
                x = g.transformer(f"down.{block}.transformer.{layer}", x, out, side)
            skips.append((x, out))
        if block < 3:
            x, side = g.conv(f"down.{block}.downsample", x, out, out, stride=2), side // 2
            skips.append((x, out))
    x = g.resnet("mid.resnet.0", x, 1280, 1280)
    x = g.transformer("mid.transformer", x, 1280, side)
    x = g.resnet("mid.resnet.1", x, 1280, 1280)
    for block, out in enumerate(reversed(g.channels)):
        for layer in range(3):
            skip, width = skips.pop()
            x = g.op("Concat", f"up.{block}.concat.{layer}", x, skip, axis=1)
            x, channels = g.resnet(f"up.{block}.resnet.{layer}", x, channels + width, out), out
            if block > 0:
                x = g.transformer(f"up.{block}.transformer.{layer}", x, out, side)
        if block < 3:
            x = g.op(
                "Resize",
                f"up.{block}.resize",
                x,
                "",
                g.constant(f"up.{block}.scales", [1.0, 1.0, 2.0, 2.0]),
                mode="nearest",
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            )
            x, side = g.conv(f"up.{block}.upsample", x, out, out), side * 2
    x = g.conv("conv_out", g.silu("silu_out", g.norm("norm_out", x, 320, 1e-5)), 320, 4)
    return g.save(folder, x, [1, 4, 64, 64])


def edsr(folder: Path, features: int = 32, blocks: int = 5, height: int = 540, width: int = 960) -> Path:
    """EDSR for a factor of two: by default F32B5 from 960x540 to 1920x1080, the size that mobile benchmarks use."""
    g = Graph("edsr")
    first = g.conv("head", g.input("image", [1, 3, height, width]), 3, features)
    x = first
    for block in range(blocks):
        h = g.op("Relu", f"body.{block}.relu", g.conv(f"body.{block}.conv1", x, features, features))
        x = g.op("Add", f"body.{block}.add", g.conv(f"body.{block}.conv2", h, features, features), x)
    x = g.op("Add", "body.add", g.conv("body.last", x, features, features), first)
    x = g.op("DepthToSpace", "upsample.shuffle", g.conv("upsample.conv", x, features, 4 * features), blocksize=2, mode="DCR")
    return g.save(folder, g.conv("tail", x, features, 3), [1, 3, 2 * height, 2 * width])
