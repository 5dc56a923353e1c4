"""Random small models by family of operation: the shapes of a U-Net and an autoencoder scaled down, and odd ones.

A case is a few ONNX nodes with their inputs. Many cases become one model, so that a whole family is compiled and run at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper, numpy_helper

OPSET = 21


@dataclass
class Case:
    """Nodes that compute `output` from `inputs` and `weights`; all names start with the case's own prefix."""

    prefix: str
    threshold_db: float
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    inputs: dict[str, np.ndarray] = field(default_factory=dict)
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    output: str = ""
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)  # Of results that ONNX has no shape inference for.
    description: str = ""

    def input(self, value: np.ndarray) -> str:
        name = f"{self.prefix}x{len(self.inputs)}"
        self.inputs[name] = value
        return name

    def weight(self, value: np.ndarray) -> str:
        name = f"{self.prefix}w{len(self.weights)}"
        self.weights[name] = value
        return name

    def node(self, op: str, inputs: list[str], **attributes: object) -> str:
        self.output = f"{self.prefix}n{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [self.output], name=f"{self.prefix}{op}{len(self.nodes)}", **attributes))
        return self.output


def build_model(cases: list[Case]) -> onnx.ModelProto:
    """One model with the output of every case."""
    graph = helper.make_graph(
        [node for case in cases for node in case.nodes],
        "sweep",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
            for case in cases
            for name, value in case.inputs.items()
        ],
        [helper.make_empty_tensor_value_info(case.output) for case in cases],
        [numpy_helper.from_array(value, name) for case in cases for name, value in case.weights.items()],
        value_info=[
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
            for case in cases
            for name, shape in case.shapes.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    known = {info.name: info for info in [*inferred.graph.output, *inferred.graph.value_info]}
    del model.graph.output[:]
    model.graph.output.extend(known[case.output] for case in cases)
    onnx.checker.check_model(model)
    return model


class Generator:
    """Draws cases; the same seed gives the same cases."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def choose(self, *options: int) -> int:
        return int(self.random.choice(options))

    def chance(self, probability: float = 0.5) -> bool:
        return bool(self.random.random() < probability)

    def values(self, *shape: int, scale: float = 1.0, mean: float = 0.0) -> np.ndarray:
        return (self.random.standard_normal(shape) * scale + mean).astype(np.float32)

    def extent(self, largest: int = 17) -> int:
        return int(self.random.integers(1, largest + 1))

    def silu(self, case: Case, value: str) -> str:
        return case.node("Mul", [value, case.node("Sigmoid", [value])])

    def tail(self, case: Case, value: str, shape: list[int]) -> None:
        """An epilogue: nothing, an activation, a residual, an embedding per channel."""
        for _ in range(self.choose(0, 1, 2)):
            kind = self.choose(0, 1, 2, 3, 4)
            if kind == 0:
                value = self.silu(case, value)
            elif kind == 1:
                value = case.node("Add", [value, case.input(self.values(*shape))])
            elif kind == 2 and len(shape) == 4:
                value = case.node("Add", [value, case.input(self.values(shape[0], shape[1], 1, 1))])
            elif kind == 3:
                value = case.node("Gelu", [value])
            else:
                value = case.node("Mul", [case.weight(self.values(1)), value])

    # Families. Each fills one case.

    def conv(self, case: Case) -> None:
        kernel, stride, dilation = self.choose(1, 3, 3, 3, 5), self.choose(1, 1, 1, 2), self.choose(1, 1, 1, 2)
        groups = self.choose(1, 1, 1, 1, 2, 0)
        channels, filters = self.choose(2, 4, 8, 12, 16, 32, 40), self.choose(2, 4, 6, 8, 16, 24, 34, 48)
        if groups == 0:
            groups = filters = channels
        span = dilation * (kernel - 1) + 1
        pads = [self.choose(0, kernel // 2, kernel // 2) for _ in range(4)]
        size = [max(self.extent(20), span - pads[i] - pads[i + 2]) for i in range(2)]
        x = self.values(self.choose(1, 1, 2), channels, *size)
        depth = channels // groups
        filter_ = self.values(filters, depth, kernel, kernel, scale=1 / np.sqrt(depth * kernel * kernel))
        inputs = [case.input(x), case.weight(filter_)]
        if self.chance(0.7):
            inputs.append(case.weight(self.values(filters)))
        value = case.node(
            "Conv", inputs, kernel_shape=[kernel] * 2, strides=[stride] * 2, dilations=[dilation] * 2, pads=pads, group=groups
        )
        out = [(size[i] + pads[i] + pads[i + 2] - span) // stride + 1 for i in range(2)]
        self.tail(case, value, [x.shape[0], filters, *out])
        case.description = f"conv {x.shape} {filter_.shape} stride {stride} dilation {dilation} pads {pads} groups {groups}"

    def conv_other_ranks(self, case: Case) -> None:
        rank, channels, filters = self.choose(1, 3), self.choose(1, 4, 9), self.choose(1, 5, 16)
        transposed = self.chance()
        kernel = [self.choose(1, 2, 3) for _ in range(rank)]
        x = self.values(1, channels, *(self.extent(9) + 3 for _ in range(rank)))
        shape = (channels, filters) if transposed else (filters, channels)
        inputs = [case.input(x), case.weight(self.values(*shape, *kernel)), case.weight(self.values(filters))]
        strides = [self.choose(1, 2) for _ in range(rank)]
        case.node("ConvTranspose" if transposed else "Conv", inputs, kernel_shape=kernel, strides=strides)
        case.description = f"{rank}-d conv {x.shape} kernel {kernel} strides {strides} transposed {transposed}"

    def matmul(self, case: Case) -> None:
        rows, depth, columns = self.extent(70), self.extent(90), self.extent(70)
        batch = [self.choose(1, 2, 3) for _ in range(self.choose(0, 1, 2))]
        a = self.values(*batch, rows, depth)
        constant = self.chance(0.6)
        b = self.values(depth, columns) if constant else self.values(*batch[1:], depth, columns)
        value = case.node("MatMul", [case.input(a), case.weight(b) if constant else case.input(b)])
        if self.chance():
            value = case.node("Add", [value, case.weight(self.values(columns))])
        self.tail(case, value, [*batch, rows, columns])
        case.description = f"matmul {a.shape} {b.shape} constant {constant}"

    def gemm(self, case: Case) -> None:
        rows, depth, columns = self.extent(40), self.extent(64), self.extent(40)
        trans_a, trans_b = self.choose(0, 1), self.choose(0, 1)
        a = self.values(*((depth, rows) if trans_a else (rows, depth)))
        b = self.values(*((columns, depth) if trans_b else (depth, columns)))
        bias = self.values(*([columns], [rows, 1], [1, columns], [rows, columns])[self.choose(0, 1, 2, 3)])
        inputs = [case.input(a), case.weight(b), case.weight(bias)]
        case.node("Gemm", inputs, transA=trans_a, transB=trans_b, alpha=0.5, beta=2.0)
        case.description = f"gemm {a.shape} {b.shape} bias {bias.shape} transA {trans_a} transB {trans_b}"

    def attention(self, case: Case) -> None:
        """As exporters write it: heads split by reshape and transpose."""
        batch, heads, width = self.choose(1, 2), self.choose(1, 2, 5, 8), self.choose(4, 8, 13, 40)
        queries, keys = self.extent(70), self.extent(80)

        def split(tokens: int, axes: list[int]) -> str:
            x = case.input(self.values(batch, tokens, heads * width))
            shape = case.weight(np.array([batch, tokens, heads, width], np.int64))
            return case.node("Transpose", [case.node("Reshape", [x, shape])], perm=axes)

        query, key, value = split(queries, [0, 2, 1, 3]), split(keys, [0, 2, 3, 1]), split(keys, [0, 2, 1, 3])
        scores = case.node("MatMul", [query, key])
        scores = case.node("Mul", [scores, case.weight(np.array(width**-0.5, np.float32))])
        if masked := self.chance(0.3):
            scores = case.node("Add", [scores, case.input(self.values(1, 1, queries, keys))])
        mixed = case.node("MatMul", [case.node("Softmax", [scores], axis=-1), value])
        mixed = case.node("Transpose", [mixed], perm=[0, 2, 1, 3])
        case.node("Reshape", [mixed, case.weight(np.array([batch, queries, heads * width], np.int64))])
        case.description = f"attention batch {batch} heads {heads} width {width} {queries} x {keys} masked {masked}"

    def group_norm(self, case: Case) -> None:
        groups = self.choose(1, 2, 4, 8)
        channels = groups * self.choose(1, 2, 3, 5, 10)
        mean = float(self.choose(0, 0, 3, 100))
        x = self.values(self.choose(1, 2), channels, self.extent(20), self.extent(20) + 1, mean=mean)
        scale, bias = self.values(channels), self.values(channels)
        inputs = [case.input(x), case.weight(scale), case.weight(bias)]
        value = case.node("GroupNormalization", inputs, num_groups=groups, epsilon=1e-5)
        case.shapes[value] = x.shape
        if self.chance(0.7):
            self.silu(case, value)
        case.description = f"group_norm {x.shape} groups {groups} mean {mean}"

    def layer_norm(self, case: Case) -> None:
        x = self.values(self.choose(1, 2), self.extent(40), self.extent(100) + 1, mean=float(self.choose(0, 0, 50)))
        axis = self.choose(1, 2, 2, 2)
        shape = x.shape[axis:]
        inputs = [case.input(x), case.weight(self.values(*shape))]
        if self.chance(0.8):
            inputs.append(case.weight(self.values(*shape)))
        value = case.node("LayerNormalization", inputs, axis=axis, epsilon=1e-5)
        if self.chance():
            value = case.node("Add", [self.silu(case, value), inputs[0]])
        case.description = f"layer_norm {x.shape} axis {axis} bias {len(inputs) == 3}"

    def softmax(self, case: Case) -> None:
        x = self.values(*(self.extent(30) for _ in range(self.choose(1, 2, 3, 4))), scale=float(self.choose(1, 10)))
        axis = int(self.random.integers(-x.ndim, x.ndim))
        op = "LogSoftmax" if self.chance(0.3) else "Softmax"
        case.node(op, [case.input(x)], axis=axis)
        case.description = f"{op} {x.shape} axis {axis}"

    def resize(self, case: Case) -> None:
        x = self.values(1, self.choose(1, 3, 8, 17), self.extent(9) + 1, self.extent(9) + 1)
        mode = ("nearest", "nearest", "linear", "cubic")[self.choose(0, 1, 2, 3)]
        coordinates = ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")[self.choose(0, 1, 2, 3)]
        attributes: dict[str, object] = {"mode": mode, "coordinate_transformation_mode": coordinates}
        if mode == "nearest":
            names = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
            attributes["nearest_mode"] = names[self.choose(0, 1, 2, 3)]
        if self.chance():
            sizes = [*x.shape[:2], self.extent(20) + 1, self.extent(20) + 1]
            value = case.node("Resize", [case.input(x), "", "", case.weight(np.array(sizes, np.int64))], **attributes)
        else:
            scale = np.array([1, 1, self.choose(1, 2, 2, 3), self.choose(1, 2, 2, 3)], np.float32)
            sizes = [int(n * s) for n, s in zip(x.shape, scale, strict=True)]
            value = case.node("Resize", [case.input(x), "", case.weight(scale)], **attributes)
        case.description = f"resize {x.shape} to {sizes} {attributes} {value}"

    def geglu(self, case: Case) -> None:
        tokens, depth, width = self.extent(60), self.extent(40), self.choose(4, 7, 16, 33, 64)
        value = case.input(self.values(1, tokens, 2 * width))
        if projected := self.chance(0.7):
            value = case.node("MatMul", [case.input(self.values(1, tokens, depth)), case.weight(self.values(depth, 2 * width))])
            value = case.node("Add", [case.weight(self.values(2 * width)), value])
            del case.inputs[f"{case.prefix}x0"]
        halves = [f"{case.prefix}linear", f"{case.prefix}gate"]
        case.nodes.append(helper.make_node("Split", [value], halves, name=f"{case.prefix}split", axis=-1, num_outputs=2))
        case.node("Mul", [halves[0], case.node("Gelu", [halves[1]])])
        case.description = f"geglu {tokens} x {width} projected {projected}"

    def elementwise(self, case: Case) -> None:
        shape = [self.extent(12) for _ in range(self.choose(1, 2, 3, 4))]
        value = case.input(self.values(*shape))
        for _ in range(self.choose(1, 3, 5)):
            if self.chance(0.6):
                op = ("Add", "Sub", "Mul", "Div", "Max", "Min")[self.choose(*range(6))]
                other = [n if self.chance(0.7) else 1 for n in shape][self.choose(0, 0, len(shape) // 2) :]
                value = case.node(op, [value, case.input(np.abs(self.values(*other)) + np.float32(0.5))])
            else:
                names = ("Tanh", "Sigmoid", "Exp", "Erf", "Gelu", "Softplus", "Sin", "Cos", "Abs", "Neg", "Relu", "Atan", "Mish")
                op = names[self.choose(*range(len(names)))]
                # Keeps the argument where nothing overflows.
                value = case.node(op, [case.node("Clip", [value, case.weight(np.float32(-8)), case.weight(np.float32(8))])])
        case.description = f"elementwise {shape} " + " ".join(node.op_type for node in case.nodes)

    def reduce(self, case: Case) -> None:
        x = self.values(*(self.extent(14) for _ in range(self.choose(1, 2, 3, 4))), mean=0.3)
        op = ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2")[self.choose(*range(5))]
        axes = sorted(self.random.choice(x.ndim, self.random.integers(1, x.ndim + 1), replace=False).tolist())
        keep = self.choose(0, 1)
        case.node(op, [case.input(x), case.weight(np.array(axes, np.int64))], keepdims=keep)
        case.description = f"{op} {x.shape} axes {axes} keepdims {keep}"

    def transpose(self, case: Case) -> None:
        x = self.values(*(self.extent(30) for _ in range(self.choose(2, 3, 4, 5))))
        permutation = self.random.permutation(x.ndim).tolist()
        case.node("Transpose", [case.input(x)], perm=permutation)
        case.description = f"transpose {x.shape} {permutation}"

    def move(self, case: Case) -> None:
        x = self.values(2, self.extent(9) + 2, self.extent(9) + 2, self.extent(20) + 2)
        kind, name = self.choose(0, 1, 2, 3), case.input(x)
        if kind == 0:
            others = [case.input(self.values(*x.shape)) for _ in range(self.choose(1, 2))]
            case.node("Concat", [name, *others], axis=self.choose(0, 1, 2, 3))
        elif kind == 1:
            mode = ("constant", "reflect", "edge", "wrap")[self.choose(0, 1, 2, 3)]
            pads = [self.choose(0, 1, 2) if i % 4 else 0 for i in range(8)]
            case.node("Pad", [name, case.weight(np.array(pads, np.int64))], mode=mode)
        elif kind == 2:
            starts, ends, steps = [1, -1, 0], [9999, -9999, 2], [self.choose(1, 2), -1, 1]
            lists = [starts, ends, [3, 2, 1], steps]
            case.node("Slice", [name, *(case.weight(np.array(values, np.int64)) for values in lists)])
        else:
            indices = self.random.integers(-2, 2, (self.choose(1, 3), 2))
            case.node("Gather", [name, case.weight(indices.astype(np.int64))], axis=self.choose(0, 1, 2, 3))
        case.description = f"{case.nodes[-1].op_type} {x.shape} {case.nodes[-1].attribute}"

    def pool(self, case: Case) -> None:
        x = self.values(self.choose(1, 2), self.choose(1, 3, 8, 19), self.extent(12) + 4, self.extent(12) + 4)
        kernel, pads = [self.choose(1, 2, 3) for _ in range(2)], [self.choose(0, 1) for _ in range(4)]
        pads = [min(pads[i], kernel[i % 2] - 1) for i in range(4)]
        attributes = {"kernel_shape": kernel, "strides": [self.choose(1, 2)] * 2, "pads": pads, "ceil_mode": self.choose(0, 0, 1)}
        if self.chance():
            case.node("MaxPool", [case.input(x)], **attributes)
        else:
            case.node("AveragePool", [case.input(x)], count_include_pad=self.choose(0, 1), **attributes)
        case.description = f"{case.nodes[-1].op_type} {x.shape} {attributes}"


@dataclass(frozen=True)
class Family:
    """`count` cases, each to be within `threshold_db` (SQNR) of the reference, which is in float64 if `double`."""

    fill: Callable[[Generator, Case], None]
    count: int
    threshold_db: float
    double: bool = False


# Against a float32 reference whose own error is at about 120 dB. A convolution of 3 x 3 may be computed by Winograd's algorithm.
FAMILIES = {
    "conv": Family(Generator.conv, 40, 90),
    "conv_other_ranks": Family(Generator.conv_other_ranks, 12, 100),
    "matmul": Family(Generator.matmul, 30, 100),
    "gemm": Family(Generator.gemm, 12, 100),
    "attention": Family(Generator.attention, 16, 100, double=True),
    "group_norm": Family(Generator.group_norm, 24, 90, double=True),
    "layer_norm": Family(Generator.layer_norm, 16, 90, double=True),
    "softmax": Family(Generator.softmax, 20, 100, double=True),
    "resize": Family(Generator.resize, 30, 90),
    "geglu": Family(Generator.geglu, 12, 100),
    "elementwise": Family(Generator.elementwise, 30, 90),
    "reduce": Family(Generator.reduce, 20, 100, double=True),
    "transpose": Family(Generator.transpose, 16, np.inf),
    "move": Family(Generator.move, 24, np.inf),
    "pool": Family(Generator.pool, 20, 110),
}


def make_cases(name: str, seed: int) -> list[Case]:
    """The cases of one family."""
    family = FAMILIES[name]
    generator = Generator(seed)
    cases = []
    for index in range(family.count):
        case = Case(f"c{index}_", family.threshold_db)
        family.fill(generator, case)
        cases.append(case)
    return cases
