// Group normalisation on floats and on int16: how the tensor is cut.
#ifndef EFC_TARGETS_CPU_KERNELS_NORMSGROUP_H
#define EFC_TARGETS_CPU_KERNELS_NORMSGROUP_H

#include "targets/cpu/kernels/NormsCommon.h"
#include "targets/cpu/kernels/QuantizedOperands.h"

namespace efc::cpu {

/// Sums are taken over chunks of about kElementsPerChunk elements: of rows of
/// all channels of an image (channels last), of one group (channels first).
struct GroupNormShape {
  static constexpr int64_t kElementsPerChunk = 32768;

  mlir::RankedTensorType type; ///< Of the anchor's result.
  bool channelsLast;
  int64_t batch, channels, groups, space, chunks = 1;

  GroupNormShape(ef::GroupNormOp op, int64_t maxChunks);

  /// The tensor as a matrix of rows of its last dimension.
  int64_t columns() const { return type.getShape().back(); }
  int64_t getNumRows() const {
    return channelsLast ? batch * space
                        : batch * channels * (space / columns());
  }

  /// Some columns of a row, and where what belongs to their channels stands.
  struct Place {
    mlir::Value row, column;
    int64_t lanes;
    mlir::Value channel;   ///< Of the first lane.
    mlir::Value parameter; ///< In [batch, 2, channels], its first half.
    int64_t stride;        ///< Between the lanes' channels: 1 or 0.
  };
  /// The loops of the launch that applies the norm to this call's rows.
  void emitApplyLoops(KernelBuilder &b,
                      llvm::function_ref<void(const Place &)> body) const;
};

Lowered lowerQuantizedGroupNorm(const KernelView &, mlir::OpBuilder &main,
                                DispatchBuilder &);

} // namespace efc::cpu

#endif
