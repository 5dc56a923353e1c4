// See EpilogueBuilder.h.
#include "targets/exynos_npu/EpilogueBuilder.h"

#include "targets/exynos_npu/LayerBuilder.h"

#include "dialects/ef/WeightStore.h"

#include "mlir/Dialect/Quant/IR/Quant.h"

#include <bitset>

using namespace mlir;
using namespace efc;
using namespace efc::npu;
using efrt::npu::Instruction;
using efrt::npu::Opcode;
using llvm::Error;
using llvm::Expected;

static constexpr int kNumRegisters = 16, kNumAnchors = 2;

ArrayRef<EpilogueBuilder::Half> EpilogueBuilder::halves() const {
  static const Half whole[] = {Whole}, both[] = {Kept, Gate};
  return kernel.geglu ? ArrayRef(both) : ArrayRef(whole);
}

EpilogueBuilder::Register EpilogueBuilder::emit(Opcode op, Register a,
                                                Register b) {
  code.push_back({op, a, b, 0, -1});
  return kNumAnchors + code.size() - 1;
}

EpilogueBuilder::Register EpilogueBuilder::constant(float value) {
  Register result = emit(Opcode::Constant, -1);
  code.back().immediate = value;
  return result;
}

EpilogueBuilder::Register EpilogueBuilder::load(Operand operand, Half half) {
  if (half == Gate)
    operand.firstChannel += channels;
  auto same = [&](const Operand &other) {
    return other.use == operand.use && other.tensor == operand.tensor &&
           other.constant == operand.constant && other.raw == operand.raw &&
           other.firstChannel == operand.firstChannel;
  };
  int index = llvm::find_if(operands, same) - operands.begin();
  if (index == static_cast<int>(operands.size()))
    operands.push_back(operand);
  auto [entry, isNew] = loaded.try_emplace(index, -1);
  if (isNew) {
    entry->second = emit(Opcode::Load, -1);
    code.back().operand = index;
  }
  return entry->second;
}

/// The one value that all elements of a constant have, if they do.
static std::optional<float> splatOf(Value value) {
  auto constant = value.getDefiningOp<ef::ConstantOp>();
  if (!constant)
    return std::nullopt;
  auto elements = dyn_cast<DenseElementsAttr>(constant.getValue());
  if (!elements || !elements.isSplat() ||
      !isa<FloatType>(elements.getElementType()))
    return std::nullopt;
  APFloat splat = elements.getSplatValue<APFloat>();
  bool losesInfo;
  splat.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven,
                &losesInfo);
  return splat.convertToFloat();
}

/// Reads `leaf`, which the kernel uses in the shape of `use`.
Expected<EpilogueBuilder::Register>
EpilogueBuilder::loadLeaf(Value leaf, Value use, Half half) {
  if (std::optional<float> splat = splatOf(leaf))
    return constant(*splat);
  auto type = cast<RankedTensorType>(use.getType());
  int64_t wanted = half == Whole ? channels : 2 * channels;
  if (type.getNumElements() == positions * wanted &&
      (positions > 1 || !ef::isConstantExpression(leaf))) {
    Expected<Operand> rows = layers.rowsOf(leaf, {positions, wanted});
    if (!rows)
      return rows.takeError();
    return load(*rows, half);
  }
  bool isVector = positions == 1 ||
                  (type.getRank() > 0 && type.getShape().back() == wanted);
  if (type.getNumElements() != 1 &&
      (!isVector || type.getNumElements() != wanted))
    return refuse("an operand of the epilogue has neither the result's shape, "
                  "nor one value a channel, nor one value");
  Expected<Operand> vector = layers.channelsOf(leaf);
  if (!vector)
    return vector.takeError();
  return load(*vector, type.getNumElements() == 1 ? Whole : half);
}

Expected<EpilogueBuilder::Register> EpilogueBuilder::evaluate(Value value,
                                                              Half half) {
  if (auto known = values.find({value, half}); known != values.end())
    return known->second;
  Expected<Register> result = compute(value, half);
  if (result)
    values[{value, half}] = *result;
  return result;
}

Expected<EpilogueBuilder::Register> EpilogueBuilder::compute(Value value,
                                                             Half half) {
  if (Value leaf = kernel.leaf(value, /*throughDcast=*/true))
    return loadLeaf(leaf, value, half);
  Operation *op = value.getDefiningOp();
  if (isFloatCast(op))
    return evaluate(op->getOperand(0), half);
  if (isa<ef::ReshapeOp>(op)) {
    auto from = cast<RankedTensorType>(op->getOperand(0).getType());
    auto to = cast<RankedTensorType>(op->getResult(0).getType());
    bool isVector = extentsOf(op->getResult(0)).positions == 1;
    if (!isVector && from.getShape().back() != to.getShape().back())
      return refuse("a reshape inside the kernel splits or merges channels");
    return evaluate(op->getOperand(0), half);
  }
  return computeOp(op, half);
}

Expected<EpilogueBuilder::Register> EpilogueBuilder::computeOp(Operation *op,
                                                               Half half) {
  if (auto unary = dyn_cast<ef::UnaryOp>(op)) {
    Expected<Register> input = evaluate(unary.getInput(), half);
    std::optional<Opcode> opcode = opcodeOf(unary.getKind());
    if (input && opcode)
      return emit(*opcode, *input);
    if (!input)
      return input.takeError();
    return refuse("the vector engines have no instruction for '" +
                  ef::stringifyUnaryKind(unary.getKind()) + "'");
  }
  if (auto binary = dyn_cast<ef::BinaryOp>(op)) {
    std::optional<Opcode> opcode = opcodeOf(binary.getKind());
    if (!opcode)
      return refuse("the vector engines have no instruction for '" +
                    ef::stringifyBinaryKind(binary.getKind()) + "'");
    Expected<Register> lhs = evaluate(binary.getLhs(), half);
    if (!lhs)
      return lhs.takeError();
    Expected<Register> rhs = evaluate(binary.getRhs(), half);
    if (!rhs)
      return rhs.takeError();
    return emit(*opcode, *lhs, *rhs);
  }
  auto geglu = dyn_cast<ef::GegluOp>(op);
  if (geglu && geglu == kernel.geglu && half == Whole) {
    Expected<Register> kept = evaluate(geglu.getInput(), Kept);
    if (!kept)
      return kept.takeError();
    Expected<Register> gate = evaluate(geglu.getInput(), Gate);
    if (!gate)
      return gate.takeError();
    std::optional<Opcode> opcode = opcodeOf(geglu.getActivation());
    if (!opcode)
      return refuse("the vector engines have no instruction for the gate's '" +
                    ef::stringifyUnaryKind(geglu.getActivation()) + "'");
    return emit(Opcode::Mul, *kept, emit(*opcode, *gate));
  }
  return refuse("'" + op->getName().getStringRef() +
                "' cannot stand inside a kernel of the NPU");
}

Expected<Epilogue> EpilogueBuilder::finish(bool hasAnchor) {
  Value value = kernel.results.front();
  if (kernel.isInside(value))
    if (auto cast = value.getDefiningOp<quant::QuantizeCastOp>())
      value = cast.getInput();
  Expected<Register> result = evaluate(value);
  if (!result)
    return result.takeError();
  return allocate(*result, hasAnchor);
}

/// Linear scan: a register is free after the last use of what is in it.
Expected<Epilogue> EpilogueBuilder::allocate(Register result, bool hasAnchor) {
  if (operands.size() > efrt::npu::kMaxOperands ||
      code.size() > efrt::npu::kMaxInstructions)
    return refuse("the kernel needs " + Twine(operands.size()) +
                  " operands and " + Twine(code.size()) +
                  " instructions beside its anchor; there are " +
                  Twine(efrt::npu::kMaxOperands) + " and " +
                  Twine(efrt::npu::kMaxInstructions));
  size_t numValues = code.size() + kNumAnchors;
  std::vector<size_t> lastUse(numValues, 0);
  for (auto [index, instruction] : llvm::enumerate(code))
    for (Register used : {instruction.a, instruction.b})
      if (used >= 0)
        lastUse[used] = index;
  lastUse[result] = code.size();

  Epilogue epilogue;
  epilogue.operands = operands;
  epilogue.gated = hasAnchor && kernel.geglu;
  std::vector<uint8_t> place(numValues, 0);
  std::bitset<kNumRegisters> used;
  place[1] = 1;
  used[0] = hasAnchor;
  used[1] = epilogue.gated;
  for (auto [index, instruction] : llvm::enumerate(code)) {
    Instruction out{instruction.op, 0, 0, 0, instruction.immediate};
    if (instruction.a >= 0)
      out.a = place[instruction.a];
    if (instruction.b >= 0)
      out.b = place[instruction.b];
    if (instruction.op == Opcode::Load)
      out.a = instruction.operand;
    for (Register read : {instruction.a, instruction.b})
      if (read >= 0 && lastUse[read] == index)
        used.reset(place[read]);
    int dst = 0;
    while (dst < kNumRegisters && used[dst])
      ++dst;
    if (dst == kNumRegisters)
      return refuse("the kernel keeps more than 16 values at a time");
    used.set(dst);
    out.dst = place[kNumAnchors + index] = dst;
    epilogue.code.push_back(out);
  }
  epilogue.value = place[result];
  return epilogue;
}
