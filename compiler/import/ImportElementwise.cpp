// Element-wise operators of one, two and more operands, casts and selections.
#include "compiler/import/NodeImporter.h"

using namespace mlir;
using namespace efc;
using namespace efc::importer;

template <UnaryKind kind> static LogicalResult importUnary(NodeImporter &node) {
  return node.setResult(node.unary(kind, node.getInput(0)));
}

template <BinaryKind kind>
static LogicalResult importBinary(NodeImporter &node) {
  return node.setResult(node.binary(kind, node.getInput(0), node.getInput(1)));
}

/// All operands, joined from left to right.
static Value chain(NodeImporter &node, BinaryKind kind) {
  Value result = node.getInput(0);
  for (size_t index = 1; index < node.getNumInputs(); ++index)
    result = node.binary(kind, result, node.getInput(index));
  return result;
}

/// Sum, Min, Max: any number of operands.
template <BinaryKind kind>
static LogicalResult importVariadic(NodeImporter &node) {
  return node.setResult(chain(node, kind));
}

static LogicalResult importMean(NodeImporter &node) {
  return node.setResult(node.binary(
      BinaryKind::Div, chain(node, BinaryKind::Add), node.getNumInputs()));
}

static LogicalResult importMod(NodeImporter &node) {
  bool isFmod = node.getInt("fmod", 0) != 0;
  Value lhs = node.getInput(0);
  return node.setResult(node.binary(isFmod ? BinaryKind::Fmod : BinaryKind::Mod,
                                    lhs, node.getInput(1)));
}

static LogicalResult importBitShift(NodeImporter &node) {
  std::string direction = node.getString("direction", "");
  if (direction != "LEFT" && direction != "RIGHT")
    return node.fail("its direction '" + direction +
                     "' is neither LEFT nor RIGHT");
  return node.setResult(node.binary(
      direction == "LEFT" ? BinaryKind::ShiftLeft : BinaryKind::ShiftRight,
      node.getInput(0), node.getInput(1)));
}

static LogicalResult importIsInf(NodeImporter &node) {
  Value input = node.getInput(0);
  bool negative = node.getInt("detect_negative", 1) != 0,
       positive = node.getInt("detect_positive", 1) != 0;
  if (negative && positive)
    return node.setResult(node.unary(UnaryKind::IsInf, input));
  if (!negative && !positive)
    return input ? node.setResult(
                       node.constant(node.getBool(), 0, node.getShape(input)))
                 : failure();
  double infinity = std::numeric_limits<double>::infinity();
  return node.setResult(
      node.binary(BinaryKind::Eq, input, negative ? -infinity : infinity));
}

static LogicalResult importWhere(NodeImporter &node) {
  return node.setResult(
      node.select(node.getInput(0), node.getInput(1), node.getInput(2)));
}

static LogicalResult importCast(NodeImporter &node) {
  Expected<Type> type = node.getImporter().getElementType(node.getInt("to", 0));
  if (!type)
    return node.fail(llvm::toString(type.takeError()));
  return node.setResult(node.cast(node.getInput(0), *type));
}

static LogicalResult importCastLike(NodeImporter &node) {
  Value like = node.getInput(1);
  return like ? node.setResult(
                    node.cast(node.getInput(0), node.getElementType(like)))
              : failure();
}

static LogicalResult importIdentity(NodeImporter &node) {
  return node.setResult(node.getInput(0));
}

/// Before opset 11 min and max are attributes, in all of them both are
/// optional.
static LogicalResult importClip(NodeImporter &node) {
  Value result = node.getInput(0);
  if (!result)
    return failure();
  Type element = node.getElementType(result);
  auto bound = [&](size_t index, StringRef name) -> Value {
    if (node.hasInput(index))
      return node.getInput(index);
    if (node.getOpset() < 11 && node.hasAttribute(name))
      return node.constant(element, node.getFloat(name, 0));
    return Value();
  };
  if (Value low = bound(1, "min"))
    result = node.binary(BinaryKind::Max, result, low);
  if (Value high = bound(2, "max"))
    result = node.binary(BinaryKind::Min, result, high);
  return node.setResult(result);
}

ArrayRef<OpEntry> importer::getElementwiseOps() {
  static constexpr OpEntry kOps[] = {
      {"Abs", importUnary<UnaryKind::Abs>},
      {"Acos", importUnary<UnaryKind::Acos>},
      {"Acosh", importUnary<UnaryKind::Acosh>},
      {"Asin", importUnary<UnaryKind::Asin>},
      {"Asinh", importUnary<UnaryKind::Asinh>},
      {"Atan", importUnary<UnaryKind::Atan>},
      {"Atanh", importUnary<UnaryKind::Atanh>},
      {"BitwiseNot", importUnary<UnaryKind::BitNot>},
      {"Ceil", importUnary<UnaryKind::Ceil>},
      {"Cos", importUnary<UnaryKind::Cos>},
      {"Cosh", importUnary<UnaryKind::Cosh>},
      {"Erf", importUnary<UnaryKind::Erf>},
      {"Exp", importUnary<UnaryKind::Exp>},
      {"Floor", importUnary<UnaryKind::Floor>},
      {"IsNaN", importUnary<UnaryKind::IsNan>},
      {"Log", importUnary<UnaryKind::Log>},
      {"Neg", importUnary<UnaryKind::Neg>},
      {"Not", importUnary<UnaryKind::Not>},
      {"Reciprocal", importUnary<UnaryKind::Reciprocal>},
      {"Round", importUnary<UnaryKind::Round>},
      {"Sign", importUnary<UnaryKind::Sign>},
      {"Sin", importUnary<UnaryKind::Sin>},
      {"Sinh", importUnary<UnaryKind::Sinh>},
      {"Sqrt", importUnary<UnaryKind::Sqrt>},
      {"Tan", importUnary<UnaryKind::Tan>},
      {"Tanh", importUnary<UnaryKind::Tanh>},
      {"Add", importBinary<BinaryKind::Add>},
      {"And", importBinary<BinaryKind::And>},
      {"BitwiseAnd", importBinary<BinaryKind::BitAnd>},
      {"BitwiseOr", importBinary<BinaryKind::BitOr>},
      {"BitwiseXor", importBinary<BinaryKind::BitXor>},
      {"Div", importBinary<BinaryKind::Div>},
      {"Equal", importBinary<BinaryKind::Eq>},
      {"Greater", importBinary<BinaryKind::Gt>},
      {"GreaterOrEqual", importBinary<BinaryKind::Ge>},
      {"Less", importBinary<BinaryKind::Lt>},
      {"LessOrEqual", importBinary<BinaryKind::Le>},
      {"Mul", importBinary<BinaryKind::Mul>},
      {"Or", importBinary<BinaryKind::Or>},
      {"Pow", importBinary<BinaryKind::Pow>},
      {"Sub", importBinary<BinaryKind::Sub>},
      {"Xor", importBinary<BinaryKind::Xor>},
      {"Max", importVariadic<BinaryKind::Max>},
      {"Min", importVariadic<BinaryKind::Min>},
      {"Sum", importVariadic<BinaryKind::Add>},
      {"Mean", importMean},
      {"Mod", importMod},
      {"BitShift", importBitShift},
      {"IsInf", importIsInf},
      {"Where", importWhere},
      {"Cast", importCast},
      {"CastLike", importCastLike},
      {"Clip", importClip},
      {"Identity", importIdentity},
  };
  return kOps;
}
