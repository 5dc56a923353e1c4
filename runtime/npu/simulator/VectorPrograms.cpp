// See VectorPrograms.h.
#include "npu/simulator/VectorPrograms.h"

#include "npu/simulator/Execution.h"
#include "npu/simulator/ScalarFunctions.h"

#include <algorithm>
#include <cstring>

using namespace efrt;
using namespace efrt::npu;
using namespace efrt::npu::simulator;

ProgramRunner::ProgramRunner(const VectorProgram &program, std::byte *scratch,
                             const Kernels &kernels)
    : program(program), scratch(scratch), kernels(kernels),
      rows(uint64_t(program.result.extents[0]) * program.result.extents[1] *
           program.result.extents[2]),
      columns(program.result.extents[3]),
      inverse(numerics::invert(program.result.scale)) {}

/// What repeats has one element or the stride 0.
static int64_t strideOf(const View &view, size_t dimension) {
  return view.extents[dimension] == 1 ? 0 : view.strides[dimension];
}

std::byte *ProgramRunner::addressOf(const View &view, uint64_t row,
                                    uint64_t column) const {
  const std::array<uint32_t, 4> &extents = program.result.extents;
  auto k = static_cast<int64_t>(row % extents[2]);
  uint64_t outer = row / extents[2];
  auto j = static_cast<int64_t>(outer % extents[1]),
       i = static_cast<int64_t>(outer / extents[1]);
  return scratch + view.address + i * strideOf(view, 0) +
         j * strideOf(view, 1) + k * strideOf(view, 2) +
         static_cast<int64_t>(column) * strideOf(view, 3);
}

template <typename T> static T read(const std::byte *address) {
  T value;
  std::memcpy(&value, address, sizeof(T));
  return value;
}

static float loadOne(DType dtype, float scale, const std::byte *src) {
  switch (dtype) {
  case DType::I8:
    return static_cast<float>(read<int8_t>(src)) * scale;
  case DType::I16:
    return static_cast<float>(read<int16_t>(src)) * scale;
  case DType::I32:
    return static_cast<float>(read<int32_t>(src)) * scale;
  case DType::F16:
    return fromHalf(read<uint16_t>(src));
  default:
    return read<float>(src);
  }
}

void simulator::loadElements(const Kernels &kernels, DType dtype, float scale,
                             const std::byte *src, int64_t stride, float *dst,
                             size_t count) {
  if (stride == 0) {
    std::fill_n(dst, count, loadOne(dtype, scale, src));
    return;
  }
  if (stride != static_cast<int64_t>(sizeOf(dtype))) {
    for (size_t i = 0; i < count; ++i, src += stride)
      dst[i] = loadOne(dtype, scale, src);
    return;
  }
  switch (dtype) {
  case DType::I8:
    return kernels.loadI8(reinterpret_cast<const int8_t *>(src), scale, dst,
                          count);
  case DType::I16:
    return kernels.loadI16(reinterpret_cast<const int16_t *>(src), scale, dst,
                           count);
  case DType::I32:
    return kernels.loadI32(reinterpret_cast<const int32_t *>(src), scale, dst,
                           count);
  case DType::F16:
    return kernels.loadF16(reinterpret_cast<const uint16_t *>(src), dst, count);
  default:
    std::memcpy(dst, src, count * sizeof(float));
  }
}

void ProgramRunner::load(const View &view, const Chunk &chunk,
                         float *dst) const {
  for (uint64_t i = 0; i < chunk.numRows; ++i)
    loadElements(kernels, view.dtype, view.scale,
                 addressOf(view, chunk.row + i, chunk.column),
                 strideOf(view, 3), dst + i * chunk.numColumns,
                 chunk.numColumns);
}

void ProgramRunner::store(const Chunk &chunk, const float *values) const {
  const View &view = program.result;
  std::array<int16_t, kChunkElements> integers;
  std::array<uint16_t, kChunkElements> halves;
  size_t count = chunk.numRows * chunk.numColumns, bytes = sizeOf(view.dtype);
  const void *converted = values;
  if (view.dtype == DType::I16) {
    kernels.storeI16(values, inverse, view.limit, integers.data(), count);
    converted = integers.data();
  } else if (view.dtype == DType::F16) {
    kernels.storeF16(values, halves.data(), count);
    converted = halves.data();
  }
  const auto *src = static_cast<const std::byte *>(converted);
  bool isDense =
      chunk.numColumns == 1 || view.strides[3] == static_cast<int64_t>(bytes);
  for (uint64_t i = 0; i < chunk.numRows; ++i) {
    std::byte *dst = addressOf(view, chunk.row + i, chunk.column);
    if (isDense) {
      std::memcpy(dst, src, chunk.numColumns * bytes);
      src += chunk.numColumns * bytes;
      continue;
    }
    for (uint64_t j = 0; j < chunk.numColumns; ++j, src += bytes)
      std::memcpy(dst + static_cast<int64_t>(j) * view.strides[3], src, bytes);
  }
}

void ProgramRunner::runChunk(const Chunk &chunk, const float *given0,
                             const float *given1) const {
  alignas(32) std::array<std::array<float, kChunkElements>, 16> storage;
  std::array<const float *, 16> registers;
  for (size_t i = 0; i < registers.size(); ++i)
    registers[i] = storage[i].data();
  if (given0)
    registers[0] = given0;
  if (given1)
    registers[1] = given1;
  size_t count = chunk.numRows * chunk.numColumns;
  for (const Instruction &instruction : program.code) {
    float *dst = storage[instruction.dst].data();
    if (instruction.op == Opcode::Load)
      load(program.operands[instruction.a], chunk, dst);
    else if (instruction.op == Opcode::Constant)
      std::fill_n(dst, count, instruction.immediate);
    else
      kernels.apply(instruction.op, registers[instruction.a],
                    registers[instruction.b], dst, count);
    registers[instruction.dst] = dst;
  }
  store(chunk, registers[program.value]);
}

void ProgramRunner::runRows(uint64_t begin, uint64_t end, const float *given0,
                            const float *given1) const {
  uint64_t step = rowsOfChunk();
  for (uint64_t row = begin; row < end; row += step)
    for (uint64_t column = 0; column < columns; column += kChunkElements) {
      uint64_t offset = (row - begin) * columns + column;
      runChunk({row, std::min(step, end - row), column,
                std::min<uint64_t>(kChunkElements, columns - column)},
               given0 ? given0 + offset : nullptr,
               given1 ? given1 + offset : nullptr);
    }
}

void simulator::execute(const VectorCommand &vector,
                        ExecutionContext &context) {
  ProgramRunner runner(vector.program, context.memory.scratch, context.kernels);
  uint64_t step = runner.rowsOfChunk();
  parallelFor(context.pool, (runner.numRows() + step - 1) / step,
              [&](int64_t begin, int64_t end) {
                runner.runRows(static_cast<uint64_t>(begin) * step,
                               std::min(static_cast<uint64_t>(end) * step,
                                        runner.numRows()));
              });
}
