// What quantised kernels read besides tensors: scales. They are data, never
// code, so that layers that differ in nothing else share one kernel: a launch
// gets them as small constant f32 tensors, and kernels are keyed by their
// structure without them. Only the limits of the integers are compiled in.
//
//   Epilogue    its quant.dcast and quant.qcast have a slot each in one
//               constant, which Epilogue::collectInputs appends: generators
//               need not care.
//   products    createChannelFactors: f[n] = RN(s_x * s_w[n]).
//   everything  createScalars with the numbers that the generator wants; the
//   else        kernel reads them with loadScalar.
//
// The rounding of each number is docs/numerics.md's.
#ifndef EFC_TARGETS_CPU_KERNELS_QUANTIZEDOPERANDS_H
#define EFC_TARGETS_CPU_KERNELS_QUANTIZEDOPERANDS_H

#include "targets/cpu/KernelBuilder.h"
#include "targets/cpu/KernelView.h"

#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/Dialect/Quant/IR/QuantTypes.h"

namespace efc::cpu {

/// The element type of a tensor (or the type itself) if it is quantised with
/// one scale; null otherwise.
mlir::quant::UniformQuantizedType getQuantized(mlir::Type type);
inline mlir::quant::UniformQuantizedType getQuantized(mlir::Value value) {
  return getQuantized(value.getType());
}
/// Whether an operand or a result of the kernel is quantised: then every bit of
/// it follows docs/numerics.md.
bool isQuantized(const KernelView &view);

/// The scale s as binary32.
float getScale(mlir::Type type);
/// RN(1 / s).
float getReciprocalScale(mlir::Type type);
/// The largest magnitude L of a quantised value.
int64_t getLimit(mlir::Type type);

/// quant.dcast or quant.qcast on tensors with one scale.
bool isQuantizationCast(mlir::Operation *op);
/// The number that such an operation multiplies by: s or RN(1 / s).
float getCastFactor(mlir::Operation *op);

/// An f32 constant of @main; an empty one is a null value.
mlir::Value createScalars(mlir::OpBuilder &main, mlir::Location loc,
                          llvm::ArrayRef<float> numbers);
/// Element `slot` of the kernel's input `input`.
mlir::Value loadScalar(KernelBuilder &b, size_t input, unsigned slot);

/// f[n] = RN(s_x * s_w[n]) for the output channels of a weight with one scale
/// each (or one for all of `channels`), as an f32 constant of @main that is
/// padded with zeros to `padded` elements.
mlir::Value createChannelFactors(mlir::OpBuilder &main, mlir::Location loc,
                                 mlir::Type activation, mlir::Type weight,
                                 int64_t channels, int64_t padded);

/// rint(x), ties to even, of f32 (a scalar or vector) as i32; below -2^31 it is
/// -2^31, and x must be below 2^31.
mlir::Value emitRint(KernelBuilder &b, mlir::Value x);
/// i32 (a scalar or vector) as i16, cut off at its limits.
mlir::Value emitNarrow(KernelBuilder &b, mlir::Value x);

/// `q`, an integer (scalar or vector), as RN(float(q) * factor).
mlir::Value emitDequantize(KernelBuilder &b, mlir::Value q, mlir::Value factor);
/// f32 as integers of `type`'s storage: clamp(rint(RN(x * reciprocal)), -L, L),
/// NaN gives 0.
mlir::Value emitQuantize(KernelBuilder &b, mlir::Value x,
                         mlir::Value reciprocal,
                         mlir::quant::UniformQuantizedType type);

} // namespace efc::cpu

#endif
