// See PairProduct.h.
#include "targets/cpu/kernels/PairProduct.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace efc::cpu;

static bool isSplit(const KernelBuilder &b) {
  return b.variant.pairProduct == PairProduct::Widen;
}

static Value widenTo16(KernelBuilder &b, Value value) {
  auto type = cast<VectorType>(value.getType());
  Type wide = VectorType::get(type.getShape(), b.getI16Type());
  return type == wide ? value : arith::ExtSIOp::create(b, wide, value);
}

PairLanes efc::cpu::loadPairColumns(KernelBuilder &b, Value pointer,
                                    Type element, int64_t lanes) {
  Value loaded = b.load(pointer, VectorType::get({2 * lanes}, element));
  if (!isSplit(b))
    return {widenTo16(b, loaded), nullptr};
  SmallVector<int64_t> even, odd;
  for (int64_t lane = 0; lane < lanes; ++lane) {
    even.push_back(2 * lane);
    odd.push_back(2 * lane + 1);
  }
  return {widenTo16(b, vector::ShuffleOp::create(b, loaded, loaded, even)),
          widenTo16(b, vector::ShuffleOp::create(b, loaded, loaded, odd))};
}

/// Two elements at `pointer` as the halves of an i32, or one and 0.
static Value loadPair(KernelBuilder &b, Value pointer, bool isHalf) {
  Type i16 = b.getI16Type(), i32 = b.getI32Type();
  if (isHalf)
    return arith::ExtUIOp::create(b, i32, b.load(pointer, i16));
  return LLVM::BitcastOp::create(b, i32,
                                 b.load(pointer, VectorType::get({2}, i16)));
}

PairLanes efc::cpu::broadcastPair(KernelBuilder &b, Value pointer, bool isHalf,
                                  int64_t lanes) {
  Type i16 = b.getI16Type();
  if (!isSplit(b)) {
    Value pairs = b.splat(loadPair(b, pointer, isHalf), lanes);
    return {
        vector::BitCastOp::create(b, VectorType::get({2 * lanes}, i16), pairs),
        nullptr};
  }
  Value first = b.load(pointer, i16), second;
  if (isHalf)
    second = arith::ConstantOp::create(b, b.getI16IntegerAttr(0));
  else
    second = b.load(b.offsetPointer(pointer, b.index(1), i16), i16);
  return {b.splat(first, lanes), b.splat(second, lanes)};
}

/// sum + x * y, the factors widened to 32 bits first: one smlal.
static Value multiplyAddWide(KernelBuilder &b, Value x, Value y, Value sum) {
  Value product =
      arith::MulIOp::create(b, arith::ExtSIOp::create(b, sum.getType(), x),
                            arith::ExtSIOp::create(b, sum.getType(), y));
  return arith::AddIOp::create(b, sum, product);
}

static Value callIntrinsic(KernelBuilder &b, StringRef name,
                           ValueRange arguments, Type result) {
  return LLVM::CallIntrinsicOp::create(b, result, b.getStringAttr(name),
                                       arguments)
      .getResult(0);
}

Value efc::cpu::multiplyAddPairs(KernelBuilder &b, const PairLanes &x,
                                 const PairLanes &y, Value accumulator) {
  Type sums = accumulator.getType();
  switch (b.variant.pairProduct) {
  case PairProduct::Widen:
    return multiplyAddWide(b, x.second, y.second,
                           multiplyAddWide(b, x.first, y.first, accumulator));
  case PairProduct::Madd256:
    return arith::AddIOp::create(
        b, accumulator,
        callIntrinsic(b, "llvm.x86.avx2.pmadd.wd", {x.first, y.first}, sums));
  case PairProduct::Madd512:
    return arith::AddIOp::create(b, accumulator,
                                 callIntrinsic(b,
                                               "llvm.x86.avx512.pmaddw.d.512",
                                               {x.first, y.first}, sums));
  case PairProduct::Dot512:
    return callIntrinsic(b, "llvm.x86.avx512.vpdpwssd.512",
                         {accumulator, x.first, y.first}, sums);
  }
  llvm_unreachable("all products are handled");
}
