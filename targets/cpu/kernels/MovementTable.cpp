// See MovementTable.h. The trailing dimensions without table are copied as one
// run; the dimension before it is the inner loop, all others are the rows that
// work items consist of.
#include "targets/cpu/kernels/MovementTable.h"

#include "targets/cpu/kernels/ElementwiseLoop.h"
#include "targets/cpu/kernels/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

Value efc::cpu::createTable(OpBuilder &main, Location loc,
                            ArrayRef<int32_t> values) {
  auto type = RankedTensorType::get({static_cast<int64_t>(values.size())},
                                    main.getI32Type());
  return ef::ConstantOp::create(main, loc, type,
                                DenseElementsAttr::get<int32_t>(type, values));
}

namespace {
struct TableCopyKernel {
  const TableCopy &copy;
  RankedTensorType type;           ///< Of the result.
  SmallVector<size_t> tableInputs; ///< Kernel input by dimension; 0: none.
  size_t fillInput = 0;

  SmallVector<int64_t> shape, inputStrides;
  size_t inner = 0; ///< The dimension of the inner loop.
  int64_t run = 1;  ///< Elements behind it that are copied together.
  bool hasFilling = false;

  TableCopyKernel(const TableCopy &copy, RankedTensorType type);

  int64_t getNumRows() const {
    return countElements(ArrayRef(shape).take_front(inner));
  }
  int64_t getRowsPerItem() const {
    int64_t elements = std::max<int64_t>(shape[inner] * run, 1);
    return std::max<int64_t>(1, StridedLoop::kElementsPerItem / elements);
  }

  void emit(KernelBuilder &b) const;

private:
  /// Offset of index `position` of dimension `dim`, and adds its validity.
  Value lookUp(KernelBuilder &b, size_t dim, Value position,
               Value &isInside) const;
  void emitRun(KernelBuilder &b, Value from, Value isInside, Value to) const;
  Value emitFilling(KernelBuilder &b) const;
  void emitFillingOnly(KernelBuilder &b, Value firstRow, Value lastRow) const;

  mutable Value source, destination, filling;
};
} // namespace

TableCopyKernel::TableCopyKernel(const TableCopy &copy, RankedTensorType type)
    : copy(copy), type(type), shape(type.getShape()) {
  inputStrides = getRowMajorStrides(
      cast<RankedTensorType>(copy.input.getType()).getShape());
  for (const std::vector<int64_t> &list : copy.sources)
    hasFilling |= llvm::is_contained(list, -1);
  for (size_t d = shape.size(); d-- > 0;) {
    inner = d;
    if (!copy.sources[d].empty())
      break;
    if (d > 0)
      run *= shape[d];
  }
  // The dimension at `inner` is the last one with a table, or the first one.
}

Value TableCopyKernel::lookUp(KernelBuilder &b, size_t dim, Value position,
                              Value &isInside) const {
  if (tableInputs[dim] == 0)
    return b.mul(position, inputStrides[dim]);
  Type i32 = b.getI32Type();
  Value entry = b.load(
      b.offsetPointer(b.pointer(b.input(tableInputs[dim])), position, i32),
      i32);
  if (hasFilling) {
    Value zero = arith::ConstantOp::create(b, b.getI32IntegerAttr(0));
    Value inside =
        arith::CmpIOp::create(b, arith::CmpIPredicate::sge, entry, zero);
    entry = arith::MaxSIOp::create(b, entry, zero);
    isInside =
        isInside ? Value(arith::AndIOp::create(b, isInside, inside)) : inside;
  }
  Value index = arith::IndexCastOp::create(b, b.getIndexType(), entry);
  return b.mul(index, inputStrides[dim]);
}

Value TableCopyKernel::emitFilling(KernelBuilder &b) const {
  Type elementType = type.getElementType();
  Type storage = getCopyType(elementType);
  if (fillInput)
    return b.load(b.pointer(b.input(fillInput)), storage);
  APInt bits(storage.getIntOrFloatBitWidth(),
             static_cast<int64_t>(copy.fillValue), /*isSigned=*/true,
             /*implicitTrunc=*/true);
  if (auto floats = dyn_cast<FloatType>(elementType)) {
    APFloat value(copy.fillValue);
    bool losesInfo;
    value.convert(floats.getFloatSemantics(), APFloat::rmNearestTiesToEven,
                  &losesInfo);
    bits = value.bitcastToAPInt();
  }
  return arith::ConstantOp::create(b, b.getIntegerAttr(storage, bits));
}

void TableCopyKernel::emitRun(KernelBuilder &b, Value from, Value isInside,
                              Value to) const {
  Type elementType = type.getElementType();
  Type storage = getCopyType(elementType);
  if (run == 1) {
    Value value = b.load(b.offsetPointer(source, from, storage), storage);
    if (isInside)
      value = arith::SelectOp::create(b, isInside, value, filling);
    b.store(value, b.offsetPointer(destination, to, storage));
    return;
  }
  auto copyRun = [&] {
    emitVectorLoop(b, b.index(0), b.index(run), b.variant.lanes,
                   [&](Value i, int64_t lanes) {
                     copyElements(b, source, b.add(from, i), 1, destination,
                                  b.add(to, i), elementType, lanes);
                   });
  };
  if (!isInside)
    return copyRun();
  auto branch = scf::IfOp::create(b, isInside, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  copyRun();
  b.setInsertionPointToStart(branch.elseBlock());
  emitVectorLoop(b, b.index(0), b.index(run), b.variant.lanes,
                 [&](Value i, int64_t lanes) {
                   Value value = lanes == 1 ? filling : b.splat(filling, lanes);
                   b.store(value,
                           b.offsetPointer(destination, b.add(to, i), storage));
                 });
}

/// For an input without elements, of which not even an unused one may be read.
void TableCopyKernel::emitFillingOnly(KernelBuilder &b, Value firstRow,
                                      Value lastRow) const {
  Type storage = getCopyType(type.getElementType());
  int64_t perRow = shape[inner] * run;
  b.loop(b.mul(firstRow, perRow), b.mul(lastRow, perRow), 1, [&](Value i) {
    b.store(filling, b.offsetPointer(destination, i, storage));
  });
}

void TableCopyKernel::emit(KernelBuilder &b) const {
  source = b.pointer(b.input(0));
  destination = b.pointer(b.result(0));
  filling = emitFilling(b);
  int64_t rowsPerItem = getRowsPerItem();
  Value first = b.mul(b.begin(), rowsPerItem);
  Value last = b.min(b.mul(b.end(), rowsPerItem), b.index(getNumRows()));
  if (cast<RankedTensorType>(copy.input.getType()).getNumElements() == 0)
    return emitFillingOnly(b, first, last);
  b.loop(first, last, 1, [&](Value row) {
    Value base = b.index(0), isRowInside, rest = row;
    for (size_t d = inner; d-- > 0;) {
      Value position = d == 0 ? rest : b.mod(rest, shape[d]);
      rest = b.divFloor(rest, shape[d]);
      base = b.add(base, lookUp(b, d, position, isRowInside));
    }
    b.loop(0, shape[inner], 1, [&](Value position) {
      Value isInside = isRowInside;
      Value from = b.add(base, lookUp(b, inner, position, isInside));
      Value to = b.mul(b.add(b.mul(row, shape[inner]), position), run);
      emitRun(b, from, isInside, to);
    });
  });
}

Value efc::cpu::emitTableCopy(const TableCopy &copy, const KernelView &view,
                              OpBuilder &main, DispatchBuilder &dispatches) {
  Location loc = view.root->getLoc();
  TableCopyKernel kernel(copy, view.resultType());
  Launch launch{loc, "table_copy", view.label(), view.key(), {copy.input}, {}};
  launch.results.push_back(view.resultType());
  for (const std::vector<int64_t> &list : copy.sources) {
    kernel.tableInputs.push_back(list.empty() ? 0 : launch.inputs.size());
    if (list.empty())
      continue;
    std::vector<int32_t> entries(list.begin(), list.end());
    launch.inputs.push_back(createTable(main, loc, ArrayRef(entries)));
  }
  if (copy.fill) {
    kernel.fillInput = launch.inputs.size();
    launch.inputs.push_back(copy.fill);
  }
  bool isEmpty = view.resultType().getNumElements() == 0;
  launch.work = std::max<int64_t>(
      1, llvm::divideCeil(kernel.getNumRows(), kernel.getRowsPerItem()));
  return dispatches
      .launch(main, launch,
              [&](KernelBuilder &b) {
                if (!isEmpty)
                  kernel.emit(b);
              })
      .front();
}
