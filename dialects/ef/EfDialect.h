// The `ef` dialect: its operations, enumerations and interfaces.
#ifndef EFC_DIALECTS_EF_EFDIALECT_H
#define EFC_DIALECTS_EF_EFDIALECT_H

#include "dialects/ef/HostTensor.h"

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/ef/EfDialect.h.inc"
#include "dialects/ef/EfEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/ef/EfAttrs.h.inc"

#include "dialects/ef/EfInterfaces.h.inc"

#define GET_OP_CLASSES
#include "dialects/ef/EfOps.h.inc"

#endif
