// Attention on int16 (docs/numerics.md): exact sums, whatever the blocks.
//
// Where the limits of queries and keys prove that a score's sum fits an int32,
// it is one product of pairs (Microkernel::pairs). Other queries are split into
// two bytes, x = 256 hi + lo, rows of one product whose int32 sums hold for
// kMaxDepth channels; then hi and lo are put together without a rounding.
// Exponentials by values are a WideProduct.
#ifndef EFC_TARGETS_CPU_KERNELS_ATTENTIONEXACT_H
#define EFC_TARGETS_CPU_KERNELS_ATTENTIONEXACT_H

#include "targets/cpu/kernels/Kernels.h"

namespace efc::cpu {

/// Steps of k that stand in a panel of pairs: an odd one is filled up.
inline int64_t alignToPairs(int64_t k) { return (k + 1) / 2 * 2; }

struct ExactAttentionShape {
  /// Rows of a work item; a multiple of the tile heights of all variants.
  static constexpr int64_t kRowBlock = 42;
  /// Keys whose scores (int32) stay in the L1 cache until they are int16.
  static constexpr int64_t kKeyBlock = 64;
  /// Keys whose exponentials and values stay in the L1 cache.
  static constexpr int64_t kValueBlock = 256;
  /// Largest exponential.
  static constexpr int64_t kMaxWeight = 32767;
  /// 128 * 32768 * 504 + 2^23 < 2^31: the score's upper part.
  static constexpr int64_t kMaxDepth = 504;

  int64_t batch, queries, keys, heads, kvHeads, depth, valueDepth;
  int64_t rowBlocks, lastRows, maxRows;
  bool causal;
  bool splitsQueries; ///< A score's sum may not fit an int32.

  explicit ExactAttentionShape(ef::AttentionOp op);

  int64_t keyPanels() const { return llvm::divideCeil(keys, kPanelColumns); }
  int64_t paddedKeys() const { return keyPanels() * kPanelColumns; }
  int64_t valuePanels() const {
    return llvm::divideCeil(valueDepth, kPanelColumns);
  }
  /// Channels with those that fill the last panel.
  int64_t valueColumns() const { return valuePanels() * kPanelColumns; }
  /// Whether a row's scores have places of keys that it does not see.
  bool hidesKeys() const { return causal || keys != paddedKeys(); }
};

/// x (int16) = 256 first + second, with second in -128 .. 127.
std::pair<mlir::Value, mlir::Value> splitSigned(KernelBuilder &b,
                                                mlir::Value x);

/// [batch * heads, panels, k / 2, 16, 2]: a head's keys (K^T: a column is a
/// token) or values (a column is a channel, k a multiple of 16) in pairs of k,
/// zero beyond.
mlir::Value packHeadPairs(mlir::Value tensor, int64_t heads, bool isKeys,
                          mlir::OpBuilder &main, DispatchBuilder &dispatches);

/// The steps between the products of one work item; pointers are to scratch.
struct ExactAttentionRows {
  KernelBuilder &b;
  const ExactAttentionShape &shape;
  mlir::Value rows; ///< Of the block; all loops are over them.
  mlir::Value firstRow;
  mlir::Value splitQueries; ///< i16 [2 * rows, depth]: hi, then lo.
  mlir::Value sums;      ///< i32 [rows, kKeyBlock], of lo behind those of hi.
  mlir::Value scores;    ///< i16 [rows, paddedKeys]
  mlir::Value largest;   ///< i32 [rows]
  mlir::Value totals;    ///< i64 [rows]: of the exponentials.
  mlir::Value weights;   ///< i16 [rows, kValueBlock]
  mlir::Value low, high; ///< i32 [rows, valueColumns]: a WideProduct.
  /// f32: c, 1 / score scale, score scale, value scale.
  mlir::Value scoreFactor, inverseScoreScale, scoreScale, valueScale;

  /// Queries [rows] at `query`, `stride` elements apart, into splitQueries.
  void splitRows(mlir::Value query, int64_t stride);
  /// `sums` of `columns` keys (a multiple of 16) from `firstKey` on to scores.
  void storeScores(mlir::Value firstKey, mlir::Value columns);
  /// Hides what a row does not see; then its largest score.
  void findLargest();
  /// Zeroes totals, low and high.
  void start();
  /// Exponentials of `columns` keys from `firstKey` on into weights.
  void storeWeights(mlir::Value firstKey, mlir::Value columns);
  /// The result, f32 [rows, valueColumns], at `to`.
  void finish(mlir::Value to);

private:
  mlir::Value at(mlir::Value base, mlir::Value row, int64_t stride,
                 mlir::Value column, mlir::Type element);
  mlir::Value exponential(mlir::Value score, mlir::Value largest);
};

Lowered lowerExactAttention(const KernelView &view, ef::AttentionOp op,
                            mlir::OpBuilder &main, DispatchBuilder &dispatches);

} // namespace efc::cpu

#endif
