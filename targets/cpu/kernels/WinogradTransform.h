// The transforms of Winograd's F(4x4, 3x3) on vectors: the places where its
// constants stand.
//
// A 6x6 input patch d, a 3x3 filter g and the 4x4 result y = A^T [(G g G^T) .
// (B^T d B)] A with the interpolation points 0, 1, -1, 2, -2, infinity (Lavin
// and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015). 36
// multiplications in place of 144.
#ifndef EFC_TARGETS_CPU_KERNELS_WINOGRADTRANSFORM_H
#define EFC_TARGETS_CPU_KERNELS_WINOGRADTRANSFORM_H

#include "targets/cpu/KernelBuilder.h"

namespace efc::cpu {

inline constexpr int64_t kWinogradOutput = 4, kWinogradInput = 6,
                         kWinogradFilter = 3;
inline constexpr int64_t kWinogradProducts = kWinogradInput * kWinogradInput;

/// A transform of lines, of `size` values to `resultSize`, on every column of a
/// row-major square matrix, then on every row of the result: L m L^T.
llvm::SmallVector<mlir::Value>
transformSquare(llvm::ArrayRef<mlir::Value> matrix, int64_t size,
                int64_t resultSize,
                llvm::function_ref<
                    llvm::SmallVector<mlir::Value>(llvm::ArrayRef<mlir::Value>)>
                    line);

/// Row-major 6x6 values (vectors or scalars of f32) to B^T d B, row-major.
llvm::SmallVector<mlir::Value>
transformInput(KernelBuilder &b, llvm::ArrayRef<mlir::Value> patch);
/// Row-major 3x3 values to G g G^T, 6x6.
llvm::SmallVector<mlir::Value>
transformFilter(KernelBuilder &b, llvm::ArrayRef<mlir::Value> filter);
/// Row-major 6x6 products to A^T m A, 4x4.
llvm::SmallVector<mlir::Value>
transformOutput(KernelBuilder &b, llvm::ArrayRef<mlir::Value> products);

} // namespace efc::cpu

#endif
