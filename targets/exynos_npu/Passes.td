// Passes of the exynos-npu target, in the order in which they run.
#ifndef EFC_TARGETS_EXYNOSNPU_PASSES_TD
#define EFC_TARGETS_EXYNOSNPU_PASSES_TD

include "mlir/Pass/PassBase.td"

def EfcNpuNarrow : Pass<"efc-npu-narrow", "::mlir::func::FuncOp"> {
  let summary = "Store float32 tensors of a partition as float16";
  let description = [{
    In a function with the attribute `npu.partition` what is still float32 between kernels becomes float16; inside a kernel values stay float32, which is
    what the NPU's output stage and vector engines compute in. Weights of matrix products and convolutions become constant expressions `ef.cast`; biases,
    scales and other vectors of constants stay float32. Quantised tensors are untouched. The function's own operands and results keep their types: an
    operand that an element-wise kernel reads, and a result that nothing else reads, need no float16 at all; elsewhere a cast stands at the border.
    A bare operation becomes an `ef.fused` of its own.

    A value beyond 65504 becomes infinite: which ranges a model has is the user's to know (`edgefusion verify` shows it).

    Before:
    ```mlir
    func.func private @npu_0(%x: tensor<64x32xf32>) -> tensor<64x16xf32> attributes {npu.partition} {
      %w = ef.weight "w" from "m.onnx" at 0 : tensor<32x16xf32>
      %0 = ef.matmul %x, %w : (tensor<64x32xf32>, tensor<32x16xf32>) -> tensor<64x16xf32>
      return %0 : tensor<64x16xf32>
    }
    ```
    After:
    ```mlir
    func.func private @npu_0(%x: tensor<64x32xf32>) -> tensor<64x16xf32> attributes {npu.partition} {
      %0 = ef.cast %x : (tensor<64x32xf32>) -> tensor<64x32xf16>
      %w = ef.weight "w" from "m.onnx" at 0 : tensor<32x16xf32>
      %1 = ef.cast %w : (tensor<32x16xf32>) -> tensor<32x16xf16>
      %2 = ef.fused (%x0 = %0, %w0 = %1) : (tensor<64x32xf16>, tensor<32x16xf16>) -> tensor<64x16xf32> {
        %3 = ef.cast %x0 : (tensor<64x32xf16>) -> tensor<64x32xf32>
        %4 = ef.cast %w0 : (tensor<32x16xf16>) -> tensor<32x16xf32>
        %5 = ef.matmul %3, %4 : (tensor<64x32xf32>, tensor<32x16xf32>) -> tensor<64x16xf32>
        ef.yield %5 : tensor<64x16xf32>
      }
      return %2 : tensor<64x16xf32>
    }
    ```
  }];
  let statistics = [
    Statistic<"numNarrowed", "narrowed", "Tensors that became float16">,
    Statistic<"numBorderCasts", "border-casts", "Casts of a partition's float32 operands">];
  let dependentDialects = ["::efc::ef::EfDialect"];
}

def EfcNpuTile : Pass<"efc-npu-tile", "::mlir::func::FuncOp"> {
  let summary = "Cut a partition's layers into groups whose intermediates stay in the scratchpad";
  let description = [{
    Turns a function with the attribute `npu.partition` into layers (Layer.h), cuts them into groups, chooses the tiles of each group and how its
    weights, keys and values stream, checks the result with the independent verifier (Tiling.h), and leaves it as the attribute `npu.tiling`. `mlt=off`:
    every layer on its own, scores in DRAM. `attention`: attention is one layer, its scores stay in the scratchpad. `full`: groups of any layers,
    by dynamic programming over the cut points with the event model's prices.

    `[first, last)` in `layers` are indices of the list that `buildLayers` gives; `tile` is in positions.

    Before:
    ```mlir
    func.func private @npu_0(%x: tensor<64x32xf16>) -> tensor<64x16xf16> attributes {npu.partition} {
      ...
    }
    ```
    After:
    ```mlir
    func.func private @npu_0(%x: tensor<64x32xf16>) -> tensor<64x16xf16> attributes {npu.partition, npu.mlt = "full", npu.tiling = [
        {layers = array<i64: 0, 1>, tile = 64 : i64, chunks = array<i64: 16>, ...} ] } {
      ...
    }
    ```
  }];
  let options = [
    Option<"machine", "machine", "std::string", "\"exynos2400\"", "Name of a machine, or the path of a machine file">,
    ListOption<"machineSettings", "machine-set", "std::string", "Figures of the machine to change, KEY=VALUE[UNIT]">,
    Option<"mlt", "mlt", "std::string", "\"full\"", "Model-level tiling: off, attention or full">];
  let statistics = [
    Statistic<"numLayers", "layers", "Layers of the partition">,
    Statistic<"numGroups", "groups", "Groups that they are cut into">,
    Statistic<"numTiledGroups", "tiled-groups", "Groups of several layers that run tile by tile">];
}

#endif
