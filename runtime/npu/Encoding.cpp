// The writer of the binary layout of docs/exynos-npu.md.
#include "npu/Encoding.h"

#include "npu/EncodingLayout.h"
#include "runtime/core/Text.h"

#include <bit>
#include <cstring>
#include <map>

using namespace efrt;
using namespace efrt::npu;
using namespace efrt::npu::layout;

namespace {
/// Collects what the streams refer to and writes the streams.
class Encoder {
public:
  explicit Encoder(const Program &program) : program(program) {}

  Result<std::vector<std::byte>> encode();

  void body(const DmaCommand &dma);
  void body(const TensorCommand &tensor);
  void body(const VectorCommand &vector);
  void body(const SoftmaxCommand &softmax);
  void body(const NormStatsCommand &stats);
  void body(const NormFactorsCommand &factors);
  void body(const LayerNormCommand &norm);

private:
  void fail(std::string_view reason);
  void put(uint64_t word);
  void putFloat(float value) { put(std::bit_cast<uint32_t>(value)); }
  void putView(const View &view);
  void putVectorProgram(const VectorProgram &vector);
  void putCommand(const Command &command);
  uint32_t codeIndex(const std::vector<Instruction> &code);
  uint32_t stringOffset(const std::string &text);
  void putSources(std::vector<uint32_t> &words);

  const Program &program;
  std::vector<uint32_t> stream;
  std::map<std::vector<uint32_t>, uint32_t> codes;
  std::vector<uint32_t> codeWords;
  std::map<std::string, uint32_t, std::less<>> stringOffsets;
  std::string strings;
  Status status;
};
} // namespace

void Encoder::fail(std::string_view reason) {
  if (status.ok())
    status = Status(StatusCode::Internal,
                    concat("an NPU program cannot be encoded: ", reason));
}

void Encoder::put(uint64_t word) {
  stream.push_back(static_cast<uint32_t>(word));
}

void Encoder::putView(const View &view) {
  uint32_t head = static_cast<uint32_t>(view.dtype);
  bool isDense = hasDenseStrides(view.extents, view.strides,
                                 static_cast<int64_t>(sizeOf(view.dtype)));
  head |= presence(view.extents, 1u) << kViewExtentsShift;
  uint32_t strided = 0;
  for (size_t i = 0; i < 4; ++i)
    if (!isDense && view.extents[i] != 1 && view.strides[i] != 0)
      strided |= 1u << i;
  head |= strided << kViewStridesShift;
  head |= isDense ? kViewDense : 0;
  bool isScaled =
      std::bit_cast<uint32_t>(view.scale) != std::bit_cast<uint32_t>(1.0f);
  head |= isScaled ? kViewScaled : 0;
  uint32_t limitKind = view.limit == kLimits[0]   ? 0
                       : view.limit == kLimits[1] ? 1
                                                  : 2;
  put(head | limitKind << kViewLimitShift);
  put(view.address);
  for (uint32_t extent : view.extents)
    if (extent != 1)
      put(extent);
  for (size_t i = 0; i < 4; ++i)
    if (strided >> i & 1)
      put(static_cast<uint32_t>(view.strides[i]));
  if (isScaled)
    putFloat(view.scale);
  if (limitKind == 2)
    put(static_cast<uint32_t>(view.limit));
}

uint32_t Encoder::codeIndex(const std::vector<Instruction> &code) {
  std::vector<uint32_t> words = {static_cast<uint32_t>(code.size())};
  for (const Instruction &instruction : code) {
    words.push_back(static_cast<uint32_t>(instruction.op) |
                    instruction.dst << 8 | instruction.a << 16 |
                    instruction.b << 24);
    words.push_back(std::bit_cast<uint32_t>(instruction.immediate));
  }
  auto [entry, isNew] =
      codes.try_emplace(words, static_cast<uint32_t>(codes.size()));
  if (isNew)
    codeWords.insert(codeWords.end(), words.begin(), words.end());
  return entry->second;
}

void Encoder::putVectorProgram(const VectorProgram &vector) {
  uint32_t code = codeIndex(vector.code);
  if (code > kMaxCode || vector.operands.size() > kMaxOperands ||
      vector.code.size() > kMaxInstructions || vector.value > 15)
    fail("a vector program is too large");
  put(code | static_cast<uint32_t>(vector.operands.size()) << 20 |
      static_cast<uint32_t>(vector.value) << 24);
  for (const View &operand : vector.operands)
    putView(operand);
  putView(vector.result);
}

void Encoder::body(const DmaCommand &dma) {
  if (dma.elementBytes == 0 || dma.elementBytes > 8 ||
      !std::has_single_bit(dma.elementBytes))
    return fail("a DMA command moves elements of an odd size");
  if (dma.offset > kMaxOffset)
    return fail("a DMA command's offset needs more than 48 bits");
  uint32_t head = (dma.isStore ? kDmaStore : 0) |
                  static_cast<uint32_t>(std::countr_zero(dma.elementBytes))
                      << 1;
  bool dramDense =
      hasDenseStrides(dma.extents, dma.dramStrides, dma.elementBytes);
  bool scratchDense =
      hasDenseStrides(dma.extents, dma.scratchStrides, dma.elementBytes);
  uint32_t dramMask = 0, scratchMask = 0;
  bool isWide = false;
  for (size_t i = 0; i < 5; ++i) {
    if (dma.extents[i] == 1)
      continue;
    if (!dramDense && dma.dramStrides[i] != 0)
      dramMask |= 1u << i;
    if (!scratchDense && dma.scratchStrides[i] != 0)
      scratchMask |= 1u << i;
    isWide |= dma.dramStrides[i] != static_cast<int32_t>(dma.dramStrides[i]);
  }
  isWide &= dramMask != 0;
  put(head | presence(dma.extents, 1u) << kDmaExtentsShift |
      dramMask << kDmaDramShift | scratchMask << kDmaScratchShift |
      (isWide ? kDmaWide : 0) | (dramDense ? kDmaDramDense : 0) |
      (scratchDense ? kDmaScratchDense : 0));
  put(dma.slot | dma.offset >> 32 << 16);
  put(dma.offset & 0xffffffff);
  put(dma.address);
  for (uint32_t extent : dma.extents)
    if (extent != 1)
      put(extent);
  for (size_t i = 0; i < 5; ++i)
    if (dramMask >> i & 1) {
      put(static_cast<uint64_t>(dma.dramStrides[i]) & 0xffffffff);
      if (isWide)
        put(static_cast<uint64_t>(dma.dramStrides[i]) >> 32);
    }
  for (size_t i = 0; i < 5; ++i)
    if (scratchMask >> i & 1)
      put(static_cast<uint32_t>(dma.scratchStrides[i]));
}

void Encoder::body(const TensorCommand &tensor) {
  bool hasWindow = tensor.strideY != 1 || tensor.strideX != 1 ||
                   tensor.dilationY != 1 || tensor.dilationX != 1 ||
                   tensor.padTop != 0 || tensor.padLeft != 0;
  put((tensor.gated ? kTensorGated : 0) |
      (tensor.depthwise ? kTensorDepthwise : 0) |
      (hasWindow ? kTensorWindow : 0));
  if (hasWindow) {
    put(tensor.strideY | static_cast<uint32_t>(tensor.strideX) << 16);
    put(tensor.dilationY | static_cast<uint32_t>(tensor.dilationX) << 16);
    put(static_cast<uint16_t>(tensor.padTop) |
        static_cast<uint32_t>(static_cast<uint16_t>(tensor.padLeft)) << 16);
  }
  putView(tensor.input);
  putView(tensor.weights);
  if (tensor.gated)
    putView(tensor.gateWeights);
  putVectorProgram(tensor.epilogue);
}

void Encoder::body(const VectorCommand &vector) {
  putVectorProgram(vector.program);
}

void Encoder::body(const SoftmaxCommand &softmax) {
  put(static_cast<uint32_t>(softmax.causalOffset));
  for (const View *view : {&softmax.input, &softmax.result, &softmax.sums})
    putView(*view);
}

void Encoder::body(const NormStatsCommand &stats) {
  put(stats.accumulate ? 1 : 0);
  putView(stats.input);
  putView(stats.stats);
}

void Encoder::body(const NormFactorsCommand &factors) {
  put(factors.count & 0xffffffff);
  put(factors.count >> 32);
  putFloat(factors.epsilon);
  putFloat(factors.inputScale);
  for (const View *view : {&factors.stats, &factors.gamma, &factors.beta,
                           &factors.factors, &factors.biases})
    putView(*view);
}

void Encoder::body(const LayerNormCommand &norm) {
  put(norm.rms ? 1 : 0);
  putFloat(norm.epsilon);
  for (const View *view : {&norm.input, &norm.gamma, &norm.beta})
    putView(*view);
  putVectorProgram(norm.epilogue);
}

void Encoder::putCommand(const Command &command) {
  std::map<Queue, uint32_t> waits;
  for (const Wait &wait : command.waits) {
    if (!waits.try_emplace(wait.queue, wait.count).second)
      fail("a command waits twice for one queue");
    if (wait.count > kMaxWaitCount)
      fail("a wait's count needs more than 28 bits");
  }
  size_t begin = stream.size();
  put(0);
  put(command.sequence);
  put(command.source);
  for (auto [queue, count] : waits)
    put(static_cast<uint32_t>(queue) << 28 | count);
  std::visit([&](const auto &alternative) { body(alternative); }, command.body);
  size_t size = stream.size() - begin;
  if (size > kMaxCommandWords)
    fail("a command is too large");
  stream[begin] = static_cast<uint32_t>(command.body.index()) |
                  (command.notify ? kNotify : 0) |
                  static_cast<uint32_t>(waits.size()) << kWaitsShift |
                  static_cast<uint32_t>(size) << kSizeShift;
}

uint32_t Encoder::stringOffset(const std::string &text) {
  auto [entry, isNew] =
      stringOffsets.try_emplace(text, static_cast<uint32_t>(strings.size()));
  if (isNew)
    strings += text;
  return entry->second;
}

void Encoder::putSources(std::vector<uint32_t> &words) {
  for (const Source &source : program.sources)
    for (uint32_t word :
         {stringOffset(source.node), static_cast<uint32_t>(source.node.size()),
          stringOffset(source.op), static_cast<uint32_t>(source.op.size()),
          source.group, source.tile})
      words.push_back(word);
}

Result<std::vector<std::byte>> Encoder::encode() {
  std::vector<uint32_t> queueTable, sources;
  for (const std::vector<Command> &queue : program.queues) {
    size_t begin = stream.size();
    for (const Command &command : queue)
      putCommand(command);
    queueTable.push_back(static_cast<uint32_t>(stream.size() - begin));
    queueTable.push_back(static_cast<uint32_t>(queue.size()));
  }
  putSources(sources);
  strings.resize((strings.size() + 3) / 4 * 4);

  std::vector<uint32_t> words = {
      kMagic,
      kVersion,
      0, // The size, below.
      static_cast<uint32_t>(program.sources.size()),
      static_cast<uint32_t>(strings.size()),
      static_cast<uint32_t>(codes.size()),
      static_cast<uint32_t>(codeWords.size()),
      static_cast<uint32_t>(program.slotBytes.size()),
      program.numInputs,
      program.scratchpadBytes,
      static_cast<uint32_t>(program.flow.size())};
  auto append = [&](const std::vector<uint32_t> &part) {
    words.insert(words.end(), part.begin(), part.end());
  };
  append(queueTable);
  for (uint64_t bytes : program.slotBytes)
    append({static_cast<uint32_t>(bytes), static_cast<uint32_t>(bytes >> 32)});
  append(codeWords);
  append(sources);
  append(program.flow);
  size_t stringsAt = words.size();
  words.resize(words.size() + strings.size() / 4);
  std::memcpy(words.data() + stringsAt, strings.data(), strings.size());
  append(stream);
  if (words.size() > kMaxWords)
    fail("it needs more than 1 GiB");
  words[2] = static_cast<uint32_t>(words.size());
  if (!status.ok())
    return status;
  std::vector<std::byte> bytes(words.size() * 4);
  std::memcpy(bytes.data(), words.data(), bytes.size());
  return bytes;
}

Result<std::vector<std::byte>> npu::encodeProgram(const Program &program) {
  return Encoder(program).encode();
}
