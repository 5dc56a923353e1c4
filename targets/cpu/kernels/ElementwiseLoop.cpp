// See ElementwiseLoop.h.
#include "targets/cpu/kernels/ElementwiseLoop.h"

#include "targets/cpu/kernels/ScalarEmitter.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace efc::cpu;

SmallVector<int64_t> efc::cpu::getRowMajorStrides(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;)
    strides[d - 1] = strides[d] * shape[d];
  return strides;
}

SmallVector<int64_t> efc::cpu::getBroadcastStrides(ArrayRef<int64_t> from,
                                                   ArrayRef<int64_t> to) {
  SmallVector<int64_t> own = getRowMajorStrides(from);
  SmallVector<int64_t> strides(to.size(), 0);
  size_t missing = to.size() - from.size();
  for (size_t d = 0; d < from.size(); ++d)
    if (from[d] != 1)
      strides[missing + d] = own[d];
  return strides;
}

int64_t efc::cpu::countElements(ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t extent : shape)
    count *= extent;
  return count;
}

//===----------------------------------------------------------------------===//
// StridedLoop
//===----------------------------------------------------------------------===//

void efc::cpu::mergeDimensions(SmallVectorImpl<int64_t> &shape,
                               MutableArrayRef<StridedAccess> accesses) {
  SmallVector<int64_t> merged;
  size_t kept = 0;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 1)
      continue;
    bool merges =
        kept > 0 && llvm::all_of(accesses, [&](const StridedAccess &access) {
          return access.strides[kept - 1] == access.strides[d] * shape[d];
        });
    if (merges)
      merged.back() *= shape[d];
    else
      merged.push_back(shape[d]);
    kept = merged.size();
    for (StridedAccess &access : accesses)
      access.strides[kept - 1] = access.strides[d];
  }
  if (merged.empty()) {
    merged.push_back(1);
    kept = 1;
    for (StridedAccess &access : accesses)
      access.strides.assign(1, 1);
  }
  for (StridedAccess &access : accesses)
    access.strides.resize(kept);
  shape.assign(merged.begin(), merged.end());
}

StridedLoop::StridedLoop(ArrayRef<int64_t> fullShape,
                         ArrayRef<StridedAccess> fullAccesses)
    : shape(fullShape), accesses(fullAccesses) {
  mergeDimensions(shape, accesses);
}

int64_t StridedLoop::getNumRows() const {
  return countElements(ArrayRef(shape).drop_back());
}

int64_t StridedLoop::getBlocksPerRow() const {
  return llvm::divideCeil(std::max<int64_t>(shape.back(), 1), kElementsPerItem);
}

int64_t StridedLoop::getRowsPerItem() const {
  return std::max<int64_t>(1, kElementsPerItem /
                                  std::max<int64_t>(shape.back(), 1));
}

int64_t StridedLoop::getNumWorkItems() const {
  if (getBlocksPerRow() > 1)
    return std::max<int64_t>(getNumRows() * getBlocksPerRow(), 1);
  return std::max<int64_t>(llvm::divideCeil(getNumRows(), getRowsPerItem()), 1);
}

void StridedLoop::emitRow(KernelBuilder &b, Value row, Value lower, Value upper,
                          int64_t lanes, Body body) const {
  SmallVector<Value> bases;
  for (const StridedAccess &access : accesses)
    bases.push_back(b.index(access.offset));
  Value rest = row;
  for (size_t d = shape.size() - 1; d-- > 0;) {
    Value position = d == 0 ? rest : b.mod(rest, shape[d]);
    rest = b.divFloor(rest, shape[d]);
    for (auto [base, access] : llvm::zip_equal(bases, accesses))
      base = b.add(base, b.mul(position, access.strides[d]));
  }
  bool isVector = llvm::all_of(accesses, [](const StridedAccess &access) {
    return access.strides.back() == 0 || access.strides.back() == 1;
  });
  isVector &= shape.back() >= lanes;
  emitVectorLoop(b, lower, upper, isVector ? lanes : 1,
                 [&](Value position, int64_t count) {
                   SmallVector<Value> offsets;
                   for (auto [base, access] : llvm::zip_equal(bases, accesses))
                     offsets.push_back(
                         b.add(base, b.mul(position, access.strides.back())));
                   body(offsets, count);
                 });
}

void StridedLoop::emit(KernelBuilder &b, Value first, Value last, int64_t lanes,
                       Body body) const {
  int64_t rows = getNumRows(), columns = shape.back();
  if (rows * columns == 0)
    return;
  if (int64_t blocks = getBlocksPerRow(); blocks > 1) {
    b.loop(first, last, 1, [&](Value item) {
      Value lower = b.mul(b.mod(item, blocks), kElementsPerItem);
      Value upper = b.min(b.add(lower, kElementsPerItem), b.index(columns));
      emitRow(b, b.divFloor(item, blocks), lower, upper, lanes, body);
    });
    return;
  }
  int64_t rowsPerItem = getRowsPerItem();
  Value firstRow = b.mul(first, rowsPerItem);
  Value lastRow = b.min(b.mul(last, rowsPerItem), b.index(rows));
  b.loop(firstRow, lastRow, 1, [&](Value row) {
    emitRow(b, row, b.index(0), b.index(columns), lanes, body);
  });
}

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

static Type vectorOf(Type type, int64_t lanes) {
  return lanes == 1 ? type : VectorType::get({lanes}, type);
}

Value efc::cpu::loadElements(KernelBuilder &b, Value pointer, Value offset,
                             Type elementType, int64_t stride, int64_t lanes) {
  Type storage = getStorageType(elementType);
  Value address = b.offsetPointer(pointer, offset, storage);
  bool isSplat = stride == 0 && lanes > 1;
  Value stored = b.load(address, isSplat ? storage : vectorOf(storage, lanes));
  Value computed = toCompute(b, stored, elementType);
  return isSplat ? b.splat(computed, lanes) : computed;
}

void efc::cpu::storeElements(KernelBuilder &b, Value value, Value pointer,
                             Value offset, Type elementType) {
  b.store(toStorage(b, value, elementType),
          b.offsetPointer(pointer, offset, getStorageType(elementType)));
}

Type efc::cpu::getCopyType(Type elementType) {
  Type storage = getStorageType(elementType);
  return IntegerType::get(storage.getContext(),
                          storage.getIntOrFloatBitWidth());
}

void efc::cpu::copyElements(KernelBuilder &b, Value from, Value fromOffset,
                            int64_t stride, Value to, Value toOffset,
                            Type elementType, int64_t lanes) {
  Type storage = getCopyType(elementType);
  bool isSplat = stride == 0 && lanes > 1;
  Value value = b.load(b.offsetPointer(from, fromOffset, storage),
                       isSplat ? storage : vectorOf(storage, lanes));
  b.store(isSplat ? b.splat(value, lanes) : value,
          b.offsetPointer(to, toOffset, storage));
}

void efc::cpu::emitVectorLoop(KernelBuilder &b, Value lower, Value upper,
                              int64_t lanes,
                              function_ref<void(Value, int64_t)> body) {
  if (lanes == 1) {
    b.loop(lower, upper, 1, [&](Value position) { body(position, 1); });
    return;
  }
  std::optional<int64_t> first = getConstantIntValue(lower),
                         last = getConstantIntValue(upper);
  bool isStatic = first && last;
  int64_t length = isStatic ? *last - *first : 0;
  Value vectors = b.mul(b.divFloor(b.sub(upper, lower), lanes), lanes);
  Value end = b.add(lower, vectors);
  if (!isStatic || length >= lanes)
    b.loop(lower, end, lanes, [&](Value position) { body(position, lanes); });
  if (!isStatic || length % lanes != 0)
    b.loop(end, upper, 1, [&](Value position) { body(position, 1); });
}

SmallVector<Value> efc::cpu::emitReductionLoop(
    KernelBuilder &b, Value lower, Value upper, int64_t step,
    ValueRange initial,
    function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(b, lower, upper, b.index(step), initial);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> next =
      body(loop.getInductionVar(), loop.getRegionIterArgs());
  // Without values the loop comes with its terminator.
  if (!next.empty())
    scf::YieldOp::create(b, next);
  return SmallVector<Value>(loop.getResults());
}
