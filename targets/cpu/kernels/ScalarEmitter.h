// Element-wise functions of the `ef` dialect on scalars or vectors inside a
// kernel: the one place that knows how silu is computed.
//
// Values are in *compute types*: f32 for f16, bf16 and f32 tensors, f64 for
// f64, i1 for booleans, signless integers otherwise. Functions without a
// machine instruction use polynomial approximations (MLIR's math approximation
// where accurate to a few ulp, own ones elsewhere), never libm.
#ifndef EFC_TARGETS_CPU_KERNELS_SCALAREMITTER_H
#define EFC_TARGETS_CPU_KERNELS_SCALAREMITTER_H

#include "dialects/ef/EfDialect.h"
#include "targets/cpu/KernelBuilder.h"

namespace efc::cpu {

/// The type that arithmetic on elements of a tensor with this element type is
/// done in.
mlir::Type getComputeType(mlir::Type elementType);
/// A value as it was loaded (storage type, scalar or vector) to the compute
/// type, and back (f16/bf16 rounding, i8 <-> i1).
mlir::Value toCompute(KernelBuilder &, mlir::Value stored,
                      mlir::Type elementType);
mlir::Value toStorage(KernelBuilder &, mlir::Value computed,
                      mlir::Type elementType);

mlir::Value emitUnary(KernelBuilder &, ef::UnaryKind kind, mlir::Value x,
                      mlir::Type elementType);
/// The same for f32 in a quantised kernel: docs/numerics.md to the bit.
mlir::Value emitExactUnary(KernelBuilder &, ef::UnaryKind kind, mlir::Value x);
mlir::Value emitBinary(KernelBuilder &, ef::BinaryKind kind, mlir::Value lhs,
                       mlir::Value rhs, mlir::Type lhsElementType,
                       mlir::Type rhsElementType);
mlir::Value emitCast(KernelBuilder &, mlir::Value x, mlir::Type from,
                     mlir::Type to);
/// One element-wise operation (unary, binary, select, cast) from its operands'
/// values; quant.dcast and quant.qcast have the factor that they multiply by
/// (QuantizedOperands.h) as a second operand. `exact`: in a quantised kernel.
mlir::Value emitScalarOp(KernelBuilder &, mlir::Operation *op,
                         mlir::ValueRange operands, bool exact);
/// ef.geglu from the values of both halves.
mlir::Value emitGate(KernelBuilder &, ef::GegluOp op, mlir::Value linear,
                     mlir::Value gate, bool exact);
/// True for the operations that emitScalarOp knows.
bool isScalarOp(mlir::Operation *op);
/// exp of f32 (scalar or vector), relative error below 2 ulp, exact 0 below
/// -104 and inf above 89.
mlir::Value emitExp(KernelBuilder &, mlir::Value x);

} // namespace efc::cpu

#endif
