// See MovementTranspose.h. A work item is a block of kBlock x kBlock elements
// of the two dimensions that are innermost in the input (`readInner`) and in
// the result (the last one); inside it, tiles of lanes x lanes go through
// registers, so that both loads and stores are contiguous.
#include "targets/cpu/kernels/MovementTranspose.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace efc::cpu;

static constexpr int64_t kBlock = 64;
/// Below this, few elements would be in whole tiles. The same for every
/// variant, because all of them share one list of launches.
static constexpr int64_t kMinExtent = 16;

namespace {
struct TransposeKernel {
  SmallVector<int64_t> shape;
  StridedAccess from, to;
  size_t readInner = 0;
  Type storage;

  int64_t getBlocks(size_t dim) const {
    return llvm::divideCeil(shape[dim], kBlock);
  }
  size_t writeInner() const { return shape.size() - 1; }
  int64_t getNumWorkItems() const;
  void emit(KernelBuilder &b) const;

private:
  void emitBlock(KernelBuilder &b, Value source, Value destination, Value i,
                 Value j) const;
  void emitTile(KernelBuilder &b, Value source, Value destination, Value i,
                Value j) const;
  void emitElement(KernelBuilder &b, Value source, Value destination, Value i,
                   Value j) const;
};
} // namespace

int64_t TransposeKernel::getNumWorkItems() const {
  int64_t work = 1;
  for (size_t d = 0; d < shape.size(); ++d)
    work *= d == readInner || d == writeInner() ? getBlocks(d) : shape[d];
  return work;
}

/// Interleaving rows k and k + n/2 log2(n) times transposes an n x n matrix.
static SmallVector<Value> transposeInRegisters(KernelBuilder &b,
                                               SmallVector<Value> rows) {
  int64_t n = rows.size();
  SmallVector<int64_t> low, high;
  for (int64_t k = 0; k < n / 2; ++k) {
    low.append({k, n + k});
    high.append({n / 2 + k, n + n / 2 + k});
  }
  for (int64_t stage = 1; stage < n; stage *= 2) {
    SmallVector<Value> next;
    for (int64_t k = 0; k < n / 2; ++k) {
      next.push_back(
          vector::ShuffleOp::create(b, rows[k], rows[k + n / 2], low));
      next.push_back(
          vector::ShuffleOp::create(b, rows[k], rows[k + n / 2], high));
    }
    rows = std::move(next);
  }
  return rows;
}

void TransposeKernel::emitTile(KernelBuilder &b, Value source,
                               Value destination, Value i, Value j) const {
  int64_t lanes = b.variant.lanes;
  auto vector = VectorType::get({lanes}, storage);
  SmallVector<Value> rows;
  for (int64_t k = 0; k < lanes; ++k) {
    Value offset = b.add(i, b.mul(b.add(j, k), from.strides[writeInner()]));
    rows.push_back(b.load(b.offsetPointer(source, offset, storage), vector));
  }
  rows = transposeInRegisters(b, rows);
  for (int64_t k = 0; k < lanes; ++k) {
    Value offset = b.add(j, b.mul(b.add(i, k), to.strides[readInner]));
    b.store(rows[k], b.offsetPointer(destination, offset, storage));
  }
}

void TransposeKernel::emitElement(KernelBuilder &b, Value source,
                                  Value destination, Value i, Value j) const {
  Value read = b.add(i, b.mul(j, from.strides[writeInner()]));
  Value written = b.add(j, b.mul(i, to.strides[readInner]));
  b.store(b.load(b.offsetPointer(source, read, storage), storage),
          b.offsetPointer(destination, written, storage));
}

void TransposeKernel::emitBlock(KernelBuilder &b, Value source,
                                Value destination, Value i, Value j) const {
  int64_t lanes = b.variant.lanes;
  Value endI = b.min(b.add(i, kBlock), b.index(shape[readInner]));
  Value endJ = b.min(b.add(j, kBlock), b.index(shape[writeInner()]));
  emitVectorLoop(b, i, endI, lanes, [&](Value row, int64_t rows) {
    emitVectorLoop(b, j, endJ, lanes, [&](Value column, int64_t columns) {
      if (rows == lanes && columns == lanes)
        return emitTile(b, source, destination, row, column);
      b.loop(row, b.add(row, rows), 1, [&](Value r) {
        b.loop(column, b.add(column, columns), 1,
               [&](Value c) { emitElement(b, source, destination, r, c); });
      });
    });
  });
}

void TransposeKernel::emit(KernelBuilder &b) const {
  Value source = b.pointer(b.input(0)), destination = b.pointer(b.result(0));
  b.forEachWorkItem([&](Value item) {
    Value rest = item, i, j;
    Value readBase = b.index(0), writeBase = b.index(0);
    for (size_t d = shape.size(); d-- > 0;) {
      bool isBlocked = d == readInner || d == writeInner();
      int64_t extent = isBlocked ? getBlocks(d) : shape[d];
      Value position = b.mod(rest, extent);
      rest = b.divFloor(rest, extent);
      if (isBlocked) {
        (d == readInner ? i : j) = b.mul(position, kBlock);
        continue;
      }
      readBase = b.add(readBase, b.mul(position, from.strides[d]));
      writeBase = b.add(writeBase, b.mul(position, to.strides[d]));
    }
    emitBlock(b, b.offsetPointer(source, readBase, storage),
              b.offsetPointer(destination, writeBase, storage), i, j);
  });
}

Value efc::cpu::emitTiledTranspose(const KernelView &view, Value input,
                                   const StridedAccess &from, OpBuilder &main,
                                   DispatchBuilder &dispatches) {
  RankedTensorType type = view.resultType();
  SmallVector<int64_t> shape(type.getShape());
  StridedAccess accesses[] = {from, {getRowMajorStrides(shape), 0}};
  mergeDimensions(shape, accesses);
  const int64_t *innermost = llvm::find(accesses[0].strides, 1);
  if (innermost == accesses[0].strides.end())
    return {};
  TransposeKernel kernel{
      shape, accesses[0], accesses[1],
      static_cast<size_t>(innermost - accesses[0].strides.begin()),
      getCopyType(type.getElementType())};
  if (type.getNumElements() == 0 || kernel.readInner == kernel.writeInner() ||
      shape[kernel.readInner] < kMinExtent || shape.back() < kMinExtent)
    return {};
  Launch launch{view.root->getLoc(), "transpose", view.label(),
                view.key(),          {input},     {type}};
  launch.work = kernel.getNumWorkItems();
  return dispatches
      .launch(main, launch, [&](KernelBuilder &b) { kernel.emit(b); })
      .front();
}
