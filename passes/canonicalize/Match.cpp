// What the raising patterns look for again and again.
#include "passes/canonicalize/Match.h"

#include "dialects/ef/Locations.h"

#include <cmath>

using namespace mlir;
using namespace efc::ef;

std::optional<double> efc::ef::getScalar(Value value) {
  auto constant = value.getDefiningOp<ConstantOp>();
  if (!constant)
    return std::nullopt;
  auto dense = dyn_cast<DenseElementsAttr>(constant.getValue());
  if (!dense || dense.getNumElements() == 0 || !dense.isSplat())
    return std::nullopt;
  auto scalarType = RankedTensorType::get({}, dense.getElementType());
  return HostTensor::fromAttr(dense.resizeSplat(scalarType)).getFloat(0);
}

double efc::ef::getTolerance(Type elementType) {
  if (elementType.isBF16())
    return 4e-3;
  return elementType.isF16() ? 1e-3 : 1e-5;
}

bool efc::ef::isScalar(Value value, double expected) {
  std::optional<double> scalar = getScalar(value);
  double tolerance = getTolerance(tensorType(value).getElementType());
  return scalar &&
         std::fabs(*scalar - expected) <= tolerance * std::fabs(expected);
}

UnaryOp efc::ef::getUnary(Value value, UnaryKind kind) {
  auto op = value.getDefiningOp<UnaryOp>();
  return op && op.getKind() == kind ? op : UnaryOp();
}

BinaryOp efc::ef::getBinary(Value value, BinaryKind kind) {
  auto op = value.getDefiningOp<BinaryOp>();
  return op && op.getKind() == kind ? op : BinaryOp();
}

std::optional<std::pair<Value, double>>
efc::ef::matchScalarOperand(Value value, BinaryKind kind) {
  BinaryOp op = getBinary(value, kind);
  if (!op)
    return std::nullopt;
  bool commutes = kind == BinaryKind::Add || kind == BinaryKind::Mul;
  if (std::optional<double> scalar = getScalar(op.getRhs());
      scalar && op.getLhs().getType() == op.getType())
    return std::pair(op.getLhs(), *scalar);
  if (std::optional<double> scalar = getScalar(op.getLhs());
      commutes && scalar && op.getRhs().getType() == op.getType())
    return std::pair(op.getRhs(), *scalar);
  return std::nullopt;
}

Value efc::ef::getOther(BinaryOp op, Value known) {
  if (op.getLhs() == known)
    return op.getRhs();
  return op.getRhs() == known ? op.getLhs() : Value();
}

Value efc::ef::skipFloatCasts(Value value) {
  while (auto cast = value.getDefiningOp<CastOp>()) {
    if (!isa<FloatType>(tensorType(cast.getInput()).getElementType()) ||
        !isa<FloatType>(cast.getType().getElementType()))
      break;
    value = cast.getInput();
  }
  return value;
}

Location efc::ef::getHelperLoc(Location loc) {
  StringRef node = getNodeName(loc);
  return node.empty() ? loc : makeLocation(loc.getContext(), "", node);
}
