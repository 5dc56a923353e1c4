// Gathers and scatters, and what is one of them: OneHot, ReverseSequence,
// TensorScatter. Operators whose result's shape depends on data are refused.
#include "compiler/import/NodeImporter.h"

using namespace mlir;
using namespace efc;
using namespace efc::importer;
using ef::HostTensor;

/// Indices in one of the types that the dialect takes.
static Value asIndices(NodeImporter &node, Value indices) {
  if (!indices)
    return Value();
  Type element = node.getElementType(indices);
  bool isIndex = element.isSignlessInteger(32) || element.isSignlessInteger(64);
  return isIndex ? indices : node.cast(indices, node.getI64());
}

template <typename OpT>
static LogicalResult importGatherAlong(NodeImporter &node) {
  Value input = node.getInput(0);
  if (!input)
    return failure();
  FailureOr<int64_t> axis = node.getAxis("axis", 0, node.getRank(input));
  if (failed(axis))
    return failure();
  return node.setResult(firstResult(
      node.createInferred<OpT>({input, asIndices(node, node.getInput(1))},
                               node.intAttribute("axis", *axis))));
}

static LogicalResult importGatherND(NodeImporter &node) {
  return node.setResult(firstResult(node.createInferred<ef::GatherNDOp>(
      {node.getInput(0), asIndices(node, node.getInput(1))},
      node.intAttribute("batch_dims", node.getInt("batch_dims", 0)))));
}

/// How updates are combined, or a reason why they cannot be.
static FailureOr<NamedAttribute> getScatterKind(NodeImporter &node) {
  std::string name = node.getString("reduction", "none");
  std::optional<ef::ScatterKind> kind = ef::symbolizeScatterKind(name);
  if (!kind)
    return node.fail("its reduction '" + name + "' is unknown");
  return node.attribute(
      "kind", ef::ScatterKindAttr::get(node.getBuilder().getContext(), *kind));
}

static LogicalResult importScatterElements(NodeImporter &node) {
  Value input = node.getInput(0);
  if (!input)
    return failure();
  FailureOr<int64_t> axis = node.getAxis("axis", 0, node.getRank(input));
  FailureOr<NamedAttribute> kind = getScatterKind(node);
  if (failed(axis) || failed(kind))
    return failure();
  return node.setResult(firstResult(node.create<ef::ScatterElementsOp>(
      node.getType(input),
      {input, asIndices(node, node.getInput(1)), node.getInput(2)},
      {node.intAttribute("axis", *axis), *kind})));
}

static LogicalResult importScatterND(NodeImporter &node) {
  Value input = node.getInput(0);
  FailureOr<NamedAttribute> kind = getScatterKind(node);
  if (!input || failed(kind))
    return failure();
  return node.setResult(firstResult(node.create<ef::ScatterNDOp>(
      node.getType(input),
      {input, asIndices(node, node.getInput(1)), node.getInput(2)}, *kind)));
}

/// indices == position along a new axis ? on : off.
static LogicalResult importOneHot(NodeImporter &node) {
  Value indices = node.getInput(0), values = node.getInput(2);
  FailureOr<HostTensor> depth = node.getConstant(1, "depth");
  if (!indices || !values || failed(depth))
    return failure();
  int64_t rank = node.getRank(indices) + 1;
  FailureOr<int64_t> axis = node.getAxis("axis", -1, rank);
  if (failed(axis))
    return failure();
  if (depth->getNumElements() != 1 || node.getRank(values) != 1 ||
      node.getShape(values)[0] != 2)
    return node.fail("it needs one depth and two values");
  int64_t extent = depth->getInt(0);
  if (extent < 1 || extent > (1 << 24))
    return node.fail("its depth " + llvm::Twine(extent) + " is not possible");
  Shape shape(node.getShape(indices));
  shape.insert(shape.begin() + *axis, 1);
  indices = node.reshape(node.cast(indices, node.getI64()), shape);
  // Negative indices count from the end.
  Value zero = node.constant(node.getI64(), 0);
  Value wrapped = node.select(
      node.binary(BinaryKind::Lt, indices, zero),
      node.binary(BinaryKind::Add, indices, static_cast<double>(extent)),
      indices);
  Value positions = node.alongAxis(
      node.constantInts(llvm::to_vector(llvm::seq<int64_t>(0, extent))), *axis,
      rank);
  Value off = node.reshape(node.sliceAxis(values, 0, 0, 1), {}),
        on = node.reshape(node.sliceAxis(values, 0, 1, 1), {});
  return node.setResult(
      node.select(node.binary(BinaryKind::Eq, wrapped, positions), on, off));
}

/// A gather along the time axis with the table of reversed positions.
static LogicalResult importReverseSequence(NodeImporter &node) {
  Value input = node.getInput(0);
  FailureOr<SmallVector<int64_t>> lengths =
      node.getConstantInts(1, "sequence_lens");
  if (!input || failed(lengths))
    return failure();
  int64_t rank = node.getRank(input);
  FailureOr<int64_t> time = node.getAxis("time_axis", 0, rank),
                     batch = node.getAxis("batch_axis", 1, rank);
  if (failed(time) || failed(batch))
    return failure();
  ArrayRef<int64_t> shape = node.getShape(input);
  if (*time == *batch || static_cast<int64_t>(lengths->size()) != shape[*batch])
    return node.fail("it needs a length for each element of its batch axis");
  Shape table(rank, 1);
  table[*batch] = shape[*batch];
  table[*time] = shape[*time];
  HostTensor positions(RankedTensorType::get(table, node.getI64()));
  Shape strides = ef::getStrides(table);
  for (auto [row, length] : llvm::enumerate(*lengths)) {
    if (length < 0 || length > shape[*time])
      return node.fail("one of its lengths is longer than the time axis");
    for (int64_t t = 0; t < shape[*time]; ++t)
      positions.setInt(row * strides[*batch] + t * strides[*time],
                       t < length ? length - 1 - t : t);
  }
  Value indices = node.broadcast(node.constantTensor(positions), shape);
  return node.setResult(firstResult(node.createInferred<ef::GatherElementsOp>(
      {input, indices}, node.intAttribute("axis", *time))));
}

/// Writes each batch's update into the cache at its own position.
static LogicalResult importTensorScatter(NodeImporter &node) {
  Value cache = node.getInput(0), update = node.getInput(1);
  if (!cache || !update)
    return failure();
  int64_t rank = node.getRank(cache);
  FailureOr<int64_t> axis = node.getAxis("axis", -2, rank);
  if (failed(axis))
    return failure();
  if (node.getRank(update) != rank || *axis == 0)
    return node.fail("its axis must not be that of the batch, and cache and "
                     "update must have one rank");
  ArrayRef<int64_t> shape = node.getShape(update);
  Value positions = node.alongAxis(
      node.constantInts(llvm::to_vector(llvm::seq<int64_t>(0, shape[*axis]))),
      *axis, rank);
  if (node.hasInput(2))
    positions = node.binary(
        BinaryKind::Add, positions,
        node.alongAxis(node.cast(node.getInput(2), node.getI64()), 0, rank));
  if (node.getString("mode", "linear") == "circular")
    positions = node.binary(BinaryKind::Mod, positions,
                            static_cast<double>(node.getShape(cache)[*axis]));
  MLIRContext *context = node.getBuilder().getContext();
  return node.setResult(firstResult(node.create<ef::ScatterElementsOp>(
      node.getType(cache), {cache, node.broadcast(positions, shape), update},
      {node.intAttribute("axis", *axis),
       node.attribute("kind", ef::ScatterKindAttr::get(
                                  context, ef::ScatterKind::None))})));
}

/// Only of constants, which make the result's shape known.
static LogicalResult importCompress(NodeImporter &node) {
  Value input = node.getInput(0);
  FailureOr<HostTensor> condition = node.getConstant(1, "condition");
  if (!input || failed(condition))
    return failure();
  bool isFlat = !node.hasAttribute("axis");
  if (isFlat)
    input = node.reshape(input, {node.getType(input).getNumElements()});
  FailureOr<int64_t> axis = isFlat
                                ? FailureOr<int64_t>(0)
                                : node.getAxis("axis", 0, node.getRank(input));
  if (failed(axis))
    return failure();
  SmallVector<int64_t> kept;
  int64_t count =
      std::min(condition->getNumElements(), node.getShape(input)[*axis]);
  for (int64_t i = 0; i < count; ++i)
    if (condition->getInt(i) != 0)
      kept.push_back(i);
  return node.setResult(node.gather(input, node.constantInts(kept), *axis));
}

static LogicalResult importNonZero(NodeImporter &node) {
  FailureOr<HostTensor> input = node.getConstant(0, "X");
  if (failed(input))
    return failure();
  ArrayRef<int64_t> shape = input->getShape();
  Shape strides = ef::getStrides(shape);
  SmallVector<int64_t> hits;
  for (int64_t i = 0, e = input->getNumElements(); i < e; ++i)
    if (input->getFloat(i) != 0)
      hits.push_back(i);
  int64_t count = hits.size(), rank = shape.size();
  HostTensor indices(RankedTensorType::get({rank, count}, node.getI64()));
  for (int64_t dim = 0; dim < rank; ++dim)
    for (auto [column, hit] : llvm::enumerate(hits))
      indices.setInt(dim * count + column, hit / strides[dim] % shape[dim]);
  return node.setResult(node.constantTensor(indices));
}

ArrayRef<OpEntry> importer::getIndexingOps() {
  static constexpr OpEntry kOps[] = {
      {"Gather", importGatherAlong<ef::GatherOp>},
      {"GatherElements", importGatherAlong<ef::GatherElementsOp>},
      {"GatherND", importGatherND},
      {"ScatterElements", importScatterElements},
      {"Scatter", importScatterElements},
      {"ScatterND", importScatterND},
      {"OneHot", importOneHot},
      {"ReverseSequence", importReverseSequence},
      {"TensorScatter", importTensorScatter},
      {"Compress", importCompress},
      {"NonZero", importNonZero},
  };
  return kOps;
}
