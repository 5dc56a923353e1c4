"""Times the dense kernels at Stable Diffusion's shapes beside OpenVINO's, one operation at a time, on one thread.

Both sides count processor time, so that other work on the machine disturbs little. Ours runs through kernel-bench.

    python benchmarks/kernels/dense.py --kernel-bench build/bin/kernel-bench

With --quantized it times W8A16 beside our float32 instead.
"""

import argparse
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13 as ops
from quantized_products import Attention, Conv, Linear, module

MATMULS = [(4096, 320, 320), (1024, 640, 640), (256, 1280, 1280), (77, 768, 3072), (4096, 320, 2560)]
CONVS = [(64, 320, 320), (64, 960, 320), (32, 640, 640), (16, 1280, 1280), (64, 512, 512), (256, 256, 256), (512, 128, 128)]
ATTENTIONS = [(4096, 4096, 8, 40), (4096, 77, 8, 40), (1024, 1024, 8, 80), (256, 256, 8, 160)]


def matmul_text(m: int, k: int, n: int) -> str:
    """`ef` module of one linear layer with a bias."""
    x, w, y, b = f"tensor<1x{m}x{k}xf32>", f"tensor<{k}x{n}xf32>", f"tensor<1x{m}x{n}xf32>", f"tensor<{n}xf32>"
    return fused(x, w, b, y, f"ef.matmul %x, %w : ({x}, {w}) -> {y}")


def conv_text(size: int, channels: int, filters: int) -> str:
    """`ef` module of one 3x3 convolution with a bias, channels-last."""
    x, y = (f"tensor<1x{size}x{size}x{c}xf32>" for c in (channels, filters))
    w, b = f"tensor<{filters}x{channels}x3x3xf32>", f"tensor<{filters}xf32>"
    attributes = (
        "strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, "
        "groups = 1, layout = #ef<layout channels_last>"
    )
    return fused(x, w, b, y, f"ef.conv %x, %w {{{attributes}}} : ({x}, {w}) -> {y}")


def fused(x: str, w: str, b: str, y: str, anchor: str) -> str:
    """An ef.fused of `anchor` and a bias."""
    return f"""func.func @main(%x0: {x}) -> {y} {{
  %w0 = ef.weight "w" from "random.bin" at 0 : {w}
  %b0 = ef.weight "b" from "random.bin" at 64 : {b}
  %y = ef.fused (%x = %x0, %w = %w0, %b = %b0) : ({x}, {w}, {b}) -> {y} {{
    %0 = {anchor}
    %1 = ef.binary add %0, %b : ({y}, {b}) -> {y}
    ef.yield %1 : {y}
  }}
  return %y : {y}
}}
"""


def attention_text(queries: int, keys: int, heads: int, depth: int) -> str:
    """`ef` module of one attention."""
    q, k = f"tensor<1x{queries}x{heads * depth}xf32>", f"tensor<1x{keys}x{heads * depth}xf32>"
    attributes = f"heads = {heads} : i64, kv_heads = {heads} : i64, scale = {depth**-0.5:.8e} : f64"
    return f"""func.func @main(%q: {q}, %k: {k}, %v: {k}) -> {q} {{
  %y = ef.attention %q, %k, %v {{{attributes}}} : ({q}, {k}, {k}) -> {q}
  return %y : {q}
}}
"""


def time_ours(kernel_bench: Path, text: str, repeat: int) -> float:
    """Milliseconds of all launches of a module; quantised inputs are normal numbers, as activations are."""
    with tempfile.NamedTemporaryFile("w", suffix=".mlir") as file:
        file.write(text)
        file.flush()
        command = [str(kernel_bench), file.name, "--num-threads=1", "--skip-check", "--normal", f"--repeat={repeat}"]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"^total\s+([\d.]+) ms", output, re.MULTILINE)
    if not found:
        raise RuntimeError(f"kernel-bench printed no total:\n{output}")
    return float(found.group(1))


def time_openvino(build: Callable[[], ov.Model], repeat: int) -> float:
    """Milliseconds of processor time of the fastest run on one thread."""
    core = ov.Core()
    options = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(build(), "CPU", options).create_infer_request()
    random = np.random.default_rng(1)
    for port in request.model_inputs:
        request.set_tensor(port, ov.Tensor(random.standard_normal(port.shape).astype(np.float32)))
    times = []
    for _ in range(repeat + 1):
        start = time.process_time()
        request.infer()
        times.append(time.process_time() - start)
    return min(times) * 1e3


def openvino_matmul(m: int, k: int, n: int) -> ov.Model:
    """A linear layer with a bias."""
    x = ops.parameter([1, m, k], np.float32)
    weights = np.random.default_rng(1).standard_normal((k, n)).astype(np.float32)
    return ov.Model([ops.add(ops.matmul(x, ops.constant(weights), False, False), ops.constant(weights[0]))], [x])


def openvino_conv(size: int, channels: int, filters: int) -> ov.Model:
    """A 3x3 convolution with a bias."""
    x = ops.parameter([1, channels, size, size], np.float32)
    weights = np.random.default_rng(1).standard_normal((filters, channels, 3, 3)).astype(np.float32)
    conv = ops.convolution(x, ops.constant(weights), [1, 1], [1, 1], [1, 1], [1, 1])
    return ov.Model([ops.add(conv, ops.constant(weights[:, 0, 0, 0].reshape(1, filters, 1, 1)))], [x])


def openvino_attention(queries: int, keys: int, heads: int, depth: int) -> ov.Model:
    """Scaled dot-product attention on separate heads."""
    q, k, v = (ops.parameter([1, heads, tokens, depth], np.float32) for tokens in (queries, keys, keys))
    return ov.Model([ops.scaled_dot_product_attention(q, k, v)], [q, k, v])


def compare_quantized(kernel_bench: Path, repeat: int) -> None:
    """Prints one line an operation: W8A16 beside float32, alternating; the fastest of two rounds counts."""
    cases = [(f"linear {m}x{k}x{n}", matmul_text(m, k, n), module([Linear(m, k, n)]), m * k * n) for m, k, n in MATMULS]
    for h, c, f in CONVS[:4]:
        cases.append((f"conv3x3 {h}x{h} {c}->{f}", conv_text(h, c, f), module([Conv((h, h), c, f)]), 9 * h * h * c * f))
    for q, k, h, d in ATTENTIONS:
        quantized = Attention(q, k, h, d).single_product().module()
        cases.append((f"attention {q}x{k}, {h} heads of {d}", attention_text(q, k, h, d), quantized, 2 * q * k * h * d))
    print(f"{'':34} {'W8A16 ms':>9} {'GMAC/s':>8} {'float32 ms':>12} {'ratio':>6}")
    for name, floats, integers, macs in cases:
        rounds = [(time_ours(kernel_bench, integers, repeat), time_ours(kernel_bench, floats, repeat)) for _ in range(2)]
        ours, peer = (min(times) for times in zip(*rounds, strict=True))
        print(f"{name:34} {ours:9.2f} {macs / ours / 1e6:8.1f} {peer:12.2f} {ours / peer:6.2f}", flush=True)


def main() -> None:
    """Prints one line an operation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel-bench", type=Path, required=True, help="the tool of that name")
    parser.add_argument("--repeat", type=int, default=3, help="runs; the fastest counts (default: 3)")
    parser.add_argument("--quantized", action="store_true", help="time W8A16 beside our float32")
    options = parser.parse_args()
    if options.quantized:
        compare_quantized(options.kernel_bench, options.repeat)
        return
    cases: list[tuple[str, str, Callable[[], ov.Model], int]] = []
    for m, k, n in MATMULS:
        cases.append((f"linear {m}x{k}x{n}", matmul_text(m, k, n), lambda m=m, k=k, n=n: openvino_matmul(m, k, n), m * k * n))
    for h, c, f in CONVS:
        cases.append(
            (f"conv3x3 {h}x{h} {c}->{f}", conv_text(h, c, f), lambda h=h, c=c, f=f: openvino_conv(h, c, f), 9 * h * h * c * f)
        )
    for q, k, h, d in ATTENTIONS:
        build = lambda q=q, k=k, h=h, d=d: openvino_attention(q, k, h, d)  # noqa: E731
        cases.append((f"attention {q}x{k}, {h} heads of {d}", attention_text(q, k, h, d), build, 2 * q * k * h * d))
    print(f"{'':34} {'ours ms':>9} {'GMAC/s':>8} {'OpenVINO ms':>12} {'ratio':>6}")
    for name, text, build, macs in cases:
        ours, peer = time_ours(options.kernel_bench, text, options.repeat), time_openvino(build, options.repeat)
        print(f"{name:34} {ours:9.2f} {macs / ours / 1e6:8.1f} {peer:12.2f} {ours / peer:6.2f}", flush=True)


if __name__ == "__main__":
    main()
