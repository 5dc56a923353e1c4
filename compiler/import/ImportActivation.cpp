// Activation functions, as compositions of element-wise operations where the
// dialect has none of its own. Formulas are those of ONNX's operator
// specification.
#include "compiler/import/NodeImporter.h"

using namespace mlir;
using namespace efc;
using namespace efc::importer;

template <UnaryKind kind> static LogicalResult importUnary(NodeImporter &node) {
  return node.setResult(node.unary(kind, node.getInput(0)));
}

/// onTrue where input > threshold (>= with `orEqual`), else onFalse.
static Value selectAbove(NodeImporter &node, Value input, double threshold,
                         Value onTrue, Value onFalse, bool orEqual = false) {
  return node.select(
      node.binary(orEqual ? BinaryKind::Ge : BinaryKind::Gt, input, threshold),
      onTrue, onFalse);
}

static LogicalResult importLeakyRelu(NodeImporter &node) {
  Value x = node.getInput(0);
  Value scaled = node.binary(BinaryKind::Mul, x, node.getFloat("alpha", 0.01f));
  return node.setResult(selectAbove(node, x, 0, x, scaled, /*orEqual=*/true));
}

static LogicalResult importPRelu(NodeImporter &node) {
  Value x = node.getInput(0), slope = node.getInput(1);
  return node.setResult(selectAbove(
      node, x, 0, x, node.binary(BinaryKind::Mul, x, slope), /*orEqual=*/true));
}

/// scale * (exp(min(x, 0) / divisor) - 1) where x <= 0. The minimum keeps the
/// branch that is not taken finite.
static Value expMinusOne(NodeImporter &node, Value x, double scale,
                         double divisor = 1) {
  Value negative = node.binary(BinaryKind::Min, x, 0.0);
  if (divisor != 1)
    negative = node.binary(BinaryKind::Div, negative, divisor);
  Value grown =
      node.binary(BinaryKind::Sub, node.unary(UnaryKind::Exp, negative), 1.0);
  return scale == 1 ? grown : node.binary(BinaryKind::Mul, grown, scale);
}

static LogicalResult importElu(NodeImporter &node) {
  Value x = node.getInput(0);
  return node.setResult(selectAbove(
      node, x, 0, x, expMinusOne(node, x, node.getFloat("alpha", 1))));
}

static LogicalResult importSelu(NodeImporter &node) {
  Value x = node.getInput(0);
  double alpha = node.getFloat("alpha", 1.67326319217681884765625),
         gamma = node.getFloat("gamma", 1.05070102214813232421875);
  Value y = selectAbove(node, x, 0, x, expMinusOne(node, x, alpha));
  return node.setResult(node.binary(BinaryKind::Mul, y, gamma));
}

static LogicalResult importCelu(NodeImporter &node) {
  Value x = node.getInput(0);
  double alpha = node.getFloat("alpha", 1);
  return node.setResult(node.binary(BinaryKind::Add,
                                    node.unary(UnaryKind::Relu, x),
                                    expMinusOne(node, x, alpha, alpha)));
}

static LogicalResult importThresholdedRelu(NodeImporter &node) {
  Value x = node.getInput(0);
  if (!x)
    return failure();
  Value zero = node.constant(node.getElementType(x), 0);
  return node.setResult(
      selectAbove(node, x, node.getFloat("alpha", 1), x, zero));
}

static LogicalResult importHardSigmoid(NodeImporter &node) {
  Value scaled = node.binary(BinaryKind::Mul, node.getInput(0),
                             node.getFloat("alpha", 0.2f));
  Value shifted =
      node.binary(BinaryKind::Add, scaled, node.getFloat("beta", 0.5));
  return node.setResult(node.clamp(shifted, 0, 1));
}

static LogicalResult importGelu(NodeImporter &node) {
  std::string approximate = node.getString("approximate", "none");
  if (approximate != "none" && approximate != "tanh")
    return node.fail("its attribute approximate '" + approximate +
                     "' is neither none nor tanh");
  return node.setResult(
      node.unary(approximate == "tanh" ? UnaryKind::GeluTanh : UnaryKind::Gelu,
                 node.getInput(0)));
}

static Value swish(NodeImporter &node, Value x, double alpha) {
  if (alpha == 1)
    return node.unary(UnaryKind::Silu, x);
  Value gate =
      node.unary(UnaryKind::Sigmoid, node.binary(BinaryKind::Mul, x, alpha));
  return node.binary(BinaryKind::Mul, x, gate);
}

static LogicalResult importSwish(NodeImporter &node) {
  return node.setResult(
      swish(node, node.getInput(0), node.getFloat("alpha", 1)));
}

static LogicalResult importSwiGlu(NodeImporter &node) {
  Value gate = swish(node, node.getInput(0), node.getFloat("alpha", 1));
  return node.setResult(node.binary(BinaryKind::Mul, gate, node.getInput(1)));
}

static LogicalResult importShrink(NodeImporter &node) {
  Value x = node.getInput(0);
  double bias = node.getFloat("bias", 0), lambda = node.getFloat("lambd", 0.5);
  if (!x)
    return failure();
  Value below = node.select(node.binary(BinaryKind::Lt, x, -lambda),
                            node.binary(BinaryKind::Add, x, bias),
                            node.constant(node.getElementType(x), 0));
  return node.setResult(selectAbove(
      node, x, lambda, node.binary(BinaryKind::Sub, x, bias), below));
}

ArrayRef<OpEntry> importer::getActivationOps() {
  static constexpr OpEntry kOps[] = {
      {"Relu", importUnary<UnaryKind::Relu>},
      {"Sigmoid", importUnary<UnaryKind::Sigmoid>},
      {"Softplus", importUnary<UnaryKind::Softplus>},
      {"Softsign", importUnary<UnaryKind::Softsign>},
      {"Mish", importUnary<UnaryKind::Mish>},
      {"HardSwish", importUnary<UnaryKind::HardSwish>},
      {"LeakyRelu", importLeakyRelu},
      {"PRelu", importPRelu},
      {"Elu", importElu},
      {"Selu", importSelu},
      {"Celu", importCelu},
      {"ThresholdedRelu", importThresholdedRelu},
      {"HardSigmoid", importHardSigmoid},
      {"Gelu", importGelu},
      {"Swish", importSwish},
      {"SwiGLU", importSwiGlu},
      {"Shrink", importShrink},
  };
  return kOps;
}
