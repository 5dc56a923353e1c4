// See AttentionSoftmax.h.
#include "targets/cpu/kernels/AttentionSoftmax.h"

#include "targets/cpu/kernels/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <limits>

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

AttentionMask::AttentionMask(RankedTensorType type, size_t input)
    : element(type.getElementType()), input(input) {
  int64_t stride = 1, shift = 4 - type.getRank();
  for (int64_t d = type.getRank() - 1; d >= 0; --d) {
    strides[d + shift] = type.getDimSize(d) == 1 ? 0 : stride;
    stride *= type.getDimSize(d);
  }
}

namespace {
struct SoftmaxEmitter {
  KernelBuilder &b;
  const AttentionBlock &block;
  const AttentionMask &mask;
  int64_t lanes = std::min<int64_t>(b.variant.lanes, kPanelColumns);

  Type typeOf(int64_t width) {
    return width == 1 ? block.type : Type(VectorType::get({width}, block.type));
  }
  Value constant(double value, int64_t width) {
    TypedAttr scalar = b.getFloatAttr(block.type, value);
    if (width > 1)
      scalar = DenseElementsAttr::get(cast<VectorType>(typeOf(width)), scalar);
    return arith::ConstantOp::create(b, scalar);
  }
  Value lowest(int64_t width) {
    return constant(-std::numeric_limits<double>::infinity(), width);
  }
  Value place(Value base, Value row, int64_t stride, Value column) {
    return b.offsetPointer(base, b.add(b.mul(row, stride), column), block.type);
  }
  Value score(Value row, Value column) {
    return place(block.scores, row, block.scoreStride, column);
  }
  Value maximumOf(Value row) {
    return b.offsetPointer(block.state, row, block.type);
  }
  Value sumOf(Value row) {
    return b.offsetPointer(block.state, b.add(row, block.maxRows), block.type);
  }
  Value exponential(Value x) {
    return block.type.isF32() ? emitExp(b, x)
                              : emitUnary(b, ef::UnaryKind::Exp, x, block.type);
  }
  /// One machine instruction; of two unordered values the second.
  Value larger(Value x, Value y) {
    return arith::SelectOp::create(
        b, arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, x, y), x, y);
  }

  /// Whether scores are rewritten (scaled and masked) before their maximum is
  /// taken; otherwise the scale is applied inside the exponential.
  bool rewrites() const {
    return mask.element || block.causalShift || !(block.scale > 0);
  }

  Value loopCarrying(Value upper, int64_t step, Value initial,
                     function_ref<Value(Value, Value)> body) {
    auto loop = scf::ForOp::create(b, b.index(0), upper, b.index(step),
                                   ValueRange{initial});
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    scf::YieldOp::create(
        b, body(loop.getInductionVar(), loop.getRegionIterArg(0)));
    return loop.getResult(0);
  }

  Value applyMask(Value value, Value row, Value key, int64_t width) {
    Value offset = b.add(b.mul(block.image, mask.strides[0]),
                         b.mul(block.head, mask.strides[1]));
    offset =
        b.add(offset, b.add(b.mul(b.add(block.firstRow, row), mask.strides[2]),
                            b.mul(key, mask.strides[3])));
    Type stored = getStorageType(mask.element);
    Value pointer =
        b.offsetPointer(b.pointer(b.input(mask.input)), offset, stored);
    bool scalar = width == 1 || mask.strides[3] == 0;
    Value loaded = toCompute(
        b,
        b.load(pointer,
               scalar ? stored : Type(VectorType::get({width}, stored))),
        mask.element);
    bool isBoolean = mask.element.isInteger(1);
    if (!isBoolean)
      loaded = emitCast(b, loaded, getComputeType(mask.element), block.type);
    if (scalar && width > 1)
      loaded = b.splat(loaded, width);
    if (isBoolean)
      return arith::SelectOp::create(b, loaded, value, lowest(width));
    return arith::AddFOp::create(b, value, loaded);
  }

  Value applyCausal(Value value, Value row, Value key, int64_t width) {
    Type i64 = b.getI64Type();
    Value last = arith::IndexCastOp::create(
        b, i64, b.add(b.add(block.firstRow, row), b.index(*block.causalShift)));
    Value first = arith::IndexCastOp::create(b, i64, key);
    if (width > 1) {
      auto numbers = llvm::to_vector(llvm::seq<int64_t>(0, width));
      auto type = VectorType::get({width}, i64);
      Value steps = arith::ConstantOp::create(
          b, DenseElementsAttr::get(type, ArrayRef<int64_t>(numbers)));
      last = b.splat(last, width);
      first = arith::AddIOp::create(b, b.splat(first, width), steps);
    }
    Value seen =
        arith::CmpIOp::create(b, arith::CmpIPredicate::sle, first, last);
    return arith::SelectOp::create(b, seen, value, lowest(width));
  }

  /// Scaled and masked scores in place.
  void emitRewrite(Value row) {
    auto rewrite = [&](Value column, int64_t width) {
      Value value =
          arith::MulFOp::create(b, b.load(score(row, column), typeOf(width)),
                                constant(block.scale, width));
      Value key = b.add(block.firstKey, column);
      if (mask.element)
        value = applyMask(value, row, key, width);
      if (block.causalShift)
        value = applyCausal(value, row, key, width);
      b.store(value, score(row, column));
    };
    Value inVectors = b.mul(b.divFloor(block.keys, lanes), lanes);
    b.loop(b.index(0), inVectors, lanes,
           [&](Value column) { rewrite(column, lanes); });
    b.loop(inVectors, block.keys, 1, [&](Value column) { rewrite(column, 1); });
  }

  /// Rescales what the row has summed up by exp(old maximum - new maximum).
  void emitRescale(Value row, Value factor) {
    b.loop(0, block.sumStride, lanes, [&](Value column) {
      Value pointer = place(block.sums, row, block.sumStride, column);
      b.store(arith::MulFOp::create(b, b.load(pointer, typeOf(lanes)),
                                    b.splat(factor, lanes)),
              pointer);
    });
  }

  void emitRow(Value row) {
    if (rewrites())
      emitRewrite(row);
    // Columns beyond the last key, up to a whole vector, must not count.
    Value padded =
        b.mul(b.divFloor(b.add(block.keys, lanes - 1), lanes), lanes);
    b.loop(block.keys, padded, 1,
           [&](Value column) { b.store(lowest(1), score(row, column)); });
    Value largest = loopCarrying(
        padded, lanes, lowest(lanes), [&](Value column, Value partial) {
          return larger(b.load(score(row, column), typeOf(lanes)), partial);
        });
    Value blockMaximum =
        vector::ReductionOp::create(b, vector::CombiningKind::MAXNUMF, largest);
    double scale = rewrites() ? 1 : block.scale;
    blockMaximum = arith::MulFOp::create(b, blockMaximum, constant(scale, 1));
    Value old = b.load(maximumOf(row), block.type),
          maximum = larger(blockMaximum, old);
    b.store(maximum, maximumOf(row));
    // exp(-inf - -inf) is no number: a row that has seen no key yet is taken
    // relative to 0.
    Value none =
        arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, maximum, lowest(1));
    Value relative = arith::SelectOp::create(b, none, constant(0, 1), maximum);
    Value relatives = b.splat(relative, lanes), scales = constant(scale, lanes);
    Value sums = loopCarrying(
        padded, lanes, constant(0, lanes), [&](Value column, Value partial) {
          Value value = b.load(score(row, column), typeOf(lanes));
          value = exponential(arith::SubFOp::create(
              b, arith::MulFOp::create(b, value, scales), relatives));
          b.store(value, score(row, column));
          return arith::AddFOp::create(b, partial, value);
        });
    Value sum =
        vector::ReductionOp::create(b, vector::CombiningKind::ADD, sums);
    Value factor = exponential(arith::SubFOp::create(b, old, relative));
    Value before = b.load(sumOf(row), block.type);
    b.store(
        arith::AddFOp::create(b, arith::MulFOp::create(b, before, factor), sum),
        sumOf(row));
    Value isLater = arith::CmpIOp::create(b, arith::CmpIPredicate::ne,
                                          block.firstKey, b.index(0));
    auto branch = scf::IfOp::create(b, isLater, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&branch.getThenRegion().front());
    emitRescale(row, factor);
  }
};
} // namespace

void efc::cpu::emitAttentionStart(KernelBuilder &b,
                                  const AttentionBlock &block) {
  AttentionMask none;
  SoftmaxEmitter emitter{b, block, none};
  b.loop(b.index(0), block.rows, 1, [&](Value row) {
    b.store(emitter.lowest(1), emitter.maximumOf(row));
    b.store(emitter.constant(0, 1), emitter.sumOf(row));
    b.loop(0, block.sumStride, emitter.lanes, [&](Value column) {
      b.store(emitter.constant(0, emitter.lanes),
              emitter.place(block.sums, row, block.sumStride, column));
    });
  });
}

void efc::cpu::emitAttentionSoftmax(KernelBuilder &b,
                                    const AttentionBlock &block,
                                    const AttentionMask &mask) {
  SoftmaxEmitter emitter{b, block, mask};
  b.loop(b.index(0), block.rows, 1, [&](Value row) { emitter.emitRow(row); });
}

void efc::cpu::emitAttentionEnd(KernelBuilder &b, const AttentionBlock &block) {
  AttentionMask none;
  SoftmaxEmitter emitter{b, block, none};
  b.loop(b.index(0), block.rows, 1, [&](Value row) {
    Value sum = b.load(emitter.sumOf(row), block.type),
          zero = emitter.constant(0, 1);
    Value empty =
        arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, sum, zero);
    Value inverse = arith::DivFOp::create(b, emitter.constant(1, 1), sum);
    emitter.emitRescale(row, arith::SelectOp::create(b, empty, zero, inverse));
  });
}
