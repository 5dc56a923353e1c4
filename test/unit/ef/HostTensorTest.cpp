// Elements of host tensors against LLVM's own arithmetic.
#include "dialects/ef/HostTensor.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/bit.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <random>

using namespace mlir;
using namespace efc::ef;
using llvm::APFloat;
using llvm::APInt;

static uint16_t roundedToHalf(double value) {
  APFloat exact(value);
  bool losesInfo;
  exact.convert(APFloat::IEEEhalf(), APFloat::rmNearestTiesToEven, &losesInfo);
  return exact.bitcastToAPInt().getZExtValue();
}

TEST(HostTensor, ReadsEveryHalf) {
  MLIRContext context;
  auto type = RankedTensorType::get({1}, Float16Type::get(&context));
  HostTensor tensor(type);
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    auto half = static_cast<uint16_t>(bits);
    std::memcpy(tensor.getMutableBytes().data(), &half, 2);
    APFloat expected(APFloat::IEEEhalf(), APInt(16, bits));
    bool losesInfo;
    expected.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven,
                     &losesInfo);
    EXPECT_EQ(llvm::bit_cast<uint64_t>(tensor.getFloat(0)),
              expected.bitcastToAPInt().getZExtValue())
        << bits;
  }
}

TEST(HostTensor, RoundsToHalfOnce) {
  MLIRContext context;
  auto type = RankedTensorType::get({1}, Float16Type::get(&context));
  HostTensor tensor(type);
  auto stored = [&](double value) {
    tensor.setFloat(0, value);
    uint16_t half;
    std::memcpy(&half, tensor.getBytes().data(), 2);
    return half;
  };
  unsigned seed = 1;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 generator(seed);
  for (int i = 0; i < 200000; ++i) {
    // Halves between two, at and beside the middle, where a detour by way of
    // float32 would round twice; and any bits at all.
    uint64_t bits = generator();
    APFloat half(APFloat::IEEEhalf(), APInt(16, bits & 0x7bff));
    bool losesInfo;
    half.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven,
                 &losesInfo);
    double low = half.convertToDouble();
    double middle = low + low * 0x1p-11;
    for (double value :
         {low, middle, std::nextafter(middle, 0.0), std::nextafter(middle, 1e9),
          -middle, llvm::bit_cast<double>(bits)})
      EXPECT_EQ(stored(value), roundedToHalf(value)) << value;
  }
}
