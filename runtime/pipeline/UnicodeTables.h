// The tables behind Unicode.h; scripts/generate-unicode-tables.py writes them.
#ifndef EFRT_PIPELINE_UNICODETABLES_H
#define EFRT_PIPELINE_UNICODETABLES_H

#include <cstdint>
#include <span>

namespace efrt {

/// All tables are sorted by their first member.
struct CodePointRange {
  char32_t first, last;
};

/// Every `stride`-th code point of [first, last] maps to itself + difference.
struct LowercaseRun {
  char32_t first, last;
  uint32_t stride;
  int32_t difference;
};

/// `from` stands for `first` and, unless 0, `second`.
struct Decomposition {
  char32_t from, first, second;
};

struct CombiningRange {
  char32_t first, last;
  uint8_t combiningClass;
};

struct UnicodeTables {
  std::span<const CodePointRange> letters, numbers, spaces;
  std::span<const LowercaseRun> lowercaseRuns;
  std::span<const Decomposition> lowercasePairs, decompositions;
  /// Indices of `decompositions` that compose, sorted by (first, second).
  std::span<const uint16_t> compositions;
  std::span<const CombiningRange> combining;
};

extern const UnicodeTables unicodeTables;

} // namespace efrt

#endif
