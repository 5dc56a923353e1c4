// See ConvGeneric.h. A work item is one row of the result seen as a matrix;
// each of its elements is a sum over taps and channels of its group.
#include "targets/cpu/kernels/ConvGeneric.h"

#include "targets/cpu/kernels/Gemm.h"
#include "targets/cpu/kernels/IntegerSums.h"
#include "targets/cpu/kernels/QuantizedOperands.h"
#include "targets/cpu/kernels/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

static int64_t product(ArrayRef<int64_t> shape) {
  int64_t result = 1;
  for (int64_t size : shape)
    result *= size;
  return result;
}

namespace {
struct GenericEmitter {
  KernelBuilder &b;
  const GenericConv &conv;
  const Epilogue &epilogue;
  Type inputElement, filterElement, acc;
  size_t factorsInput; ///< Of quantised operands; 0: they are not.

  size_t spatial() const { return conv.strides.size(); }
  size_t channelDimension() const {
    return conv.channelsLast ? spatial() + 1 : 1;
  }
  size_t spatialDimension(size_t d) const {
    return conv.channelsLast ? d + 1 : d + 2;
  }
  int64_t channelsOf(ArrayRef<int64_t> shape) const {
    return shape[channelDimension()];
  }
  ArrayRef<int64_t> kernel() const {
    return ArrayRef(conv.filterShape).drop_front(2);
  }

  /// Coordinates in `shape` of the row-major index `flat`.
  SmallVector<Value> coordinates(Value flat, ArrayRef<int64_t> shape) {
    SmallVector<Value> result(shape.size());
    for (size_t d = shape.size(); d-- > 0;) {
      result[d] = d == 0 ? flat : b.mod(flat, shape[d]);
      flat = b.divFloor(flat, shape[d]);
    }
    return result;
  }

  Value linearIndex(ArrayRef<Value> coordinates, ArrayRef<int64_t> shape) {
    Value flat = b.index(0);
    for (auto [coordinate, size] : llvm::zip_equal(coordinates, shape))
      flat = b.add(b.mul(flat, size), coordinate);
    return flat;
  }

  /// The input position that tap `tap` of result position `out` reads, and
  /// whether there is one.
  std::pair<Value, Value> inputPosition(Value out, Value tap, size_t d) {
    int64_t size = conv.inputShape[spatialDimension(d)],
            stride = conv.strides[d];
    Value reach = b.mul(tap, conv.dilations[d]), position, exact;
    if (conv.transposed) {
      // result = position * stride - pad + tap * dilation
      Value shifted = b.sub(b.add(out, conv.pads[d]), reach);
      position = arith::DivSIOp::create(b, shifted, b.index(stride));
      exact = arith::CmpIOp::create(b, arith::CmpIPredicate::eq,
                                    b.mul(position, stride), shifted);
    } else {
      position = b.sub(b.add(b.mul(out, stride), reach), b.index(conv.pads[d]));
    }
    Value ok = arith::AndIOp::create(
        b,
        arith::CmpIOp::create(b, arith::CmpIPredicate::sge, position,
                              b.index(0)),
        arith::CmpIOp::create(b, arith::CmpIPredicate::slt, position,
                              b.index(size)));
    return {position,
            exact ? arith::AndIOp::create(b, ok, exact).getResult() : ok};
  }

  Value loadAs(Value memref, Value offset, Type element, Type computed) {
    Type stored = getStorageType(element);
    Value loaded =
        b.load(b.offsetPointer(b.pointer(memref), offset, stored), stored);
    return emitCast(b, toCompute(b, loaded, element), getComputeType(element),
                    computed);
  }

  Value multiplyAdd(Value x, Value y, Value sum) {
    if (isa<FloatType>(acc))
      return arith::AddFOp::create(b, sum, arith::MulFOp::create(b, x, y));
    return arith::AddIOp::create(b, sum, arith::MulIOp::create(b, x, y));
  }

  Value forLoop(int64_t count, Value initial,
                function_ref<Value(Value, Value)> body) {
    auto loop = scf::ForOp::create(b, b.index(0), b.index(count), b.index(1),
                                   ValueRange{initial});
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    scf::YieldOp::create(
        b, body(loop.getInductionVar(), loop.getRegionIterArg(0)));
    return loop.getResult(0);
  }

  Value emitTap(Value sum, ArrayRef<Value> out, Value tap) {
    int64_t inputs = channelsOf(conv.inputShape) / conv.groups,
            outputs = channelsOf(conv.resultShape) / conv.groups;
    SmallVector<Value> taps = coordinates(tap, kernel()), place(out),
                       filterPlace;
    Value ok = arith::ConstantOp::create(b, b.getBoolAttr(true));
    for (size_t d = 0; d < spatial(); ++d) {
      auto [position, inside] =
          inputPosition(out[spatialDimension(d)], taps[d], d);
      place[spatialDimension(d)] = position;
      ok = arith::AndIOp::create(b, ok, inside);
    }
    auto branch =
        scf::IfOp::create(b, TypeRange{acc}, ok, /*addElseBlock=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&branch.getThenRegion().front());
    Value outChannel = out[channelDimension()],
          group = b.divFloor(outChannel, outputs);
    Value total = forLoop(inputs, sum, [&](Value i, Value partial) {
      Value channel = b.add(b.mul(group, inputs), i);
      place[channelDimension()] = channel;
      filterPlace =
          conv.transposed
              ? SmallVector<Value>{channel, b.mod(outChannel, outputs)}
              : SmallVector<Value>{outChannel, i};
      filterPlace.append(taps);
      return multiplyAdd(loadAs(b.input(0), linearIndex(place, conv.inputShape),
                                inputElement, acc),
                         loadAs(b.input(1),
                                linearIndex(filterPlace, conv.filterShape),
                                filterElement, acc),
                         partial);
    });
    scf::YieldOp::create(b, total);
    b.setInsertionPointToStart(&branch.getElseRegion().front());
    scf::YieldOp::create(b, sum);
    return branch.getResult(0);
  }

  void emitItem(Value row) {
    int64_t columns = conv.resultShape.back();
    b.loop(0, columns, 1, [&](Value column) {
      SmallVector<Value> out =
          coordinates(b.add(b.mul(row, columns), column), conv.resultShape);
      Value zero = arith::ConstantOp::create(b, b.getZeroAttr(acc));
      Value sum =
          forLoop(product(kernel()), zero, [&](Value tap, Value partial) {
            return emitTap(partial, out, tap);
          });
      if (factorsInput)
        sum =
            emitScaledSum(b, sum,
                          loadAs(b.input(factorsInput), out[channelDimension()],
                                 b.getF32Type(), b.getF32Type()));
      epilogue.emitStore(b, 2, sum, nullptr, row, column, 1);
    });
  }
};
} // namespace

Lowered efc::cpu::emitGenericConv(const KernelView &view,
                                  const GenericConv &conv, StringRef family,
                                  OpBuilder &main,
                                  DispatchBuilder &dispatches) {
  Epilogue epilogue(view);
  if (failed(checkEpilogue(view, epilogue)))
    return FailureOr<SmallVector<Value>>(failure());
  if (epilogue.isGated())
    return FailureOr<SmallVector<Value>>(
        view.root->emitError("the CPU target does not gate convolutions; "
                             "compile without fusing '")
        << view.label() << "'");
  Launch launch{
      view.root->getLoc(),
      family.str(),
      labelWith(view, view.anchor->getName().stripDialect().str() + ".generic"),
      view.key(),
      {conv.input, conv.filter},
      {}};
  epilogue.collectInputs(launch.inputs);
  Type inputElement = getElementTypeOrSelf(conv.input.getType()),
       filterElement = getElementTypeOrSelf(conv.filter.getType());
  Type acc =
      getComputeType(getElementTypeOrSelf(view.anchor->getResult(0).getType()));
  size_t factorsInput = 0;
  if (getQuantized(conv.input)) {
    // Integers as they stand in memory, in sums that no K can overflow.
    int64_t channels =
        conv.resultShape[conv.channelsLast ? conv.resultShape.size() - 1 : 1];
    factorsInput = launch.inputs.size();
    launch.inputs.push_back(
        createChannelFactors(main, view.root->getLoc(), conv.input.getType(),
                             conv.filter.getType(), channels, channels));
    inputElement = getStorageType(inputElement);
    filterElement = getStorageType(filterElement);
    acc = main.getI64Type();
  }
  llvm::append_range(launch.results, view.root->getResultTypes());
  launch.work =
      product(conv.resultShape) / std::max<int64_t>(conv.resultShape.back(), 1);
  int64_t moved = product(conv.transposed ? conv.inputShape : conv.resultShape);
  launch.macs = moved * product(ArrayRef(conv.filterShape).drop_front());
  ResultRange results = dispatches.launch(main, launch, [&](KernelBuilder &b) {
    GenericEmitter emitter{
        b, conv, epilogue, inputElement, filterElement, acc, factorsInput};
    b.forEachWorkItem([&](Value item) { emitter.emitItem(item); });
  });
  return FailureOr<SmallVector<Value>>(SmallVector<Value>(results));
}

static SmallVector<int64_t> shapeOf(Value value) {
  return SmallVector<int64_t>(
      cast<RankedTensorType>(value.getType()).getShape());
}

Lowered efc::cpu::lowerConvGeneric(const KernelView &view, OpBuilder &main,
                                   DispatchBuilder &dispatches) {
  auto op = cast<ef::ConvOp>(view.anchor);
  GenericConv conv;
  conv.channelsLast = op.getLayout() == ef::Layout::ChannelsLast;
  conv.input = view.outer(op.getInput());
  conv.filter = view.outer(op.getFilter());
  conv.inputShape = shapeOf(op.getInput());
  conv.filterShape = shapeOf(op.getFilter());
  conv.resultShape = shapeOf(op.getResult());
  conv.strides.assign(op.getStrides().begin(), op.getStrides().end());
  conv.dilations.assign(op.getDilations().begin(), op.getDilations().end());
  conv.pads.assign(op.getPads().begin(),
                   op.getPads().begin() + conv.strides.size());
  conv.groups = op.getGroups();
  return emitGenericConv(view, conv, "conv_generic", main, dispatches);
}
