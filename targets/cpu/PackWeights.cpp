// See PackWeights.h.
#include "targets/cpu/PackWeights.h"

#include "dialects/cpu/CpuDialect.h"
#include "dialects/ef/Quantized.h"
#include "targets/cpu/RoundedWeights.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

/// float32 bits to bfloat16 bits, to nearest even; a NaN stays one.
static uint16_t roundToBf16(uint32_t bits) {
  if ((bits & 0x7fffffff) > 0x7f800000)
    return static_cast<uint16_t>(bits >> 16) | 0x40;
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

namespace {
/// Where the elements of a packing come from and go to.
struct PackIndex {
  explicit PackIndex(PackOp pack)
      : strides(pack.getStrides()), taps(pack.getTaps()), n(pack.getN()),
        k(pack.getK()), panel(pack.getPanel()),
        numPanels(llvm::divideCeil(n, panel)), depth(pack.getPairs() ? 2 : 1),
        panelElements(llvm::alignTo(k, depth) * panel) {}

  int64_t inPanel(int64_t step, int64_t column) const {
    return (step / depth * panel + column) * depth + step % depth;
  }

  ArrayRef<int64_t> strides;
  int64_t taps, n, k, panel, numPanels;
  int64_t depth; ///< Steps of k side by side.
  int64_t panelElements;
};
} // namespace

/// Moves elements, converting each by `convert`; a template so that the inner
/// loop is a plain typed copy. All taps of a panel follow each other, because a
/// filter's taps are neighbours in memory.
template <typename From, typename To, typename Convert>
static void packInto(PackOp pack, const From *from, To *to, Convert convert) {
  PackIndex index(pack);
  for (int64_t p = 0; p < index.numPanels; ++p)
    for (int64_t tap = 0; tap < index.taps; ++tap) {
      int64_t first = p * index.panel;
      int64_t columns = std::min(index.panel, index.n - first);
      const From *source =
          from + tap * index.strides[0] + first * index.strides[2];
      To *target = to + (tap * index.numPanels + p) * index.panelElements;
      for (int64_t i = 0; i < index.k; ++i) {
        const From *row = source + i * index.strides[1];
        To *place = target + index.inPanel(i, 0);
        for (int64_t j = 0; j < columns; ++j)
          place[j * index.depth] = convert(row[j * index.strides[2]]);
      }
    }
}

static void packGeneric(PackOp pack, const ef::HostTensor &from,
                        ef::HostTensor &to) {
  PackIndex index(pack);
  bool isFloat = isa<FloatType>(from.getElementType());
  for (int64_t tap = 0; tap < index.taps; ++tap)
    for (int64_t column = 0; column < index.n; ++column)
      for (int64_t i = 0; i < index.k; ++i) {
        int64_t source = tap * index.strides[0] + i * index.strides[1] +
                         column * index.strides[2];
        int64_t target = (tap * index.numPanels + column / index.panel) *
                             index.panelElements +
                         index.inPanel(i, column % index.panel);
        if (isFloat)
          to.setFloat(target, from.getFloat(source));
        else
          to.setInt(target, from.getInt(source));
      }
}

llvm::Expected<ef::HostTensor>
efc::cpu::evaluateConstant(Value value, ef::WeightStore &store) {
  auto pack = value.getDefiningOp<PackOp>();
  if (!pack && ef::getWeightFormat(value.getType()))
    return RoundedWeights::of(value.getContext()).take(value, store);
  if (!pack)
    return store.evaluate(value);
  auto type = cast<RankedTensorType>(pack.getResult().getType());
  ef::HostTensor result(type);
  llvm::Expected<ef::HostTensor> input =
      evaluateConstant(pack.getInput(), store);
  if (!input)
    return input;
  Type element = type.getElementType();
  const char *from = input->getBytes().data();
  char *to = result.getMutableBytes().data();
  if (ef::getWeightFormat(input->getType())) {
    packInto(pack, reinterpret_cast<const int8_t *>(from),
             reinterpret_cast<int8_t *>(to), [](int8_t q) { return q; });
    return result;
  }
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
