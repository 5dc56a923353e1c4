// The machine's rate of float32 multiply-adds, as a loop that touches no memory
// reaches it.
#ifndef EFC_BENCHMARKS_KERNELS_PEAKRATE_H
#define EFC_BENCHMARKS_KERNELS_PEAKRATE_H

/// Multiply-adds a second of one thread of this machine; 0 where this build has
/// no such loop (other than x86-64 with AVX2).
double measurePeakMultiplyAdds();

#endif
