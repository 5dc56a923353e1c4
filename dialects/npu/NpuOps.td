// The `npu` dialect: what the NPU executes, and its launch from @main. Why: docs/design/npu-target.md.
#ifndef NPU_OPS_TD
#define NPU_OPS_TD

include "dialects/npu/NpuTypes.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Npu_Op<string mnemonic, list<Trait> traits = []> : Op<Npu_Dialect, mnemonic, traits>;

//===--- Partitions ------------------------------------------------------------------------------------------------------------------===//

def Npu_LaunchOp : Npu_Op<"launch", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "call of a partition";
  let description = [{
    The callee is a private function of the module or, once commands are emitted, an `npu.program`. `offsets` (set by memory planning) are the places
    of the results and then of the program's workspace in the arena, in bytes.
    ```mlir
    %y = npu.launch @npu_0(%x) : (tensor<1x64x320xf32>) -> tensor<1x64x320xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$callee, Variadic<AnyStaticShapeTensor>:$inputs, OptionalAttr<DenseI64ArrayAttr>:$offsets);
  let results = (outs Variadic<AnyStaticShapeTensor>:$results);
  let assemblyFormat = "$callee `(` $inputs `)` attr-dict `:` functional-type(operands, results)";
}

def Npu_ProgramOp : Npu_Op<"program", [Symbol, IsolatedFromAbove, SingleBlock, NoTerminator, NoRegionArguments]> {
  let summary = "a partition's commands in their serial order";
  let description = [{
    The commands have the effect of running one after the other; queues and waits (set by later passes) let them run beside each other without changing
    it. Commands move data between the scratchpad's buffers and the launch's tensors, its *slots*: 0 weights, 1 workspace, then the partition's inputs,
    then its outputs. `slot_bytes` are their sizes. Beside commands there are the constants that make up the weights (`ef` expressions and
    `npu.constant`). `workspace_bytes` and `weight_bytes` are slot_bytes[1] and [0]. `flow` (set by efc-npu-schedule) has for each command, in this order, a
    fingerprint of what it was meant to read when it was emitted; the verifier compares (runtime/npu/Verifier.h, dataFlowOf).
    ```mlir
    npu.program @npu_0 : (tensor<64x32xf16>) -> tensor<64x32xf16> attributes {slot_bytes = array<i64: 0, 0, 4096, 4096>} {
      %0 = npu.alloc 4096
      npu.dma_load %0 {...}
      ...
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<FunctionType>:$type, DenseI64ArrayAttr:$slot_bytes,
                       OptionalAttr<StrAttr>:$machine, OptionalAttr<I64Attr>:$scratchpad_bytes,
                       OptionalAttr<DenseI32ArrayAttr>:$flow);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name `:` $type attr-dict-with-keyword $body";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::Block &getBlock() { return getBody().front(); }
  }];
}

def Npu_ConstantOp : Npu_Op<"constant"> {
  let summary = "a constant's place in the weights, and the order of its elements there";
  let description = [{
    `value` is an expression that is evaluated when the artifact is written. From byte `offset` of slot 0 stand its elements as [n, taps, k]:
    `filter` transposes a filter [n, k, taps...], `matrix_kn` a matrix [k, n], `matrix_nk` has them in order, as has `vector` (float32, [n]).
    ```mlir
    npu.constant %w matrix_kn [320, 1, 640] i8 at 4096 : tensor<640x320x!quant.uniform<...>>
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$value, Npu_ConstantLayoutAttr:$layout, Npu_DTypeAttr:$dtype, I64Attr:$n, I64Attr:$taps,
                       I64Attr:$k, I64Attr:$offset);
  let assemblyFormat = "$value $layout `[` $n `,` $taps `,` $k `]` $dtype `at` $offset attr-dict `:` type($value)";
  let hasVerifier = 1;
}

def Npu_AllocOp : Npu_Op<"alloc"> {
  let summary = "a buffer in the scratchpad, alive from its first to its last use";
  let description = [{`address` is set by efc-npu-schedule. `%0 = npu.alloc 4096 {address = 128 : i64}`}];
  let arguments = (ins I64Attr:$bytes, OptionalAttr<I64Attr>:$address);
  let results = (outs Npu_Buffer:$buffer);
  let assemblyFormat = "$bytes attr-dict";
  let hasVerifier = 1;
}

//===--- Commands --------------------------------------------------------------------------------------------------------------------===//

/// A command: one to one with a body of runtime/npu/Command.h. `queue` and `cycles` are set by efc-npu-schedule, `waits` and `notify` by
/// efc-npu-synchronize.
class Npu_Command<string mnemonic, list<Trait> traits = []>
    : Npu_Op<mnemonic, !listconcat([Npu_CommandInterface], traits)> {
  dag common = (ins Npu_SourceAttr:$source, OptionalAttr<Npu_QueueAttr>:$queue, OptionalAttr<Npu_WaitsAttr>:$waits, UnitAttr:$notify,
                    OptionalAttr<F32Attr>:$cycles);
  let hasVerifier = 1;
}

class Npu_DmaCommand<string mnemonic> : Npu_Command<mnemonic> {
  let arguments = !con((ins Npu_Buffer:$buffer, Npu_TransferAttr:$transfer), common);
  let assemblyFormat = "$buffer $transfer attr-dict";
}

def Npu_DmaLoadOp : Npu_DmaCommand<"dma_load"> {
  let summary = "n-d copy from a slot into a buffer";
  let description = [{
    `npu.dma_load %0 <slot 2 at 4096 to 0 [64, 32] x 2 dram [128, 2] scratch [64, 2]>` copies 64 rows of 32 elements of 2 bytes from byte 4096 of slot 2 to byte 0 of
    the buffer; strides are in bytes. Missing leading extents are 1.
  }];
}

def Npu_DmaStoreOp : Npu_DmaCommand<"dma_store"> {
  let summary = "n-d copy from a buffer into a slot; as npu.dma_load";
}

/// A command on views of buffers.
class Npu_ComputeCommand<string mnemonic, dag own = (ins)> : Npu_Command<mnemonic> {
  let arguments = !con((ins Variadic<Npu_Buffer>:$buffers, Npu_ViewsAttr:$views), own, common);
  let assemblyFormat = "custom<BufferViews>($buffers, $views) attr-dict";
}

def Npu_TensorOp : Npu_ComputeCommand<"tensor", (ins Npu_CodeAttr:$code, OptionalAttr<DenseI64ArrayAttr>:$window, UnitAttr:$gated, UnitAttr:$depthwise)> {
  let summary = "convolution or matrix product with its output stage";
  let description = [{
    Views: input, weights, with `gated` the gate's weights, the code's operands, result. `window` is [strideY, strideX, dilationY, dilationX, padTop,
    padLeft]; absent: a matrix product.
    ```mlir
    npu.tensor (%0 <i16 [1, 64, 1, 320] * 0.5>, %1 <i8 [32, 1, 1, 320]>, %2 <i16 [1, 64, 1, 32] * 0.25>) {code = #npu.code<-> r0>, source = #source}
    ```
  }];
}

def Npu_VectorOp : Npu_ComputeCommand<"vector", (ins Npu_CodeAttr:$code)> {
  let summary = "element-wise program; views: the code's operands, result";
}

def Npu_SoftmaxOp : Npu_ComputeCommand<"softmax", (ins OptionalAttr<I64Attr>:$causal_offset)> {
  let summary = "exponentials and sums of rows; views: input, result, sums";
}

def Npu_NormStatsOp : Npu_ComputeCommand<"norm_stats", (ins UnitAttr:$accumulate)> {
  let summary = "sums and sums of squares of groups; views: input, statistics";
}

def Npu_NormFactorsOp : Npu_ComputeCommand<"norm_factors", (ins I64Attr:$count, F32Attr:$epsilon, F32Attr:$input_scale)> {
  let summary = "statistics to factors; views: statistics, gamma, beta, factors, biases";
}

def Npu_LayerNormOp : Npu_ComputeCommand<"layer_norm", (ins Npu_CodeAttr:$code, F32Attr:$epsilon, UnitAttr:$rms)> {
  let summary = "layer norm of rows with an epilogue; views: input, gamma, beta, the code's operands, result";
}

#endif
