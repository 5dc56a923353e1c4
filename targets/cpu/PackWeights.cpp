// See PackWeights.h.
#include "targets/cpu/PackWeights.h"

#include "dialects/cpu/CpuDialect.h"

#include <cstring>

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

/// float32 bits to bfloat16 bits, to nearest even; a NaN stays one.
static uint16_t roundToBf16(uint32_t bits) {
  if ((bits & 0x7fffffff) > 0x7f800000)
    return static_cast<uint16_t>(bits >> 16) | 0x40;
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/// Moves elements, converting each by `convert`; a template so that the inner
/// loop is a plain typed copy.
template <typename From, typename To, typename Convert>
static void packInto(PackOp pack, const From *from, To *to, Convert convert) {
  ArrayRef<int64_t> strides = pack.getStrides();
  int64_t panel = pack.getPanel(), n = pack.getN(), k = pack.getK();
  int64_t numPanels = llvm::divideCeil(n, panel);
  for (int64_t tap = 0; tap < static_cast<int64_t>(pack.getTaps()); ++tap)
    for (int64_t p = 0; p < numPanels; ++p) {
      int64_t columns = std::min(panel, n - p * panel);
      const From *source = from + tap * strides[0] + p * panel * strides[2];
      To *target = to + (tap * numPanels + p) * k * panel;
      for (int64_t i = 0; i < k; ++i)
        for (int64_t j = 0; j < columns; ++j)
          target[i * panel + j] =
              convert(source[i * strides[1] + j * strides[2]]);
    }
}

static void packGeneric(PackOp pack, const ef::HostTensor &from,
                        ef::HostTensor &to) {
  ArrayRef<int64_t> strides = pack.getStrides();
  int64_t panel = pack.getPanel(), n = pack.getN(), k = pack.getK();
  int64_t numPanels = llvm::divideCeil(n, panel);
  bool isFloat = isa<FloatType>(from.getElementType());
  for (int64_t tap = 0; tap < static_cast<int64_t>(pack.getTaps()); ++tap)
    for (int64_t column = 0; column < n; ++column)
      for (int64_t i = 0; i < k; ++i) {
        int64_t source =
            tap * strides[0] + i * strides[1] + column * strides[2];
        int64_t target = ((tap * numPanels + column / panel) * k + i) * panel +
                         column % panel;
        if (isFloat)
          to.setFloat(target, from.getFloat(source));
        else
          to.setInt(target, from.getInt(source));
      }
}

llvm::Expected<ef::HostTensor>
efc::cpu::evaluateConstant(Value value, ef::WeightStore &store) {
  auto pack = value.getDefiningOp<PackOp>();
  if (!pack)
    return store.evaluate(value);
  llvm::Expected<ef::HostTensor> input =
      evaluateConstant(pack.getInput(), store);
  if (!input)
    return input;
  auto type = cast<RankedTensorType>(pack.getResult().getType());
  ef::HostTensor result(type);
  Type element = type.getElementType();
  const char *from = input->getBytes().data();
  char *to = result.getMutableBytes().data();
  bool isWord = input->getElementType().getIntOrFloatBitWidth() == 32 &&
                reinterpret_cast<uintptr_t>(from) % 4 == 0;
  auto words = reinterpret_cast<const uint32_t *>(from);
  if (isWord && element == input->getElementType())
    packInto(pack, words, reinterpret_cast<uint32_t *>(to),
             [](uint32_t bits) { return bits; });
  else if (isWord && element.isBF16() && input->getElementType().isF32())
    packInto(pack, words, reinterpret_cast<uint16_t *>(to), roundToBf16);
  else
    packGeneric(pack, *input, result);
  return result;
}
