// The `cpu` dialect: kernel launches, packed weights and their places in
// memory.
#ifndef EFC_DIALECTS_CPU_CPUDIALECT_H
#define EFC_DIALECTS_CPU_CPUDIALECT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/cpu/CpuDialect.h.inc"

#define GET_OP_CLASSES
#include "dialects/cpu/CpuOps.h.inc"

#endif
