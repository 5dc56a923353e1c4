// Registration of the `npu` dialect; attributes, commands and programs have
// files of their own.
#include "dialects/npu/NpuDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace efc::npu;

#include "dialects/npu/NpuDialect.cpp.inc"
#include "dialects/npu/NpuEnums.cpp.inc"
#include "dialects/npu/NpuInterfaces.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/npu/NpuTypes.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/npu/NpuAttrs.cpp.inc"

namespace {
/// Vector programs and sources repeat in hundreds of commands.
struct NpuAsmInterface : OpAsmDialectInterface {
  using OpAsmDialectInterface::OpAsmDialectInterface;

  AliasResult getAlias(Attribute attribute, raw_ostream &os) const override {
    if (isa<CodeAttr>(attribute))
      os << "code";
    else if (isa<SourceAttr>(attribute))
      os << "source";
    else
      return AliasResult::NoAlias;
    return AliasResult::FinalAlias;
  }
};
} // namespace

void NpuDialect::initialize() {
  addInterfaces<NpuAsmInterface>();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/npu/NpuTypes.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/npu/NpuAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/npu/NpuOps.cpp.inc"
      >();
}
