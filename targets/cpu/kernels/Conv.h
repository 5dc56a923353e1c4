// Convolution: one operation, several algorithms. Conv.cpp picks one; each has
// its file.
#ifndef EFC_TARGETS_CPU_KERNELS_CONV_H
#define EFC_TARGETS_CPU_KERNELS_CONV_H

#include "targets/cpu/kernels/Epilogue.h"
#include "targets/cpu/kernels/Kernels.h"
#include "targets/cpu/kernels/Packing.h"

namespace efc::cpu {

/// A two-dimensional channels-last convolution; one spatial dimension is h = 1.
struct Conv2d {
  int64_t n = 1, h = 1, w = 1, c = 1; ///< Input [n, h, w, c].
  int64_t m = 1, outH = 1, outW = 1;  ///< Result [n, outH, outW, m].
  int64_t kernelH = 1,
          kernelW = 1; ///< Filter [m, c / groups, kernelH, kernelW].
  int64_t strideH = 1, strideW = 1, dilationH = 1, dilationW = 1;
  int64_t padTop = 0, padLeft = 0, padBottom = 0, padRight = 0;
  int64_t groups = 1;
  mlir::Value input, filter; ///< Tensors of @main.
  std::string label;         ///< "conv3x3".

  int64_t taps() const { return kernelH * kernelW; }
  int64_t macs() const { return n * outH * outW * m * (c / groups) * taps(); }
};

/// The filter of an ungrouped convolution as a matrix [c, m] a tap.
PackSource packSourceOf(const Conv2d &conv);

/// Implicit GEMM (ConvDirect.cpp): any stride, dilation and padding; groups
/// = 1.
Lowered lowerConvDirect(const KernelView &, const Conv2d &,
                        mlir::OpBuilder &main, DispatchBuilder &,
                        const KernelOptions &);
/// Winograd F(4x4, 3x3) (ConvWinograd.cpp) and whether it is the faster one.
Lowered lowerConvWinograd(const KernelView &, const Conv2d &,
                          mlir::OpBuilder &main, DispatchBuilder &,
                          const KernelOptions &);
bool isWinogradFaster(const Conv2d &);
/// Exact Winograd F(2x2, 3x3) of quantised operands (ConvWinogradInteger.cpp)
/// and whether it is the faster one.
Lowered lowerConvIntegerWinograd(const KernelView &, const Conv2d &,
                                 mlir::OpBuilder &main, DispatchBuilder &,
                                 const KernelOptions &);
bool isIntegerWinogradFaster(const Conv2d &);
/// groups = c = m (ConvDepthwise.cpp): vectors of channels.
Lowered lowerConvDepthwise(const KernelView &, const Conv2d &,
                           mlir::OpBuilder &main, DispatchBuilder &,
                           const KernelOptions &);
/// Anything (ConvGeneric.cpp), element by element.
Lowered lowerConvGeneric(const KernelView &, mlir::OpBuilder &main,
                         DispatchBuilder &);

/// Copies `count` elements, and writes zeros; vectors, then single elements.
void emitCopyRun(KernelBuilder &b, mlir::Value from, mlir::Value to,
                 mlir::Value count, mlir::Type stored);
void emitZeroRun(KernelBuilder &b, mlir::Value to, mlir::Value count,
                 mlir::Type stored);

} // namespace efc::cpu

#endif
