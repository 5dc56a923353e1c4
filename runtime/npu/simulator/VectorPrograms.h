// Evaluates a vector program over parts of its result, one instruction after
// the other over a chunk of elements.
#ifndef EFRT_NPU_SIMULATOR_VECTORPROGRAMS_H
#define EFRT_NPU_SIMULATOR_VECTORPROGRAMS_H

#include "npu/simulator/Kernels.h"

namespace efrt::npu::simulator {

/// Elements of a chunk: 16 registers of them stay in the first cache level.
inline constexpr size_t kChunkElements = 256;

/// Rows are the result's dimensions but the last, flattened; columns the last.
class ProgramRunner {
public:
  /// References must live as long as this.
  ProgramRunner(const VectorProgram &program, std::byte *scratch,
                const Kernels &kernels);

  uint64_t numRows() const { return rows; }
  uint64_t numColumns() const { return columns; }

  /// All columns of rows [begin, end). The given registers, dense
  /// [end - begin][columns], are 0 and then 1; null: not given.
  void runRows(uint64_t begin, uint64_t end, const float *given0 = nullptr,
               const float *given1 = nullptr) const;

  /// Runs can be split at multiples of this many rows without loss.
  uint64_t rowsOfChunk() const {
    return columns >= kChunkElements ? 1 : kChunkElements / columns;
  }

private:
  struct Chunk {
    uint64_t row, numRows, column, numColumns;
  };

  void runChunk(const Chunk &chunk, const float *given0,
                const float *given1) const;
  void load(const View &view, const Chunk &chunk, float *dst) const;
  void store(const Chunk &chunk, const float *values) const;
  std::byte *addressOf(const View &view, uint64_t row, uint64_t column) const;

  const VectorProgram &program;
  std::byte *scratch;
  const Kernels &kernels;
  uint64_t rows, columns;
  float inverse; ///< Of the result's scale.
};

/// Converts `count` elements, `stride` bytes apart, to float32 as Load does.
void loadElements(const Kernels &kernels, DType dtype, float scale,
                  const std::byte *src, int64_t stride, float *dst,
                  size_t count);

} // namespace efrt::npu::simulator

#endif
