// The operations of the `ef` dialect. Each has shape inference (InferTypeOpAdaptor where the result follows from the operands), a verifier
// that speaks of the user's model, and a reference evaluation. One .cpp file a family implements them: Elementwise.cpp, Matmul.cpp, ...
#ifndef EF_OPS_TD
#define EF_OPS_TD

include "dialects/ef/EfDialect.td"
include "dialects/ef/EfEnums.td"
include "dialects/ef/EfInterfaces.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Ef_Tensor : StaticShapeTensorOf<[AnyType]>;
def Ef_FloatTensor : StaticShapeTensorOf<[AnyFloat]>;
def Ef_Quantized : Type<CPred<"::efc::ef::isQuantized($_self)">, "quantised element">;
/// Real numbers, as floats or quantised.
def Ef_RealTensor : StaticShapeTensorOf<[AnyFloat, Ef_Quantized]>;
def Ef_IndexTensor : StaticShapeTensorOf<[I32, I64]>;
def Ef_BoolTensor : StaticShapeTensorOf<[I1]>;

/// An operation without side effects that can be evaluated.
class Ef_PureOp<string mnemonic, list<Trait> traits = []>
    : Ef_Op<mnemonic, !listconcat([Pure, DeclareOpInterfaceMethods<Ef_EvaluableInterface>], traits)>;

/// ... whose result type follows from operands and attributes.
class Ef_InferredOp<string mnemonic, list<Trait> traits = []>
    : Ef_PureOp<mnemonic, !listconcat([InferTypeOpAdaptor], traits)>;

//===--- Leaves ---------------------------------------------------------------------------------------------------------------------===//

def Ef_ConstantOp : Ef_PureOp<"constant", [ConstantLike, AllTypesMatch<["value", "result"]>]> {
  let summary = "a small constant, kept in the IR";
  let arguments = (ins ElementsAttr:$value);
  let results = (outs Ef_Tensor:$result);
  let assemblyFormat = "attr-dict $value";
  let hasFolder = 1;
}

def Ef_WeightOp : Ef_Op<"weight", [Pure]> {
  let summary = "a weight: a range of bytes of one of the model's files";
  let description = [{
    `file` is relative to the folder of the model (module attribute `ef.model_dir`); the elements stand little-endian and row-major from byte
    `offset`. `WeightStore` maps the files and hands out the bytes; nothing copies them into the IR.
    ```mlir
    %w = ef.weight "conv_in.weight" from "unet.onnx_data" at 4096 : tensor<320x4x3x3xf32>
    ```
  }];
  let arguments = (ins StrAttr:$name, StrAttr:$file, I64Attr:$offset);
  let results = (outs Ef_Tensor:$result);
  let assemblyFormat = "$name `from` $file `at` $offset attr-dict `:` type($result)";
  let hasVerifier = 1;
}

//===--- Element-wise -----------------------------------------------------------------------------------------------------------------===//

def Ef_UnaryOp : Ef_PureOp<"unary", []> {
  let summary = "element-wise function of one operand";
  let description = [{`is_nan` and `is_inf` give `i1`; all others the operand's type. `ef.unary silu %x : tensor<4xf32> -> tensor<4xf32>`}];
  let arguments = (ins Ef_UnaryKindAttr:$kind, Ef_Tensor:$input);
  let results = (outs Ef_Tensor:$result);
  let assemblyFormat = "$kind $input attr-dict `:` functional-type(operands, results)";
  let builders = [OpBuilder<(ins "UnaryKind":$kind, "::mlir::Value":$input)>];
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Ef_BinaryOp : Ef_PureOp<"binary", []> {
  let summary = "element-wise function of two operands, with ONNX's (numpy's) broadcasting";
  let description = [{
    Comparisons give `i1`, all others the operands' element type. Integer `div` truncates towards zero, `mod` takes the divisor's sign,
    `fmod` the dividend's. For `pow` the exponent may have another type; the result has the base's. `min`, `max` propagate NaN.
  }];
  let arguments = (ins Ef_BinaryKindAttr:$kind, Ef_Tensor:$lhs, Ef_Tensor:$rhs);
  let results = (outs Ef_Tensor:$result);
  let assemblyFormat = "$kind $lhs `,` $rhs attr-dict `:` functional-type(operands, results)";
  let builders = [OpBuilder<(ins "BinaryKind":$kind, "::mlir::Value":$lhs, "::mlir::Value":$rhs)>];
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Ef_SelectOp : Ef_InferredOp<"select", []> {
  let summary = "ONNX's Where, with broadcasting of all three operands";
  let arguments = (ins Ef_BoolTensor:$condition, Ef_Tensor:$on_true, Ef_Tensor:$on_false);
  let results = (outs Ef_Tensor:$result);
  let assemblyFormat = "$condition `,` $on_true `,` $on_false attr-dict `:` functional-type(operands, results)";
}

def Ef_CastOp : Ef_PureOp<"cast", [SameOperandsAndResultShape]> {
  let summary = "ONNX's Cast: floats round to nearest even, floats to integers truncate, anything to i1 tests for non-zero";
  let arguments = (ins Ef_Tensor:$input);
  let results = (outs Ef_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

def Ef_QuantizeOp : Ef_PureOp<"quantize", []> {
  let summary = "ONNX's QuantizeLinear: saturate(round_half_even(x / scale) + zero_point)";
  let description = [{`scale` is a scalar (per tensor), has one element per index of `axis` (per channel), or the blocked shape.}];
  let arguments = (ins Ef_FloatTensor:$input, Ef_FloatTensor:$scale, Optional<Ef_Tensor>:$zero_point, I64Attr:$axis, I64Attr:$block_size);
  let results = (outs Ef_Tensor:$result);
  let assemblyFormat = "$input `,` $scale (`,` $zero_point^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Ef_DequantizeOp : Ef_PureOp<"dequantize", []> {
  let summary = "ONNX's DequantizeLinear: (q - zero_point) * scale";
  let arguments = (ins Ef_Tensor:$input, Ef_FloatTensor:$scale, Optional<Ef_Tensor>:$zero_point, I64Attr:$axis, I64Attr:$block_size);
  let results = (outs Ef_FloatTensor:$result);
  let assemblyFormat = "$input `,` $scale (`,` $zero_point^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

//===--- Matrix products and convolutions ---------------------------------------------------------------------------------------------===//

def Ef_MatmulOp : Ef_InferredOp<"matmul", []> {
  let summary = "numpy's matmul on operands of rank 2 or more, batch dimensions broadcast";
  let description = [{
    `transpose_a`, `transpose_b` swap the last two dimensions of an operand first. Integer operands accumulate in the result's type, i32.
    A quantised activation `a` times quantised weights `b` (rank 2, one scale an output channel) gives f32.
  }];
  let arguments = (ins Ef_Tensor:$a, Ef_Tensor:$b, UnitAttr:$transpose_a, UnitAttr:$transpose_b);
  let results = (outs Ef_Tensor:$result);
  let assemblyFormat = "$a `,` $b attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Ef_ConvOp : Ef_InferredOp<"conv", []> {
  let summary = "convolution in one, two or three spatial dimensions";
  let description = [{
    `layout` speaks of input and result ([N,C,spatial] or [N,spatial,C]); the filter is always [M, C/groups, kernel...] as in ONNX. `pads` has
    all begins, then all ends, as in ONNX (auto_pad is resolved by the importer). A quantised input and filter (one scale an output channel)
    give f32.
  }];
  let arguments = (ins Ef_Tensor:$input, Ef_Tensor:$filter, DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$pads,
                       DenseI64ArrayAttr:$dilations, DefaultValuedAttr<I64Attr, "1">:$groups,
                       DefaultValuedAttr<Ef_LayoutAttr, "Layout::ChannelsFirst">:$layout);
  let results = (outs Ef_Tensor:$result);
  let assemblyFormat = "$input `,` $filter attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Ef_ConvTransposeOp : Ef_InferredOp<"conv_transpose", []> {
  let summary = "transposed convolution; the filter is [C, M/groups, kernel...] as in ONNX";
  let arguments = (ins Ef_FloatTensor:$input, Ef_FloatTensor:$filter, DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$pads,
                       DenseI64ArrayAttr:$dilations, DenseI64ArrayAttr:$output_padding, DefaultValuedAttr<I64Attr, "1">:$groups,
                       DefaultValuedAttr<Ef_LayoutAttr, "Layout::ChannelsFirst">:$layout);
  let results = (outs Ef_FloatTensor:$result);
  let assemblyFormat = "$input `,` $filter attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Ef_AttentionOp : Ef_InferredOp<"attention", []> {
  let summary = "softmax(scale * Q K^T + mask) V for every head";
  let description = [{
    Tokens are rows and heads are contiguous slices of the columns: query [B, Tq, heads*d], key [B, Tk, kv_heads*d], value [B, Tk, kv_heads*dv],
    result [B, Tq, heads*dv]; head h uses key/value head h / (heads / kv_heads). `mask` is added to the scaled scores and broadcasts to
    [B, heads, Tq, Tk]; a boolean mask keeps where true. `causal` keeps keys j <= i + (Tk - Tq). A row that keeps no key is zero.

    With quantised query, key and value (no mask) the result is f32 and `score_scale` is the scale of the int16 scores (docs/numerics.md).
  }];
  let arguments = (ins Ef_RealTensor:$query, Ef_RealTensor:$key, Ef_RealTensor:$value, Optional<Ef_Tensor>:$mask,
                       I64Attr:$heads, I64Attr:$kv_heads, F64Attr:$scale, UnitAttr:$causal, OptionalAttr<F64Attr>:$score_scale);
  let results = (outs Ef_FloatTensor:$result);
  let assemblyFormat = "$query `,` $key `,` $value (`mask` $mask^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

//===--- Normalisation and reductions -------------------------------------------------------------------------------------------------===//

def Ef_GroupNormOp : Ef_InferredOp<"group_norm", []> {
  let summary = "(x - mean) / sqrt(var + epsilon) * scale + bias, mean and (biased) variance over each of `groups` groups of channels";
  let description = [{`scale` and `bias` have one element per channel. groups = channels is instance normalisation. A quantised input gives f32.}];
  let arguments = (ins Ef_RealTensor:$input, Ef_FloatTensor:$scale, Ef_FloatTensor:$bias, I64Attr:$groups, F64Attr:$epsilon,
                       DefaultValuedAttr<Ef_LayoutAttr, "Layout::ChannelsFirst">:$layout);
  let results = (outs Ef_FloatTensor:$result);
  let assemblyFormat = "$input `,` $scale `,` $bias attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Ef_LayerNormOp : Ef_InferredOp<"layer_norm", [AttrSizedOperandSegments]> {
  let summary = "normalisation over the trailing dimensions from `axis` on";
  let description = [{`rms`: without subtracting the mean. `scale` and `bias` broadcast to the input. A quantised input gives f32.}];
  let arguments = (ins Ef_RealTensor:$input, Optional<Ef_FloatTensor>:$scale, Optional<Ef_FloatTensor>:$bias, I64Attr:$axis, F64Attr:$epsilon, UnitAttr:$rms);
  let results = (outs Ef_FloatTensor:$result);
  let assemblyFormat = "$input (`scale` $scale^)? (`bias` $bias^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Ef_SoftmaxOp : Ef_PureOp<"softmax", [AllTypesMatch<["input", "result"]>]> {
  let summary = "softmax over one axis; `log` gives its logarithm";
  let arguments = (ins Ef_FloatTensor:$input, I64Attr:$axis, UnitAttr:$log);
  let results = (outs Ef_FloatTensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Ef_ReduceOp : Ef_InferredOp<"reduce", []> {
  let summary = "reduction over `axes`; they stay as dimensions of one with `keep_dims`";
  let arguments = (ins Ef_ReduceKindAttr:$kind, Ef_Tensor:$input, DenseI64ArrayAttr:$axes, UnitAttr:$keep_dims);
  let results = (outs Ef_Tensor:$result);
  let assemblyFormat = "$kind $input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Ef_ArgReduceOp : Ef_InferredOp<"arg_reduce", []> {
  let summary = "i64 index of the largest (or smallest) element along one axis";
  let arguments = (ins Ef_Tensor:$input, I64Attr:$axis, UnitAttr:$keep_dims, UnitAttr:$minimum, UnitAttr:$select_last);
  let results = (outs Ef_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Ef_CumSumOp : Ef_PureOp<"cumsum", [AllTypesMatch<["input", "result"]>]> {
  let summary = "cumulative sum along one axis";
  let arguments = (ins Ef_Tensor:$input, I64Attr:$axis, UnitAttr:$exclusive, UnitAttr:$reverse);
  let results = (outs Ef_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Ef_TopKOp : Ef_InferredOp<"top_k", []> {
  let summary = "the k largest (or `smallest`) elements along one axis, sorted, and their i64 indices";
  let arguments = (ins Ef_Tensor:$input, I64Attr:$k, I64Attr:$axis, UnitAttr:$smallest);
  let results = (outs Ef_Tensor:$values, Ef_Tensor:$indices);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Ef_PoolOp : Ef_InferredOp<"pool", []> {
  let summary = "max or average pooling; the result's extent is floor((in + pads - dilated kernel) / stride) + 1";
  let description = [{
    `pads` as in conv; the importer adds what ceil_mode needs to the end pads and gives the original ones in `counted_pads`, which only
    `count_include_pad` averages look at. An average divides by the number of elements inside the input (or inside input plus
    `counted_pads` with `count_include_pad`). The average of quantised values is f32.
  }];
  let arguments = (ins Ef_PoolKindAttr:$kind, Ef_Tensor:$input, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$pads,
                       DenseI64ArrayAttr:$counted_pads, DenseI64ArrayAttr:$dilations, UnitAttr:$count_include_pad,
                       DefaultValuedAttr<Ef_LayoutAttr, "Layout::ChannelsFirst">:$layout);
  let results = (outs Ef_Tensor:$result);
  let assemblyFormat = "$kind $input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

//===--- Diffusion's own ----------------------------------------------------------------------------------------------------------------===//

def Ef_GegluOp : Ef_InferredOp<"geglu", []> {
  let summary = "the first half of the last dimension times an activation of the second half";
  let arguments = (ins Ef_FloatTensor:$input, DefaultValuedAttr<Ef_UnaryKindAttr, "UnaryKind::Gelu">:$activation);
  let results = (outs Ef_FloatTensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Ef_TimestepEmbeddingOp : Ef_PureOp<"timestep_embedding", []> {
  let summary = "sinusoidal embedding of [N] timesteps into [N, dim], as the table of frequencies f: [sin(s t f), cos(s t f)]";
  let description = [{`frequencies` has dim / 2 elements; `flip` puts the cosines first; `scale` is s.}];
  let arguments = (ins Ef_Tensor:$timesteps, Ef_FloatTensor:$frequencies, F64Attr:$scale, UnitAttr:$flip);
  let results = (outs Ef_FloatTensor:$result);
  let assemblyFormat = "$timesteps `,` $frequencies attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

//===--- Moving data ------------------------------------------------------------------------------------------------------------------===//

def Ef_ReshapeOp : Ef_PureOp<"reshape", []> {
  let summary = "the same elements in the same row-major order, another shape";
  let arguments = (ins Ef_Tensor:$input);
  let results = (outs Ef_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Ef_TransposeOp : Ef_InferredOp<"transpose", []> {
  let summary = "result dimension i is input dimension permutation[i]";
  let arguments = (ins Ef_Tensor:$input, DenseI64ArrayAttr:$permutation);
  let results = (outs Ef_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Ef_BroadcastOp : Ef_PureOp<"broadcast", []> {
  let summary = "ONNX's Expand: dimensions of one repeat, missing leading ones appear";
  let arguments = (ins Ef_Tensor:$input);
  let results = (outs Ef_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Ef_SliceOp : Ef_PureOp<"slice", []> {
  let summary = "result[i] = input[starts + i * steps]; steps may be negative; the result's shape gives the sizes";
  let arguments = (ins Ef_Tensor:$input, DenseI64ArrayAttr:$starts, DenseI64ArrayAttr:$steps);
  let results = (outs Ef_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Ef_ConcatOp : Ef_InferredOp<"concat", []> {
  let summary = "concatenation along one axis";
  let arguments = (ins Variadic<Ef_Tensor>:$inputs, I64Attr:$axis);
  let results = (outs Ef_Tensor:$result);
  let assemblyFormat = "$inputs attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Ef_PadOp : Ef_InferredOp<"pad", []> {
  let summary = "padding (negative amounts crop); `value` is the scalar of constant mode";
  let arguments = (ins Ef_Tensor:$input, Optional<Ef_Tensor>:$value, DenseI64ArrayAttr:$pads, Ef_PadModeAttr:$mode);
  let results = (outs Ef_Tensor:$result);
  let assemblyFormat = "$mode $input (`value` $value^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Ef_GatherOp : Ef_InferredOp<"gather", []> {
  let summary = "ONNX's Gather: slices of `input` along `axis`; negative indices count from the end";
  let arguments = (ins Ef_Tensor:$input, Ef_IndexTensor:$indices, I64Attr:$axis);
  let results = (outs Ef_Tensor:$result);
  let assemblyFormat = "$input `,` $indices attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Ef_GatherElementsOp : Ef_InferredOp<"gather_elements", []> {
  let summary = "ONNX's GatherElements";
  let arguments = (ins Ef_Tensor:$input, Ef_IndexTensor:$indices, I64Attr:$axis);
  let results = (outs Ef_Tensor:$result);
  let assemblyFormat = "$input `,` $indices attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Ef_GatherNDOp : Ef_InferredOp<"gather_nd", []> {
  let summary = "ONNX's GatherND";
  let arguments = (ins Ef_Tensor:$input, Ef_IndexTensor:$indices, I64Attr:$batch_dims);
  let results = (outs Ef_Tensor:$result);
  let assemblyFormat = "$input `,` $indices attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Ef_ScatterElementsOp : Ef_PureOp<"scatter_elements", [AllTypesMatch<["input", "result"]>]> {
  let summary = "ONNX's ScatterElements";
  let arguments = (ins Ef_Tensor:$input, Ef_IndexTensor:$indices, Ef_Tensor:$updates, I64Attr:$axis, Ef_ScatterKindAttr:$kind);
  let results = (outs Ef_Tensor:$result);
  let assemblyFormat = "$kind $input `,` $indices `,` $updates attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Ef_ScatterNDOp : Ef_PureOp<"scatter_nd", [AllTypesMatch<["input", "result"]>]> {
  let summary = "ONNX's ScatterND";
  let arguments = (ins Ef_Tensor:$input, Ef_IndexTensor:$indices, Ef_Tensor:$updates, Ef_ScatterKindAttr:$kind);
  let results = (outs Ef_Tensor:$result);
  let assemblyFormat = "$kind $input `,` $indices `,` $updates attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Ef_ResizeOp : Ef_PureOp<"resize", []> {
  let summary = "ONNX's Resize; any dimension may change";
  let description = [{
    `scales` has one factor per dimension (result extent / input extent unless the model gave its own), `roi` (2 x rank) only for
    tf_crop_and_resize. Layout-free: the dimensions with scale 1 and equal extent are the untouched ones.
  }];
  let arguments = (ins Ef_Tensor:$input, Ef_ResizeModeAttr:$mode, Ef_ResizeCoordinatesAttr:$coordinates, Ef_ResizeNearestAttr:$rounding,
                       DenseF64ArrayAttr:$scales, DenseF64ArrayAttr:$roi, F64Attr:$cubic_coeff_a, UnitAttr:$exclude_outside,
                       F64Attr:$extrapolation_value, UnitAttr:$antialias);
  let results = (outs Ef_Tensor:$result);
  let assemblyFormat = "$mode $input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

//===--- Fusion -----------------------------------------------------------------------------------------------------------------------===//

def Ef_FusedOp : Ef_PureOp<"fused", [IsolatedFromAbove, SingleBlock]> {
  let summary = "one kernel: an anchor with its prologue and epilogue";
  let description = [{
    The region is an ordinary graph of `ef` operations on whole tensors whose block arguments are the operands. It holds at most one *anchor*
    (conv, conv_transpose, matmul, attention, group_norm, layer_norm, softmax, reduce, pool); the operations after it (element-wise, geglu, cast, and
    reshapes that only split or merge dimensions) are its epilogue. Without an anchor it is an element-wise kernel. The name of the op's
    location is that of the yielded value.

    On quantised tensors `quant.dcast` brings an operand in and `quant.qcast` stores the result; between them everything is f32, with the
    functions and the roundings of docs/numerics.md.
    ```mlir
    %y = ef.fused (%x0 = %x, %w0 = %w, %b0 = %b) : (tensor<1x8x8x4xf32>, tensor<8x4x1x1xf32>, tensor<8xf32>) -> tensor<1x8x8x8xf32> {
      %0 = ef.conv %x0, %w0 {...} : ...
      %1 = ef.binary add %0, %b0 : ...
      %2 = ef.unary silu %1 : ...
      ef.yield %2 : tensor<1x8x8x8xf32>
    }
    ```
  }];
  let arguments = (ins Variadic<Ef_Tensor>:$inputs);
  let results = (outs Variadic<Ef_Tensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The anchor, or null for an element-wise kernel.
    ::mlir::Operation *getAnchor();
    /// Whether `op` is of a kind that can be an anchor.
    static bool isAnchor(::mlir::Operation *op);
    /// Whether it reads or gives a quantised tensor; then its f32 values follow docs/numerics.md to the bit.
    bool isQuantizedKernel();
    ::mlir::Block &getBlock() { return getBody().front(); }
  }];
}

def Ef_YieldOp : Ef_Op<"yield", [Pure, Terminator, ParentOneOf<["FusedOp"]>]> {
  let summary = "the values of an ef.fused";
  let arguments = (ins Variadic<Ef_Tensor>:$values);
  let assemblyFormat = "$values attr-dict `:` type($values)";
}

#endif
