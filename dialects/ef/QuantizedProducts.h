// Exact integer sums of products, the core of every quantised anchor's
// reference evaluation.
#ifndef EFC_DIALECTS_EF_QUANTIZEDPRODUCTS_H
#define EFC_DIALECTS_EF_QUANTIZEDPRODUCTS_H

#include <algorithm>
#include <cstdint>

namespace efc::ef {

/// Products of an int16 and a weight |w| <= 127 whose sum surely fits 32 bits:
/// 512 * 127 * 32768 < 2^31.
inline constexpr int64_t kExactProducts = 512;

/// sum of x[i] * w[i], exact: 32-bit partial sums, which vectorise, that cannot
/// overflow, added in 64 bits.
inline int64_t dot(const int16_t *x, const int8_t *w, int64_t count) {
  int64_t sum = 0;
  for (int64_t first = 0; first < count; first += kExactProducts) {
    int64_t last = std::min(first + kExactProducts, count);
    int32_t part = 0;
    for (int64_t i = first; i < last; ++i)
      part += static_cast<int32_t>(x[i]) * static_cast<int32_t>(w[i]);
    sum += part;
  }
  return sum;
}

/// The same of two int16: each product needs 31 bits, so every sum 64.
inline int64_t dot(const int16_t *x, const int16_t *y, int64_t count) {
  int64_t sum = 0;
  for (int64_t i = 0; i < count; ++i)
    sum += static_cast<int32_t>(x[i]) * static_cast<int32_t>(y[i]);
  return sum;
}

} // namespace efc::ef

#endif
