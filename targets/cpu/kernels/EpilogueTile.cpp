// See EpilogueTile.h.
#include "targets/cpu/kernels/EpilogueTile.h"

#include "targets/cpu/kernels/IntegerSums.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace efc::cpu;

/// Accumulators at `offset` as the epilogue takes them; `column` is the first
/// one's of the anchor's result.
static Value loadSum(KernelBuilder &b, const EpilogueTile &tile,
                     Value accumulators, Value offset, Value column,
                     int64_t lanes) {
  auto load = [&](Value pointer, Value place, Type element) {
    Type type = lanes == 1 ? element : VectorType::get({lanes}, element);
    return b.load(b.offsetPointer(pointer, place, element), type);
  };
  Value sum = load(accumulators, offset, tile.type);
  if (!tile.factors)
    return sum;
  return emitScaledSum(b, sum, load(tile.factors, column, b.getF32Type()));
}

static void emitAt(KernelBuilder &b, const Epilogue &epilogue,
                   size_t firstInput, const EpilogueTile &tile, Value row,
                   Value column, int64_t lanes) {
  Value offset = b.add(b.mul(row, tile.stride), column);
  Value resultColumn = b.add(tile.firstColumn, column), gate;
  Value value =
      loadSum(b, tile, tile.accumulators, offset, resultColumn, lanes);
  if (tile.gate)
    gate = loadSum(b, tile, tile.gate, offset,
                   b.add(resultColumn, tile.totalColumns), lanes);
  epilogue.emitStore(b, firstInput, value, gate, b.add(tile.firstRow, row),
                     resultColumn, lanes);
}

void efc::cpu::emitEpilogueTile(KernelBuilder &b, const Epilogue &epilogue,
                                size_t firstInput, const EpilogueTile &tile) {
  int64_t lanes = std::min<int64_t>(b.variant.lanes, kPanelColumns);
  int64_t width = tile.validColumns ? tile.validColumns : tile.totalColumns;
  bool wholeVectors = width % lanes == 0;
  Value columns = b.index(tile.validColumns ? tile.validColumns : tile.columns);
  if (!tile.validColumns && tile.totalColumns % tile.columns != 0)
    columns =
        b.min(columns, b.sub(b.index(tile.totalColumns), tile.firstColumn));
  Value inVectors =
      wholeVectors ? columns : b.mul(b.divFloor(columns, lanes), lanes);
  b.loop(b.index(0), tile.rows, 1, [&](Value row) {
    b.loop(b.index(0), inVectors, lanes, [&](Value column) {
      emitAt(b, epilogue, firstInput, tile, row, column, lanes);
    });
    if (!wholeVectors)
      b.loop(inVectors, columns, 1, [&](Value column) {
        emitAt(b, epilogue, firstInput, tile, row, column, 1);
      });
  });
}

size_t efc::cpu::appendEpilogueInputs(const Epilogue &epilogue,
                                      SmallVectorImpl<Value> &inputs) {
  size_t first = inputs.size();
  epilogue.collectInputs(inputs);
  return first;
}
