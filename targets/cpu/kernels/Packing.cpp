// See Packing.h.
#include "targets/cpu/kernels/Packing.h"

#include "dialects/cpu/CpuDialect.h"
#include "dialects/ef/WeightStore.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Quant/IR/QuantTypes.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

/// `depth` steps of k stand side by side.
static RankedTensorType packedType(const PackSource &source, Type element,
                                   int64_t depth = 1) {
  return RankedTensorType::get(
      {source.taps, int64_t(llvm::divideCeil(source.n, kPanelColumns)),
       int64_t(llvm::divideCeil(source.k, depth)), kPanelColumns * depth},
      element);
}

bool efc::cpu::isPairWeight(Value weight) {
  Type element = getElementTypeOrSelf(weight.getType());
  return isa<quant::UniformQuantizedPerAxisType>(element) &&
         getStorageType(element).isInteger(8) &&
         ef::isConstantExpression(weight);
}

Value efc::cpu::packConstant(Value weight, const PackSource &source,
                             OpBuilder &main, const KernelOptions &options) {
  Type element = cast<RankedTensorType>(weight.getType()).getElementType();
  if (options.bf16 && element.isF32())
    element = main.getBF16Type();
  bool inPairs = isPairWeight(weight);
  RankedTensorType type = inPairs ? packedType(source, main.getI8Type(), 2)
                                  : packedType(source, element);
  return PackOp::create(main, weight.getLoc(), type, weight, source.taps,
                        source.k, source.n,
                        main.getDenseI64ArrayAttr(
                            {source.tapStride, source.kStride, source.nStride}),
                        kPanelColumns, inPairs);
}

void efc::cpu::emitPackPanel(KernelBuilder &b, Value from, Value to,
                             Value panel, const PackSource &source,
                             Type stored) {
  auto lanes = [&](Value k, Value firstColumn) {
    Value fromRow = b.offsetPointer(from, b.mul(k, source.kStride), stored);
    Value toRow = b.offsetPointer(to, b.mul(k, kPanelColumns), stored);
    auto copyColumns = [&](Value columns) {
      b.loop(b.index(0), columns, 1, [&](Value column) {
        Value place = b.offsetPointer(
            fromRow, b.mul(b.add(firstColumn, column), source.nStride), stored);
        b.store(b.load(place, stored), b.offsetPointer(toRow, column, stored));
      });
    };
    if (source.n % kPanelColumns != 0) {
      Value columns =
          b.min(b.index(kPanelColumns), b.sub(b.index(source.n), firstColumn));
      copyColumns(columns);
      Value zero = arith::ConstantOp::create(b, b.getZeroAttr(stored));
      b.loop(columns, b.index(kPanelColumns), 1, [&](Value column) {
        b.store(zero, b.offsetPointer(toRow, column, stored));
      });
    } else if (source.nStride == 1) {
      VectorType row = VectorType::get({kPanelColumns}, stored);
      b.store(b.load(b.offsetPointer(fromRow, firstColumn, stored), row),
              toRow);
    } else {
      copyColumns(b.index(kPanelColumns));
    }
  };
  Value firstColumn = b.mul(panel, kPanelColumns);
  b.loop(0, source.k, 1, [&](Value k) { lanes(k, firstColumn); });
}

Value efc::cpu::packDynamic(Value tensor, const PackSource &source,
                            OpBuilder &main, DispatchBuilder &dispatches) {
  Type element = cast<RankedTensorType>(tensor.getType()).getElementType(),
       stored = getStorageType(element);
  RankedTensorType type =
      packedType(source, isa<quant::QuantizedType>(element) ? stored : element);
  int64_t panels = type.getDimSize(1);
  std::string key =
      llvm::formatv("{0},{1},{2},{3},{4},{5}", source.taps, source.k, source.n,
                    source.tapStride, source.kStride, source.nStride);
  Launch launch{main.getInsertionPoint()->getLoc(),
                "pack",
                "pack",
                key,
                {tensor},
                {type}};
  launch.work = source.taps * panels;
  return dispatches
      .launch(
          main, launch,
          [&](KernelBuilder &b) {
            Value from = b.pointer(b.input(0)), to = b.pointer(b.result(0));
            b.forEachWorkItem([&](Value item) {
              Value tap = b.divFloor(item, panels), panel = b.mod(item, panels);
              emitPackPanel(
                  b,
                  b.offsetPointer(from, b.mul(tap, source.tapStride), stored),
                  b.offsetPointer(to, b.mul(item, source.k * kPanelColumns),
                                  stored),
                  panel, source, stored);
            });
          })
      .front();
}
