// A tiling as the attribute `npu.tiling` of a partition: an array of groups
// that a person can read and change.
#include "targets/exynos_npu/Tiling.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace efc::npu;

static constexpr llvm::StringLiteral kAttribute = "npu.tiling";

Attribute efc::npu::toAttribute(MLIRContext &context, const Tiling &tiling) {
  Builder b(&context);
  SmallVector<Attribute> groups;
  for (const Group &group : tiling.groups) {
    SmallVector<int64_t> chunks, keys, values;
    SmallVector<bool> resident;
    for (const LayerTiling &layer : group.layers) {
      chunks.push_back(layer.chunk);
      keys.push_back(layer.keyChunk);
      values.push_back(layer.valueChunk);
      resident.push_back(layer.weightsResident);
    }
    auto number = [&](StringRef name, int64_t value) {
      return b.getNamedAttr(name, b.getI64IntegerAttr(value));
    };
    groups.push_back(b.getDictionaryAttr({
        b.getNamedAttr("layers",
                       b.getDenseI64ArrayAttr({group.first, group.last})),
        number("tile", group.tilePositions),
        b.getNamedAttr("chunks", b.getDenseI64ArrayAttr(chunks)),
        b.getNamedAttr("key_chunks", b.getDenseI64ArrayAttr(keys)),
        b.getNamedAttr("value_chunks", b.getDenseI64ArrayAttr(values)),
        b.getNamedAttr("resident", b.getDenseBoolArrayAttr(resident)),
        b.getNamedAttr("cycles", b.getF64FloatAttr(group.cycles)),
        number("scratch_bytes", group.scratchBytes),
        number("prefetch_bytes", group.prefetchBytes),
        number("dram_bytes", group.dramBytes),
    }));
  }
  return b.getArrayAttr(groups);
}

/// The group that `dictionary` says, or false if it is none.
static bool readGroup(DictionaryAttr dictionary, Group &group) {
  auto range = dictionary.getAs<DenseI64ArrayAttr>("layers");
  auto chunks = dictionary.getAs<DenseI64ArrayAttr>("chunks");
  auto keys = dictionary.getAs<DenseI64ArrayAttr>("key_chunks");
  auto values = dictionary.getAs<DenseI64ArrayAttr>("value_chunks");
  auto resident = dictionary.getAs<DenseBoolArrayAttr>("resident");
  auto tile = dictionary.getAs<IntegerAttr>("tile");
  auto cycles = dictionary.getAs<FloatAttr>("cycles");
  if (!range || range.size() != 2 || !chunks || !keys || !values || !resident ||
      !tile || !cycles)
    return false;
  group.first = range[0];
  group.last = range[1];
  int64_t count = group.last - group.first;
  if (count <= 0 || chunks.size() != count || keys.size() != count ||
      values.size() != count || resident.size() != count)
    return false;
  group.tilePositions = tile.getInt();
  group.cycles = cycles.getValueAsDouble();
  auto number = [&](StringRef name) {
    auto value = dictionary.getAs<IntegerAttr>(name);
    return value ? value.getInt() : 0;
  };
  group.scratchBytes = number("scratch_bytes");
  group.prefetchBytes = number("prefetch_bytes");
  group.dramBytes = number("dram_bytes");
  for (int64_t i = 0; i < count; ++i)
    group.layers.push_back({chunks[i], keys[i], values[i], resident[i]});
  return true;
}

llvm::FailureOr<Tiling> efc::npu::tilingOf(func::FuncOp partition) {
  auto groups = partition->getAttrOfType<ArrayAttr>(kAttribute);
  if (!groups)
    return partition.emitError("has no `npu.tiling`; run efc-npu-tile first");
  Tiling tiling;
  for (Attribute attribute : groups) {
    Group group;
    auto dictionary = dyn_cast<DictionaryAttr>(attribute);
    if (!dictionary || !readGroup(dictionary, group))
      return partition.emitError("has a malformed group in `npu.tiling`: ")
             << attribute;
    tiling.cycles += group.cycles;
    tiling.groups.push_back(std::move(group));
  }
  return tiling;
}
