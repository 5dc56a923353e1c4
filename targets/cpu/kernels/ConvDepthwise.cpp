// Depthwise convolution: vectors of channels, one multiply-add a tap. A work
// item is one row of the result; taps outside the input are skipped.
#include "targets/cpu/kernels/Conv.h"
#include "targets/cpu/kernels/Gemm.h"
#include "targets/cpu/kernels/ScalarEmitter.h"

#include "dialects/ef/WeightStore.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

namespace {
struct DepthwiseEmitter {
  KernelBuilder &b;
  const Conv2d &conv;
  const Epilogue &epilogue;
  Type inputElement, filterElement, acc;

  int64_t filterStride() const { return llvm::alignTo(conv.m, kPanelColumns); }

  Value inside(Value position, int64_t size) {
    Value low = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, position,
                                      b.index(0));
    Value high = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, position,
                                       b.index(size));
    return arith::AndIOp::create(b, low, high);
  }

  Value loadAs(Value memref, Value offset, Type element, int64_t lanes) {
    Type stored = getStorageType(element);
    Type type = lanes == 1 ? stored : Type(VectorType::get({lanes}, stored));
    Value loaded =
        b.load(b.offsetPointer(b.pointer(memref), offset, stored), type);
    return emitCast(b, toCompute(b, loaded, element), getComputeType(element),
                    acc);
  }

  /// sum + input * filter at one tap, if it is inside the input.
  Value emitTap(Value sum, Value image, Value y, Value x, Value tap,
                Value channel, int64_t lanes) {
    Value ok = arith::AndIOp::create(b, inside(y, conv.h), inside(x, conv.w));
    auto branch = scf::IfOp::create(b, TypeRange{sum.getType()}, ok,
                                    /*addElseBlock=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&branch.getThenRegion().front());
    Value pixel = b.add(b.mul(b.add(b.mul(image, conv.h), y), conv.w), x);
    Value value = loadAs(b.input(0), b.add(b.mul(pixel, conv.c), channel),
                         inputElement, lanes);
    Value weight =
        loadAs(b.input(1), b.add(b.mul(tap, filterStride()), channel),
               filterElement, lanes);
    scf::YieldOp::create(
        b, math::FmaOp::create(b, value, weight, sum).getResult());
    b.setInsertionPointToStart(&branch.getElseRegion().front());
    scf::YieldOp::create(b, sum);
    return branch.getResult(0);
  }

  Value emitSum(Value image, Value outY, Value outX, Value channel,
                int64_t lanes) {
    Type type = lanes == 1 ? acc : Type(VectorType::get({lanes}, acc));
    Value zero = arith::ConstantOp::create(b, b.getZeroAttr(type));
    auto loop = scf::ForOp::create(b, b.index(0), b.index(conv.taps()),
                                   b.index(1), ValueRange{zero});
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value tap = loop.getInductionVar();
    Value y = b.sub(b.add(b.mul(outY, conv.strideH),
                          b.mul(b.divFloor(tap, conv.kernelW), conv.dilationH)),
                    b.index(conv.padTop));
    Value x = b.sub(b.add(b.mul(outX, conv.strideW),
                          b.mul(b.mod(tap, conv.kernelW), conv.dilationW)),
                    b.index(conv.padLeft));
    scf::YieldOp::create(
        b, emitTap(loop.getRegionIterArg(0), image, y, x, tap, channel, lanes));
    return loop.getResult(0);
  }

  void emitItem(Value item) {
    int64_t lanes = std::min<int64_t>(b.variant.lanes, kPanelColumns);
    Value image = b.divFloor(item, conv.outH), outY = b.mod(item, conv.outH);
    b.loop(0, conv.outW, 1, [&](Value outX) {
      Value row = b.add(b.mul(item, conv.outW), outX);
      auto columns = [&](int64_t from, int64_t to, int64_t width) {
        if (from < to)
          b.loop(from, to, width, [&](Value channel) {
            epilogue.emitStore(b, 2, emitSum(image, outY, outX, channel, width),
                               nullptr, row, channel, width);
          });
      };
      int64_t inVectors = conv.m / lanes * lanes;
      columns(0, inVectors, lanes);
      columns(inVectors, conv.m, 1);
    });
  }
};
} // namespace

Lowered efc::cpu::lowerConvDepthwise(const KernelView &view, const Conv2d &conv,
                                     OpBuilder &main,
                                     DispatchBuilder &dispatches,
                                     const KernelOptions &options) {
  Epilogue epilogue(view);
  if (failed(checkEpilogue(view, epilogue)))
    return FailureOr<SmallVector<Value>>(failure());
  if (epilogue.isGated())
    return FailureOr<SmallVector<Value>>(
        view.root->emitError("the CPU target does not gate convolutions; "
                             "compile without fusing '")
        << view.label() << "'");
  // As one row of a matrix for each tap, the panels of a tap are its channels
  // in order.
  PackSource source{conv.taps(), 1, conv.m, 1, 0, conv.taps()};
  Value packed = ef::isConstantExpression(conv.filter)
                     ? packConstant(conv.filter, source, main,
                                    KernelOptions{options.winograd, false})
                     : packDynamic(conv.filter, source, main, dispatches);
  Type acc =
      getComputeType(getElementTypeOrSelf(view.anchor->getResult(0).getType()));
  Launch launch{view.root->getLoc(),
                "conv_depthwise",
                labelWith(view, conv.label + ".depthwise"),
                view.key(),
                {conv.input, packed},
                {}};
  epilogue.collectInputs(launch.inputs);
  llvm::append_range(launch.results, view.root->getResultTypes());
  launch.work = conv.n * conv.outH;
  launch.macs = conv.macs();
  ResultRange results = dispatches.launch(main, launch, [&](KernelBuilder &b) {
    DepthwiseEmitter emitter{b,
                             conv,
                             epilogue,
                             getElementTypeOrSelf(conv.input.getType()),
                             getElementTypeOrSelf(packed.getType()),
                             acc};
    b.forEachWorkItem([&](Value item) { emitter.emitItem(item); });
  });
  return FailureOr<SmallVector<Value>>(SmallVector<Value>(results));
}
