// ef.pad: ONNX's Pad. Negative amounts crop, and crop before anything is
// padded.
#include "dialects/ef/EfDialect.h"
#include "dialects/ef/IndexTables.h"
#include "dialects/ef/Shapes.h"
#include "dialects/ef/StridedCopy.h"

#include <cstring>

using namespace mlir;
using namespace efc::ef;

LogicalResult PadOp::inferReturnTypes(MLIRContext *,
                                      std::optional<Location> location,
                                      Adaptor adaptor,
                                      SmallVectorImpl<Type> &types) {
  auto input = cast<RankedTensorType>(adaptor.getInput().getType());
  ArrayRef<int64_t> pads = adaptor.getPads();
  int64_t rank = input.getRank();
  if (static_cast<int64_t>(pads.size()) != 2 * rank)
    return emitOptionalError(location, "ef.pad needs ", 2 * rank, " pads for ",
                             input, ", all begins and then all ends, but has ",
                             pads.size());
  SmallVector<int64_t> shape;
  for (int64_t dim = 0; dim < rank; ++dim) {
    int64_t extent = input.getDimSize(dim);
    if (__builtin_add_overflow(extent, pads[dim], &extent) ||
        __builtin_add_overflow(extent, pads[dim + rank], &extent) || extent < 0)
      return emitOptionalError(location, "ef.pad by ", pads[dim], " and ",
                               pads[dim + rank], " of dimension ", dim, " of ",
                               input, " leaves no valid extent");
    shape.push_back(extent);
  }
  types.push_back(input.clone(shape));
  return success();
}

LogicalResult PadOp::verify() {
  auto input = cast<RankedTensorType>(getInput().getType());
  if (Value value = getValue()) {
    auto type = cast<RankedTensorType>(value.getType());
    if (type.getNumElements() != 1 ||
        type.getElementType() != input.getElementType())
      return emitOpError() << "needs one padding value of type "
                           << input.getElementType() << ", but has " << type;
  }
  if (getMode() == PadMode::Constant)
    return success();
  for (int64_t dim = 0, rank = input.getRank(); dim < rank; ++dim) {
    int64_t begin = getPads()[dim], end = getPads()[dim + rank];
    int64_t kept = input.getDimSize(dim) + std::min<int64_t>(begin, 0) +
                   std::min<int64_t>(end, 0);
    if (kept <= 0 && (begin > 0 || end > 0))
      return emitOpError() << "has nothing to repeat in dimension " << dim
                           << " of " << input;
  }
  return success();
}

/// The index in [0, extent) that stands at `index` of the infinite
/// continuation, or -1 for the padding value.
static int64_t sourceIndex(PadMode mode, int64_t index, int64_t extent) {
  if (index >= 0 && index < extent)
    return index;
  auto modulo = [](int64_t a, int64_t b) { return (a % b + b) % b; };
  switch (mode) {
  case PadMode::Constant:
    return -1;
  case PadMode::Edge:
    return index < 0 ? 0 : extent - 1;
  case PadMode::Wrap:
    return modulo(index, extent);
  case PadMode::Reflect:
    break;
  }
  if (extent == 1)
    return 0;
  int64_t folded = modulo(index, 2 * (extent - 1));
  return std::min(folded, 2 * (extent - 1) - folded);
}

std::vector<int64_t> efc::ef::makePadSources(PadOp op, int64_t dim) {
  auto input = cast<RankedTensorType>(op.getInput().getType());
  auto result = cast<RankedTensorType>(op.getType());
  int64_t begin = op.getPads()[dim], end = op.getPads()[dim + input.getRank()];
  int64_t cropBegin = std::max<int64_t>(-begin, 0),
          cropEnd = std::max<int64_t>(-end, 0);
  int64_t kept = input.getDimSize(dim) - cropBegin - cropEnd;
  std::vector<int64_t> sources;
  for (int64_t i = 0; i < result.getDimSize(dim); ++i) {
    // A dimension cropped to less than nothing by one side and padded by the
    // other holds padding only.
    int64_t index =
        kept <= 0
            ? -1
            : sourceIndex(op.getMode(), i - std::max<int64_t>(begin, 0), kept);
    sources.push_back(index < 0 ? -1 : index + cropBegin);
  }
  return sources;
}

LogicalResult PadOp::evaluate(ArrayRef<HostTensor> operands,
                              SmallVectorImpl<HostTensor> &results) {
  const HostTensor &input = operands[0];
  HostTensor result(cast<RankedTensorType>(getType()));
  int64_t rank = input.getShape().size();
  size_t elementBytes = getElementBytes(result.getElementType());
  std::vector<char> padding(elementBytes, 0);
  if (operands.size() > 1)
    padding.assign(operands[1].getBytes().begin(),
                   operands[1].getBytes().end());

  // For each dimension, where each of the result's indices comes from.
  SmallVector<std::vector<int64_t>> sources;
  for (int64_t dim = 0; dim < rank; ++dim)
    sources.push_back(makePadSources(*this, dim));
  SmallVector<int64_t> strides = getStrides(input.getShape());
  char *to = result.getMutableBytes().data();
  forEachIndex(result.getShape(), [&](ArrayRef<int64_t> index) {
    int64_t from = 0;
    bool isPadding = false;
    for (int64_t dim = 0; dim < rank; ++dim) {
      int64_t source = sources[dim][index[dim]];
      isPadding |= source < 0;
      from += source * strides[dim];
    }
    std::memcpy(to,
                isPadding ? padding.data()
                          : input.getBytes().data() + from * elementBytes,
                elementBytes);
    to += elementBytes;
  });
  results.push_back(std::move(result));
  return success();
}
