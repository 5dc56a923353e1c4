// See Launches.h.
#include "compiler/artifact/Launches.h"

#include "compiler/artifact/NpuWeights.h"
#include "dialects/cpu/CpuDialect.h"
#include "dialects/ef/Locations.h"
#include "targets/cpu/Aliases.h"
#include "targets/cpu/PackWeights.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Quant/IR/QuantTypes.h"

using namespace mlir;
using namespace efc;

static constexpr uint64_t kAlignment = 64;

static fb::DType convertType(Type type) {
  type = ef::getStorageType(type);
  if (auto integer = dyn_cast<IntegerType>(type)) {
    bool isUnsigned = integer.isUnsigned();
    switch (integer.getWidth()) {
    case 1:
      return fb::DType::I1;
    case 8:
      return isUnsigned ? fb::DType::U8 : fb::DType::I8;
    case 16:
      return isUnsigned ? fb::DType::U16 : fb::DType::I16;
    case 32:
      return isUnsigned ? fb::DType::U32 : fb::DType::I32;
    default:
      return isUnsigned ? fb::DType::U64 : fb::DType::I64;
    }
  }
  if (type.isF64())
    return fb::DType::F64;
  if (type.isF16())
    return fb::DType::F16;
  return type.isBF16() ? fb::DType::BF16 : fb::DType::F32;
}

static uint64_t bytesOf(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  return tensor.getNumElements() * ef::getElementBytes(tensor.getElementType());
}

static std::unique_ptr<fb::PortT> createPort(Type type, Attribute name,
                                             const std::string &fallback) {
  auto tensor = cast<RankedTensorType>(type);
  auto port = std::make_unique<fb::PortT>();
  auto string = dyn_cast_or_null<StringAttr>(name);
  port->name = string ? string.str() : fallback;
  port->dtype = convertType(tensor.getElementType());
  port->shape.assign(tensor.getShape().begin(), tensor.getShape().end());
  if (auto quantized =
          dyn_cast<quant::UniformQuantizedType>(tensor.getElementType()))
    port->scale = quantized.getScale();
  return port;
}

namespace {
/// A piece of the weights' section: a constant of @main, or all of a program's.
struct WeightPiece {
  Value constant;
  npu::ProgramOp program;
};

/// Collects the tables while walking @main in order.
class Collector {
public:
  Collector(func::FuncOp main, fb::ModelT &model) : main(main), model(model) {}

  void describe() {
    describePorts();
    for (Operation &op : main.getBody().front())
      if (auto dispatch = dyn_cast<cpu::DispatchOp>(op))
        addDispatch(dispatch);
      else if (auto launch = dyn_cast<npu::LaunchOp>(op))
        addNpuLaunch(launch);
  }

  /// In order; each is padded to kAlignment.
  ArrayRef<WeightPiece> getPieces() const { return pieces; }
  uint64_t getWeightBytes() const { return weightBytes; }

private:
  void describePorts() {
    for (auto [index, type] : llvm::enumerate(main.getArgumentTypes()))
      model.inputs.push_back(createPort(type, main.getArgAttr(index, "ef.name"),
                                        "input" + std::to_string(index)));
    for (auto [index, type] : llvm::enumerate(main.getResultTypes()))
      model.outputs.push_back(createPort(type,
                                         main.getResultAttr(index, "ef.name"),
                                         "output" + std::to_string(index)));
  }

  void addDispatch(cpu::DispatchOp op) {
    auto dispatch = std::make_unique<fb::DispatchT>();
    dispatch->kernel = kernelIndex(op.getKernel());
    for (Value input : op.getInputs())
      dispatch->tensors.push_back(tensorIndex(input));
    for (auto [result, offset] :
         llvm::zip_equal(op.getResults(), *op.getOffsets()))
      dispatch->tensors.push_back(addResult(result, offset));
    dispatch->results = op.getNumResults();
    dispatch->work = op.getWork();
    dispatch->scratch = llvm::alignTo(op.getScratch(), kAlignment);
    dispatch->node = ef::getNodeName(op.getLoc()).str();
    dispatch->op = op.getOp().str();
    dispatch->macs = op.getMacs();
    for (Value value : llvm::concat<Value>(SmallVector<Value>(op.getInputs()),
                                           SmallVector<Value>(op.getResults())))
      dispatch->bytes += bytesOf(value.getType());
    model.dispatches.push_back(std::move(dispatch));
  }

  /// [weights, workspace, inputs..., outputs...]: the program's slots.
  void addNpuLaunch(npu::LaunchOp op) {
    auto program = SymbolTable::lookupNearestSymbolFrom<npu::ProgramOp>(
        op, op.getCalleeAttr());
    auto dispatch = std::make_unique<fb::DispatchT>();
    dispatch->device = fb::DeviceKind::Npu;
    dispatch->program = programIndex(program.getSymName());
    ArrayRef<int64_t> slotBytes = program.getSlotBytes();
    dispatch->tensors.push_back(
        addBytes(fb::Memory::Weights, weightBytes, slotBytes[0]));
    pieces.push_back({Value(), program});
    weightBytes += llvm::alignTo(slotBytes[0], kAlignment);
    dispatch->tensors.push_back(
        addBytes(fb::Memory::Arena, op.getOffsets()->back(), slotBytes[1]));
    for (Value input : op.getInputs())
      dispatch->tensors.push_back(tensorIndex(input));
    for (auto [result, offset] : llvm::zip(op.getResults(), *op.getOffsets()))
      dispatch->tensors.push_back(addResult(result, offset));
    dispatch->results = op.getNumResults();
    dispatch->node = ef::getNodeName(op.getLoc()).str();
    dispatch->op = program.getSymName().str();
    const fb::NpuProgramT &entry = *model.npu_programs[dispatch->program];
    dispatch->macs = entry.macs;
    dispatch->bytes = entry.dram_bytes;
    model.dispatches.push_back(std::move(dispatch));
  }

  uint32_t programIndex(StringRef name) const {
    for (auto [index, program] : llvm::enumerate(model.npu_programs))
      if (program->name == name)
        return index;
    llvm_unreachable("every program of the module is in the artifact");
  }

  /// Memory without a type of its own.
  uint32_t addBytes(fb::Memory memory, uint64_t offset, uint64_t size) {
    auto tensor = std::make_unique<fb::TensorT>();
    tensor->memory = memory;
    tensor->dtype = fb::DType::U8;
    tensor->offset = offset;
    tensor->size = size;
    tensor->shape = {static_cast<int64_t>(size)};
    model.tensors.push_back(std::move(tensor));
    return model.tensors.size() - 1;
  }

  uint32_t kernelIndex(StringRef name) {
    auto [entry, isNew] = kernels.try_emplace(name, model.kernels.size());
    if (isNew)
      model.kernels.push_back(name.str());
    return entry->second;
  }

  uint32_t addTensor(Value value, fb::Memory memory, uint64_t offset,
                     StringRef name) {
    auto type = cast<RankedTensorType>(value.getType());
    auto tensor = std::make_unique<fb::TensorT>();
    tensor->memory = memory;
    tensor->dtype = convertType(type.getElementType());
    tensor->offset = offset;
    tensor->size = bytesOf(type);
    tensor->shape.assign(type.getShape().begin(), type.getShape().end());
    tensor->name = name.str();
    model.tensors.push_back(std::move(tensor));
    return tensors[value] = model.tensors.size() - 1;
  }

  uint32_t addResult(Value result, int64_t offset) {
    // A launch of several has one value that the user knows: its last one's
    // result carries the tensor's name.
    StringRef name = cast<OpResult>(result).getResultNumber() == 0
                         ? ef::getTensorName(result.getLoc())
                         : StringRef();
    if (offset < 0)
      return addTensor(result, fb::Memory::Output, -1 - offset, name);
    return addTensor(result, fb::Memory::Arena, offset, name);
  }

  uint32_t tensorIndex(Value value) {
    auto known = tensors.find(value);
    if (known != tensors.end())
      return known->second;
    Value root = value;
    // An alias of something computed is that memory with another shape; a
    // reshaped constant is a constant.
    if (!ef::isConstantExpression(value) && !value.getDefiningOp<cpu::PackOp>())
      root = cpu::getAliasRoot(value);
    if (auto argument = dyn_cast<BlockArgument>(root))
      return addTensor(value, fb::Memory::Input, argument.getArgNumber(),
                       model.inputs[argument.getArgNumber()]->name);
    if (cpu::isLaunch(root.getDefiningOp())) {
      const fb::TensorT &memory = *model.tensors[tensors.lookup(root)];
      return addTensor(value, memory.memory, memory.offset, memory.name);
    }
    pieces.push_back({value, npu::ProgramOp()});
    uint32_t index = addTensor(value, fb::Memory::Weights, weightBytes,
                               ef::getTensorName(value.getLoc()));
    weightBytes += llvm::alignTo(bytesOf(value.getType()), kAlignment);
    return index;
  }

  func::FuncOp main;
  fb::ModelT &model;
  llvm::DenseMap<Value, uint32_t> tensors;
  llvm::StringMap<uint32_t> kernels;
  std::vector<WeightPiece> pieces;
  uint64_t weightBytes = 0;
};
} // namespace

static llvm::Error streamConstant(Value value, ef::WeightStore &store,
                                  const ArtifactWriter::Sink &sink) {
  llvm::Expected<ef::HostTensor> tensor = cpu::evaluateConstant(value, store);
  if (!tensor)
    return tensor.takeError();
  return sink(tensor->getBytes());
}

static llvm::Error streamPieces(ArrayRef<WeightPiece> pieces,
                                ef::WeightStore &store,
                                const ArtifactWriter::Sink &sink) {
  static const char zeros[kAlignment] = {};
  for (WeightPiece piece : pieces) {
    uint64_t bytes = 0;
    auto count = [&](ArrayRef<char> part) {
      bytes += part.size();
      return sink(part);
    };
    llvm::Error error = piece.constant
                            ? streamConstant(piece.constant, store, count)
                            : streamNpuWeights(piece.program, store, count);
    if (error)
      return error;
    if (llvm::Error error =
            sink(ArrayRef(zeros, llvm::alignTo(bytes, kAlignment) - bytes)))
      return error;
  }
  return llvm::Error::success();
}

llvm::Error efc::addLaunches(ModuleOp module, ef::WeightStore &store,
                             ArtifactWriter &writer) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  Collector collector(main, writer.model);
  collector.describe();
  writer.model.arena_bytes =
      module->getAttrOfType<IntegerAttr>("cpu.arena_bytes").getInt();
  writer.addSection(fb::SectionKind::Weights, "weights",
                    collector.getWeightBytes(),
                    [pieces = collector.getPieces().vec(),
                     &store](const ArtifactWriter::Sink &sink) {
                      return streamPieces(pieces, store, sink);
                    });
  return llvm::Error::success();
}
