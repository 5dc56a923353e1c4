// Passes of the exynos-npu target, in the order in which they run.
#ifndef EFC_TARGETS_EXYNOSNPU_PASSES_TD
#define EFC_TARGETS_EXYNOSNPU_PASSES_TD

include "mlir/Pass/PassBase.td"

def EfcNpuPartition : Pass<"efc-npu-partition", "::mlir::ModuleOp"> {
  let summary = "Move what the NPU executes into functions of its own";
  let description = [{
    Operations of `@main` that meet every constraint of docs/supported-ops.md are gathered greedily: all CPU operations that are ready, then all NPU
    operations that are ready, and so on, so that control changes sides as seldom as possible. Each run of NPU operations becomes a private function with
    the attribute `npu.partition` and a call, `npu.launch`; it has copies of the constants that it reads. An operation that stays gets the attribute
    `npu.reason`: the constraint that does not hold, and what to do. A constant mask that is exactly causal becomes the attribute `causal` of its
    attention.

    Before:
    ```mlir
    func.func @main(%ids: tensor<1x8xi64>) -> tensor<1x8x4xf32> {
      %w = ef.weight "w" from "m.onnx" at 0 : tensor<16x4xf32>
      %0 = ef.gather %w, %ids {axis = 0 : i64} : (tensor<16x4xf32>, tensor<1x8xi64>) -> tensor<1x8x4xf32>
      %1 = ef.unary silu %0 : (tensor<1x8x4xf32>) -> tensor<1x8x4xf32>
      return %1 : tensor<1x8x4xf32>
    }
    ```
    After:
    ```mlir
    func.func @main(%ids: tensor<1x8xi64>) -> tensor<1x8x4xf32> {
      %w = ef.weight "w" from "m.onnx" at 0 : tensor<16x4xf32>
      %0 = ef.gather %w, %ids {axis = 0 : i64, npu.reason = "the NPU has no command for 'ef.gather'"} : ...
      %1 = npu.launch @npu_0(%0) : (tensor<1x8x4xf32>) -> tensor<1x8x4xf32>
      return %1 : tensor<1x8x4xf32>
    }
    func.func private @npu_0(%x: tensor<1x8x4xf32>) -> tensor<1x8x4xf32> attributes {npu.partition} {
      %0 = ef.unary silu %x : (tensor<1x8x4xf32>) -> tensor<1x8x4xf32>
      return %0 : tensor<1x8x4xf32>
    }
    ```
  }];
  let options = [
    Option<"report", "report", "bool", "false", "Remark each operation that stays on the CPU, and why">];
  let statistics = [
    Statistic<"numPartitions", "partitions", "Functions that the NPU executes">,
    Statistic<"numNpuOps", "npu-ops", "Operations in them">,
    Statistic<"numCpuOps", "cpu-ops", "Operations that stay on the CPU">,
    Statistic<"numIslandOps", "island-ops", "Of these, between two partitions">];
  let dependentDialects = ["::efc::ef::EfDialect", "::efc::npu::NpuDialect"];
}

def EfcNpuPrintLayers : Pass<"efc-npu-print-layers", "::mlir::func::FuncOp"> {
  let summary = "Print the layers of each partition";
  let description = [{
    What the tiler and the emitter make of a function with the attribute `npu.partition`: one line a layer, its results, inputs and the instructions of
    its epilogue. The function stays as it is.

    ```mlir
    %1 = ef.unary silu %x : (tensor<64x32xf16>) -> tensor<64x32xf16>
    ```
    prints
    ```
    elementwise "node" silu: %1 [64 x 32 f16] = rows %0
      r0 = load 0; r0 = silu r0; store r0
    ```
  }];
  let options = [
    Option<"mlt", "mlt", "std::string", "\"full\"", "Model-level tiling: off, attention or full (docs/cli.md, --mlt)">];
  let statistics = [Statistic<"numLayers", "layers", "Layers of all partitions">];
}

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

def EfcNpuEmitCommands : Pass<"efc-npu-emit-commands", "::mlir::ModuleOp"> {
  let summary = "Turn tiled partitions into programs of commands on virtual buffers";
  let description = [{
    Each function with `npu.partition` and `npu.tiling` becomes an `npu.program` of its name: group by group, tile by tile, layer by layer the loads of
    operands and weights, the commands that compute, split over the engines of their kind, and the stores of what is read outside the group. The order is
    a serial one; buffers have sizes and no addresses. Tensors that go from one group to another get their places in the workspace, constants theirs in
    the weights.

    Before:
    ```mlir
    func.func private @npu_0(%x: tensor<64x32xf16>) -> tensor<64x16xf16> attributes {npu.partition, npu.mlt = "full", npu.tiling = [...]} {
      ...
    }
    ```
    After:
    ```mlir
    npu.program @npu_0 : (tensor<64x32xf16>) -> tensor<64x16xf16> attributes {machine = "exynos2400", slot_bytes = array<i64: 1024, 0, 4096, 2048>} {
      %w = ef.weight "w" from "m.onnx" at 0 : tensor<32x16xf32>
      %c = ef.cast %w : (tensor<32x16xf32>) -> tensor<32x16xf16>
      npu.constant %c matrix_kn [16, 1, 32] <f16> at 0 : tensor<32x16xf16>
      %0 = npu.alloc 4096
      npu.dma_load %0 <slot 2 at 0 to 0 [1, 1, 1, 1, 2048] of 2 dram [0, 0, 0, 0, 2] scratch [0, 0, 0, 0, 2]> {source = #source}
      %1 = npu.alloc 1024
      npu.dma_load %1 <slot 0 at 0 ...> {source = #source}
      %2 = npu.alloc 2048
      npu.tensor(%0 <f16 [1, 64, 1, 32]>, %1 <f16 [16, 1, 1, 32]>, %2 <f16 [1, 64, 1, 16]>) {code = #code, source = #source}
      npu.dma_store %2 <slot 3 at 0 ...> {source = #source}
    }
    ```
  }];
  let options = [
    Option<"machine", "machine", "std::string", "\"exynos2400\"", "Name of a machine, or the path of a machine file">,
    ListOption<"machineSettings", "machine-set", "std::string", "Figures of the machine to change, KEY=VALUE[UNIT]">];
  let statistics = [
    Statistic<"numCommands", "commands", "Commands of all programs">,
    Statistic<"weightBytes", "weight-bytes", "Bytes of weights">,
    Statistic<"workspaceBytes", "workspace-bytes", "Bytes of DRAM for what goes from group to group">];
  let dependentDialects = ["::efc::npu::NpuDialect", "::efc::ef::EfDialect"];
}

def EfcNpuSchedule : Pass<"efc-npu-schedule", "::efc::npu::ProgramOp"> {
  let summary = "Prefetch, place buffers in the scratchpad, choose queues";
  let description = [{
    Loads move up ahead of the commands that need them, over at most `lookahead` commands and as far as the scratchpad has room: the next tile, the next
    chunk of weights, the next layer's weights arrive while this one computes. A load stays behind the store of what it reads. Then each buffer has its
    address (a buffer's memory is free after its last use in this order; what has been free for long goes first, so that nobody waits for a reader), each
    command its queue (the engine of its kind with the least work) and its estimate in cycles. On a machine without overlap nothing moves.

    Before:
    ```mlir
    npu.tensor(%0 <...>, %1 <...>, %2 <...>) {...}
    %3 = npu.alloc 1024
    npu.dma_load %3 <...> {...}
    ```
    After:
    ```mlir
    %3 = npu.alloc 1024 {address = 65536 : i64}
    npu.dma_load %3 <...> {queue = #npu.queue<dma0>, cycles = 157.0 : f32, ...}
    npu.tensor(%0 <...>, %1 <...>, %2 <...>) {queue = #npu.queue<gte0>, cycles = 8256.0 : f32, ...}
    ```
  }];
  let options = [
    Option<"machine", "machine", "std::string", "\"exynos2400\"", "Name of a machine, or the path of a machine file">,
    ListOption<"machineSettings", "machine-set", "std::string", "Figures of the machine to change, KEY=VALUE[UNIT]">,
    Option<"lookahead", "lookahead", "int64_t", "512", "Commands that a load may move over; 0: no prefetch">];
  let statistics = [
    Statistic<"numPrefetched", "prefetched", "Loads that moved up">,
    Statistic<"peakBytes", "peak-bytes", "Highest byte of the scratchpad in use">,
    Statistic<"liveBytes", "live-bytes", "Largest sum of live buffers without prefetch: the lower bound of the peak">];
  let dependentDialects = ["::efc::npu::NpuDialect"];
}

def EfcNpuSynchronize : Pass<"efc-npu-synchronize", "::efc::npu::ProgramOp"> {
  let summary = "Make commands of different queues wait for each other where they must";
  let description = [{
    Two commands that touch the same granule of the scratchpad or of a slot, one of them writing, must run in the order of the program. Those of one queue
    do; for the others the later one waits for its predecessor's queue, unless that follows from waits that are there already (vector clocks). Only commands
    that someone waits for notify.

    Before:
    ```mlir
    npu.dma_load %0 <...> {queue = #npu.queue<dma0>, ...}
    npu.vector(%0 <...>, %1 <...>) {queue = #npu.queue<vector0>, ...}
    ```
    After:
    ```mlir
    npu.dma_load %0 <...> {notify, queue = #npu.queue<dma0>, ...}
    npu.vector(%0 <...>, %1 <...>) {queue = #npu.queue<vector0>, waits = #npu.waits<dma0 : 1>, ...}
    ```
  }];
  let statistics = [
    Statistic<"numWaits", "waits", "Waits of all commands">,
    Statistic<"numNotifies", "notifies", "Commands that raise their queue's counter">];
}

#endif
