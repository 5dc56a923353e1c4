// Element-wise operations as a quantised kernel computes them: in binary32,
// with the functions of docs/numerics.md. Outside of such a kernel the same
// operations are evaluated in double and rounded once.
#include "dialects/ef/EfDialect.h"
#include "dialects/ef/Quantized.h"
#include "dialects/ef/Values.h"
#include "runtime/npu/Numerics.h"

using namespace mlir;
using namespace efc::ef;
namespace numerics = efrt::numerics;

/// Calls `use` with the function of `kind`; false if there is none.
template <typename Use> static bool dispatchUnary(UnaryKind kind, Use use) {
  switch (kind) {
  case UnaryKind::Abs:
    return use([](float x) { return std::fabs(x); }), true;
  case UnaryKind::Neg:
    return use([](float x) { return -x; }), true;
  case UnaryKind::Exp:
    return use([](float x) { return numerics::exp32(x); }), true;
  case UnaryKind::Log:
    return use([](float x) { return numerics::log32(x); }), true;
  case UnaryKind::Sqrt:
    return use([](float x) { return std::sqrt(x); }), true;
  case UnaryKind::Rsqrt:
    return use([](float x) { return numerics::rsqrt(x); }), true;
  case UnaryKind::Reciprocal:
    return use([](float x) { return 1.0f / x; }), true;
  case UnaryKind::Sin:
    return use([](float x) { return numerics::sin32(x); }), true;
  case UnaryKind::Cos:
    return use([](float x) { return numerics::cos32(x); }), true;
  case UnaryKind::Tanh:
    return use([](float x) { return numerics::tanh32(x); }), true;
  case UnaryKind::Erf:
    return use([](float x) { return numerics::erf32(x); }), true;
  case UnaryKind::Sigmoid:
    return use([](float x) { return numerics::sigmoid32(x); }), true;
  case UnaryKind::Relu:
    return use([](float x) { return numerics::relu(x); }), true;
  case UnaryKind::Silu:
    return use([](float x) { return numerics::silu32(x); }), true;
  case UnaryKind::Gelu:
    return use([](float x) { return numerics::gelu32(x); }), true;
  case UnaryKind::GeluTanh:
    return use([](float x) { return numerics::geluTanh32(x); }), true;
  case UnaryKind::QuickGelu:
    return use([](float x) { return numerics::quickGelu32(x); }), true;
  default:
    return false;
  }
}

static bool hasExactFunction(UnaryKind kind) {
  return dispatchUnary(kind, [](auto) {});
}

bool efc::ef::hasExactEvaluation(Operation *op) {
  auto isF32 = [](Type type) { return getElementTypeOrSelf(type).isF32(); };
  if (!llvm::all_of(op->getOperandTypes(), isF32) ||
      !llvm::all_of(op->getResultTypes(), isF32))
    return false;
  if (auto unary = dyn_cast<UnaryOp>(op))
    return hasExactFunction(unary.getKind());
  if (auto geglu = dyn_cast<GegluOp>(op))
    return hasExactFunction(geglu.getActivation());
  auto binary = dyn_cast<BinaryOp>(op);
  if (!binary)
    return false;
  switch (binary.getKind()) {
  case BinaryKind::Add:
  case BinaryKind::Sub:
  case BinaryKind::Mul:
  case BinaryKind::Div:
  case BinaryKind::Min:
  case BinaryKind::Max:
    return true;
  default:
    return false;
  }
}

static const float *getFloats(const HostTensor &tensor) {
  return reinterpret_cast<const float *>(tensor.getBytes().data());
}

static HostTensor evaluateUnary(UnaryOp op, const HostTensor &input) {
  HostTensor result(op.getType());
  const float *from = getFloats(input);
  auto *to = reinterpret_cast<float *>(result.getMutableBytes().data());
  dispatchUnary(op.getKind(), [&](auto function) {
    for (int64_t i = 0, e = input.getNumElements(); i < e; ++i)
      to[i] = function(from[i]);
  });
  return result;
}

static HostTensor evaluateGeglu(GegluOp op, const HostTensor &input) {
  HostTensor result(op.getType());
  int64_t half = op.getType().getShape().back();
  int64_t rows = half == 0 ? 0 : result.getNumElements() / half;
  auto *to = reinterpret_cast<float *>(result.getMutableBytes().data());
  dispatchUnary(op.getActivation(), [&](auto function) {
    for (int64_t row = 0; row < rows; ++row) {
      const float *value = getFloats(input) + row * 2 * half;
      for (int64_t i = 0; i < half; ++i)
        to[row * half + i] = value[i] * function(value[half + i]);
    }
  });
  return result;
}

HostTensor efc::ef::evaluateExact(Operation *op,
                                  ArrayRef<HostTensor> operands) {
  if (auto unary = dyn_cast<UnaryOp>(op))
    return evaluateUnary(unary, operands[0]);
  if (auto geglu = dyn_cast<GegluOp>(op))
    return evaluateGeglu(geglu, operands[0]);
  // One operation in double, rounded to binary32, is the binary32 operation: 53
  // bits are more than twice 24 plus two.
  SmallVector<HostTensor> results;
  LogicalResult evaluated = cast<BinaryOp>(op).evaluate(operands, results);
  assert(succeeded(evaluated) && "float operations have values everywhere");
  (void)evaluated;
  return results.front();
}
