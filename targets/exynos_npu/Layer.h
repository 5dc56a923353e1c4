// A partition as the tiler and the emitter see it: a list of layers on tensors
// of `positions x channels`, in execution order. Built from the partition's
// function by buildLayers(), the only place that knows ef operations; the
// tiling problem (Tiling.h) and the emitter (Emit.h) work on this.
//
// Positions are all dimensions but the last, flattened (an image [1, H, W, C]
// has H * W, tokens [1, T, C] have T), so an image and its tokens are the same
// tensor. A tile is a range of positions.
#ifndef EFC_TARGETS_EXYNOSNPU_LAYER_H
#define EFC_TARGETS_EXYNOSNPU_LAYER_H

#include "npu/Command.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SmallVector.h"

#include <string>
#include <vector>

namespace efc::npu {

enum class LayerKind {
  Conv,        ///< Windows over an image; also 1x1 with a stride, depthwise.
  Matmul,      ///< Positions x K times weights [N, K]; 1x1 convolutions too.
  Scores,      ///< Q K^T of every head: positions are heads x query tokens.
  Softmax,     ///< e and sums of the scores' rows.
  Context,     ///< e V of every head, divided by the sums.
  Attention,   ///< The three in one: scores never leave the scratchpad.
  GroupStats,  ///< Statistics and factors of a group norm: needs all positions.
  LayerNorm,   ///< Rows on their own.
  Elementwise, ///< Vector programs, group norm's application, casts, geglu
               ///< without a matmul (its two halves are two operands).
  Concat,      ///< Of channels; each part is dcast and qcast to the result.
  Resize,      ///< Nearest, whole factors: positions repeat.
  Transpose,   ///< Moves elements only (DMA).
};

enum class MltMode { Off, Attention, Full };

/// A tensor between layers, or at the partition's border.
struct Tensor {
  std::string name; ///< ONNX tensor, or the layer's with a suffix.
  int64_t positions = 0, channels = 0;
  /// Extents of the positions as an image; 0 if it never is one.
  int64_t height = 0, width = 0;
  efrt::DType dtype = efrt::DType::I16;
  float scale = 1;
  int32_t limit = 32767;
  int producer = -1;          ///< Layer, or -1: an input of the partition.
  std::vector<int> consumers; ///< Layers, ascending.
  /// Index at the partition's border, or -1. An input that is read as other
  /// positions x channels stands for as many tensors.
  int input = -1, output = -1;
  mlir::Value value; ///< Null for what only layers know (scores).
  int64_t bytes() const;
};

/// How a tile of the result uses an operand.
enum class OperandUse {
  Rows,    ///< The same positions (Conv: the window's rows with their halo).
  Whole,   ///< All positions for every tile (keys, values).
  Channel, ///< One value a channel, the same for all positions: bias, gamma; of
           ///< a tensor or constant with one element, that one.
  Factors, ///< As Channel, but computed by a GroupStats layer.
};

/// A constant that goes into the weights section, as an expression that is
/// evaluated when the artifact is written.
struct Constant {
  mlir::Value value;
  /// [n, taps.., k] for weights (transposed from ONNX's order by the writer),
  /// [channels] F32 for vectors.
  enum class Layout { FilterNKC, MatrixKN, MatrixNK, Vector } layout;
  efrt::DType dtype;
  int64_t n = 0, taps = 1, k = 0;
  /// What the compiler computes (scales of the accumulators, the ones of an
  /// average) carries its values instead of an expression.
  std::vector<float> values;
  int64_t bytes() const;
};

/// In the epilogue of Attention and Context the sums of e that the result is
/// divided by are an operand, too; inside Attention it has neither tensor nor
/// constant.
struct Operand {
  OperandUse use = OperandUse::Rows;
  int tensor = -1;   ///< Index into LayerGraph::tensors, or
  int constant = -1; ///< into LayerGraph::constants.
  /// Load gives q itself and not scale * q (group norm's application).
  bool raw = false;
  /// First channel of the tensor that is read (a half of a geglu, a slice).
  int64_t firstChannel = 0;
};

/// The epilogue on float32 values: `code` as in VectorProgram, where Load's `a`
/// is an index into `operands` and register 0 is the anchor's value. With
/// `gated` (geglu) the anchor has 2 * channels outputs; register 1 holds the
/// gate's value, output channel + channels.
struct Epilogue {
  std::vector<Operand> operands;
  std::vector<efrt::npu::Instruction> code;
  uint8_t value = 0;
  bool gated = false;
};

struct Layer {
  LayerKind kind;
  mlir::Operation *op = nullptr;
  std::string node, label; ///< ONNX node; "conv3x3+silu".
  /// Conv, Matmul: activation. Attention: Q, K, V. Scores: Q, K. Context: e, V.
  /// Concat: parts. Norms, Resize, Transpose: input. Elementwise: none, all are
  /// the epilogue's.
  std::vector<Operand> inputs;
  int weights = -1; ///< Constant, or -1.
  Epilogue epilogue;
  std::vector<int> results; ///< Tensors; Softmax has e and sums.
  // Conv
  int64_t kernelY = 1, kernelX = 1, strideY = 1, strideX = 1, padTop = 0,
          padLeft = 0, dilationY = 1, dilationX = 1;
  bool depthwise = false;
  // Attention, Scores, Softmax, Context
  int64_t heads = 1, keys = 0, headChannels = 0, valueChannels = 0;
  float scoreFactor = 1; ///< float32(acc) * scoreFactor = the scaled score.
  float scoreScale = 1;  ///< Scale of the I16 scores (I16 only).
  bool causal = false;
  // Norms. GroupStats has two results, factors and biases: 1 x channels, F32.
  Operand gamma, beta;
  int64_t groups = 1;
  float epsilon = 0;
  bool rms = false;
  // Resize: whole factors. Transpose: the input's dimensions and which of them
  // is each of the result's; one dimension: a copy that only changes what
  // counts as a position.
  int64_t factorY = 1, factorX = 1;
  llvm::SmallVector<int64_t> extents, permutation;

  /// MACs of all positions, without the array's rounding.
  uint64_t macs = 0;
  /// True if a tile of positions needs the same positions of every Rows operand
  /// and nothing else, so that it can follow its producer in a tiled group.
  bool isPositionLocal() const;
};

struct LayerGraph {
  std::vector<Tensor> tensors;
  std::vector<Constant> constants;
  std::vector<Layer> layers; ///< In execution order.
  int numInputs = 0, numOutputs = 0;
};

/// The layers of a partition. Fails with a diagnostic at an operation that the
/// predicates (Predicates.h) accepted by mistake: ours, not the user's.
llvm::FailureOr<LayerGraph> buildLayers(mlir::func::FuncOp partition,
                                        MltMode mlt);

/// "conv", "matmul", ...
llvm::StringRef nameOf(LayerKind kind);
/// For people and tests: what the layer reads, computes and writes.
void print(llvm::raw_ostream &os, const LayerGraph &graph, const Layer &layer);

} // namespace efc::npu

#endif
