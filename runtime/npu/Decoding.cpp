// The reader of the binary layout of docs/exynos-npu.md. The bytes may be
// anything: each word is checked before it is used.
#include "npu/Encoding.h"
#include "npu/EncodingLayout.h"
#include "npu/WordReader.h"
#include "runtime/core/Text.h"

#include <cmath>
#include <cstring>

using namespace efrt;
using namespace efrt::npu;
using namespace efrt::npu::layout;

static constexpr uint32_t kMaxExtent = 1u << 30;
/// Elements of a view or a copy: far beyond any scratchpad, and products with
/// an element size stay within 64 bits.
static constexpr uint64_t kMaxElements = uint64_t(1) << 46;

/// Times an extent it stays within 64 bits.
static constexpr int64_t kMaxStride = int64_t(1) << 32;

namespace {
struct Header {
  uint32_t numSources, stringBytes, numCodes, codeWords, numSlots, numFlow;
  std::array<uint32_t, kNumQueues> queueWords, queueCommands;
};

class Decoder {
public:
  Result<Program> decode(std::span<const uint32_t> words);

private:
  void header(WordReader &reader, size_t numWords);
  void tables(WordReader &reader);
  void codeTable(std::span<const uint32_t> words);
  void sourceTable(std::span<const uint32_t> words, std::string_view strings);
  void stream(size_t queue, std::span<const uint32_t> words);
  Command command(WordReader &reader, uint32_t head);
  void waits(WordReader &reader, uint32_t count, Command &command);
  View view(WordReader &reader);
  VectorProgram vectorProgram(WordReader &reader);
  DmaCommand dma(WordReader &reader);
  TensorCommand tensor(WordReader &reader);
  SoftmaxCommand softmax(WordReader &reader);
  NormStatsCommand normStats(WordReader &reader);
  NormFactorsCommand normFactors(WordReader &reader);
  LayerNormCommand layerNorm(WordReader &reader);

  Header head = {};
  std::vector<std::vector<Instruction>> codes;
  Program program;
  std::vector<bool> hasSequence;
  uint64_t numCommands = 0;
  Status status;
};
} // namespace

static bool isViewType(uint32_t dtype) {
  switch (static_cast<DType>(dtype)) {
  case DType::I8:
  case DType::I16:
  case DType::I32:
  case DType::I64:
  case DType::F16:
  case DType::F32:
  case DType::F64:
    return true;
  default:
    return false;
  }
}

/// Reads the extents that `mask` says are there; false unless all are in range.
template <size_t N>
static void takeExtents(WordReader &reader, uint32_t mask,
                        std::array<uint32_t, N> &extents) {
  uint64_t elements = 1;
  for (size_t i = 0; i < N; ++i) {
    extents[i] = mask >> i & 1 ? reader.take() : 1;
    reader.require(!(mask >> i & 1) || extents[i] != 1 || !reader.ok(),
                   "stores an extent of 1");
    reader.require((extents[i] > 0 && extents[i] <= kMaxExtent) || !reader.ok(),
                   "has an extent that is zero or too large");
    if (!reader.ok())
      return;
    elements *= extents[i];
    reader.require(elements <= kMaxElements, "has too many elements");
  }
}

template <typename Stride, size_t N>
static void setDenseStrides(const std::array<uint32_t, N> &extents,
                            std::array<Stride, N> &strides, int64_t step) {
  for (size_t i = N; i-- > 0;) {
    strides[i] = extents[i] == 1 ? Stride(0) : static_cast<Stride>(step);
    step *= extents[i];
  }
}

View Decoder::view(WordReader &reader) {
  View view;
  uint32_t word = reader.take();
  reader.require((word & kViewReserved) == 0 && isViewType(word & 0xf),
                 "has a view with an unknown element type or reserved bits");
  view.address = reader.take();
  if (!reader.ok())
    return view;
  view.dtype = static_cast<DType>(word & 0xf);
  takeExtents(reader, word >> kViewExtentsShift & 0xf, view.extents);
  uint32_t strided = word >> kViewStridesShift & 0xf;
  for (size_t i = 0; i < 4; ++i)
    if (strided >> i & 1) {
      view.strides[i] = static_cast<int32_t>(reader.take());
      reader.require(view.strides[i] != 0 && view.extents[i] != 1,
                     "stores a stride that has no use");
    }
  if (word & kViewDense) {
    reader.require(strided == 0, "has strides twice");
    auto elementBytes = static_cast<int64_t>(sizeOf(view.dtype));
    setDenseStrides(view.extents, view.strides, elementBytes);
    reader.require(hasDenseStrides(view.extents, view.strides, elementBytes),
                   "has strides beyond 32 bits");
  }
  if (word & kViewScaled)
    view.scale = reader.takeFloat();
  uint32_t limitKind = word >> kViewLimitShift & 3;
  reader.require(limitKind < 3, "has an unknown kind of limit");
  view.limit =
      limitKind < 2 ? kLimits[limitKind] : static_cast<int32_t>(reader.take());
  reader.require((std::isfinite(view.scale) && view.scale > 0 &&
                  view.limit > 0 && view.limit <= kLimits[0]) ||
                     !reader.ok(),
                 "has a scale or limit that is no positive number");
  return view;
}

VectorProgram Decoder::vectorProgram(WordReader &reader) {
  VectorProgram result;
  uint32_t word = reader.take();
  uint32_t code = word & kMaxCode, numOperands = word >> 20 & 0xf;
  reader.require((word & kProgramReserved) == 0 && code < codes.size() &&
                     numOperands <= kMaxOperands,
                 "has a vector program that is not in the table, or with too "
                 "many operands");
  if (!reader.ok())
    return result;
  result.code = codes[code];
  result.value = word >> 24 & 0xf;
  for (uint32_t i = 0; i < numOperands; ++i)
    result.operands.push_back(view(reader));
  result.result = view(reader);
  for (const Instruction &instruction : result.code)
    reader.require(instruction.op != Opcode::Load ||
                       instruction.a < numOperands || !reader.ok(),
                   "loads an operand that it does not have");
  return result;
}

DmaCommand Decoder::dma(WordReader &reader) {
  DmaCommand dma;
  uint32_t word = reader.take(), place = reader.take();
  reader.require((word & kDmaReserved) == 0, "has reserved bits");
  dma.isStore = word & kDmaStore;
  dma.elementBytes = static_cast<uint8_t>(1u << (word >> 1 & 3));
  dma.slot = place & 0xffff;
  dma.offset = static_cast<uint64_t>(place >> 16) << 32 | reader.take();
  dma.address = reader.take();
  reader.require(dma.slot < program.slotBytes.size() || !reader.ok(),
                 "names a tensor that the program does not have");
  takeExtents(reader, word >> kDmaExtentsShift & 0x1f, dma.extents);
  uint32_t dramMask = word >> kDmaDramShift & 0x1f,
           scratchMask = word >> kDmaScratchShift & 0x1f;
  reader.require((!(word & kDmaDramDense) || dramMask == 0) &&
                     (!(word & kDmaScratchDense) || scratchMask == 0) &&
                     (!(word & kDmaWide) || dramMask != 0),
                 "has strides twice");
  for (size_t i = 0; i < 5; ++i)
    if (dramMask >> i & 1)
      dma.dramStrides[i] = word & kDmaWide
                               ? static_cast<int64_t>(reader.takeWide())
                               : static_cast<int32_t>(reader.take());
  for (size_t i = 0; i < 5; ++i)
    if (scratchMask >> i & 1)
      dma.scratchStrides[i] = static_cast<int32_t>(reader.take());
  if (!reader.ok())
    return dma;
  for (size_t i = 0; i < 5; ++i) {
    bool isUsed = (dramMask >> i & 1) == (dma.dramStrides[i] != 0) &&
                  (scratchMask >> i & 1) == (dma.scratchStrides[i] != 0) &&
                  (dma.extents[i] != 1 ||
                   (dma.dramStrides[i] == 0 && dma.scratchStrides[i] == 0));
    reader.require(isUsed && dma.dramStrides[i] > -kMaxStride &&
                       dma.dramStrides[i] < kMaxStride,
                   "stores a stride that has no use or is too large");
  }
  if (word & kDmaDramDense)
    setDenseStrides(dma.extents, dma.dramStrides, dma.elementBytes);
  if (word & kDmaScratchDense) {
    setDenseStrides(dma.extents, dma.scratchStrides, dma.elementBytes);
    reader.require(
        hasDenseStrides(dma.extents, dma.scratchStrides, dma.elementBytes),
        "has strides beyond 32 bits");
  }
  return dma;
}

TensorCommand Decoder::tensor(WordReader &reader) {
  TensorCommand tensor;
  uint32_t word = reader.take();
  reader.require(word < 8, "has reserved bits");
  tensor.gated = word & kTensorGated;
  tensor.depthwise = word & kTensorDepthwise;
  if (word & kTensorWindow) {
    uint32_t strides = reader.take(), dilations = reader.take(),
             pads = reader.take();
    tensor.strideY = strides & 0xffff;
    tensor.strideX = strides >> 16;
    tensor.dilationY = dilations & 0xffff;
    tensor.dilationX = dilations >> 16;
    tensor.padTop = static_cast<int16_t>(pads & 0xffff);
    tensor.padLeft = static_cast<int16_t>(pads >> 16);
    reader.require((tensor.strideY > 0 && tensor.strideX > 0 &&
                    tensor.dilationY > 0 && tensor.dilationX > 0) ||
                       !reader.ok(),
                   "has a stride or dilation of zero");
  }
  tensor.input = view(reader);
  tensor.weights = view(reader);
  if (tensor.gated)
    tensor.gateWeights = view(reader);
  tensor.epilogue = vectorProgram(reader);
  return tensor;
}

SoftmaxCommand Decoder::softmax(WordReader &reader) {
  SoftmaxCommand softmax;
  softmax.causalOffset = static_cast<int32_t>(reader.take());
  for (View *target : {&softmax.input, &softmax.result, &softmax.sums})
    *target = view(reader);
  return softmax;
}

NormStatsCommand Decoder::normStats(WordReader &reader) {
  NormStatsCommand stats;
  uint32_t word = reader.take();
  reader.require(word < 2, "has reserved bits");
  stats.accumulate = word & 1;
  stats.input = view(reader);
  stats.stats = view(reader);
  return stats;
}

NormFactorsCommand Decoder::normFactors(WordReader &reader) {
  NormFactorsCommand factors;
  factors.count = reader.takeWide();
  factors.epsilon = reader.takeFloat();
  factors.inputScale = reader.takeFloat();
  for (View *target : {&factors.stats, &factors.gamma, &factors.beta,
                       &factors.factors, &factors.biases})
    *target = view(reader);
  return factors;
}

LayerNormCommand Decoder::layerNorm(WordReader &reader) {
  LayerNormCommand norm;
  uint32_t word = reader.take();
  reader.require(word < 2, "has reserved bits");
  norm.rms = word & 1;
  norm.epsilon = reader.takeFloat();
  for (View *target : {&norm.input, &norm.gamma, &norm.beta})
    *target = view(reader);
  norm.epilogue = vectorProgram(reader);
  return norm;
}

void Decoder::waits(WordReader &reader, uint32_t count, Command &command) {
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t word = reader.take();
    reader.require((word >> 28) < kNumQueues, "waits for an unknown queue");
    if (!reader.ok())
      return;
    auto queue = static_cast<Queue>(word >> 28);
    reader.require(command.waits.empty() || command.waits.back().queue < queue,
                   "has waits that are not sorted by queue");
    command.waits.push_back({queue, word & kMaxWaitCount});
  }
}

Command Decoder::command(WordReader &reader, uint32_t word) {
  Command command;
  command.sequence = reader.take();
  command.source = reader.take();
  command.notify = word & kNotify;
  reader.require((word & kHeadReserved) == 0 &&
                     (word & kKindMask) < std::variant_size_v<Body>,
                 "is of an unknown kind or has reserved bits");
  reader.require(command.source < program.sources.size() || !reader.ok(),
                 "names a source that is not in the table");
  waits(reader, word >> kWaitsShift & kWaitsMask, command);
  if (!reader.ok())
    return command;
  if (command.sequence >= numCommands || hasSequence[command.sequence])
    reader.fail("has a sequence number that is too large or there twice");
  else
    hasSequence[command.sequence] = true;
  switch (word & kKindMask) {
  case 0:
    command.body = dma(reader);
    break;
  case 1:
    command.body = tensor(reader);
    break;
  case 2:
    command.body = VectorCommand{vectorProgram(reader)};
    break;
  case 3:
    command.body = softmax(reader);
    break;
  case 4:
    command.body = normStats(reader);
    break;
  case 5:
    command.body = normFactors(reader);
    break;
  default:
    command.body = layerNorm(reader);
    break;
  }
  return command;
}

void Decoder::stream(size_t queue, std::span<const uint32_t> words) {
  std::vector<Command> &commands = program.queues[queue];
  commands.reserve(head.queueCommands[queue]);
  size_t at = 0;
  for (uint32_t i = 0; i < head.queueCommands[queue] && status.ok(); ++i) {
    uint32_t size = at < words.size() ? words[at] >> kSizeShift : 0;
    WordReader reader(size <= words.size() - at ? words.subspan(at, size)
                                                : std::span<const uint32_t>(),
                      status);
    uint32_t word = reader.take();
    commands.push_back(command(reader, word));
    reader.require(reader.left() == 0, "is longer than its content");
    if (!status.ok())
      status = Status(status.getCode(), concat("command ", i, " of queue ",
                                               queue, " ", status.message()));
    at += size;
  }
  if (status.ok() && at != words.size())
    status = Status(StatusCode::CorruptData,
                    concat("queue ", queue, " has words behind its commands"));
}

void Decoder::header(WordReader &reader, size_t numWords) {
  reader.require(reader.take() == kMagic, "does not start with 'ENPU'");
  if (uint32_t version = reader.take(); version != kVersion && reader.ok())
    status = Status(StatusCode::Unsupported,
                    concat("has version ", version >> 16, ".", version & 0xffff,
                           " and this runtime reads ", kVersion >> 16, ".0"));
  reader.require(reader.take() == numWords, "is not as long as it says");
  head.numSources = reader.take();
  head.stringBytes = reader.take();
  head.numCodes = reader.take();
  head.codeWords = reader.take();
  head.numSlots = reader.take();
  program.numInputs = reader.take();
  program.scratchpadBytes = reader.take();
  head.numFlow = reader.take();
  for (size_t queue = 0; queue < kNumQueues; ++queue) {
    head.queueWords[queue] = reader.take();
    head.queueCommands[queue] = reader.take();
    numCommands += head.queueCommands[queue];
    reader.require(head.queueCommands[queue] <= head.queueWords[queue],
                   "has more commands than words");
  }
  reader.require(head.stringBytes % 4 == 0, "has text of an odd length");
  reader.require(head.numSlots >= 2 && head.numSlots <= 0xffff &&
                     program.numInputs <= head.numSlots - 2,
                 "has no weights, no workspace or too many inputs");
  reader.require(numCommands <= numWords, "has more commands than words");
  reader.require(head.numFlow == 0 || head.numFlow == numCommands,
                 "describes the data flow of some commands only");
}

void Decoder::codeTable(std::span<const uint32_t> words) {
  WordReader reader(words, status);
  for (uint32_t i = 0; i < head.numCodes && status.ok(); ++i) {
    uint32_t count = reader.take();
    reader.require(count <= kMaxInstructions, "has vector code that is too "
                                              "long");
    std::vector<Instruction> code;
    for (uint32_t j = 0; j < count && status.ok(); ++j) {
      uint32_t word = reader.take();
      Instruction instruction;
      reader.require((word & 0xff) < kNumOpcodes, "has an unknown instruction");
      instruction.dst = word >> 8 & 0xff;
      instruction.a = word >> 16 & 0xff;
      instruction.b = word >> 24;
      instruction.immediate = reader.takeFloat();
      reader.require(
          (instruction.dst < 16 && instruction.a < 16 && instruction.b < 16) ||
              !reader.ok(),
          "has an instruction with a register beyond 15");
      if (reader.ok())
        instruction.op = static_cast<Opcode>(word & 0xff);
      code.push_back(instruction);
    }
    codes.push_back(std::move(code));
  }
  reader.require(reader.left() == 0, "has words behind its vector code");
}

void Decoder::sourceTable(std::span<const uint32_t> words,
                          std::string_view strings) {
  auto text = [&](uint32_t offset, uint32_t length) {
    if (offset <= strings.size() && length <= strings.size() - offset)
      return std::string(strings.substr(offset, length));
    status = Status(StatusCode::CorruptData,
                    "has a source whose text lies outside of it");
    return std::string();
  };
  for (; words.size() >= kSourceWords && status.ok();
       words = words.subspan(kSourceWords))
    program.sources.push_back({text(words[0], words[1]),
                               text(words[2], words[3]), words[4], words[5]});
}

void Decoder::tables(WordReader &reader) {
  for (uint32_t i = 0; i < head.numSlots && reader.ok(); ++i)
    program.slotBytes.push_back(reader.takeWide());
  for (uint64_t bytes : program.slotBytes)
    reader.require(bytes <= kMaxOffset, "has a tensor that is too large");
  codeTable(reader.takeAll(head.codeWords));
  std::span<const uint32_t> sources =
      reader.takeAll(static_cast<uint64_t>(head.numSources) * kSourceWords);
  std::span<const uint32_t> flow = reader.takeAll(head.numFlow);
  std::span<const uint32_t> strings = reader.takeAll(head.stringBytes / 4);
  if (!status.ok())
    return;
  program.flow.assign(flow.begin(), flow.end());
  sourceTable(sources, {reinterpret_cast<const char *>(strings.data()),
                        strings.size() * 4});
}

Result<Program> Decoder::decode(std::span<const uint32_t> words) {
  WordReader reader(words, status);
  header(reader, words.size());
  if (status.ok())
    tables(reader);
  hasSequence.resize(status.ok() ? numCommands : 0);
  for (size_t queue = 0; queue < kNumQueues && status.ok(); ++queue) {
    std::span<const uint32_t> part = reader.takeAll(head.queueWords[queue]);
    if (status.ok())
      stream(queue, part);
  }
  reader.require(reader.left() == 0, "has words behind its streams");
  if (status.ok())
    return std::move(program);
  return Status(status.getCode(), concat("an NPU program ", status.message()));
}

Result<Program> npu::decodeProgram(std::span<const std::byte> bytes) {
  if (bytes.size() % 4 != 0 || bytes.size() / 4 > kMaxWords)
    return Status(StatusCode::CorruptData,
                  concat("an NPU program has ", bytes.size(),
                         " bytes, which is no number of words"));
  std::vector<uint32_t> words(bytes.size() / 4);
  if (!bytes.empty())
    std::memcpy(words.data(), bytes.data(), bytes.size());
  return Decoder().decode(words);
}
