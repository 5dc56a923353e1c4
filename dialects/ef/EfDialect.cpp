// Registration of the `ef` dialect; the operations are in one file a family.
#include "dialects/ef/EfDialect.h"
#include "dialects/ef/Quantized.h"

#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace efc::ef;

#include "dialects/ef/EfDialect.cpp.inc"
#include "dialects/ef/EfEnums.cpp.inc"
#include "dialects/ef/EfInterfaces.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/ef/EfAttrs.cpp.inc"

namespace {
/// The scales of a weight's type would fill screens at every use.
struct EfAsmInterface : OpAsmDialectInterface {
  using OpAsmDialectInterface::OpAsmDialectInterface;

  AliasResult getAlias(Type type, raw_ostream &os) const override {
    if (!isa<quant::UniformQuantizedPerAxisType>(type))
      return AliasResult::NoAlias;
    os << "weight";
    return AliasResult::FinalAlias;
  }
};
} // namespace

void EfDialect::initialize() {
  addInterfaces<EfAsmInterface>();
  attachQuantizedCastModels(*getContext());
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/ef/EfAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/ef/EfOps.cpp.inc"
      >();
}

Operation *EfDialect::materializeConstant(OpBuilder &builder, Attribute value,
                                          Type type, Location loc) {
  auto elements = dyn_cast<ElementsAttr>(value);
  if (!elements || elements.getType() != type)
    return nullptr;
  return ConstantOp::create(builder, loc, elements);
}

#define GET_OP_CLASSES
#include "dialects/ef/EfOps.cpp.inc"
