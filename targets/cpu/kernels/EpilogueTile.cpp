// See EpilogueTile.h.
#include "targets/cpu/kernels/EpilogueTile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace efc::cpu;

static void emitAt(KernelBuilder &b, const Epilogue &epilogue,
                   size_t firstInput, const EpilogueTile &tile, Value row,
                   Value column, int64_t lanes) {
  Value offset = b.add(b.mul(row, tile.stride), column);
  Type type = lanes == 1 ? tile.type : VectorType::get({lanes}, tile.type);
  Value value =
      b.load(b.offsetPointer(tile.accumulators, offset, tile.type), type);
  Value gate = tile.gate
                   ? b.load(b.offsetPointer(tile.gate, offset, tile.type), type)
                   : Value();
  epilogue.emitStore(b, firstInput, value, gate, b.add(tile.firstRow, row),
                     b.add(tile.firstColumn, column), lanes);
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
