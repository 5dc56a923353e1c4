"""`ef` modules of W8A16 kernels for kernel-bench: linear layers or convolutions with bias, gate, residual and one cast to int16.

As a program it prints the module of one family of cases, which the tests compare with the reference bit by bit:

    python benchmarks/kernels/quantized_products.py linear | kernel-bench - --exact
"""

import sys
from dataclasses import dataclass, replace
from math import isqrt

QUANTISED_LIMIT, GUARDED_LIMIT, TWICE_GUARDED_LIMIT = 32767, 16383, 8191


def activation(shape: tuple[int, ...], scale: float, limit: int = QUANTISED_LIMIT) -> str:
    """Type of an int16 activation."""
    bounds = "" if limit == QUANTISED_LIMIT else f"<-{limit}:{limit}>"
    return f"tensor<{'x'.join(map(str, shape))}x!quant.uniform<i16{bounds}:f32, {scale:.9e}>>"


def weight(shape: tuple[int, ...], axis: int, scales: list[float]) -> str:
    """Type of an int8 weight with one scale an output channel."""
    listed = ",".join(f"{scale:.9e}" for scale in scales)
    return f"tensor<{'x'.join(map(str, shape))}x!quant.uniform<i8<-127:127>:f32:{axis}, {{{listed}}}>>"


def floats(*shape: int) -> str:
    """Type of an f32 tensor."""
    return f"tensor<{'x'.join(map(str, shape))}xf32>"


def channel_scales(channels: int, saturate: bool) -> list[float]:
    """Scales for weights around 0.05: of every 7 channels one holds zeros and one is a clamped outlier; or all are clamped."""
    if saturate:
        return [1e-4 + 1e-6 * n for n in range(channels)]
    special = {3: 1.0, 5: 2e-4}
    return [special.get(n % 7, 0.05 * (2.5 + 0.01 * n) / 127) for n in range(channels)]


@dataclass
class Linear:
    """result[rows, n] = x[rows, k] * w[k, n] (w[n, k] if transposed); `gate` halves the columns by geglu."""

    rows: int
    k: int
    n: int
    transposed: bool = False
    gate: bool = False
    limit: int = QUANTISED_LIMIT
    residual: bool = False

    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...], int, tuple[int, ...]]:
        """Of x, of w, its axis of channels, of the result."""
        w = (self.n, self.k) if self.transposed else (self.k, self.n)
        return (1, self.rows, self.k), w, 0 if self.transposed else 1, (1, self.rows, self.n)

    def anchor(self, x: str, w: str, y: str) -> str:
        """The operation."""
        attributes = "{transpose_b} " if self.transposed else ""
        return f"ef.matmul %x, %w {attributes}: ({x}, {w}) -> {y}"


@dataclass
class Conv:
    """A channels-last convolution."""

    size: tuple[int, int]
    channels: int
    filters: int
    kernel: tuple[int, int] = (3, 3)
    stride: int = 1
    pads: tuple[int, int, int, int] = (1, 1, 1, 1)
    dilation: int = 1
    groups: int = 1
    batch: int = 1
    limit: int = GUARDED_LIMIT
    residual: bool = False
    gate: bool = False

    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...], int, tuple[int, ...]]:
        """Of x, of w, its axis of channels, of the result."""
        out = [
            (self.size[d] + self.pads[d] + self.pads[d + 2] - (self.kernel[d] - 1) * self.dilation - 1) // self.stride + 1
            for d in range(2)
        ]
        x = (self.batch, *self.size, self.channels)
        return x, (self.filters, self.channels // self.groups, *self.kernel), 0, (self.batch, *out, self.filters)

    def anchor(self, x: str, w: str, y: str) -> str:
        """The operation."""
        attributes = (
            f"strides = array<i64: {self.stride}, {self.stride}>, pads = array<i64: {', '.join(map(str, self.pads))}>, "
            f"dilations = array<i64: {self.dilation}, {self.dilation}>, groups = {self.groups}, "
            "layout = #ef<layout channels_last>"
        )
        return f"ef.conv %x, %w {{{attributes}}} : ({x}, {w}) -> {y}"


@dataclass
class Attention:
    """Heads as slices of the columns; `limit` is that of queries and keys."""

    queries: int
    keys: int
    heads: int
    depth: int
    limit: int = QUANTISED_LIMIT
    score_scale: float = 4e-4

    def single_product(self) -> "Attention":
        """With the limit that makes a score's sum fit an int32."""
        return replace(self, limit=isqrt((2**31 - 1) // self.depth))

    def module(self) -> str:
        """A @main of its own."""
        columns = self.heads * self.depth
        scale = 0.2 / self.limit
        q, k = (activation((1, rows, columns), scale, self.limit) for rows in (self.queries, self.keys))
        v, r = activation((1, self.keys, columns), 3e-4), activation((1, self.queries, columns), 1e-3)
        y = floats(1, self.queries, columns)
        attributes = (
            f"heads = {self.heads} : i64, kv_heads = {self.heads} : i64, scale = {self.depth**-0.5:.8e} : f64, "
            f"score_scale = {self.score_scale:.8e} : f64"
        )
        return f"""func.func @main(%q0: {q}, %k0: {k}, %v0: {v}) -> {r} {{
  %y = ef.fused (%q = %q0, %k = %k0, %v = %v0) : ({q}, {k}, {v}) -> {r} {{
    %0 = ef.attention %q, %k, %v {{{attributes}}} : ({q}, {k}, {v}) -> {y}
    %1 = quant.qcast %0 : {y} to {r}
    ef.yield %1 : {r}
  }}
  return %y : {r}
}}
"""


def kernel(case: Linear | Conv, index: int, saturate: bool = False, out_scale: float = 1e-3) -> tuple[str, list[str], str]:
    """One kernel: its operations, the types of its inputs %x<index> (and %r<index>), the type of its result."""
    x_shape, w_shape, axis, y_shape = case.shapes()
    channels = y_shape[-1]
    x, y = activation(x_shape, 3e-4, case.limit), floats(*y_shape)
    w, b, wf = weight(w_shape, axis, channel_scales(channels, saturate)), floats(channels), floats(*w_shape)
    stored = (*y_shape[:-1], channels // 2) if case.gate else y_shape
    result, inner = activation(stored, out_scale), floats(*stored)
    lines = [f"    %0 = {case.anchor(x, w, y)}", f"    %1 = ef.binary add %0, %b : ({y}, {b}) -> {y}"]
    value, inputs = "%1", [x]
    if case.gate:
        lines.append(f"    %g = ef.geglu %1 : ({y}) -> {inner}")
        value = "%g"
    binding, types = f"%x = %x{index}, %w = %wq{index}, %b = %b{index}", f"{x}, {w}, {b}"
    if case.residual:
        r = activation(stored, 2e-4)
        inputs.append(r)
        binding, types = binding + f", %r = %r{index}", types + f", {r}"
        lines.append(f"    %d = quant.dcast %r : {r} to {inner}")
        lines.append(f"    %s = ef.binary add {value}, %d : ({inner}, {inner}) -> {inner}")
        value = "%s"
    lines += [f"    %q = quant.qcast {value} : {inner} to {result}", f"    ef.yield %q : {result}"]
    text = [
        f'  %w{index} = ef.weight "w{index}" from "random.bin" at {256 * index} : {wf}',
        f'  %b{index} = ef.weight "b{index}" from "random.bin" at {64 + 256 * index} : {b}',
        f"  %wq{index} = quant.qcast %w{index} : {wf} to {w}",
        f"  %y{index} = ef.fused ({binding}) : ({types}) -> {result} {{",
        *lines,
        "  }",
    ]
    return "\n".join(text), inputs, result


def module(cases: list[Linear | Conv], saturate: bool = False, out_scale: float = 1e-3) -> str:
    """All cases in one @main."""
    bodies, arguments, results = [], [], []
    for index, case in enumerate(cases):
        body, inputs, result = kernel(case, index, saturate, out_scale)
        bodies.append(body)
        arguments += [f"%{name}{index}: {type_}" for name, type_ in zip("xr", inputs, strict=False)]
        results.append(result)
    values = ", ".join(f"%y{index}" for index in range(len(cases)))
    return (
        f"func.func @main({', '.join(arguments)}) -> ({', '.join(results)}) {{\n"
        + "\n".join(bodies)
        + f"\n  return {values} : {', '.join(results)}\n}}\n"
    )


NO_PADS = (0, 0, 0, 0)
LINEAR = [
    Linear(84, 64, 32),
    Linear(7, 33, 20, residual=True),
    Linear(130, 321, 48, transposed=True),
    Linear(50, 1280, 37, residual=True),
    Linear(1, 5, 16),
    Linear(43, 700, 96, gate=True),
    Linear(90, 5120, 40),
    Linear(45, 64, 640, residual=True),
]
DIRECT = [
    Conv((9, 9), 5, 21, residual=True),
    Conv((11, 10), 33, 24, stride=2),
    Conv((10, 12), 16, 16, dilation=2, pads=(2, 1, 0, 3)),
    Conv((8, 8), 40, 24, kernel=(1, 1), pads=NO_PADS, limit=QUANTISED_LIMIT),
    Conv((9, 8), 37, 24, kernel=(1, 1), stride=2, pads=NO_PADS, limit=QUANTISED_LIMIT),
    Conv((7, 100), 8, 3, kernel=(5, 5), pads=(2, 2, 2, 2), batch=2),
    Conv((6, 7), 8, 12, groups=4),
    Conv((6, 7), 16, 16, groups=16),
    Conv((4, 5), 3, 5, kernel=(1, 7), pads=(0, 3, 0, 3)),
    Conv((12, 13), 24, 20, limit=QUANTISED_LIMIT),
]
WINOGRAD = [
    Conv((12, 13), 32, 32),
    Conv((16, 16), 320, 48, residual=True),
    Conv((7, 9), 48, 16, batch=2),
    Conv((8, 8), 1280, 32),
    Conv((9, 8), 16, 80, pads=NO_PADS),
    Conv((20, 20), 48, 160, pads=(2, 1, 0, 1)),
    Conv((4, 4), 2560, 16),
    Conv((12, 13), 32, 32, limit=TWICE_GUARDED_LIMIT),
    Conv((8, 10), 1280, 32, limit=TWICE_GUARDED_LIMIT),
]
LONG = [
    Linear(3, 23040, 17),
    Linear(45, 5120, 32, gate=True),
    Linear(2, 2311, 16),
    Conv((4, 4), 2560, 16),
    Conv((3, 3), 2560, 16, pads=(1, 1, 1, 1)),
    Conv((3, 3), 1281, 16, stride=2),
    Conv((4, 4), 2560, 16, kernel=(1, 1), pads=NO_PADS),
]
# Name of the family: its cases, whether all weights are at their limit, the scale of the results.
FAMILIES: dict[str, tuple[list[Linear | Conv], bool, float]] = {
    "linear": (LINEAR, False, 1e-3),
    "direct": (DIRECT, False, 1e-3),
    "winograd": (WINOGRAD, False, 1e-3),
    "long": (LONG, True, 200.0),
    "long-winograd": (WINOGRAD, True, 1.0),
}

if __name__ == "__main__":
    print(module(*FAMILIES[sys.argv[1]]))
