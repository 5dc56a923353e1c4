// The operations of the `npu` dialect: verifiers and the text of operands with
// their views.
#include "dialects/npu/Text.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace efc::npu;
using efrt::DType;
using efrt::npu::Instruction;
using efrt::npu::Opcode;
using efrt::npu::View;

//===--- Text -------------------------------------------------------------===//

/// `(%0 <i16 [1, 1, 8, 32]>, %1 <f32 [1, 1, 1, 32]>)`
static ParseResult
parseBufferViews(OpAsmParser &parser,
                 SmallVectorImpl<OpAsmParser::UnresolvedOperand> &buffers,
                 ViewsAttr &views) {
  SmallVector<View> values;
  auto parseOne = [&]() -> ParseResult {
    return failure(
        parser.parseOperand(buffers.emplace_back()) || parser.parseLess() ||
        parseView(parser, values.emplace_back()) || parser.parseGreater());
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren, parseOne))
    return failure();
  views = ViewsAttr::get(parser.getContext(), values);
  return success();
}

static void printBufferViews(OpAsmPrinter &printer, Operation *,
                             OperandRange buffers, ViewsAttr views) {
  printer << "(";
  llvm::interleaveComma(llvm::zip(buffers, views.getValue()), printer,
                        [&](auto pair) {
                          printer << std::get<0>(pair) << " <";
                          printView(printer, std::get<1>(pair));
                          printer << ">";
                        });
  printer << ")";
}

#define GET_OP_CLASSES
#include "dialects/npu/NpuOps.cpp.inc"

//===--- Checks that commands share ---------------------------------------===//

static int64_t bytesOf(Value buffer) {
  auto alloc = buffer.getDefiningOp<AllocOp>();
  return alloc ? alloc.getBytes() : INT64_MAX;
}

/// One view an operand, each inside its buffer.
static LogicalResult verifyViews(Operation *op, ArrayRef<View> views) {
  if (views.size() != op->getNumOperands())
    return op->emitOpError("has ") << op->getNumOperands() << " buffers and "
                                   << views.size() << " views";
  for (auto [index, view] : llvm::enumerate(views)) {
    for (int i = 0; i < 4; ++i)
      if (view.extents[i] == 0 || view.strides[i] < 0)
        return op->emitOpError("view ")
               << index << " has an empty dimension or a negative stride";
    int64_t end = view.address + spanOf(view);
    int64_t bytes = bytesOf(op->getOperand(index));
    if (end > bytes)
      return op->emitOpError("view ")
             << index << " ends at byte " << end << " of a buffer of " << bytes;
  }
  return success();
}

/// `first` to `last` are the views of the code's operands.
static LogicalResult verifyCode(Operation *op, CodeAttr code,
                                ArrayRef<View> operands) {
  if (operands.size() > efrt::npu::kMaxOperands)
    return op->emitOpError("has ") << operands.size() << " operands; at most "
                                   << efrt::npu::kMaxOperands << " are allowed";
  if (code.getInstructions().size() > efrt::npu::kMaxInstructions)
    return op->emitOpError("has ")
           << code.getInstructions().size() << " instructions; at most "
           << efrt::npu::kMaxInstructions << " are allowed";
  bool registersExist = code.getValue() < 16;
  for (const Instruction &instruction : code.getInstructions()) {
    registersExist &= instruction.dst < 16 && instruction.b < 16 &&
                      (instruction.op == Opcode::Load || instruction.a < 16);
    if (instruction.op == Opcode::Load && instruction.a >= operands.size())
      return op->emitOpError("loads operand ")
             << unsigned(instruction.a) << " of " << operands.size();
  }
  if (!registersExist)
    return op->emitOpError("uses a register beyond r15");
  return success();
}

/// The code's operands are views [first, last - 1), its result the last one.
static LogicalResult verifyProgram(Operation *op, ArrayRef<View> views,
                                   CodeAttr code, size_t first) {
  if (failed(verifyViews(op, views)))
    return failure();
  if (views.size() < first + 1)
    return op->emitOpError("needs at least ") << first + 1 << " buffers";
  ArrayRef<View> operands = views.drop_front(first).drop_back();
  const View &result = views.back();
  for (auto [index, operand] : llvm::enumerate(operands))
    for (int i = 0; i < 4; ++i)
      if (operand.extents[i] != result.extents[i] && operand.strides[i] != 0)
        return op->emitOpError("operand ")
               << index << " of its code has other extents than the result";
  return verifyCode(op, code, operands);
}

static LogicalResult verifyCount(Operation *op, ArrayRef<View> views,
                                 size_t count) {
  if (failed(verifyViews(op, views)))
    return failure();
  if (views.size() != count)
    return op->emitOpError("needs ") << count << " buffers";
  return success();
}

static bool isMatrixType(DType dtype) {
  return dtype == DType::I8 || dtype == DType::I16 || dtype == DType::F16;
}

//===--- Commands ---------------------------------------------------------===//

static LogicalResult verifyTransfer(Operation *op, TransferAttr transfer) {
  const efrt::npu::DmaCommand &dma = transfer.getValue();
  if (!llvm::is_contained({1, 2, 4, 8}, dma.elementBytes))
    return op->emitOpError("moves elements of ")
           << unsigned(dma.elementBytes) << " bytes; 1, 2, 4 or 8 are allowed";
  int64_t end = dma.address + dma.elementBytes, dramEnd = dma.elementBytes;
  for (int i = 0; i < 5; ++i) {
    if (dma.extents[i] == 0 || dma.scratchStrides[i] < 0)
      return op->emitOpError("has an empty dimension or a negative stride");
    end += (int64_t(dma.extents[i]) - 1) * dma.scratchStrides[i];
    dramEnd += (int64_t(dma.extents[i]) - 1) * dma.dramStrides[i];
  }
  if (end > bytesOf(op->getOperand(0)))
    return op->emitOpError("ends at byte ")
           << end << " of a buffer of " << bytesOf(op->getOperand(0));
  auto program = op->getParentOfType<ProgramOp>();
  if (!program)
    return success();
  ArrayRef<int64_t> slots = program.getSlotBytes();
  if (dma.slot >= slots.size() ||
      static_cast<int64_t>(dma.offset) + dramEnd > slots[dma.slot])
    return op->emitOpError("leaves slot ") << dma.slot;
  return success();
}

LogicalResult DmaLoadOp::verify() {
  return verifyTransfer(*this, getTransfer());
}

LogicalResult DmaStoreOp::verify() {
  return verifyTransfer(*this, getTransfer());
}

LogicalResult TensorOp::verify() {
  ArrayRef<View> views = getViews().getValue();
  if (failed(verifyProgram(*this, views, getCode(), getGated() ? 3 : 2)))
    return failure();
  const View &input = views[0], &weights = views[1], &result = views.back();
  if (!isMatrixType(input.dtype) || !isMatrixType(weights.dtype))
    return emitOpError("multiplies i8, i16 and f16 only");
  if ((input.dtype == DType::F16) != (weights.dtype == DType::F16))
    return emitOpError("multiplies an integer by a float");
  if (getGated() && views[2].extents != weights.extents)
    return emitOpError("has a gate with other extents than its weights");
  if (!getDepthwise() && weights.extents[3] != input.extents[3])
    return emitOpError("has an input of ")
           << input.extents[3] << " channels and weights for "
           << weights.extents[3];
  if (weights.extents[0] != result.extents[3])
    return emitOpError("has weights for ")
           << weights.extents[0] << " output channels and a result of "
           << result.extents[3];
  if (getWindow() && getWindow()->size() != 6)
    return emitOpError("has a window of ")
           << getWindow()->size() << " values; six are needed";
  return success();
}

LogicalResult VectorOp::verify() {
  return verifyProgram(*this, getViews().getValue(), getCode(), 0);
}

LogicalResult SoftmaxOp::verify() {
  ArrayRef<View> views = getViews().getValue();
  if (failed(verifyCount(*this, views, 3)))
    return failure();
  if (views[0].extents != views[1].extents ||
      views[2].extents[2] != views[0].extents[2])
    return emitOpError("needs input, result and sums of the same rows");
  return success();
}

LogicalResult NormStatsOp::verify() {
  ArrayRef<View> views = getViews().getValue();
  if (failed(verifyCount(*this, views, 2)))
    return failure();
  if (views[1].extents != std::array<uint32_t, 4>{1, 1, views[0].extents[2], 2})
    return emitOpError("needs two sums for each of ")
           << views[0].extents[2] << " groups";
  return success();
}

LogicalResult NormFactorsOp::verify() {
  ArrayRef<View> views = getViews().getValue();
  if (failed(verifyCount(*this, views, 5)))
    return failure();
  for (const View &view : views.drop_front(2))
    if (view.extents != views[1].extents || view.dtype != DType::F32)
      return emitOpError("needs float32 vectors of the same extents");
  return success();
}

LogicalResult LayerNormOp::verify() {
  return verifyProgram(*this, getViews().getValue(), getCode(), 3);
}

//===--- Programs ---------------------------------------------------------===//

LogicalResult AllocOp::verify() {
  if (static_cast<int64_t>(getBytes()) <= 0)
    return emitOpError("needs at least one byte");
  return success();
}

LogicalResult ConstantOp::verify() {
  auto type = cast<RankedTensorType>(getValue().getType());
  int64_t placed = getN() * getTaps() * getK();
  if (placed != type.getNumElements())
    return emitOpError("places ")
           << placed << " elements of " << type.getNumElements();
  return success();
}

LogicalResult ProgramOp::verify() {
  size_t slots = 2 + getType().getNumInputs() + getType().getNumResults();
  if (getSlotBytes().size() != slots)
    return emitOpError("has ")
           << getSlotBytes().size() << " slots; its type needs " << slots;
  for (Operation &op : getBlock())
    if (auto constant = dyn_cast<ConstantOp>(op)) {
      int64_t end = constant.getOffset() +
                    constant.getN() * constant.getTaps() * constant.getK() *
                        efrt::sizeOf(constant.getDtype().getValue());
      if (end > getSlotBytes()[0])
        return constant.emitOpError("ends at byte ")
               << end << " of " << getSlotBytes()[0] << " bytes of weights";
    }
  return success();
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  Operation *callee =
      symbols.lookupNearestSymbolFrom(getOperation(), getCalleeAttr());
  if (!callee)
    return emitOpError("calls ") << getCallee() << ", which does not exist";
  FunctionType type;
  if (auto partition = dyn_cast<func::FuncOp>(callee))
    type = partition.getFunctionType();
  else if (auto program = dyn_cast<ProgramOp>(callee))
    type = program.getType();
  else
    return emitOpError("calls ") << getCallee() << ", which is no partition";
  if (!llvm::equal(type.getInputs(), getOperandTypes()) ||
      !llvm::equal(type.getResults(), getResultTypes()))
    return emitOpError("has other types than its callee: ") << type;
  return success();
}
