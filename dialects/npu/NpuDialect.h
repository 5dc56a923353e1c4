// The `npu` dialect: launches of partitions, and the commands that they are
// made of.
#ifndef EFC_DIALECTS_NPU_NPUDIALECT_H
#define EFC_DIALECTS_NPU_NPUDIALECT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/npu/NpuDialect.h.inc"

#define GET_OP_CLASSES
#include "dialects/npu/NpuOps.h.inc"

#endif
