// Attention on int16.
#include "test/unit/cpu/QuantizedModel.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace efc::test;

namespace {
struct Heads {
  int64_t batch, queries, keys, heads, kvHeads, depth, valueDepth;
  bool causal = false;
};
} // namespace

/// `sharpness`: about the largest difference of scores in the exponential.
static void addAttention(QuantizedModel &model, const Heads &h,
                         double sharpness) {
  Kernel kernel(model);
  double scale = 1 / std::sqrt(static_cast<double>(h.depth));
  Operand query = model.input({h.batch, h.queries, h.heads * h.depth},
                              model.quantizedElement(1e-4, 3e-4)),
          key = model.input({h.batch, h.keys, h.kvHeads * h.depth},
                            model.quantizedElement(1e-4, 3e-4)),
          value = model.input({h.batch, h.keys, h.kvHeads * h.valueDepth});
  Shape shape = {h.batch, h.queries, h.heads * h.valueDepth};
  std::string attributes =
      "{heads = " + std::to_string(h.heads) +
      " : i64, kv_heads = " + std::to_string(h.kvHeads) +
      " : i64, scale = " + std::to_string(scale) +
      " : f64, score_scale = " + std::to_string(sharpness / 32767) + " : f64" +
      (h.causal ? ", causal}" : "}");
  Operand result = kernel.operation("ef.attention", {query, key, value},
                                    attributes, shape, "f32");
  if (model.chance(0.5))
    result = kernel.epilogue(result);
  kernel.yield(kernel.quantize(result, model.quantizedElement()));
}

TEST(QuantizedAttention, Shapes) {
  for (unsigned seed : {1, 2}) {
    QuantizedModel model(seed);
    addAttention(model, {1, 100, 100, 2, 2, 40, 40}, 8);
    addAttention(model, {1, 64, 77, 3, 3, 40, 40}, 20);
    addAttention(model, {2, 43, 256, 1, 1, 80, 80}, 3);
    addAttention(model, {1, 42, 300, 2, 1, 160, 160}, 60);
    addAttention(model, {1, 5, 7, 2, 2, 9, 5}, 5);
    addAttention(model, {1, 50, 33, 1, 1, 16, 24}, 1);
    addAttention(model, {1, 1, 1, 2, 2, 8, 8}, 5);
    expectEqualBits(model, seed);
  }
}

TEST(QuantizedAttention, Causal) {
  QuantizedModel model(3);
  addAttention(model, {1, 77, 77, 2, 2, 16, 16, true}, 10);
  addAttention(model, {1, 30, 64, 1, 1, 8, 8, true}, 10);
  // The first rows see no key.
  addAttention(model, {1, 64, 30, 1, 1, 8, 8, true}, 10);
  expectEqualBits(model, 3);
}

/// Deep heads and many keys: the sums in 32 bits are near their limit.
TEST(QuantizedAttention, LargestSums) {
  QuantizedModel model(4);
  addAttention(model, {1, 8, 1100, 1, 1, 504, 32}, 2);
  expectEqualBits(model, 4);
}
