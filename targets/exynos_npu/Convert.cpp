// See Convert.h.
#include "targets/exynos_npu/Convert.h"

using namespace mlir;
using namespace efc;
using namespace efc::npu;
using namespace efrt::npu;

static uint32_t addressOf(Value buffer) {
  return buffer.getDefiningOp<AllocOp>().getAddress().value_or(0);
}

/// The view of operand `index`, at its place in the scratchpad.
static View placed(Operation *op, ArrayRef<View> views, size_t index) {
  View view = views[index];
  view.address += addressOf(op->getOperand(index));
  return view;
}

/// Operands [first, last) are the code's, the last one its result.
static VectorProgram placedProgram(Operation *op, ArrayRef<View> views,
                                   CodeAttr code, size_t first) {
  VectorProgram program;
  for (size_t i = first; i + 1 < views.size(); ++i)
    program.operands.push_back(placed(op, views, i));
  program.code.assign(code.getInstructions().begin(),
                      code.getInstructions().end());
  program.value = code.getValue();
  program.result = placed(op, views, views.size() - 1);
  return program;
}

static Body bodyOf(Operation *op, TransferAttr transfer) {
  DmaCommand dma = transfer.getValue();
  dma.isStore = isa<DmaStoreOp>(op);
  dma.address += addressOf(op->getOperand(0));
  return dma;
}

static Body bodyOf(TensorOp op) {
  ArrayRef<View> views = op.getViews().getValue();
  TensorCommand tensor;
  tensor.input = placed(op, views, 0);
  tensor.weights = placed(op, views, 1);
  tensor.gated = op.getGated();
  if (tensor.gated)
    tensor.gateWeights = placed(op, views, 2);
  tensor.depthwise = op.getDepthwise();
  if (std::optional<ArrayRef<int64_t>> window = op.getWindow()) {
    tensor.strideY = (*window)[0];
    tensor.strideX = (*window)[1];
    tensor.dilationY = (*window)[2];
    tensor.dilationX = (*window)[3];
    tensor.padTop = (*window)[4];
    tensor.padLeft = (*window)[5];
  }
  tensor.epilogue =
      placedProgram(op, views, op.getCode(), tensor.gated ? 3 : 2);
  return tensor;
}

static Body bodyOf(SoftmaxOp op) {
  ArrayRef<View> views = op.getViews().getValue();
  SoftmaxCommand softmax;
  softmax.input = placed(op, views, 0);
  softmax.result = placed(op, views, 1);
  softmax.sums = placed(op, views, 2);
  if (std::optional<int64_t> offset = op.getCausalOffset())
    softmax.causalOffset = static_cast<int32_t>(*offset);
  return softmax;
}

static Body bodyOf(NormStatsOp op) {
  ArrayRef<View> views = op.getViews().getValue();
  return NormStatsCommand{placed(op, views, 0), placed(op, views, 1),
                          op.getAccumulate()};
}

static Body bodyOf(NormFactorsOp op) {
  ArrayRef<View> views = op.getViews().getValue();
  NormFactorsCommand factors;
  factors.stats = placed(op, views, 0);
  factors.gamma = placed(op, views, 1);
  factors.beta = placed(op, views, 2);
  factors.factors = placed(op, views, 3);
  factors.biases = placed(op, views, 4);
  factors.count = op.getCount();
  factors.epsilon = op.getEpsilon().convertToFloat();
  factors.inputScale = op.getInputScale().convertToFloat();
  return factors;
}

static Body bodyOf(LayerNormOp op) {
  ArrayRef<View> views = op.getViews().getValue();
  LayerNormCommand norm;
  norm.input = placed(op, views, 0);
  norm.gamma = placed(op, views, 1);
  norm.beta = placed(op, views, 2);
  norm.epsilon = op.getEpsilon().convertToFloat();
  norm.rms = op.getRms();
  norm.epilogue = placedProgram(op, views, op.getCode(), 3);
  return norm;
}

Command efc::npu::toCommand(CommandOpInterface op) {
  Command command;
  command.notify = op.getNotify();
  if (WaitsAttr waits = op.getWaitsAttr())
    command.waits.assign(waits.getValue().begin(), waits.getValue().end());
  command.body =
      llvm::TypeSwitch<Operation *, Body>(op)
          .Case<DmaLoadOp, DmaStoreOp>(
              [](auto dma) { return bodyOf(dma, dma.getTransfer()); })
          .Case<TensorOp, SoftmaxOp, NormStatsOp, NormFactorsOp, LayerNormOp>(
              [](auto compute) { return bodyOf(compute); })
          .Case<VectorOp>([](VectorOp vector) -> Body {
            return VectorCommand{placedProgram(
                vector, vector.getViews().getValue(), vector.getCode(), 0)};
          });
  return command;
}

llvm::FailureOr<Program> efc::npu::toProgram(ProgramOp op) {
  Program program;
  program.slotBytes.assign(op.getSlotBytes().begin(), op.getSlotBytes().end());
  program.numInputs = op.getType().getNumInputs();
  if (std::optional<ArrayRef<int32_t>> flow = op.getFlow())
    program.flow.assign(flow->begin(), flow->end());
  llvm::DenseMap<Attribute, uint32_t> sources;
  uint32_t sequence = 0;
  for (Operation &inner : op.getBlock()) {
    if (auto alloc = dyn_cast<AllocOp>(inner)) {
      if (!alloc.getAddress())
        return alloc.emitOpError("has no address; run efc-npu-schedule first");
      program.scratchpadBytes = std::max<uint32_t>(
          program.scratchpadBytes, *alloc.getAddress() + alloc.getBytes());
      continue;
    }
    auto commandOp = dyn_cast<CommandOpInterface>(inner);
    if (!commandOp)
      continue;
    if (!commandOp.getQueueAttr())
      return inner.emitOpError("has no queue; run efc-npu-schedule first");
    Command command = toCommand(commandOp);
    command.sequence = sequence++;
    SourceAttr source = commandOp.getSourceAttr();
    auto [entry, isNew] = sources.try_emplace(source, program.sources.size());
    if (isNew)
      program.sources.push_back({source.getNode().str(), source.getOp().str(),
                                 source.getGroup(), source.getTile()});
    command.source = entry->second;
    auto queue = static_cast<size_t>(commandOp.getQueueAttr().getValue());
    program.queues[queue].push_back(std::move(command));
  }
  return program;
}

//===--- Constants --------------------------------------------------------===//

llvm::SmallVector<ConstantOp> efc::npu::constantsOf(ProgramOp program) {
  llvm::SmallVector<ConstantOp> constants(
      program.getBlock().getOps<ConstantOp>());
  llvm::sort(constants, [](ConstantOp a, ConstantOp b) {
    return a.getOffset() < b.getOffset();
  });
  return constants;
}

int64_t efc::npu::bytesOf(ConstantOp constant) {
  return constant.getN() * constant.getTaps() * constant.getK() *
         efrt::sizeOf(constant.getDtype().getValue());
}

namespace {
/// Strides of a constant's own elements for output channel, tap and input
/// channel.
struct Strides {
  int64_t n, tap, k;
};
} // namespace

static Strides stridesOf(ConstantOp constant) {
  int64_t n = constant.getN(), taps = constant.getTaps(), k = constant.getK();
  switch (constant.getLayout()) {
  case ConstantLayout::FilterNKC:
    return {k * taps, 1, taps};
  case ConstantLayout::MatrixKN:
    return {1, 0, n};
  case ConstantLayout::MatrixNK:
  case ConstantLayout::Vector:
    return {taps * k, k, 1};
  }
  llvm_unreachable("all layouts are handled above");
}

/// Calls `move(to, from)` for each element in the order of the weights.
template <typename Move>
static void forEachElement(ConstantOp constant, Move move) {
  Strides strides = stridesOf(constant);
  int64_t n = constant.getN(), taps = constant.getTaps(), k = constant.getK();
  int64_t to = 0;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t tap = 0; tap < taps; ++tap)
      for (int64_t j = 0; j < k; ++j)
        move(to++, i * strides.n + tap * strides.tap + j * strides.k);
}

template <typename T>
static void moveElements(ConstantOp constant, const char *from, char *to) {
  forEachElement(constant, [&](int64_t target, int64_t source) {
    std::memcpy(to + target * sizeof(T), from + source * sizeof(T), sizeof(T));
  });
}

llvm::Error efc::npu::writeConstant(ConstantOp constant, ef::WeightStore &store,
                                    llvm::MutableArrayRef<char> bytes) {
  llvm::Expected<ef::HostTensor> value = store.evaluate(constant.getValue());
  if (!value)
    return value.takeError();
  efrt::DType dtype = constant.getDtype().getValue();
  MLIRContext *context = constant.getContext();
  Type wanted = dtype == efrt::DType::I8    ? Type(IntegerType::get(context, 8))
                : dtype == efrt::DType::F16 ? Type(Float16Type::get(context))
                                            : Type(Float32Type::get(context));
  // The compiler's own factors are float32, whatever the weights are.
  if (ef::getStorageType(value->getElementType()) != wanted) {
    auto shape = RankedTensorType::get(value->getShape(), wanted);
    ef::HostTensor converted(shape);
    for (int64_t i = 0, e = value->getNumElements(); i < e; ++i)
      if (wanted.isInteger())
        converted.setInt(i, static_cast<int64_t>(value->getFloat(i)));
      else
        converted.setFloat(i, value->getFloat(i));
    value = std::move(converted);
  }
  const char *from = value->getBytes().data();
  switch (efrt::sizeOf(dtype)) {
  case 1:
    moveElements<uint8_t>(constant, from, bytes.data());
    break;
  case 2:
    moveElements<uint16_t>(constant, from, bytes.data());
    break;
  default:
    moveElements<uint32_t>(constant, from, bytes.data());
    break;
  }
  return llvm::Error::success();
}
