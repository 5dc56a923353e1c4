// What commands compute, element by element: the numeric contract as plain
// scalar code.
#ifndef EFC_TEST_UNIT_RUNTIME_NPU_SCALARGOLDEN_H
#define EFC_TEST_UNIT_RUNTIME_NPU_SCALARGOLDEN_H

#include "npu/simulator/Execution.h"
#include "npu/simulator/ScalarFunctions.h"

#include <cstring>

namespace efrt::npu::test {

inline constexpr uint32_t kScratchBytes = 1 << 21;

/// A scratchpad, and reads and writes of its elements.
struct Scratch {
  std::vector<std::byte> bytes =
      std::vector<std::byte>(kScratchBytes + simulator::kScratchSlackBytes);

  int64_t addressOf(const View &view, std::array<uint32_t, 4> index) const {
    int64_t address = view.address;
    for (size_t i = 0; i < 4; ++i)
      if (view.extents[i] > 1)
        address += int64_t(index[i]) * view.strides[i];
    return address;
  }
  template <typename T>
  T get(const View &view, std::array<uint32_t, 4> index) const {
    T value;
    std::memcpy(&value, bytes.data() + addressOf(view, index), sizeof(T));
    return value;
  }
  template <typename T>
  void set(const View &view, std::array<uint32_t, 4> index, T value) {
    std::memcpy(bytes.data() + addressOf(view, index), &value, sizeof(T));
  }
  int64_t integer(const View &view, std::array<uint32_t, 4> index) const {
    switch (view.dtype) {
    case DType::I8:
      return get<int8_t>(view, index);
    case DType::I16:
      return get<int16_t>(view, index);
    case DType::I32:
      return get<int32_t>(view, index);
    default:
      return get<int64_t>(view, index);
    }
  }
  float real(const View &view, std::array<uint32_t, 4> index) const {
    if (view.dtype == DType::F16)
      return simulator::fromHalf(get<uint16_t>(view, index));
    if (view.dtype == DType::F32)
      return get<float>(view, index);
    return static_cast<float>(integer(view, index)) * view.scale;
  }
};

template <typename Visit> void forEachIndex(const View &view, Visit visit) {
  for (uint32_t i = 0; i < view.extents[0]; ++i)
    for (uint32_t j = 0; j < view.extents[1]; ++j)
      for (uint32_t k = 0; k < view.extents[2]; ++k)
        for (uint32_t l = 0; l < view.extents[3]; ++l)
          visit(std::array<uint32_t, 4>{i, j, k, l});
}

inline float evaluate(Opcode op, float a, float b) {
  using namespace efrt::numerics;
  switch (op) {
  case Opcode::Add:
    return a + b;
  case Opcode::Sub:
    return a - b;
  case Opcode::Mul:
    return a * b;
  case Opcode::Div:
    return a / b;
  case Opcode::Min:
    return minimum(a, b);
  case Opcode::Max:
    return maximum(a, b);
  case Opcode::Neg:
    return -a;
  case Opcode::Abs:
    return std::fabs(a);
  case Opcode::Sqrt:
    return std::sqrt(a);
  case Opcode::Rsqrt:
    return 1.0f / std::sqrt(a);
  case Opcode::Reciprocal:
    return 1.0f / a;
  case Opcode::Exp:
    return exp32(a);
  case Opcode::Log:
    return log32(a);
  case Opcode::Tanh:
    return tanh32(a);
  case Opcode::Erf:
    return erf32(a);
  case Opcode::Sigmoid:
    return sigmoid32(a);
  case Opcode::Silu:
    return silu32(a);
  case Opcode::Gelu:
    return gelu32(a);
  case Opcode::GeluTanh:
    return geluTanh32(a);
  case Opcode::QuickGelu:
    return quickGelu32(a);
  case Opcode::Relu:
    return relu(a);
  case Opcode::Sin:
    return sin32(a);
  case Opcode::Cos:
    return cos32(a);
  default:
    return 0;
  }
}

inline void runProgram(Scratch &scratch, const VectorProgram &program,
                       std::array<uint32_t, 4> index, float given0,
                       float given1) {
  std::array<float, 16> registers = {given0, given1};
  for (const Instruction &instruction : program.code)
    registers[instruction.dst] =
        instruction.op == Opcode::Load
            ? scratch.real(program.operands[instruction.a], index)
        : instruction.op == Opcode::Constant
            ? instruction.immediate
            : evaluate(instruction.op, registers[instruction.a],
                       registers[instruction.b]);
  float value = registers[program.value];
  const View &result = program.result;
  if (result.dtype == DType::I16)
    scratch.set(result, index,
                static_cast<int16_t>(numerics::quantize(
                    value, numerics::invert(result.scale), result.limit)));
  else if (result.dtype == DType::F16)
    scratch.set(result, index, simulator::toHalf(value));
  else
    scratch.set(result, index, value);
}

/// The sums of one output, as the contract has them.
inline float product(const Scratch &scratch, const TensorCommand &tensor,
                     const View &weights, std::array<uint32_t, 4> index) {
  auto [zero, y, x, n] = index;
  int64_t sum = 0;
  float floatSum = 0;
  for (uint32_t ky = 0; ky < weights.extents[1]; ++ky)
    for (uint32_t kx = 0; kx < weights.extents[2]; ++kx)
      for (uint32_t c = 0; c < weights.extents[3]; ++c) {
        int64_t row = int64_t(y) * tensor.strideY + ky * tensor.dilationY -
                      tensor.padTop,
                column = int64_t(x) * tensor.strideX + kx * tensor.dilationX -
                         tensor.padLeft;
        bool isInside = row >= 0 && row < tensor.input.extents[1] &&
                        column >= 0 && column < tensor.input.extents[2];
        std::array<uint32_t, 4> at = {0, static_cast<uint32_t>(row),
                                      static_cast<uint32_t>(column),
                                      tensor.depthwise ? n : c};
        if (!isInside)
          continue;
        if (tensor.input.dtype == DType::F16)
          floatSum = std::fma(scratch.real(tensor.input, at),
                              scratch.real(weights, {n, ky, kx, c}), floatSum);
        else
          sum += scratch.integer(tensor.input, at) *
                 scratch.integer(weights, {n, ky, kx, c});
      }
  return tensor.input.dtype == DType::F16 ? floatSum : static_cast<float>(sum);
}

inline void golden(Scratch &scratch, const TensorCommand &tensor) {
  forEachIndex(tensor.epilogue.result, [&](std::array<uint32_t, 4> index) {
    float gate =
        tensor.gated ? product(scratch, tensor, tensor.gateWeights, index) : 0;
    runProgram(scratch, tensor.epilogue, index,
               product(scratch, tensor, tensor.weights, index), gate);
  });
}

} // namespace efrt::npu::test

#endif
