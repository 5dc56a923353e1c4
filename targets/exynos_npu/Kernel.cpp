// See Kernel.h.
#include "targets/exynos_npu/Kernel.h"

#include "mlir/Dialect/Quant/IR/Quant.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace efc;
using namespace efc::npu;
using efrt::npu::Opcode;

Kernel::Kernel(Operation *root) : root(root) {
  if (auto fused = dyn_cast<ef::FusedOp>(root)) {
    anchor = fused.getAnchor();
    for (Operation &op : fused.getBlock().without_terminator())
      ops.push_back(&op);
    Operation *yield = fused.getBlock().getTerminator();
    results.assign(yield->operand_begin(), yield->operand_end());
  } else {
    ops.push_back(root);
    if (ef::FusedOp::isAnchor(root))
      anchor = root;
    results.assign(root->result_begin(), root->result_end());
  }
  for (Operation *op : ops)
    if (!geglu)
      geglu = dyn_cast<ef::GegluOp>(op);
}

bool Kernel::isInside(Value value) const {
  Operation *op = value.getDefiningOp();
  return op && (op == root || op->getParentOp() == root);
}

bool efc::npu::isFloatCast(Operation *op) {
  auto cast = dyn_cast<ef::CastOp>(op);
  return cast && isa<FloatType>(getElementTypeOrSelf(cast.getInput())) &&
         isa<FloatType>(getElementTypeOrSelf(cast.getResult()));
}

Value Kernel::leaf(Value value, bool throughDcast) const {
  while (isInside(value)) {
    Operation *op = value.getDefiningOp();
    if (isa<ef::ConstantOp>(op))
      return value;
    bool isTransparent = isFloatCast(op) || isa<ef::ReshapeOp>(op) ||
                         (throughDcast && isa<quant::DequantizeCastOp>(op));
    if (!isTransparent)
      return {};
    value = op->getOperand(0);
  }
  auto argument = dyn_cast<BlockArgument>(value);
  if (argument && argument.getOwner()->getParentOp() == root)
    return root->getOperand(argument.getArgNumber());
  return value;
}

static std::string nameInLabel(Operation *op) {
  if (auto unary = dyn_cast<ef::UnaryOp>(op))
    return ef::stringifyUnaryKind(unary.getKind()).str();
  if (auto binary = dyn_cast<ef::BinaryOp>(op))
    return ef::stringifyBinaryKind(binary.getKind()).str();
  if (auto conv = dyn_cast<ef::ConvOp>(op)) {
    auto filter = cast<RankedTensorType>(conv.getFilter().getType());
    std::string taps;
    for (int64_t extent : filter.getShape().drop_front(2))
      taps += (taps.empty() ? "" : "x") + std::to_string(extent);
    return "conv" + taps;
  }
  if (isa<quant::QuantizeCastOp>(op))
    return "quantize";
  if (isa<quant::DequantizeCastOp>(op))
    return "dequantize";
  return op->getName().stripDialect().str();
}

std::string Kernel::label() const {
  llvm::SmallVector<std::string> parts;
  for (Operation *op : ops)
    if (!isa<ef::ConstantOp, ef::ReshapeOp, ef::CastOp, quant::QuantizeCastOp,
             quant::DequantizeCastOp>(op))
      parts.push_back(nameInLabel(op));
  if (parts.empty())
    parts.push_back(nameInLabel(ops.back()));
  return llvm::join(parts, "+");
}

std::optional<Opcode> efc::npu::opcodeOf(ef::UnaryKind kind) {
  switch (kind) {
  case ef::UnaryKind::Abs:
    return Opcode::Abs;
  case ef::UnaryKind::Neg:
    return Opcode::Neg;
  case ef::UnaryKind::Exp:
    return Opcode::Exp;
  case ef::UnaryKind::Log:
    return Opcode::Log;
  case ef::UnaryKind::Sqrt:
    return Opcode::Sqrt;
  case ef::UnaryKind::Rsqrt:
    return Opcode::Rsqrt;
  case ef::UnaryKind::Reciprocal:
    return Opcode::Reciprocal;
  case ef::UnaryKind::Sin:
    return Opcode::Sin;
  case ef::UnaryKind::Cos:
    return Opcode::Cos;
  case ef::UnaryKind::Tanh:
    return Opcode::Tanh;
  case ef::UnaryKind::Erf:
    return Opcode::Erf;
  case ef::UnaryKind::Sigmoid:
    return Opcode::Sigmoid;
  case ef::UnaryKind::Relu:
    return Opcode::Relu;
  case ef::UnaryKind::Silu:
    return Opcode::Silu;
  case ef::UnaryKind::Gelu:
    return Opcode::Gelu;
  case ef::UnaryKind::GeluTanh:
    return Opcode::GeluTanh;
  case ef::UnaryKind::QuickGelu:
    return Opcode::QuickGelu;
  default:
    return std::nullopt;
  }
}

std::optional<Opcode> efc::npu::opcodeOf(ef::BinaryKind kind) {
  switch (kind) {
  case ef::BinaryKind::Add:
    return Opcode::Add;
  case ef::BinaryKind::Sub:
    return Opcode::Sub;
  case ef::BinaryKind::Mul:
    return Opcode::Mul;
  case ef::BinaryKind::Div:
    return Opcode::Div;
  case ef::BinaryKind::Min:
    return Opcode::Min;
  case ef::BinaryKind::Max:
    return Opcode::Max;
  default:
    return std::nullopt;
  }
}
