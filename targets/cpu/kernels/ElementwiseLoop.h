// Loop nests over strided operands, cut into work items: what element-wise
// operations, copies and (de)quantisation have in common.
#ifndef EFC_TARGETS_CPU_KERNELS_ELEMENTWISELOOP_H
#define EFC_TARGETS_CPU_KERNELS_ELEMENTWISELOOP_H

#include "targets/cpu/KernelBuilder.h"

namespace efc::cpu {

/// Row-major strides, in elements, of a contiguous tensor.
llvm::SmallVector<int64_t> getRowMajorStrides(llvm::ArrayRef<int64_t> shape);
/// Strides of a tensor of shape `from` that is broadcast to `to` as numpy does.
llvm::SmallVector<int64_t> getBroadcastStrides(llvm::ArrayRef<int64_t> from,
                                               llvm::ArrayRef<int64_t> to);
int64_t countElements(llvm::ArrayRef<int64_t> shape);

/// Where one operand's element for position p stands: offset + sum p[d] *
/// strides[d], in elements.
struct StridedAccess {
  llvm::SmallVector<int64_t> strides;
  int64_t offset = 0;
};

/// Drops dimensions of extent one and merges neighbours that every operand
/// walks through with one stride; at least one dimension stays.
void mergeDimensions(llvm::SmallVectorImpl<int64_t> &shape,
                     llvm::MutableArrayRef<StridedAccess> accesses);

/// All positions of `shape`; dimensions that every operand walks through alike
/// are merged. A work item is a block of about kElementsPerItem positions.
class StridedLoop {
public:
  StridedLoop(llvm::ArrayRef<int64_t> shape,
              llvm::ArrayRef<StridedAccess> accesses);

  int64_t getNumWorkItems() const;
  /// Stride of an operand along the innermost loop: 0 (the same element for all
  /// lanes), 1, or anything else, and then lanes is always 1.
  int64_t getInnerStride(size_t access) const {
    return accesses[access].strides.back();
  }

  /// `body` gets each operand's element offset and the number of positions to
  /// do at once: 1 or `lanes`.
  using Body = llvm::function_ref<void(llvm::ArrayRef<mlir::Value> offsets,
                                       int64_t lanes)>;
  /// The loops over the work items [first, last).
  void emit(KernelBuilder &b, mlir::Value first, mlir::Value last,
            int64_t lanes, Body body) const;

  static constexpr int64_t kElementsPerItem = 16384;

private:
  void emitRow(KernelBuilder &b, mlir::Value row, mlir::Value lower,
               mlir::Value upper, int64_t lanes, Body body) const;
  int64_t getNumRows() const;
  int64_t getBlocksPerRow() const;
  int64_t getRowsPerItem() const;

  llvm::SmallVector<int64_t> shape;
  llvm::SmallVector<StridedAccess> accesses;
};

/// Loads `lanes` elements for consecutive positions and converts them to the
/// compute type; stride 0 gives one element in all lanes.
mlir::Value loadElements(KernelBuilder &b, mlir::Value pointer,
                         mlir::Value offset, mlir::Type elementType,
                         int64_t stride, int64_t lanes);
void storeElements(KernelBuilder &b, mlir::Value value, mlir::Value pointer,
                   mlir::Value offset, mlir::Type elementType);
/// The type to copy an element as: never a float that LLVM would widen.
mlir::Type getCopyType(mlir::Type elementType);
/// Copies `lanes` elements without looking at them.
void copyElements(KernelBuilder &b, mlir::Value from, mlir::Value fromOffset,
                  int64_t stride, mlir::Value to, mlir::Value toOffset,
                  mlir::Type elementType, int64_t lanes);

/// A loop over [lower, upper): `body` does `lanes` positions a step, then one a
/// step.
void emitVectorLoop(KernelBuilder &b, mlir::Value lower, mlir::Value upper,
                    int64_t lanes,
                    llvm::function_ref<void(mlir::Value, int64_t)> body);

/// scf.for with values that go from step to step; returns those of the last.
llvm::SmallVector<mlir::Value> emitReductionLoop(
    KernelBuilder &b, mlir::Value lower, mlir::Value upper, int64_t step,
    mlir::ValueRange initial,
    llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value,
                                                      mlir::ValueRange)>
        body);

} // namespace efc::cpu

#endif
