// The passes over the `ef` graph, in the order in which they run.
#ifndef EFC_PASSES_PASSES_TD
#define EFC_PASSES_PASSES_TD

include "mlir/Pass/PassBase.td"

//===--- Phase canonical ------------------------------------------------------------------------------------------------------------===//

def EfcFoldConstants : Pass<"efc-fold-constants", "::mlir::func::FuncOp"> {
  let summary = "Evaluate operations on small constants";
  let description = [{
    An operation whose operands are all `ef.constant` is replaced by its value, computed by reference evaluation, as long as its results and
    operands are small. Weights are never folded: a copy of them would have to live in the IR.

    Before:
    ```mlir
    %a = ef.constant dense<[2, 3]> : tensor<2xi64>
    %b = ef.constant dense<4> : tensor<i64>
    %0 = ef.binary mul %a, %b : (tensor<2xi64>, tensor<i64>) -> tensor<2xi64>
    ```
    After:
    ```mlir
    %0 = ef.constant dense<[8, 12]> : tensor<2xi64>
    ```
  }];
  let options = [Option<"maxBytes", "max-bytes", "int64_t", "65536", "Largest operand or result that is folded, in bytes">];
  let statistics = [Statistic<"numFolded", "folded", "Operations replaced by their value">];
}

def EfcSimplify : Pass<"efc-simplify", "::mlir::func::FuncOp"> {
  let summary = "Make equal things look equal";
  let description = [{
    Chains of reshapes and transposes become the shortest chain of the same effect, slices of concatenations become slices of an operand,
    broadcasts that an element-wise operation does by itself go away, a transpose of the last two dimensions becomes a flag of the matrix product,
    constants move to the right, squares and divisions by powers of two become products (which changes no bit). An index of what a reshape and a
    transpose took apart becomes a range of the source, so that a fused projection of queries, keys and values falls apart into columns. A reshape of a
    weight is the weight with another shape.

    Before:
    ```mlir
    %0 = ef.reshape %x : (tensor<1x64x8xf32>) -> tensor<1x64x2x4xf32>
    %1 = ef.transpose %0 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<1x64x2x4xf32>) -> tensor<1x2x64x4xf32>
    %2 = ef.reshape %1 : (tensor<1x2x64x4xf32>) -> tensor<2x64x4xf32>
    %3 = ef.reshape %2 : (tensor<2x64x4xf32>) -> tensor<1x2x64x4xf32>
    %4 = ef.transpose %3 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<1x2x64x4xf32>) -> tensor<1x64x2x4xf32>
    %5 = ef.reshape %4 : (tensor<1x64x2x4xf32>) -> tensor<64x8xf32>
    ```
    After:
    ```mlir
    %5 = ef.reshape %x : (tensor<1x64x8xf32>) -> tensor<64x8xf32>
    ```
  }];
  let statistics = [Statistic<"numRemoved", "removed", "Operations fewer than before">];
}

def EfcRaiseActivations : Pass<"efc-raise-activations", "::mlir::func::FuncOp"> {
  let summary = "Recognise activation functions in their element-wise parts";
  let description = [{
    SiLU, quick GELU, GELU (by erf or tanh), mish, hard-swish, sigmoid and softplus, in any order and association of their multiplications;
    then the gated linear units: the first half of the last dimension times an activation of the second half is `ef.geglu`.

    Before:
    ```mlir
    %0 = ef.unary sigmoid %x : (tensor<4xf32>) -> tensor<4xf32>
    %1 = ef.binary mul %x, %0 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    ```
    After:
    ```mlir
    %1 = ef.unary silu %x : (tensor<4xf32>) -> tensor<4xf32>
    ```
  }];
  let statistics = [
    Statistic<"numActivations", "activations", "Activation functions recognised">,
    Statistic<"numGeglus", "geglus", "Gated linear units recognised">];
}

def EfcRaiseNorms : Pass<"efc-raise-norms", "::mlir::func::FuncOp"> {
  let summary = "Recognise group, layer and RMS normalisation";
  let description = [{
    Exporters write group normalisation as instance normalisation of the groups between two reshapes, followed by a product and a sum for each
    channel. Layer normalisation arrives as means, differences, squares and roots; without the difference it is RMS normalisation.

    Before:
    ```mlir
    %0 = ef.reshape %x : (tensor<1x32x8x8xf32>) -> tensor<1x4x512xf32>
    %1 = ef.group_norm %0, %ones, %zeros {groups = 4 : i64, epsilon = 1.0e-5 : f64} : (tensor<1x4x512xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<1x4x512xf32>
    %2 = ef.reshape %1 : (tensor<1x4x512xf32>) -> tensor<1x32x8x8xf32>
    %3 = ef.binary mul %2, %scale : (tensor<1x32x8x8xf32>, tensor<32x1x1xf32>) -> tensor<1x32x8x8xf32>
    %4 = ef.binary add %3, %bias : (tensor<1x32x8x8xf32>, tensor<32x1x1xf32>) -> tensor<1x32x8x8xf32>
    ```
    After:
    ```mlir
    %s = ef.reshape %scale : (tensor<32x1x1xf32>) -> tensor<32xf32>
    %b = ef.reshape %bias : (tensor<32x1x1xf32>) -> tensor<32xf32>
    %4 = ef.group_norm %x, %s, %b {groups = 4 : i64, epsilon = 1.0e-5 : f64} : (tensor<1x32x8x8xf32>, tensor<32xf32>, tensor<32xf32>) -> tensor<1x32x8x8xf32>
    ```
  }];
  let statistics = [
    Statistic<"numGroupNorms", "group-norms", "Group normalisations recognised">,
    Statistic<"numLayerNorms", "layer-norms", "Layer and RMS normalisations recognised">];
}

def EfcRaiseTimestepEmbedding : Pass<"efc-raise-timestep-embedding", "::mlir::func::FuncOp"> {
  let summary = "Recognise the sinusoidal embedding of the timestep";
  let description = [{
    The concatenation of sine and cosine (in either order) of a column of timesteps times a row of constant frequencies.

    Before:
    ```mlir
    %0 = ef.reshape %t : (tensor<1xf32>) -> tensor<1x1xf32>
    %1 = ef.binary mul %0, %f : (tensor<1x1xf32>, tensor<1x16xf32>) -> tensor<1x16xf32>
    %2 = ef.unary sin %1 : (tensor<1x16xf32>) -> tensor<1x16xf32>
    %3 = ef.unary cos %1 : (tensor<1x16xf32>) -> tensor<1x16xf32>
    %4 = ef.concat %3, %2 {axis = 1 : i64} : (tensor<1x16xf32>, tensor<1x16xf32>) -> tensor<1x32xf32>
    ```
    After:
    ```mlir
    %0 = ef.reshape %t : (tensor<1xf32>) -> tensor<1xf32>
    %1 = ef.reshape %f : (tensor<1x16xf32>) -> tensor<16xf32>
    %4 = ef.timestep_embedding %0, %1 {flip, scale = 1.0 : f64} : (tensor<1xf32>, tensor<16xf32>) -> tensor<1x32xf32>
    ```
  }];
  let statistics = [Statistic<"numEmbeddings", "embeddings", "Timestep embeddings recognised">];
}

def EfcRaiseAttention : Pass<"efc-raise-attention", "::mlir::func::FuncOp"> {
  let summary = "Recognise attention around a softmax";
  let description = [{
    Two matrix products around a softmax, with scales anywhere before it, added or boolean masks, casts, and a guard against NaN after it, become one
    `ef.attention` on tokens whose columns are the heads side by side. How exporters split and merge heads does not matter: any reshapes and
    transposes around the products, also with batch and heads merged into one dimension or with channels before tokens, are seen as one
    permutation and rebuilt; what the attention does not need is simplified away. A softmax between two products that does not match gets a remark with the reason.

    Before:
    ```mlir
    %q = ef.reshape %0 : (tensor<1x64x32xf32>) -> tensor<1x64x4x8xf32>
    %qt = ef.transpose %q {permutation = array<i64: 0, 2, 1, 3>} : (tensor<1x64x4x8xf32>) -> tensor<1x4x64x8xf32>
    ...
    %s = ef.matmul %qt, %kt {transpose_b} : (tensor<1x4x64x8xf32>, tensor<1x4x77x8xf32>) -> tensor<1x4x64x77xf32>
    %t = ef.binary mul %s, %scale : (tensor<1x4x64x77xf32>, tensor<f32>) -> tensor<1x4x64x77xf32>
    %p = ef.softmax %t {axis = 3 : i64} : (tensor<1x4x64x77xf32>) -> tensor<1x4x64x77xf32>
    %o = ef.matmul %p, %vt : (tensor<1x4x64x77xf32>, tensor<1x4x77x8xf32>) -> tensor<1x4x64x8xf32>
    %ot = ef.transpose %o {permutation = array<i64: 0, 2, 1, 3>} : (tensor<1x4x64x8xf32>) -> tensor<1x64x4x8xf32>
    %y = ef.reshape %ot : (tensor<1x64x4x8xf32>) -> tensor<1x64x32xf32>
    ```
    After (and `efc-simplify`):
    ```mlir
    %y = ef.attention %0, %1, %2 {heads = 4 : i64, kv_heads = 4 : i64, scale = 0.35355339059327379 : f64}
        : (tensor<1x64x32xf32>, tensor<1x77x32xf32>, tensor<1x77x32xf32>) -> tensor<1x64x32xf32>
    ```
  }];
  let statistics = [
    Statistic<"numAttentions", "attentions", "Attentions recognised">,
    Statistic<"numNearMisses", "near-misses", "Softmaxes between two products that did not match">];
}

//===--- Phase fused ----------------------------------------------------------------------------------------------------------------===//

def EfcPropagateLayout : Pass<"efc-propagate-layout", "::mlir::func::FuncOp"> {
  let summary = "Compute on channels-last activations";
  let description = [{
    Convolutions, transposed convolutions and poolings become channels-last between two `ef.transpose`; group norms follow their input. The
    transposes then move down through whatever does not care where the channels are (element-wise operations, concat, pad, slice, resize,
    reduce, softmax, reshapes of the spatial dimensions only) and cancel. A transpose of which only dimensions of one move is a reshape;
    a bias of shape [C, 1, 1] becomes [C]. What remains stands at the borders: the function's arguments and results, and operations that have an
    order of dimensions of their own. Filters keep ONNX's order.

    A transpose is not moved through an operation if that would need more new transposes than it saves.

    Before:
    ```mlir
    %0 = ef.conv %x, %w {...} : (tensor<1x3x8x8xf32>, tensor<4x3x1x1xf32>) -> tensor<1x4x8x8xf32>
    %1 = ef.unary silu %0 : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    ```
    After:
    ```mlir
    %0 = ef.transpose %x {permutation = array<i64: 0, 2, 3, 1>} : (tensor<1x3x8x8xf32>) -> tensor<1x8x8x3xf32>
    %1 = ef.conv %0, %w {layout = #ef<layout channels_last>, ...} : (tensor<1x8x8x3xf32>, tensor<4x3x1x1xf32>) -> tensor<1x8x8x4xf32>
    %2 = ef.unary silu %1 : (tensor<1x8x8x4xf32>) -> tensor<1x8x8x4xf32>
    %3 = ef.transpose %2 {permutation = array<i64: 0, 3, 1, 2>} : (tensor<1x8x8x4xf32>) -> tensor<1x4x8x8xf32>
    ```
  }];
  let statistics = [Statistic<"numConverted", "converted", "Operations converted to channels-last">,
                    Statistic<"numMoved", "moved", "Operations that transposes moved through">,
                    Statistic<"numTransposes", "transposes", "Transposes that remain">];
}

def EfcFuseKernels : Pass<"efc-fuse-kernels", "::mlir::func::FuncOp"> {
  let summary = "Group operations into the kernels that execute them";
  let description = [{
    An anchor (conv, conv_transpose, matmul, attention, group_norm, layer_norm, softmax, reduce, pool) takes in what follows it: element-wise
    operations (bias, activation, residual, scale, cast), reshapes that keep the last dimension, and geglu after a matmul. It goes on as
    long as all uses of a value meet inside the group, so a value that something else reads ends the group. Operands of the epilogue that only
    the group uses and that cost nothing to compute in place (reshapes, element-wise operations of the same size) are taken in too, and
    constants of one value become part of the kernel. The group stands where its last operation stood, hence after everything that a
    residual is computed from.

    Element-wise operations that are left form kernels of their own.

    Before:
    ```mlir
    %0 = ef.matmul %x, %w : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    %1 = ef.binary add %0, %bias : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
    %2 = ef.unary silu %1 : (tensor<4x8xf32>) -> tensor<4x8xf32>
    ```
    After:
    ```mlir
    %0 = ef.fused (%a = %x, %b = %w, %c = %bias) : (tensor<4x8xf32>, tensor<8x8xf32>, tensor<8xf32>) -> tensor<4x8xf32> {
      %1 = ef.matmul %a, %b : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
      %2 = ef.binary add %1, %c : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
      %3 = ef.unary silu %2 : (tensor<4x8xf32>) -> tensor<4x8xf32>
      ef.yield %3 : tensor<4x8xf32>
    }
    ```
  }];
  let options = [Option<"epilogues", "epilogues", "bool", "true", "Fuse what follows an anchor into it">,
                 Option<"elementwise", "elementwise", "bool", "true", "Group element-wise operations without an anchor">,
                 Option<"report", "report", "bool", "false", "Emit a remark at the function with counts of what was fused">];
  let statistics = [Statistic<"numAnchored", "anchored", "Kernels with an anchor">,
                    Statistic<"numElementwise", "elementwise", "Element-wise kernels">,
                    Statistic<"numFused", "fused", "Operations that are in kernels">];
}

//===--- Phase quantized ------------------------------------------------------------------------------------------------------------===//

def EfcQuantize : Pass<"efc-quantize", "::mlir::ModuleOp"> {
  let summary = "W8A16: int8 weights, int16 activations with static scales";
  let description = [{
    Every kernel between the model's inputs and its outputs computes on int16 tensors as docs/numerics.md defines: its anchor reads them, its
    epilogue is f32 with a `quant.dcast` of each further operand, and one `quant.qcast` stores the result. Scales of activations come from the
    calibration table, those of weights (one an output channel) from the weights, which become `quant.qcast` of an `ef.weight`: a constant
    expression that is evaluated when the artifact is written. A tensor that a convolution reads which may be
    computed by Winograd keeps a guard bit.

    Where a group norm reads a concatenation whose parts are of very different size, each part is normalised before they are joined.

    Operations that only move elements carry the type on. What has no quantised form stays in float, with a cast at its borders and a remark with the
    reason: matrix products of two activations outside of attention, attention with a mask, operations on integers and on
    single numbers (time step, noise level), and nodes that match `keep-float`.

    Before:
    ```mlir
    %y = ef.fused (%a = %x, %b = %w, %c = %r) : (tensor<4x8xf32>, tensor<8x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32> {
      %0 = ef.matmul %a, %b : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
      %1 = ef.binary add %0, %c : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
      ef.yield %1 : tensor<4x8xf32>
    }
    ```
    After (with shorter types):
    ```mlir
    %q = quant.qcast %w : tensor<8x8xf32> to tensor<8x8x!weight>
    %y = ef.fused (%a = %x, %b = %q, %c = %r) : (tensor<4x8x!x>, tensor<8x8x!weight>, tensor<4x8x!r>) -> tensor<4x8x!y> {
      %0 = ef.matmul %a, %b : (tensor<4x8x!x>, tensor<8x8x!weight>) -> tensor<4x8xf32>
      %1 = quant.dcast %c : tensor<4x8x!r> to tensor<4x8xf32>
      %2 = ef.binary add %0, %1 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
      %3 = quant.qcast %2 : tensor<4x8xf32> to tensor<4x8x!y>
      ef.yield %3 : tensor<4x8x!y>
    }
    ```
  }];
  let options = [Option<"calibration", "calibration", "std::string", "", "The calibration table (a file of `edgefusion calibrate`)">,
                 Option<"keepFloat", "keep-float", "std::string", "", "Regular expression: ONNX nodes that match stay in float">,
                 Option<"weightsOnly", "weights-only", "bool", "false",
                        "Quantise and dequantise the weights and leave the activations in float, to tell the two errors apart">,
                 Option<"listTensors", "list-tensors", "std::string", "",
                        "Change nothing; write to this file (JSON) which ranges the table needs">];
  let statistics = [Statistic<"numQuantized", "quantized", "Kernels that compute on int16">,
                    Statistic<"numFloat", "float", "Kernels that stay in float">,
                    Statistic<"numWeights", "weights", "Weights that became int8">,
                    Statistic<"numBorderCasts", "border-casts", "Kernels that only cast, where float and int16 meet">,
                    Statistic<"numPartNorms", "part-norms", "Group norms that each part of a concatenation has of its own">];
}

#endif
