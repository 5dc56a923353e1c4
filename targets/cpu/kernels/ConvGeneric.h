// Convolutions and transposed convolutions of any rank, layout and grouping,
// element by element: the meaning, not the speed.
#ifndef EFC_TARGETS_CPU_KERNELS_CONVGENERIC_H
#define EFC_TARGETS_CPU_KERNELS_CONVGENERIC_H

#include "targets/cpu/kernels/Conv.h"

namespace efc::cpu {

struct GenericConv {
  bool transposed = false, channelsLast = false;
  llvm::SmallVector<int64_t> inputShape, filterShape,
      resultShape; ///< As the tensors have them; the filter as in ONNX.
  llvm::SmallVector<int64_t> strides, pads,
      dilations; ///< Pads: those at the begin.
  int64_t groups = 1;
  mlir::Value input, filter;
};
/// `family` starts the kernel's name; the anchor's label is kept.
Lowered emitGenericConv(const KernelView &view, const GenericConv &conv,
                        llvm::StringRef family, mlir::OpBuilder &main,
                        DispatchBuilder &dispatches);

} // namespace efc::cpu

#endif
