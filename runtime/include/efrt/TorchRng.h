// Normally distributed noise, equal to torch's CPU generator for the same seed,
// so that an image can be compared with the one that diffusers makes.
#ifndef EFRT_TORCHRNG_H
#define EFRT_TORCHRNG_H

#include "efrt/Export.h"

#include <cstdint>
#include <optional>
#include <random>
#include <span>

namespace efrt {

/// torch.Generator("cpu").manual_seed(seed): MT19937, and the two ways in which
/// torch draws float32 normals from it. A fill of 16 or more values has the
/// bits that torch gives on x86 CPUs with AVX2 (the last bit is the same on
/// every machine that runs this code; torch itself differs between its CPU
/// paths). A shorter fill computes in double with the C library and rounds.
class EFRT_API TorchRng {
public:
  /// Like torch, uses the low 32 bits of `seed`.
  explicit TorchRng(uint64_t seed);

  /// torch.randn(values.size(), generator=...): overwrites `values`. Successive
  /// calls continue the sequence; one call of 32 values is not two calls of 16.
  void randn(std::span<float> values);

private:
  float uniformFloat();
  double uniformDouble();
  double normalDouble();

  std::mt19937 engine;
  /// The second value of the last Box-Muller pair of a short fill.
  std::optional<double> cachedNormal;
};

} // namespace efrt

#endif
