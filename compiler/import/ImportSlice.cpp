// Operators that cut, join, pad and rearrange: Slice, Split, Concat, Pad,
// Trilu, DepthToSpace, SpaceToDepth, CenterCropPad.
#include "compiler/import/NodeImporter.h"

using namespace mlir;
using namespace efc;
using namespace efc::importer;
using ef::HostTensor;

static LogicalResult importConcat(NodeImporter &node) {
  SmallVector<Value> inputs;
  for (size_t index = 0; index < node.getNumInputs(); ++index)
    inputs.push_back(node.getInput(index));
  if (inputs.empty() || llvm::is_contained(inputs, Value()))
    return node.fail("it needs at least one input, and none may be left out");
  FailureOr<int64_t> axis =
      node.getAxis("axis", 0, node.getRank(inputs.front()));
  if (failed(axis))
    return failure();
  return node.setResult(inputs.size() == 1 ? inputs.front()
                                           : node.concat(inputs, *axis));
}

/// One axis of a Slice, by ONNX's clamping rules.
static LogicalResult sliceDim(NodeImporter &node, int64_t extent,
                              int64_t &start, int64_t end, int64_t step,
                              int64_t &size) {
  if (step == 0 || step == INT64_MIN)
    return node.fail("it has a step of " + llvm::Twine(step));
  int64_t low = step > 0 ? 0 : -1, high = step > 0 ? extent : extent - 1;
  auto clampIndex = [&](int64_t index) {
    return std::clamp(index < 0 ? index + extent : index, low, high);
  };
  start = clampIndex(start);
  end = clampIndex(end);
  int64_t span = step > 0 ? end - start : start - end;
  size = span <= 0 ? 0
                   : static_cast<int64_t>(llvm::divideCeil(
                         static_cast<uint64_t>(span),
                         static_cast<uint64_t>(std::abs(step))));
  if (size == 0)
    start = 0;
  return success();
}

static LogicalResult importSlice(NodeImporter &node) {
  Value input = node.getInput(0);
  auto starts = node.getIntsFromInputOrAttribute(1, "starts"),
       ends = node.getIntsFromInputOrAttribute(2, "ends"),
       axes = node.getIntsFromInputOrAttribute(3, "axes"),
       steps = node.getIntsFromInputOrAttribute(4, "steps");
  if (!input || failed(starts) || failed(ends) || failed(axes) || failed(steps))
    return failure();
  if (!*starts || !*ends || (*starts)->size() != (*ends)->size() ||
      (*axes && (*axes)->size() != (*starts)->size()) ||
      (*steps && (*steps)->size() != (*starts)->size()))
    return node.fail("starts, ends, axes and steps must be of equal number");
  int64_t rank = node.getRank(input);
  if (!*axes && static_cast<int64_t>((*starts)->size()) > rank)
    return node.fail("it has more starts than its input has dimensions");
  Shape allStarts(rank, 0), allSteps(rank, 1), sizes(node.getShape(input));
  for (size_t i = 0; i < (*starts)->size(); ++i) {
    FailureOr<int64_t> dim =
        node.normalizeAxis(*axes ? (**axes)[i] : int64_t(i), rank);
    if (failed(dim))
      return failure();
    allStarts[*dim] = (**starts)[i];
    int64_t step = *steps ? (**steps)[i] : 1;
    if (failed(sliceDim(node, node.getShape(input)[*dim], allStarts[*dim],
                        (**ends)[i], step, sizes[*dim])))
      return failure();
    // A step over the whole axis is any such step; this keeps products small.
    allSteps[*dim] = sizes[*dim] <= 1 ? 1 : step;
  }
  return node.setResult(node.slice(input, allStarts, allSteps, sizes));
}

static LogicalResult importSplit(NodeImporter &node) {
  Value input = node.getInput(0);
  auto sizes = node.getIntsFromInputOrAttribute(1, "split");
  if (!input || failed(sizes))
    return failure();
  FailureOr<int64_t> axis = node.getAxis("axis", 0, node.getRank(input));
  if (failed(axis))
    return failure();
  int64_t extent = node.getShape(input)[*axis];
  int64_t parts = node.getInt("num_outputs", node.getNumOutputs());
  if (!*sizes) {
    if (parts < 1 || parts > static_cast<int64_t>(node.getNumOutputs()))
      return node.fail("it has " + llvm::Twine(node.getNumOutputs()) +
                       " outputs, but num_outputs is " + llvm::Twine(parts));
    // The last part is the smaller one where the extent does not divide.
    int64_t part = llvm::divideCeil(extent, parts);
    sizes->emplace(parts, part);
    (*sizes)->back() = extent - part * (parts - 1);
  }
  int64_t sum = 0;
  bool isValid = true;
  for (int64_t size : **sizes)
    isValid &= size >= 0 && !__builtin_add_overflow(sum, size, &sum);
  if (!isValid || sum != extent || (*sizes)->size() != node.getNumOutputs())
    return node.fail("its parts " + ef::formatShape(**sizes) + " for " +
                     llvm::Twine(node.getNumOutputs()) +
                     " outputs do not make up axis " + llvm::Twine(*axis) +
                     " of extent " + llvm::Twine(extent));
  int64_t start = 0;
  for (auto [index, size] : llvm::enumerate(**sizes)) {
    if (failed(
            node.setResult(index, node.sliceAxis(input, *axis, start, size))))
      return failure();
    start += size;
  }
  return success();
}

/// The amounts to pad with, for all dimensions: before opset 11 an attribute.
static FailureOr<Shape> getPads(NodeImporter &node, int64_t rank) {
  auto pads = node.getIntsFromInputOrAttribute(1, "pads");
  auto axes = node.getIntsFromInputOrAttribute(3, "axes");
  if (failed(pads) || failed(axes))
    return failure();
  if (!*pads)
    return node.fail("it has no pads");
  size_t count = *axes ? (*axes)->size() : rank;
  if ((*pads)->size() != 2 * count)
    return node.fail("it has " + llvm::Twine((*pads)->size()) + " pads for " +
                     llvm::Twine(count) + " dimensions");
  Shape all(2 * rank, 0);
  for (size_t i = 0; i < count; ++i) {
    FailureOr<int64_t> dim =
        node.normalizeAxis(*axes ? (**axes)[i] : int64_t(i), rank);
    if (failed(dim))
      return failure();
    all[*dim] = (**pads)[i];
    all[*dim + rank] = (**pads)[i + count];
  }
  return all;
}

static LogicalResult importPad(NodeImporter &node) {
  Value input = node.getInput(0);
  if (!input)
    return failure();
  FailureOr<Shape> pads = getPads(node, node.getRank(input));
  std::optional<ef::PadMode> mode =
      ef::symbolizePadMode(node.getString("mode", "constant"));
  if (failed(pads))
    return failure();
  if (!mode)
    return node.fail("its mode '" + node.getString("mode", "") +
                     "' is unknown; constant, reflect, edge and wrap are not");
  Value value;
  if (node.hasInput(2))
    value = node.getInput(2);
  else if (node.hasAttribute("value"))
    value =
        node.constant(node.getElementType(input), node.getFloat("value", 0));
  if (*mode != ef::PadMode::Constant)
    value = Value();
  return node.setResult(node.pad(input, *pads, *mode, value));
}

static LogicalResult importTrilu(NodeImporter &node) {
  Value input = node.getInput(0);
  if (!input)
    return failure();
  int64_t diagonal = 0, rank = node.getRank(input);
  if (node.hasInput(1)) {
    FailureOr<SmallVector<int64_t>> k = node.getConstantInts(1, "k");
    if (failed(k))
      return failure();
    if (k->size() != 1)
      return node.fail("its k must be a scalar");
    diagonal = k->front();
  }
  if (rank < 2)
    return node.fail("it needs a matrix, or a batch of matrices");
  bool upper = node.getInt("upper", 1) != 0;
  int64_t rows = node.getShape(input)[rank - 2],
          columns = node.getShape(input)[rank - 1];
  HostTensor keep(RankedTensorType::get({rows, columns}, node.getBool()));
  diagonal = std::clamp<int64_t>(diagonal, -rows, columns);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      keep.setInt(row * columns + column,
                  upper ? column - row >= diagonal : column - row <= diagonal);
  return node.setResult(
      node.select(node.constantTensor(keep), input,
                  node.constant(node.getElementType(input), 0)));
}

/// Checks for a [N, C, H, W] operand and returns the block size.
static FailureOr<int64_t> getBlockSize(NodeImporter &node, Value input) {
  int64_t block = node.getInt("blocksize", 0);
  if (!input)
    return failure();
  if (node.getRank(input) != 4 || block < 1 || block > (1 << 15))
    return node.fail("it needs a tensor of rank 4 and a positive blocksize");
  return block;
}

static LogicalResult importDepthToSpace(NodeImporter &node) {
  Value input = node.getInput(0);
  FailureOr<int64_t> block = getBlockSize(node, input);
  if (failed(block))
    return failure();
  ArrayRef<int64_t> shape = node.getShape(input);
  int64_t b = *block, n = shape[0], c = shape[1] / (b * b), h = shape[2],
          w = shape[3];
  if (c * b * b != shape[1])
    return node.fail("its blocksize squared does not divide the channels");
  bool isCrd = node.getString("mode", "DCR") == "CRD";
  Value split = isCrd ? node.reshape(input, {n, c, b, b, h, w})
                      : node.reshape(input, {n, b, b, c, h, w});
  Value moved =
      isCrd ? node.transpose(split, ArrayRef<int64_t>{0, 1, 4, 2, 5, 3})
            : node.transpose(split, ArrayRef<int64_t>{0, 3, 4, 1, 5, 2});
  return node.setResult(node.reshape(moved, {n, c, h * b, w * b}));
}

static LogicalResult importSpaceToDepth(NodeImporter &node) {
  Value input = node.getInput(0);
  FailureOr<int64_t> block = getBlockSize(node, input);
  if (failed(block))
    return failure();
  ArrayRef<int64_t> shape = node.getShape(input);
  int64_t b = *block, n = shape[0], c = shape[1], h = shape[2] / b,
          w = shape[3] / b;
  if (h * b != shape[2] || w * b != shape[3])
    return node.fail("its blocksize does not divide height and width");
  std::string mode = node.getString("mode", "DCR");
  Value split = node.reshape(input, {n, c, h, b, w, b});
  Value moved =
      mode == "CRD"
          ? node.transpose(split, ArrayRef<int64_t>{0, 1, 3, 5, 2, 4})
          : node.transpose(split, ArrayRef<int64_t>{0, 3, 5, 1, 2, 4});
  return node.setResult(node.reshape(moved, {n, c * b * b, h, w}));
}

static LogicalResult importCenterCropPad(NodeImporter &node) {
  Value input = node.getInput(0);
  FailureOr<SmallVector<int64_t>> target = node.getConstantInts(1, "shape");
  if (!input || failed(target))
    return failure();
  int64_t rank = node.getRank(input);
  std::optional<SmallVector<int64_t>> axes = node.findInts("axes");
  if (target->size() != (axes ? axes->size() : static_cast<size_t>(rank)))
    return node.fail("its shape must have an extent for each of its axes");
  Shape pads(2 * rank, 0);
  for (auto [index, extent] : llvm::enumerate(*target)) {
    FailureOr<int64_t> dim =
        node.normalizeAxis(axes ? (*axes)[index] : int64_t(index), rank);
    if (failed(dim))
      return failure();
    if (extent < 0)
      return node.fail("its shape has a negative extent");
    // An odd element is cropped from the end, and added at the end.
    int64_t grow = extent - node.getShape(input)[*dim];
    pads[*dim] = grow / 2;
    pads[*dim + rank] = grow - grow / 2;
  }
  return node.setResult(node.pad(input, pads, ef::PadMode::Constant));
}

ArrayRef<OpEntry> importer::getSliceOps() {
  static constexpr OpEntry kOps[] = {
      {"Concat", importConcat},
      {"Slice", importSlice},
      {"Split", importSplit},
      {"Pad", importPad},
      {"Trilu", importTrilu},
      {"DepthToSpace", importDepthToSpace},
      {"SpaceToDepth", importSpaceToDepth},
      {"CenterCropPad", importCenterCropPad},
  };
  return kOps;
}
