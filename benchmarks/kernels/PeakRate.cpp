// See PeakRate.h.
#include "benchmarks/kernels/PeakRate.h"

#include <algorithm>
#include <ctime>

#if defined(__x86_64__)
#include <immintrin.h>

/// 12 independent chains: latency 4, two units.
__attribute__((target("avx2,fma"))) static float multiplyAdd(long steps) {
  __m256 sums[12], factor = _mm256_set1_ps(0.999f),
                   addend = _mm256_set1_ps(0.001f);
  for (int i = 0; i < 12; ++i)
    sums[i] = _mm256_set1_ps(static_cast<float>(i));
  for (long step = 0; step < steps; ++step)
#pragma clang loop unroll(full)
    for (int i = 0; i < 12; ++i)
      sums[i] = _mm256_fmadd_ps(sums[i], factor, addend);
  for (int i = 1; i < 12; ++i)
    sums[0] = _mm256_add_ps(sums[0], sums[i]);
  return _mm256_cvtss_f32(sums[0]);
}

static double threadSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}

double measurePeakMultiplyAdds() {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
    return 0;
  constexpr long steps = 5'000'000;
  double best = 0;
  volatile float sink = 0;
  for (int i = 0; i < 5; ++i) {
    double start = threadSeconds();
    sink = multiplyAdd(steps);
    double elapsed = threadSeconds() - start;
    best = std::max(best, steps * 12 * 8 / elapsed);
  }
  (void)sink;
  return best;
}
#else
double measurePeakMultiplyAdds() { return 0; }
#endif
