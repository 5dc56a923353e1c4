// The softmax inside attention: one block of keys at a time, with running
// maxima and sums.
#ifndef EFC_TARGETS_CPU_KERNELS_ATTENTIONSOFTMAX_H
#define EFC_TARGETS_CPU_KERNELS_ATTENTIONSOFTMAX_H

#include "targets/cpu/KernelBuilder.h"

namespace efc::cpu {

/// An attention mask: added to the scaled scores, or (boolean) keeping where
/// true. Broadcasts to [B, heads, Tq, Tk].
struct AttentionMask {
  AttentionMask() = default;
  AttentionMask(mlir::RankedTensorType type, size_t input);

  mlir::Type element;      ///< Null: no mask.
  size_t input = 0;        ///< Of the launch.
  int64_t strides[4] = {}; ///< In elements; 0 where it broadcasts.
};

/// A block of rows of one head. Pointers are to elements of `type` in scratch.
struct AttentionBlock {
  mlir::Value scores, sums; ///< [rows, scoreStride], [rows, sumStride]
  mlir::Value state; ///< Running maxima [maxRows], then running sums [maxRows].
  int64_t scoreStride = 0, sumStride = 0, maxRows = 0;
  mlir::Type type;
  mlir::Value image, head, firstRow, rows;
  mlir::Value firstKey, keys;
  double scale = 1;
  std::optional<int64_t>
      causalShift; ///< Row i sees keys up to i + causalShift.
};

/// No key seen yet: maxima -inf, sums 0.
void emitAttentionStart(KernelBuilder &b, const AttentionBlock &block);
/// Scores of [firstKey, firstKey + keys) to exp(scale * score + mask -
/// maximum), state and sums brought to the new maximum.
void emitAttentionSoftmax(KernelBuilder &b, const AttentionBlock &block,
                          const AttentionMask &mask);
/// Divides the sums by the running sum of the row.
void emitAttentionEnd(KernelBuilder &b, const AttentionBlock &block);

} // namespace efc::cpu

#endif
