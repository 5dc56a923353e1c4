// Builder of kernels and of their launches; see the header for the contract
// between the two.
#include "targets/cpu/KernelBuilder.h"

#include "dialects/cpu/CpuDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Quant/IR/QuantTypes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace efc::cpu;

Type efc::cpu::getStorageType(Type elementType) {
  if (auto quantized = dyn_cast<quant::QuantizedType>(elementType))
    return quantized.getStorageType();
  auto integer = dyn_cast<IntegerType>(elementType);
  if (!integer)
    return elementType;
  unsigned width = integer.getWidth() == 1 ? 8 : integer.getWidth();
  return IntegerType::get(elementType.getContext(), width);
}

void efc::cpu::printStructure(raw_ostream &os, Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  auto quantized = dyn_cast<quant::QuantizedType>(getElementTypeOrSelf(type));
  if (!quantized) {
    os << type;
    return;
  }
  if (tensor)
    for (int64_t extent : tensor.getShape())
      os << extent << 'x';
  os << "quantized<" << quantized.getStorageType() << ':'
     << quantized.getStorageTypeMin() << ':' << quantized.getStorageTypeMax();
  if (auto perAxis = dyn_cast<quant::UniformQuantizedPerAxisType>(quantized))
    os << ':' << perAxis.getQuantizedDimension();
  os << '>';
}

MemRefType efc::cpu::getStorageMemRef(Type tensorType) {
  auto tensor = cast<RankedTensorType>(tensorType);
  // MLIR's strides of a shape with a zero have no bare pointer; nothing is read
  // through the one element.
  if (tensor.getNumElements() == 0)
    return MemRefType::get({1}, getStorageType(tensor.getElementType()));
  return MemRefType::get(tensor.getShape(),
                         getStorageType(tensor.getElementType()));
}

//===----------------------------------------------------------------------===//
// KernelBuilder
//===----------------------------------------------------------------------===//

KernelBuilder::KernelBuilder(func::FuncOp kernel, const CpuVariant &variant,
                             size_t numInputs, size_t numResults)
    : ImplicitLocOpBuilder(kernel.getLoc(),
                           OpBuilder::atBlockEnd(&kernel.getBody().front())),
      variant(variant), kernel(kernel), numInputs(numInputs),
      numResults(numResults) {}

ModuleOp KernelBuilder::module() { return kernel->getParentOfType<ModuleOp>(); }

Value KernelBuilder::index(int64_t value) {
  return arith::ConstantIndexOp::create(*this, value);
}

static std::optional<int64_t> constantOf(Value value) {
  APInt result;
  if (matchPattern(value, m_ConstantInt(&result)))
    return result.getSExtValue();
  return std::nullopt;
}

Value KernelBuilder::add(Value a, Value b) {
  std::optional<int64_t> constantA = constantOf(a), constantB = constantOf(b);
  if (constantA && constantB)
    return index(*constantA + *constantB);
  if (constantA == 0)
    return b;
  if (constantB == 0)
    return a;
  return arith::AddIOp::create(*this, a, b);
}

Value KernelBuilder::sub(Value a, Value b) {
  std::optional<int64_t> constantA = constantOf(a), constantB = constantOf(b);
  if (constantA && constantB)
    return index(*constantA - *constantB);
  if (constantB == 0)
    return a;
  return arith::SubIOp::create(*this, a, b);
}

Value KernelBuilder::mul(Value a, Value b) {
  std::optional<int64_t> constantA = constantOf(a), constantB = constantOf(b);
  if (constantA && constantB)
    return index(*constantA * *constantB);
  if (constantA == 1)
    return b;
  if (constantB == 1)
    return a;
  if (constantA == 0 || constantB == 0)
    return index(0);
  return arith::MulIOp::create(*this, a, b);
}

Value KernelBuilder::divFloor(Value a, int64_t b) {
  if (b == 1)
    return a;
  if (std::optional<int64_t> constant = constantOf(a))
    return index(*constant / b);
  return arith::DivUIOp::create(*this, a, index(b));
}

Value KernelBuilder::mod(Value a, int64_t b) {
  if (b == 1)
    return index(0);
  if (std::optional<int64_t> constant = constantOf(a))
    return index(*constant % b);
  return arith::RemUIOp::create(*this, a, index(b));
}

Value KernelBuilder::min(Value a, Value b) {
  std::optional<int64_t> constantA = constantOf(a), constantB = constantOf(b);
  if (constantA && constantB)
    return index(std::min(*constantA, *constantB));
  return arith::MinSIOp::create(*this, a, b);
}

Value KernelBuilder::f32(double value) {
  return arith::ConstantOp::create(*this,
                                   getF32FloatAttr(static_cast<float>(value)));
}

Value KernelBuilder::splat(Value value, int64_t lanes) {
  return vector::BroadcastOp::create(
      *this, VectorType::get({lanes}, value.getType()), value);
}

Value KernelBuilder::pointer(Value memref) {
  Value address = memref::ExtractAlignedPointerAsIndexOp::create(*this, memref);
  Value integer = arith::IndexCastOp::create(*this, getI64Type(), address);
  return LLVM::IntToPtrOp::create(
      *this, LLVM::LLVMPointerType::get(getContext()), integer);
}

Value KernelBuilder::offsetPointer(Value pointer, Value elements,
                                   Type elementType) {
  Value offset = elements;
  if (elements.getType().isIndex())
    offset = arith::IndexCastOp::create(*this, getI64Type(), elements);
  return LLVM::GEPOp::create(*this, pointer.getType(), elementType, pointer,
                             ArrayRef<LLVM::GEPArg>{offset});
}

static unsigned alignmentOf(Type type) {
  return std::max(1u, getElementTypeOrSelf(type).getIntOrFloatBitWidth() / 8);
}

Value KernelBuilder::load(Value pointer, Type type) {
  return LLVM::LoadOp::create(*this, type, pointer, alignmentOf(type));
}

void KernelBuilder::store(Value value, Value pointer) {
  LLVM::StoreOp::create(*this, value, pointer, alignmentOf(value.getType()));
}

void KernelBuilder::loop(Value lower, Value upper, int64_t step,
                         function_ref<void(Value)> body) {
  auto loopOp = scf::ForOp::create(*this, lower, upper, index(step));
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(loopOp.getBody());
  body(loopOp.getInductionVar());
}

//===----------------------------------------------------------------------===//
// DispatchBuilder
//===----------------------------------------------------------------------===//

static std::string fullKey(const Launch &launch) {
  std::string key;
  llvm::raw_string_ostream os(key);
  os << launch.family << '|' << launch.key << '|' << launch.work << '|'
     << launch.scratch << '|';
  auto print = [&](Type type) {
    printStructure(os, type);
    os << ',';
  };
  llvm::for_each(ValueRange(launch.inputs).getTypes(), print);
  os << "->";
  llvm::for_each(launch.results, print);
  return key;
}

static func::FuncOp createKernel(ModuleOp module, StringRef name,
                                 const Launch &launch) {
  MLIRContext *context = module.getContext();
  SmallVector<Type> arguments;
  for (Value input : launch.inputs)
    arguments.push_back(getStorageMemRef(input.getType()));
  for (Type result : launch.results)
    arguments.push_back(getStorageMemRef(result));
  arguments.push_back(MemRefType::get({std::max<int64_t>(launch.scratch, 1)},
                                      IntegerType::get(context, 8)));
  arguments.append(2, IndexType::get(context));
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  auto kernel = func::FuncOp::create(builder, UnknownLoc::get(context), name,
                                     builder.getFunctionType(arguments, {}));
  kernel->setAttr("cpu.kernel", builder.getUnitAttr());
  kernel.addEntryBlock();
  return kernel;
}

ResultRange DispatchBuilder::launch(OpBuilder &main, const Launch &launch,
                                    function_ref<void(KernelBuilder &)> body) {
  std::string &symbol = symbols[fullKey(launch)];
  if (symbol.empty()) {
    symbol = launch.family + "_" + std::to_string(counters[launch.family]++);
    func::FuncOp kernel = createKernel(module, symbol, launch);
    KernelBuilder builder(kernel, variant, launch.inputs.size(),
                          launch.results.size());
    body(builder);
    func::ReturnOp::create(builder);
  }
  auto dispatch = DispatchOp::create(
      main, launch.loc, launch.results, symbol, launch.inputs, launch.work,
      launch.scratch, launch.op, launch.macs, /*offsets=*/nullptr);
  if (launch.accumulatorBound) {
    dispatch->setAttr("accumulator_bound",
                      main.getI64IntegerAttr(launch.accumulatorBound));
    dispatch->setAttr("accumulator_chunk",
                      main.getI64IntegerAttr(launch.accumulatorChunk));
  }
  return dispatch.getResults();
}

func::FuncOp
DispatchBuilder::getOrCreateHelper(StringRef name, FunctionType type,
                                   function_ref<void(func::FuncOp)> make) {
  if (auto existing = module.lookupSymbol<func::FuncOp>(name))
    return existing;
  OpBuilder builder = OpBuilder::atBlockBegin(module.getBody());
  auto helper = func::FuncOp::create(builder, module.getLoc(), name, type);
  helper.setPrivate();
  helper.addEntryBlock();
  make(helper);
  return helper;
}
