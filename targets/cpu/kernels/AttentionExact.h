// Attention on int16 (docs/numerics.md): exact sums, whatever the blocks.
//
// Where the limits of queries and keys prove that a score's sum fits an int32,
// it is one product of pairs (Microkernel::pairs). Other int16 by int16
// products overflow when they are summed, so one factor is split into two
// bytes, x = 256 hi + lo: the halves of queries are rows of one product, those
// of values columns (8 of hi, 8 of lo in a panel). Their int32 sums hold for
// kMaxDepth channels or kValueBlock keys; then hi and lo are put together
// without a rounding.
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
  /// Exponentials are below 2^15 and halves at most 128: 2^22 * 256 < 2^31.
  static constexpr int64_t kValueBlock = 256;
  /// Channels of a panel of values.
  static constexpr int64_t kValuePanel = kPanelColumns / 2;
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
    return llvm::divideCeil(valueDepth, kValuePanel);
  }
  /// Channels with those that fill the last panel.
  int64_t valueColumns() const { return valuePanels() * kValuePanel; }
  /// Columns of the product with the values: of both halves.
  int64_t partialColumns() const { return valuePanels() * kPanelColumns; }
  /// Whether a row's scores have places of keys that it does not see.
  bool hidesKeys() const { return causal || keys != paddedKeys(); }
};

/// x (int16) = 256 first + second, with second in -128 .. 127.
std::pair<mlir::Value, mlir::Value> splitSigned(KernelBuilder &b,
                                                mlir::Value x);

/// [batch * heads, panels, k / 2, 16, 2]: a head's keys (K^T: a column is a
/// token) or values (columns are the upper halves of 8 channels, then their
/// lower ones) in pairs of k, zero beyond.
mlir::Value packHeadPairs(mlir::Value tensor, int64_t heads, bool isKeys,
                          mlir::OpBuilder &main, DispatchBuilder &dispatches);

/// The steps between the products of one work item; pointers are to scratch.
struct ExactAttentionRows {
  KernelBuilder &b;
  const ExactAttentionShape &shape;
  mlir::Value rows; ///< Of the block; all loops are over them.
  mlir::Value firstRow;
  mlir::Value splitQueries; ///< i16 [2 * rows, depth]: hi, then lo.
  mlir::Value sums;    ///< i32 [rows, kKeyBlock], of lo behind those of hi.
  mlir::Value scores;  ///< i16 [rows, paddedKeys]
  mlir::Value largest; ///< i32 [rows]
  mlir::Value totals;  ///< i64 [rows]: of the exponentials.
  mlir::Value weights; ///< i16 [rows, kValueBlock]
  mlir::Value partial; ///< i32 [rows, partialColumns]
  mlir::Value values;  ///< f64 [rows, valueColumns]
  /// f32: c, 1 / score scale, score scale, value scale.
  mlir::Value scoreFactor, inverseScoreScale, scoreScale, valueScale;

  /// Queries [rows] at `query`, `stride` elements apart, into splitQueries.
  void splitRows(mlir::Value query, int64_t stride);
  /// `sums` of `columns` keys (a multiple of 16) from `firstKey` on to scores.
  void storeScores(mlir::Value firstKey, mlir::Value columns);
  /// Hides what a row does not see; then its largest score.
  void findLargest();
  /// Zeroes totals and values.
  void start();
  /// Exponentials of `columns` keys from `firstKey` on into weights.
  void storeWeights(mlir::Value firstKey, mlir::Value columns);
  /// Adds `partial` to `values`.
  void addPartial();
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
