// Gathers and scatters by indices that are known only at run time.
//
// Negative indices count from the end. An index out of range, which ONNX leaves
// undefined, is clamped to the nearest element, so that no kernel ever reads or
// writes outside of a tensor; from an empty dimension nothing is read and the
// result is zero. A scatter is one work item: its updates are
// applied in the order of the indices, whatever the number of threads.
#include "targets/cpu/kernels/NormsCommon.h"
#include "targets/cpu/kernels/ScalarEmitter.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

namespace {
/// The indices of one of these operations.
struct Indices {
  Value pointer;
  Type elementType;

  /// Entry `position` as an index into a dimension of `extent` > 0 elements.
  Value load(KernelBuilder &b, Value position, int64_t extent) const {
    Value entry =
        b.load(b.offsetPointer(pointer, position, elementType), elementType);
    if (!elementType.isInteger(64))
      entry = arith::ExtSIOp::create(b, b.getI64Type(), entry);
    auto constant = [&](int64_t value) {
      return integerConstant(b, b.getI64Type(), value);
    };
    Value isNegative = compareIntegers(b, arith::CmpIPredicate::slt, entry, 0);
    Value fromEnd = arith::AddIOp::create(b, entry, constant(extent));
    entry = arith::SelectOp::create(b, isNegative, fromEnd, entry);
    entry = arith::MaxSIOp::create(b, entry, constant(0));
    entry = arith::MinSIOp::create(b, entry, constant(extent - 1));
    return arith::IndexCastOp::create(b, b.getIndexType(), entry);
  }
};

/// The tensors of an indexing kernel: input, indices, and for scatters the
/// updates.
struct IndexingKernel {
  KernelBuilder &b;
  RankedTensorType inputType, indicesType, resultType;
  SmallVector<int64_t> inputStrides;
  Value input, result;
  Indices indices;

  IndexingKernel(KernelBuilder &b, Operation *op)
      : b(b), inputType(typeOf(op->getOperand(0))),
        indicesType(typeOf(op->getOperand(1))),
        resultType(typeOf(op->getResult(0))),
        inputStrides(getRowMajorStrides(inputType.getShape())),
        input(b.pointer(b.input(0))), result(b.pointer(b.result(0))),
        indices{b.pointer(b.input(1)), indicesType.getElementType()} {}

  void copyRun(Value from, Value to, int64_t run) {
    emitVectorLoop(b, b.index(0), b.index(run),
                   run < b.variant.lanes ? 1 : b.variant.lanes,
                   [&](Value i, int64_t lanes) {
                     copyElements(b, input, b.add(from, i), 1, result,
                                  b.add(to, i), resultType.getElementType(),
                                  lanes);
                   });
  }
  /// Offset of the slice that tuple `tuple` of `depth` indices names.
  Value loadTuple(Value tuple, int64_t depth, int64_t firstDim) {
    Value offset = b.index(0);
    for (int64_t k = 0; k < depth; ++k) {
      Value index = indices.load(b, b.add(b.mul(tuple, depth), k),
                                 inputType.getDimSize(firstDim + k));
      offset = b.add(offset, b.mul(index, inputStrides[firstDim + k]));
    }
    return offset;
  }
  void emitGather(int64_t axis);
  void emitGatherElements(int64_t axis);
  void emitGatherND(int64_t batchDims);
  void emitScatterElements(int64_t axis, ef::ScatterKind kind);
  void emitScatterND(ef::ScatterKind kind);

private:
  void update(ef::ScatterKind kind, Value updates, Value from, Value to,
              int64_t lanes);
  void emitRows(int64_t rows, int64_t run, function_ref<Value(Value)> from);
};
} // namespace

/// Work items of a gather of `rows` runs.
static int64_t getNumRowItems(int64_t rows, int64_t run) {
  return std::max<int64_t>(1, llvm::divideCeil(rows, getRowsPerItem(run)));
}

void IndexingKernel::emitRows(int64_t rows, int64_t run,
                              function_ref<Value(Value)> from) {
  int64_t perItem = getRowsPerItem(run);
  Value first = b.mul(b.begin(), perItem);
  Value last = b.min(b.mul(b.end(), perItem), b.index(rows));
  b.loop(first, last, 1,
         [&](Value row) { copyRun(from(row), b.mul(row, run), run); });
}

void IndexingKernel::emitGather(int64_t axis) {
  int64_t count = indicesType.getNumElements(), run = inputStrides[axis];
  int64_t extent = inputType.getDimSize(axis);
  int64_t outer = countElements(inputType.getShape().take_front(axis));
  emitRows(outer * count, run, [&](Value row) {
    Value index = indices.load(b, b.mod(row, count), extent);
    Value slice = b.add(b.mul(b.divFloor(row, count), extent), index);
    return b.mul(slice, run);
  });
}

void IndexingKernel::emitGatherElements(int64_t axis) {
  ArrayRef<int64_t> shape = indicesType.getShape();
  StridedAccess place{getRowMajorStrides(shape), 0}, from{inputStrides, 0};
  from.strides[axis] = 0;
  StridedLoop loop(shape, ArrayRef<StridedAccess>{place, from});
  loop.emit(b, b.begin(), b.end(), 1, [&](ArrayRef<Value> offsets, int64_t) {
    Value index = indices.load(b, offsets[0], inputType.getDimSize(axis));
    Value source = b.add(offsets[1], b.mul(index, inputStrides[axis]));
    copyRun(source, offsets[0], 1);
  });
}

void IndexingKernel::emitGatherND(int64_t batchDims) {
  int64_t depth = indicesType.getShape().back();
  int64_t tuples = indicesType.getNumElements() / depth;
  int64_t run = inputStrides[batchDims + depth - 1];
  int64_t batches = countElements(inputType.getShape().take_front(batchDims));
  int64_t batchStride = inputType.getNumElements() / batches;
  emitRows(tuples, run, [&](Value tuple) {
    Value batch = b.divFloor(tuple, tuples / batches);
    return b.add(b.mul(batch, batchStride), loadTuple(tuple, depth, batchDims));
  });
}

//===----------------------------------------------------------------------===//
// Scatter
//===----------------------------------------------------------------------===//

void IndexingKernel::update(ef::ScatterKind kind, Value updates, Value from,
                            Value to, int64_t lanes) {
  Type elementType = resultType.getElementType();
  if (kind == ef::ScatterKind::None)
    return copyElements(b, updates, from, 1, result, to, elementType, lanes);
  ef::BinaryKind binary = kind == ef::ScatterKind::Add   ? ef::BinaryKind::Add
                          : kind == ef::ScatterKind::Mul ? ef::BinaryKind::Mul
                          : kind == ef::ScatterKind::Max ? ef::BinaryKind::Max
                                                         : ef::BinaryKind::Min;
  Value old = loadElements(b, result, to, elementType, 1, lanes);
  Value value = loadElements(b, updates, from, elementType, 1, lanes);
  value = emitBinary(b, binary, old, value, elementType, elementType);
  storeElements(b, value, result, to, elementType);
}

void IndexingKernel::emitScatterElements(int64_t axis, ef::ScatterKind kind) {
  copyRun(b.index(0), b.index(0), inputType.getNumElements());
  ArrayRef<int64_t> shape = indicesType.getShape();
  if (countElements(shape) == 0)
    return;
  Value updates = b.pointer(b.input(2));
  StridedAccess place{getRowMajorStrides(shape), 0}, to{inputStrides, 0};
  to.strides[axis] = 0;
  StridedLoop loop(shape, ArrayRef<StridedAccess>{place, to});
  Value last = b.index(loop.getNumWorkItems());
  loop.emit(b, b.index(0), last, 1, [&](ArrayRef<Value> offsets, int64_t) {
    Value index = indices.load(b, offsets[0], inputType.getDimSize(axis));
    Value target = b.add(offsets[1], b.mul(index, inputStrides[axis]));
    update(kind, updates, offsets[0], target, 1);
  });
}

void IndexingKernel::emitScatterND(ef::ScatterKind kind) {
  copyRun(b.index(0), b.index(0), inputType.getNumElements());
  int64_t depth = indicesType.getShape().back();
  int64_t run = inputStrides[depth - 1];
  Value updates = b.pointer(b.input(2));
  b.loop(0, indicesType.getNumElements() / depth, 1, [&](Value tuple) {
    Value to = loadTuple(tuple, depth, 0), from = b.mul(tuple, run);
    emitVectorLoop(b, b.index(0), b.index(run), b.variant.lanes,
                   [&](Value i, int64_t lanes) {
                     update(kind, updates, b.add(from, i), b.add(to, i), lanes);
                   });
  });
}

//===----------------------------------------------------------------------===//
// Lowering
//===----------------------------------------------------------------------===//

static int64_t getNumWorkItems(Operation *op) {
  auto inputType = typeOf(op->getOperand(0)),
       indicesType = typeOf(op->getOperand(1));
  int64_t results = typeOf(op->getResult(0)).getNumElements();
  SmallVector<int64_t> strides = getRowMajorStrides(inputType.getShape());
  if (results == 0)
    return 1;
  if (auto gather = dyn_cast<ef::GatherOp>(op)) {
    int64_t run = strides[gather.getAxis()];
    return getNumRowItems(results / run, run);
  }
  if (auto gather = dyn_cast<ef::GatherElementsOp>(op)) {
    StridedAccess from{strides, 0};
    from.strides[gather.getAxis()] = 0;
    StridedAccess place{getRowMajorStrides(indicesType.getShape()), 0};
    return StridedLoop(indicesType.getShape(),
                       ArrayRef<StridedAccess>{place, from})
        .getNumWorkItems();
  }
  if (auto gather = dyn_cast<ef::GatherNDOp>(op)) {
    int64_t run =
        strides[gather.getBatchDims() + indicesType.getShape().back() - 1];
    return getNumRowItems(results / run, run);
  }
  return 1;
}

/// What stands in a result that there is no element for.
static void emitZeros(KernelBuilder &b, RankedTensorType type) {
  Type storage = getStorageType(type.getElementType());
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(storage));
  Value to = b.pointer(b.result(0));
  b.loop(0, type.getNumElements(), 1,
         [&](Value i) { b.store(zero, b.offsetPointer(to, i, storage)); });
}

static void emitIndexing(KernelBuilder &b, Operation *op) {
  IndexingKernel kernel(b, op);
  if (kernel.resultType.getNumElements() == 0)
    return;
  if (kernel.inputType.getNumElements() == 0)
    return emitZeros(b, kernel.resultType);
  if (auto gather = dyn_cast<ef::GatherOp>(op))
    kernel.emitGather(gather.getAxis());
  else if (auto gather = dyn_cast<ef::GatherElementsOp>(op))
    kernel.emitGatherElements(gather.getAxis());
  else if (auto gather = dyn_cast<ef::GatherNDOp>(op))
    kernel.emitGatherND(gather.getBatchDims());
  else if (auto scatter = dyn_cast<ef::ScatterElementsOp>(op))
    kernel.emitScatterElements(scatter.getAxis(), scatter.getKind());
  else
    kernel.emitScatterND(cast<ef::ScatterNDOp>(op).getKind());
}

Lowered efc::cpu::lowerIndexing(const KernelView &view, OpBuilder &main,
                                DispatchBuilder &dispatches,
                                const KernelOptions &) {
  Operation *op = view.anchor;
  if (!isa_and_nonnull<ef::GatherOp, ef::GatherElementsOp, ef::GatherNDOp,
                       ef::ScatterElementsOp, ef::ScatterNDOp>(op))
    return std::nullopt;
  Launch launch{view.root->getLoc(),
                op->getName().stripDialect().str(),
                view.label(),
                view.key(),
                {},
                SmallVector<Type>(view.root->getResultTypes())};
  for (Value operand : op->getOperands())
    launch.inputs.push_back(view.outer(operand));
  bool readsNothing = typeOf(op->getOperand(0)).getNumElements() == 0;
  launch.work = readsNothing ? 1 : getNumWorkItems(op);
  ResultRange results = dispatches.launch(
      main, launch, [&](KernelBuilder &b) { emitIndexing(b, op); });
  return FailureOr<SmallVector<Value>>(SmallVector<Value>(results));
}
