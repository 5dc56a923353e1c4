// The `npu` dialect: launches of partitions, and the commands that they are
// made of.
#ifndef EFC_DIALECTS_NPU_NPUDIALECT_H
#define EFC_DIALECTS_NPU_NPUDIALECT_H

#include "npu/Command.h"

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace efrt::npu {

// Found by argument-dependent lookup when MLIR makes attributes unique.
llvm::hash_code hash_value(const View &view);
llvm::hash_code hash_value(const Instruction &instruction);
llvm::hash_code hash_value(const DmaCommand &command);
llvm::hash_code hash_value(const Wait &wait);

} // namespace efrt::npu

#include "dialects/npu/NpuDialect.h.inc"
#include "dialects/npu/NpuEnums.h.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/npu/NpuTypes.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/npu/NpuAttrs.h.inc"

#include "dialects/npu/NpuInterfaces.h.inc"

#define GET_OP_CLASSES
#include "dialects/npu/NpuOps.h.inc"

namespace efc::npu {

/// Strides of a row-major view, in bytes; 0 where the extent is 1.
std::array<int32_t, 4> denseStrides(const std::array<uint32_t, 4> &extents,
                                    efrt::DType dtype);
/// Bytes from a view's address to the end of its last element.
int64_t spanOf(const efrt::npu::View &view);

} // namespace efc::npu

#endif
