// What the NPU executes: commands on queues. The compiler builds these
// structures (targets/exynos_npu), Encoding.h turns them into the artifact's
// bytes and back, and the simulator works on nothing but what those bytes
// decode to. The specification with the binary layout: docs/exynos-npu.md.
//
// A program is one command list for each queue. A queue runs its commands in
// order, one at a time; queues run beside each other. Each queue owns a counter
// that a finished command with `notify` raises by one; a command starts when
// its queue's previous one has finished and all its waits hold. Nothing else
// orders anything.
#ifndef EFRT_NPU_COMMAND_H
#define EFRT_NPU_COMMAND_H

#include "efrt/Session.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace efrt::npu {

/// Queues, in the order of their numbers. A machine may have fewer engines of a
/// kind; the program then leaves their queues empty.
enum class Queue : uint8_t {
  Dma0, ///< The compiler's convention: loads.
  Dma1, ///< Stores.
  Gte0, ///< General tensor engines: convolution, matrix product.
  Gte1,
  Ste0, ///< Small tensor engines: matrix times vector, depthwise.
  Ste1,
  Vector0,
  Vector1,
  Vector2,
  Vector3,
};
inline constexpr size_t kNumQueues = 10;
/// "dma0", ..., "vector3".
std::string_view nameOf(Queue queue);

/// At most four dimensions of elements in the scratchpad, innermost last;
/// unused leading ones have extent 1. Strides are in bytes; 0 repeats.
/// Integers stand for real = scale * q; `limit` is the largest |q| that a store
/// gives (32767, or less where a reader needs guard bits). For floats scale is
/// 1, limit unused.
struct View {
  uint32_t address = 0;     ///< Byte in the scratchpad of element [0, 0, 0, 0].
  DType dtype = DType::I16; ///< I8, I16, I32, I64, F16, F32 or F64.
  std::array<uint32_t, 4> extents = {1, 1, 1, 1};
  std::array<int32_t, 4> strides = {0, 0, 0, 0};
  float scale = 1;
  int32_t limit = 32767;
  bool operator==(const View &) const = default;
};

/// Element-wise functions of the vector lanes: float32, as docs/numerics.md
/// defines them to the bit.
enum class Opcode : uint8_t {
  Load,     ///< dst = operands[a], dequantised: float32(q) * scale
  Constant, ///< dst = immediate
  Add,
  Sub,
  Mul,
  Div,
  Min,
  Max,
  Neg,
  Abs,
  Sqrt,
  Rsqrt, ///< 1 / sqrt(a): two roundings
  Reciprocal,
  Exp,
  Log,
  Tanh,
  Erf,
  Sigmoid,
  Silu,
  Gelu,
  GeluTanh,
  QuickGelu,
  Relu,
  Sin,
  Cos,
};
inline constexpr size_t kNumOpcodes = static_cast<size_t>(Opcode::Cos) + 1;

struct Instruction {
  Opcode op = Opcode::Load;
  uint8_t dst = 0, a = 0, b = 0; ///< Registers 0..15 (Load: a is an operand).
  float immediate = 0;
  bool operator==(const Instruction &) const = default;
};

inline constexpr size_t kMaxOperands = 8, kMaxInstructions = 48;

/// Straight-line code over each element of `result`'s extents. An operand's
/// extents equal the result's (or its stride there is 0). In a tensor or layer
/// norm command register 0 holds the command's own value at the start.
struct VectorProgram {
  std::vector<View> operands;
  std::vector<Instruction> code;
  uint8_t value = 0; ///< The register that is stored.
  View result;       ///< Stored: floats rounded to nearest even, I16 by qcast.
};

/// n-d copy between DRAM and the scratchpad; no conversion. The DRAM side is
/// byte `offset` of the launch's tensor `slot`.
struct DmaCommand {
  bool isStore = false;     ///< false: DRAM to scratchpad.
  uint8_t elementBytes = 2; ///< 1, 2, 4 or 8: what is never torn.
  uint16_t slot = 0;
  uint64_t offset = 0;
  uint32_t address = 0;                              ///< Scratchpad.
  std::array<uint32_t, 5> extents = {1, 1, 1, 1, 1}; ///< Innermost last.
  std::array<int64_t, 5> dramStrides = {};           ///< Bytes; 0 repeats.
  std::array<int32_t, 5> scratchStrides = {};
  uint64_t numBytes() const;
  bool operator==(const DmaCommand &) const = default;
};

/// Convolution or matrix product on a tensor engine, with its output stage.
///   acc[y, x, n] = sum over ky, kx, c of
///     input[y * strideY + ky * dilationY - padTop,
///           x * strideX + kx * dilationX - padLeft, c] * weights[n, ky, kx, c]
/// where input outside its extents is zero. Register 0 of `epilogue` is
/// float32(acc) (integers: exact sum, then one rounding; floats: float32 sum in
/// the order ky, kx, c), at [1, y, x, n]. With `gated`, register 1 is the same
/// with `gateWeights` (GEGLU's other half). A matrix product has one tap, y =
/// rows and x = 1.
struct TensorCommand {
  View input;   ///< [1, rows, columns, channels]
  View weights; ///< [n, kernelY, kernelX, channels]; dtype I8, I16 or F16
  bool gated = false;
  View gateWeights; ///< As `weights`, if gated.
  uint16_t strideY = 1, strideX = 1, dilationY = 1, dilationX = 1;
  int16_t padTop = 0, padLeft = 0;
  bool depthwise = false; ///< weights [n, ky, kx, 1]; channel n reads channel n
  VectorProgram epilogue; ///< result extents [1, y, x, n]
  uint64_t macs() const;
};

struct VectorCommand {
  VectorProgram program;
};

/// Rows of softmax without the division: e = exp(x - max of the row) as I16 in
/// 0..32767 (scale 1/32767) for I16 input, else F16; `sums` is the row's sum
/// of e: I32 or F32. Columns j of row i with j > i + causalOffset are left
/// out (e = 0); causalOffset >= columns leaves out none.
struct SoftmaxCommand {
  View input;  ///< [1, 1, rows, columns]
  View result; ///< same extents
  View sums;   ///< [1, 1, rows, 1]
  int32_t causalOffset = INT32_MAX;
};

/// Sums and sums of squares of each group's elements: [1, 1, groups, 2], I64
/// for I16 input (of q), else F64. Adds to what is there if `accumulate`.
struct NormStatsCommand {
  View input; ///< [1, rows, groups, channels of a group]
  View stats;
  bool accumulate = false;
};

/// From statistics to the factors of each channel: y = q * a + b.
struct NormFactorsCommand {
  View stats;           ///< [1, 1, groups, 2]
  View gamma, beta;     ///< [1, 1, groups, channels of a group] F32
  View factors, biases; ///< same extents, F32: a and b
  uint64_t count = 0;   ///< Elements of a group.
  float epsilon = 0;
  float inputScale = 1; ///< real = inputScale * q of what was summed
};

/// Layer norm of rows; register 0 of `epilogue` is (q * a + b) * gamma + beta.
struct LayerNormCommand {
  View input;       ///< [1, 1, rows, columns]
  View gamma, beta; ///< [1, 1, 1, columns] F32
  float epsilon = 0;
  bool rms = false;
  VectorProgram epilogue; ///< result extents [1, 1, rows, columns]
};

using Body =
    std::variant<DmaCommand, TensorCommand, VectorCommand, SoftmaxCommand,
                 NormStatsCommand, NormFactorsCommand, LayerNormCommand>;

struct Wait {
  Queue queue;
  uint32_t count; ///< Holds when that queue's counter is at least this.
  bool operator==(const Wait &) const = default;
};

struct Command {
  uint32_t sequence = 0; ///< Place in the program's serial order, 0, 1, ...
  uint32_t source = 0;   ///< Index into Program::sources.
  bool notify = false;
  std::vector<Wait> waits; ///< At most one a queue.
  Body body;
};

/// What a command was made from.
struct Source {
  std::string node; ///< ONNX node.
  std::string op;   ///< "conv3x3+silu", as in reports.
  uint32_t group = 0, tile = 0;
};

/// A partition's code. Slots: 0 weights, 1 workspace, then the partition's
/// inputs, then its outputs; sizes in bytes.
struct Program {
  std::array<std::vector<Command>, kNumQueues> queues;
  std::vector<Source> sources;
  std::vector<uint64_t> slotBytes;
  uint32_t numInputs = 0;
  uint32_t scratchpadBytes = 0; ///< Highest address used + 1.
  /// Of each command, by sequence: dataFlowOf() of the program before it was
  /// scheduled and its buffers got addresses (Verifier.h), so that a schedule
  /// can be checked against what was meant. Empty: unknown.
  std::vector<uint32_t> flow;
};

/// A range of the scratchpad or of a slot that a command touches, as rows of
/// contiguous bytes: `for i, j, k: [base + ..strides, + rowBytes)`.
struct Access {
  bool isWrite;
  int32_t slot; ///< -1: scratchpad.
  uint64_t base;
  uint64_t rowBytes;
  std::array<uint64_t, 4> extents;
  std::array<int64_t, 4> strides;
};

/// Everything that `command` reads and then writes, contiguous dimensions
/// merged. A view is taken to be read as a whole, though a window may skip
/// some. The one source for the compiler's synchronisation, the verifier and
/// the simulator's checks.
std::vector<Access> accessesOf(const Command &command);

/// Dependencies are tracked in granules: two accesses conflict if they touch
/// one granule and one of them writes.
inline constexpr uint64_t kScratchGranule = 16, kDramGranule = 64;

} // namespace efrt::npu

#endif
