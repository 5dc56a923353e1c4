// The transforms of Winograd's F(2x2, 3x3) on vectors of integers (Lavin and
// Gray, 2015). With the filter's scaled by 4, (2G) g (2G)^T, all of them are
// sums of integers, and four times the convolution comes out.
#ifndef EFC_TARGETS_CPU_KERNELS_WINOGRADINTEGER_H
#define EFC_TARGETS_CPU_KERNELS_WINOGRADINTEGER_H

#include "targets/cpu/KernelBuilder.h"

namespace efc::cpu::winograd2 {

inline constexpr int64_t kOutput = 2, kInput = 4, kFilter = 3, kProducts = 16,
                         kResults = 4;
/// Largest magnitude of an input: sums of two stay in int16, so that a sum of
/// four is an int16 and a remainder that is one, too.
inline constexpr int64_t kMaxLimit = INT16_MAX / 2;

/// Row-major 4x4 int16 to B^T d B, 4x4, wrapping around.
llvm::SmallVector<mlir::Value> transformInput(KernelBuilder &b,
                                              llvm::ArrayRef<mlir::Value> d);
/// The same cut off at the limits of int16, for |d| <= kMaxLimit.
llvm::SmallVector<mlir::Value>
transformInputSaturating(KernelBuilder &b, llvm::ArrayRef<mlir::Value> d);
/// Row-major 3x3 int16 to four times G g G^T, 4x4.
llvm::SmallVector<mlir::Value> transformFilter(KernelBuilder &b,
                                               llvm::ArrayRef<mlir::Value> g);
/// Row-major 4x4 int32 to A^T m A, 2x2.
llvm::SmallVector<mlir::Value> transformOutput(KernelBuilder &b,
                                               llvm::ArrayRef<mlir::Value> m);

} // namespace efc::cpu::winograd2

#endif
