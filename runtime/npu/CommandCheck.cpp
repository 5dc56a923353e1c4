// The checks of one command by itself.
#include "npu/Verifier.h"

#include "runtime/core/Text.h"

#include <algorithm>
#include <cmath>

using namespace efrt;
using namespace efrt::npu;

using Wide = __int128; // Sums of products of extents and strides.

namespace {
/// Finds the first thing that is wrong.
class CommandChecker {
public:
  CommandChecker(Queue queue, const Program &program, const Machine &machine)
      : queue(queue), program(program), machine(machine) {}

  void operator()(const DmaCommand &dma);
  void operator()(const TensorCommand &tensor);
  void operator()(const VectorCommand &vector);
  void operator()(const SoftmaxCommand &softmax);
  void operator()(const NormStatsCommand &stats);
  void operator()(const NormFactorsCommand &factors);
  void operator()(const LayerNormCommand &norm);

  std::string problem;

private:
  template <typename... T> void require(bool condition, const T &...parts) {
    if (!condition && problem.empty())
      problem = concat(parts...);
  }
  void requireEngine(Queue first, uint32_t count, const char *kind);
  void requireVectorEngine();
  void view(const View &view, const char *name, bool isWrite = false);
  void vectorProgram(const VectorProgram &vector, unsigned numGiven);
  void code(const VectorProgram &vector, unsigned numGiven);
  template <size_t N, typename Stride>
  void inMemory(const char *name, uint64_t base, uint64_t elementBytes,
                const std::array<uint32_t, N> &extents,
                const std::array<Stride, N> &strides, uint64_t memoryBytes,
                const char *memory);
  template <size_t N, typename Stride>
  void elementsApart(const char *name, uint64_t elementBytes,
                     const std::array<uint32_t, N> &extents,
                     const std::array<Stride, N> &strides);
  void extents(const View &view, const char *name,
               const std::array<uint32_t, 4> &expected);
  void type(const View &view, const char *name, DType expected);
  void apart(const View &result, const char *resultName, const View &operand,
             const char *name, bool mayBeInPlace);

  Queue queue;
  const Program &program;
  const Machine &machine;
};
} // namespace

static bool isFloat(DType dtype) {
  return dtype == DType::F16 || dtype == DType::F32 || dtype == DType::F64;
}

void CommandChecker::requireEngine(Queue first, uint32_t count,
                                   const char *kind) {
  auto number = static_cast<uint32_t>(queue) - static_cast<uint32_t>(first);
  require(number < count, "it runs on a queue that the machine ",
          quote(machine.name), " does not have for ", kind);
}

void CommandChecker::requireVectorEngine() {
  requireEngine(Queue::Vector0, std::min(machine.vectorEngines, 4u),
                "vector commands");
}

/// [least, most] byte offset of an element's first byte.
template <size_t N, typename Stride>
static std::pair<Wide, Wide> rangeOf(const std::array<uint32_t, N> &extents,
                                     const std::array<Stride, N> &strides) {
  Wide least = 0, most = 0;
  for (size_t i = 0; i < N; ++i) {
    Wide span = Wide(strides[i]) * (Wide(extents[i]) - 1);
    (span < 0 ? least : most) += span;
  }
  return {least, most};
}

template <size_t N, typename Stride>
void CommandChecker::inMemory(const char *name, uint64_t base,
                              uint64_t elementBytes,
                              const std::array<uint32_t, N> &extents,
                              const std::array<Stride, N> &strides,
                              uint64_t memoryBytes, const char *memory) {
  auto [least, most] = rangeOf(extents, strides);
  require(Wide(base) + least >= 0 &&
              Wide(base) + most + Wide(elementBytes) <= Wide(memoryBytes),
          name, " at ", base, " reaches from byte offset ",
          static_cast<int64_t>(least), " to ",
          static_cast<int64_t>(most + Wide(elementBytes)), ", but ", memory,
          " has ", memoryBytes, " bytes");
  bool isAligned = base % elementBytes == 0;
  for (size_t i = 0; i < N; ++i)
    isAligned &=
        extents[i] == 1 || strides[i] % static_cast<int64_t>(elementBytes) == 0;
  require(isAligned, name, " at ", base, " is not aligned to its elements of ",
          elementBytes, " bytes");
  for (uint32_t extent : extents)
    require(extent > 0, name, " has an extent of zero");
}

template <size_t N, typename Stride>
void CommandChecker::elementsApart(const char *name, uint64_t elementBytes,
                                   const std::array<uint32_t, N> &extents,
                                   const std::array<Stride, N> &strides) {
  std::vector<std::pair<Wide, uint32_t>> dimensions;
  for (size_t i = 0; i < N; ++i)
    if (extents[i] > 1)
      dimensions.emplace_back(
          strides[i] < 0 ? -Wide(strides[i]) : Wide(strides[i]), extents[i]);
  std::ranges::sort(dimensions);
  Wide span = elementBytes; // Of all inner dimensions.
  for (auto [stride, extent] : dimensions) {
    require(stride >= span, "elements of ", name, " lie on each other");
    span += stride * (Wide(extent) - 1);
  }
}

void CommandChecker::view(const View &view, const char *name, bool isWrite) {
  inMemory(name, view.address, sizeOf(view.dtype), view.extents, view.strides,
           program.scratchpadBytes, "the program's scratchpad");
  require(std::isfinite(view.scale) && view.scale > 0 &&
              (!isFloat(view.dtype) || view.scale == 1),
          name, " has the scale ", view.scale);
  require(view.limit > 0 && view.limit <= 32767, name, " has the limit ",
          view.limit);
  if (isWrite)
    elementsApart(name, sizeOf(view.dtype), view.extents, view.strides);
}

void CommandChecker::extents(const View &view, const char *name,
                             const std::array<uint32_t, 4> &expected) {
  auto text = [](const std::array<uint32_t, 4> &extents) {
    return concat('[', extents[0], ", ", extents[1], ", ", extents[2], ", ",
                  extents[3], ']');
  };
  require(view.extents == expected, name, " has extents ", text(view.extents),
          " and should have ", text(expected));
}

void CommandChecker::type(const View &view, const char *name, DType expected) {
  require(view.dtype == expected, name, " is ", efrt::nameOf(view.dtype),
          " and should be ", efrt::nameOf(expected));
}

/// A result may lie on an operand only where each element replaces itself.
void CommandChecker::apart(const View &result, const char *resultName,
                           const View &operand, const char *name,
                           bool mayBeInPlace) {
  bool isSame = result.address == operand.address &&
                result.extents == operand.extents &&
                result.strides == operand.strides &&
                sizeOf(result.dtype) == sizeOf(operand.dtype);
  if (mayBeInPlace && isSame)
    return;
  auto [leastA, mostA] = rangeOf(result.extents, result.strides);
  auto [leastB, mostB] = rangeOf(operand.extents, operand.strides);
  Wide a = result.address, b = operand.address;
  bool isApart = a + mostA + Wide(sizeOf(result.dtype)) <= b + leastB ||
                 b + mostB + Wide(sizeOf(operand.dtype)) <= a + leastA;
  if (isApart)
    return;
  // Rows of one buffer, side by side: same strides, different columns.
  Wide row = 0;
  for (size_t i = 0; i < 3; ++i)
    if (result.extents[i] > 1 && (row == 0 || result.strides[i] < row))
      row = result.strides[i];
  if (row <= 0)
    return require(false, resultName, " lies on ", name);
  bool isSideBySide = true;
  for (const View *view : {&result, &operand})
    for (size_t i = 0; i < 3; ++i)
      isSideBySide &= view->extents[i] == 1 || view->strides[i] % row == 0;
  auto columns = [&](const View &view) {
    Wide begin = Wide(view.address) % row;
    return std::pair(
        begin, begin + Wide(view.strides[3]) * (Wide(view.extents[3]) - 1) +
                   Wide(sizeOf(view.dtype)));
  };
  auto [beginA, endA] = columns(result);
  auto [beginB, endB] = columns(operand);
  isSideBySide &=
      endA <= row && endB <= row && (endA <= beginB || endB <= beginA);
  require(isSideBySide, resultName, " lies on ", name);
}

/// Registers 0 .. numGiven - 1 hold something at the start.
void CommandChecker::code(const VectorProgram &vector, unsigned numGiven) {
  uint32_t defined = (1u << numGiven) - 1;
  auto isDefined = [&](unsigned reg) { return reg < 16 && defined >> reg & 1; };
  for (const Instruction &instruction : vector.code) {
    bool isBinary =
        instruction.op >= Opcode::Add && instruction.op <= Opcode::Max;
    if (instruction.op == Opcode::Load)
      require(instruction.a < vector.operands.size(), "operand ",
              unsigned(instruction.a), " is loaded and there are ",
              vector.operands.size());
    else if (instruction.op != Opcode::Constant)
      require(isDefined(instruction.a) &&
                  (!isBinary || isDefined(instruction.b)),
              "an instruction reads a register that holds nothing");
    require(instruction.dst < 16, "an instruction writes register ",
            unsigned(instruction.dst), " of 16");
    defined |= 1u << (instruction.dst & 15);
  }
  require(isDefined(vector.value), "register ", unsigned(vector.value),
          " is stored and holds nothing");
}

void CommandChecker::vectorProgram(const VectorProgram &vector,
                                   unsigned numGiven) {
  require(vector.operands.size() <= kMaxOperands &&
              vector.code.size() <= kMaxInstructions,
          "its vector program is too long");
  view(vector.result, "its result", /*isWrite=*/true);
  DType stored = vector.result.dtype;
  require(stored == DType::I16 || stored == DType::F16 || stored == DType::F32,
          "its result is ", efrt::nameOf(stored),
          ", which a vector program cannot store");
  for (const View &operand : vector.operands) {
    view(operand, "an operand");
    require(operand.dtype != DType::I64 && operand.dtype != DType::F64,
            "an operand is ", efrt::nameOf(operand.dtype),
            ", which a vector program cannot load");
    for (size_t i = 0; i < 4; ++i)
      require(operand.extents[i] == vector.result.extents[i] ||
                  operand.extents[i] == 1,
              "an operand has ", operand.extents[i],
              " elements where the result has ", vector.result.extents[i]);
    apart(vector.result, "its result", operand, "an operand",
          /*mayBeInPlace=*/true);
  }
  code(vector, numGiven);
}

void CommandChecker::operator()(const DmaCommand &dma) {
  requireEngine(Queue::Dma0, std::min(machine.dmaQueues, 2u), "DMA commands");
  require(dma.elementBytes == 1 || dma.elementBytes == 2 ||
              dma.elementBytes == 4 || dma.elementBytes == 8,
          "it moves elements of ", unsigned(dma.elementBytes), " bytes");
  require(dma.slot < program.slotBytes.size(), "it names tensor ", dma.slot,
          " of ", program.slotBytes.size());
  if (!problem.empty())
    return;
  require(!dma.isStore || dma.slot == 1 || dma.slot >= 2 + program.numInputs,
          "it writes to ", dma.slot == 0 ? "the weights" : "an input");
  inMemory("its DRAM side", dma.offset, dma.elementBytes, dma.extents,
           dma.dramStrides, program.slotBytes[dma.slot], "the tensor");
  inMemory("its scratchpad side", dma.address, dma.elementBytes, dma.extents,
           dma.scratchStrides, program.scratchpadBytes,
           "the program's scratchpad");
  if (dma.isStore)
    elementsApart("its DRAM side", dma.elementBytes, dma.extents,
                  dma.dramStrides);
  else
    elementsApart("its scratchpad side", dma.elementBytes, dma.extents,
                  dma.scratchStrides);
}

void CommandChecker::operator()(const TensorCommand &tensor) {
  bool isSmall = queue == Queue::Ste0 || queue == Queue::Ste1;
  requireEngine(isSmall ? Queue::Ste0 : Queue::Gte0,
                std::min(isSmall ? machine.ste.count : machine.gte.count, 2u),
                "tensor commands");
  view(tensor.input, "its input");
  view(tensor.weights, "its weights");
  DType input = tensor.input.dtype, weights = tensor.weights.dtype;
  require((input == DType::I16 &&
           (weights == DType::I8 || weights == DType::I16)) ||
              (input == DType::F16 && weights == DType::F16),
          "it multiplies ", efrt::nameOf(input), " with ",
          efrt::nameOf(weights));
  auto [n, kernelY, kernelX, channels] = tensor.weights.extents;
  require(tensor.input.extents[0] == 1, "its input has ",
          tensor.input.extents[0], " images");
  uint32_t inputChannels = tensor.input.extents[3];
  require(tensor.depthwise ? channels == 1 && n == inputChannels
                           : channels == inputChannels,
          "its input has ", inputChannels, " channels and its weights ",
          channels, " for ", n, " outputs");
  require(tensor.strideY > 0 && tensor.strideX > 0 && tensor.dilationY > 0 &&
              tensor.dilationX > 0,
          "it has a stride or dilation of zero");
  const std::array<uint32_t, 4> &result = tensor.epilogue.result.extents;
  extents(tensor.epilogue.result, "its result", {1, result[1], result[2], n});
  if (tensor.gated) {
    view(tensor.gateWeights, "its gate's weights");
    type(tensor.gateWeights, "its gate's weights", weights);
    extents(tensor.gateWeights, "its gate's weights", tensor.weights.extents);
    apart(tensor.epilogue.result, "its result", tensor.gateWeights,
          "its gate's weights", false);
  }
  apart(tensor.epilogue.result, "its result", tensor.input, "its input", false);
  apart(tensor.epilogue.result, "its result", tensor.weights, "its weights",
        false);
  vectorProgram(tensor.epilogue, tensor.gated ? 2 : 1);
}

void CommandChecker::operator()(const VectorCommand &vector) {
  requireVectorEngine();
  vectorProgram(vector.program, 0);
}

void CommandChecker::operator()(const SoftmaxCommand &softmax) {
  requireVectorEngine();
  view(softmax.input, "its input");
  view(softmax.result, "its result", true);
  view(softmax.sums, "its sums", true);
  bool isInteger = softmax.input.dtype == DType::I16;
  require(isInteger || softmax.input.dtype == DType::F16, "its input is ",
          efrt::nameOf(softmax.input.dtype), " and should be i16 or f16");
  type(softmax.result, "its result", softmax.input.dtype);
  type(softmax.sums, "its sums", isInteger ? DType::I32 : DType::F32);
  uint32_t rows = softmax.input.extents[2], columns = softmax.input.extents[3];
  extents(softmax.input, "its input", {1, 1, rows, columns});
  extents(softmax.result, "its result", softmax.input.extents);
  extents(softmax.sums, "its sums", {1, 1, rows, 1});
  require(!isInteger || columns <= 65536, "its rows have ", columns,
          " columns, whose sum can exceed 32 bits");
  apart(softmax.result, "its result", softmax.input, "its input", true);
  apart(softmax.sums, "its sums", softmax.input, "its input", false);
  apart(softmax.sums, "its sums", softmax.result, "its result", false);
}

void CommandChecker::operator()(const NormStatsCommand &stats) {
  requireVectorEngine();
  view(stats.input, "its input");
  view(stats.stats, "its statistics", true);
  bool isInteger = stats.input.dtype == DType::I16;
  require(isInteger || stats.input.dtype == DType::F16, "its input is ",
          efrt::nameOf(stats.input.dtype), " and should be i16 or f16");
  type(stats.stats, "its statistics", isInteger ? DType::I64 : DType::F64);
  require(stats.input.extents[0] == 1, "its input has ", stats.input.extents[0],
          " images");
  extents(stats.stats, "its statistics", {1, 1, stats.input.extents[2], 2});
  apart(stats.stats, "its statistics", stats.input, "its input", false);
}

void CommandChecker::operator()(const NormFactorsCommand &factors) {
  requireVectorEngine();
  view(factors.stats, "its statistics");
  require(factors.stats.dtype == DType::I64 ||
              factors.stats.dtype == DType::F64,
          "its statistics are ", efrt::nameOf(factors.stats.dtype),
          " and should be i64 or f64");
  const std::array<uint32_t, 4> &channels = factors.gamma.extents;
  extents(factors.stats, "its statistics", {1, 1, channels[2], 2});
  extents(factors.gamma, "gamma", {1, 1, channels[2], channels[3]});
  for (const View *view :
       {&factors.gamma, &factors.beta, &factors.factors, &factors.biases}) {
    bool isWrite = view == &factors.factors || view == &factors.biases;
    const char *name = isWrite ? "a result" : "gamma or beta";
    this->view(*view, name, isWrite);
    type(*view, name, DType::F32);
    extents(*view, name, channels);
    if (!isWrite)
      continue;
    for (const View *operand : {&factors.stats, &factors.gamma, &factors.beta})
      apart(*view, name, *operand, "an operand", false);
  }
  apart(factors.factors, "a", factors.biases, "b", false);
  require(factors.count > 0 && std::isfinite(factors.epsilon) &&
              factors.epsilon >= 0 && std::isfinite(factors.inputScale) &&
              factors.inputScale > 0,
          "its count, epsilon or scale is no positive number");
}

void CommandChecker::operator()(const LayerNormCommand &norm) {
  requireVectorEngine();
  view(norm.input, "its input");
  require(norm.input.dtype == DType::I16 || norm.input.dtype == DType::F16,
          "its input is ", efrt::nameOf(norm.input.dtype),
          " and should be i16 or f16");
  uint32_t rows = norm.input.extents[2], columns = norm.input.extents[3];
  extents(norm.input, "its input", {1, 1, rows, columns});
  for (const View *view : {&norm.gamma, &norm.beta}) {
    this->view(*view, "gamma or beta");
    type(*view, "gamma or beta", DType::F32);
    extents(*view, "gamma or beta", {1, 1, 1, columns});
    apart(norm.epilogue.result, "its result", *view, "gamma or beta", false);
  }
  require(std::isfinite(norm.epsilon) && norm.epsilon >= 0, "its epsilon is ",
          norm.epsilon);
  extents(norm.epilogue.result, "its result", norm.input.extents);
  apart(norm.epilogue.result, "its result", norm.input, "its input", true);
  vectorProgram(norm.epilogue, 1);
}

std::string npu::checkCommand(const Command &command, Queue queue,
                              const Program &program, const Machine &machine) {
  CommandChecker checker(queue, program, machine);
  std::visit(checker, command.body);
  return checker.problem;
}

std::string npu::describe(const Program &program, Queue queue, uint32_t index) {
  const Command &command = program.queues[static_cast<size_t>(queue)][index];
  std::string text = concat("command ", index, " of ", nameOf(queue),
                            " (sequence ", command.sequence);
  if (command.source < program.sources.size()) {
    const Source &source = program.sources[command.source];
    text += concat(": ", source.op, " of ", quote(source.node));
  }
  return text + ')';
}
