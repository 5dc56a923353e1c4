// Registration of the `cpu` dialect.
#include "dialects/cpu/CpuDialect.h"

using namespace efc::cpu;

#include "dialects/cpu/CpuDialect.cpp.inc"

void CpuDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/cpu/CpuOps.cpp.inc"
      >();
}

#define GET_OP_CLASSES
#include "dialects/cpu/CpuOps.cpp.inc"
