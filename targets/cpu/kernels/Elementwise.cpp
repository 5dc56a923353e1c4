// Element-wise kernels: an ef.fused without anchor, or one unary, binary,
// select, cast or geglu. One pass over the result; operands are read with the
// strides that their broadcasting gives them.
//
// All tensors are seen in one space of positions: the common refinement of the
// shapes of all tensors with as many elements as the result, so that reshapes
// inside the kernel cost nothing.
#include "targets/cpu/kernels/ElementwiseLoop.h"
#include "targets/cpu/kernels/ElementwiseTimestep.h"
#include "targets/cpu/kernels/Kernels.h"
#include "targets/cpu/kernels/QuantizedOperands.h"
#include "targets/cpu/kernels/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <set>

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

static ArrayRef<int64_t> shapeOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape();
}
static Type elementTypeOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getElementType();
}

namespace {
/// How a tensor lies in the space: for each of its dimensions, the dimensions
/// of the space that it consists of (none: the one element for all), and the
/// index of its first element.
struct Placement {
  SmallVector<SmallVector<unsigned>> dims;
  SmallVector<int64_t> offsets;
  bool operator==(const Placement &other) const {
    return dims == other.dims && offsets == other.offsets;
  }
};

/// A value to compute: a load (access >= 0), a constant, or an operation on
/// other nodes.
struct Node {
  Value value;
  Placement placement;
  int access = -1;
  SmallVector<unsigned> operands = {};
  int factor = -1; ///< Of a quantisation cast: its slot in `factors`.
};

class Plan {
public:
  explicit Plan(const KernelView &view) : view(view) {}

  LogicalResult build(std::string &reason);
  void emit(KernelBuilder &b) const;

  SmallVector<Value> inputs;  ///< Outer tensors.
  SmallVector<float> factors; ///< One input more, if there are any.
  StridedLoop getLoop() const { return StridedLoop(space, accesses); }

private:
  struct Load {
    size_t input;
    Type elementType;
  };

  LogicalResult buildSpace(std::string &reason);
  Placement placeInSpace(ArrayRef<int64_t> shape) const;
  /// The node for `value` at `placement`, or nothing and `reason`.
  std::optional<unsigned> visit(Value value, const Placement &placement,
                                std::string &reason);
  unsigned addLoad(Value outer, ArrayRef<int64_t> shape, Node node);
  std::optional<Placement> reshape(const Placement &placement,
                                   ArrayRef<int64_t> from,
                                   ArrayRef<int64_t> to) const;
  Value emitNode(KernelBuilder &b, const Node &node, ArrayRef<Value> values,
                 int64_t lanes) const;

  const KernelView &view;
  SmallVector<int64_t> space;
  SmallVector<Node> nodes;
  SmallVector<StridedAccess> accesses; ///< Loads, then stores.
  SmallVector<Load> loads;
  SmallVector<unsigned> roots;
};
} // namespace

//===----------------------------------------------------------------------===//
// The space of positions
//===----------------------------------------------------------------------===//

LogicalResult Plan::buildSpace(std::string &reason) {
  int64_t elements = countElements(shapeOf(view.results.front()));
  std::set<int64_t> boundaries = {1, elements};
  auto addShape = [&](Value value) {
    if (countElements(shapeOf(value)) != elements)
      return;
    int64_t suffix = 1;
    for (int64_t extent : llvm::reverse(shapeOf(value)))
      boundaries.insert(suffix *= extent);
  };
  for (Value result : view.results) {
    if (countElements(shapeOf(result)) != elements) {
      reason = "its results have different numbers of elements";
      return failure();
    }
    addShape(result);
  }
  for (Operation *op : view.epilogue)
    addShape(op->getResult(0));
  if (elements == 0) {
    space.push_back(0);
    return success();
  }
  for (auto it = boundaries.begin(); std::next(it) != boundaries.end(); ++it) {
    if (*std::next(it) % *it != 0) {
      reason = "a reshape inside it neither splits nor merges dimensions";
      return failure();
    }
    space.insert(space.begin(), *std::next(it) / *it);
  }
  return success();
}

Placement Plan::placeInSpace(ArrayRef<int64_t> shape) const {
  Placement placement;
  placement.offsets.assign(shape.size(), 0);
  unsigned next = 0;
  for (int64_t extent : shape) {
    auto &dims = placement.dims.emplace_back();
    for (int64_t product = 1; product < extent; product *= space[next++])
      dims.push_back(next);
  }
  return placement;
}

/// The placement of a reshape's operand.
std::optional<Placement> Plan::reshape(const Placement &placement,
                                       ArrayRef<int64_t> from,
                                       ArrayRef<int64_t> to) const {
  if (llvm::any_of(placement.offsets, [](int64_t o) { return o != 0; }))
    return std::nullopt;
  SmallVector<unsigned> all;
  for (const SmallVector<unsigned> &dims : placement.dims)
    all.append(dims.begin(), dims.end());
  Placement result;
  result.offsets.assign(to.size(), 0);
  size_t next = 0;
  for (int64_t extent : to) {
    auto &dims = result.dims.emplace_back();
    int64_t product = 1;
    for (; product < extent && next < all.size(); ++next) {
      dims.push_back(all[next]);
      product *= space[all[next]];
    }
    if (product != extent)
      return std::nullopt;
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Planning
//===----------------------------------------------------------------------===//

unsigned Plan::addLoad(Value outer, ArrayRef<int64_t> shape, Node node) {
  size_t input = llvm::find(inputs, outer) - inputs.begin();
  if (input == inputs.size())
    inputs.push_back(outer);
  StridedAccess access;
  access.strides.assign(space.size(), 0);
  SmallVector<int64_t> own = getRowMajorStrides(shape);
  for (size_t d = 0; d < shape.size(); ++d) {
    int64_t stride = own[d];
    access.offset += node.placement.offsets[d] * stride;
    for (unsigned dim : llvm::reverse(node.placement.dims[d])) {
      access.strides[dim] = stride;
      stride *= space[dim];
    }
  }
  node.access = static_cast<int>(accesses.size());
  accesses.push_back(access);
  loads.push_back({input, elementTypeOf(outer)});
  nodes.push_back(std::move(node));
  return nodes.size() - 1;
}

/// Where the operand of an operation with numpy's broadcasting stands.
static Placement broadcastTo(const Placement &result, ArrayRef<int64_t> shape) {
  Placement placement;
  size_t missing = result.dims.size() - shape.size();
  for (size_t d = 0; d < shape.size(); ++d) {
    bool repeats = shape[d] == 1;
    placement.dims.push_back(repeats ? SmallVector<unsigned>()
                                     : result.dims[missing + d]);
    placement.offsets.push_back(repeats ? 0 : result.offsets[missing + d]);
  }
  return placement;
}

std::optional<unsigned> Plan::visit(Value value, const Placement &placement,
                                    std::string &reason) {
  for (auto [index, node] : llvm::enumerate(nodes))
    if (node.value == value && node.placement == placement)
      return index;
  Node node{value, placement};
  if (Value outer = view.outer(value))
    return addLoad(outer, shapeOf(value), node);
  Operation *op = value.getDefiningOp();
  if (auto reshapeOp = dyn_cast<ef::ReshapeOp>(op)) {
    Value input = reshapeOp.getInput();
    if (Value outer = view.outer(input))
      return addLoad(outer, shapeOf(value), node);
    if (auto placed = reshape(placement, shapeOf(value), shapeOf(input)))
      return visit(input, *placed, reason);
    reason = "a reshape inside it cuts a tensor into other dimensions";
    return std::nullopt;
  }
  if (auto constant = dyn_cast<ef::ConstantOp>(op)) {
    if (!isa<SplatElementsAttr>(constant.getValue())) {
      reason = "it holds a constant of more than one value";
      return std::nullopt;
    }
  } else if (auto geglu = dyn_cast<ef::GegluOp>(op)) {
    Placement gate = placement;
    gate.offsets.back() += shapeOf(value).back();
    for (const Placement &half : {placement, gate}) {
      std::optional<unsigned> operand = visit(geglu.getInput(), half, reason);
      if (!operand)
        return std::nullopt;
      node.operands.push_back(*operand);
    }
  } else if (isScalarOp(op)) {
    for (Value operand : op->getOperands()) {
      Placement placed = broadcastTo(placement, shapeOf(operand));
      std::optional<unsigned> index = visit(operand, placed, reason);
      if (!index)
        return std::nullopt;
      node.operands.push_back(*index);
    }
    if (isQuantizationCast(op)) {
      node.factor = static_cast<int>(factors.size());
      factors.push_back(getCastFactor(op));
    }
  } else {
    reason = "'" + op->getName().getStringRef().str() +
             "' inside it is not element-wise";
    return std::nullopt;
  }
  nodes.push_back(std::move(node));
  return nodes.size() - 1;
}

LogicalResult Plan::build(std::string &reason) {
  if (failed(buildSpace(reason)))
    return failure();
  if (space.size() == 1 && space.front() == 0)
    return success();
  for (Value result : view.results) {
    Placement placement = placeInSpace(shapeOf(result));
    std::optional<unsigned> root = visit(result, placement, reason);
    if (!root)
      return failure();
    roots.push_back(*root);
  }
  for (size_t i = 0; i < view.results.size(); ++i)
    accesses.push_back({getRowMajorStrides(space), 0});
  return success();
}

//===----------------------------------------------------------------------===//
// Emission
//===----------------------------------------------------------------------===//

static Value emitSplat(KernelBuilder &b, ef::ConstantOp op, int64_t lanes) {
  auto dense = cast<DenseElementsAttr>(op.getValue());
  Type type = getComputeType(dense.getElementType());
  TypedAttr attribute;
  if (isa<FloatType>(type)) {
    APFloat value = dense.getSplatValue<APFloat>();
    attribute = FloatAttr::get(type, value.convertToDouble());
  } else {
    attribute = IntegerAttr::get(type, dense.getSplatValue<APInt>());
  }
  Value scalar = arith::ConstantOp::create(b, attribute);
  return lanes == 1 ? scalar : b.splat(scalar, lanes);
}

Value Plan::emitNode(KernelBuilder &b, const Node &node, ArrayRef<Value> values,
                     int64_t lanes) const {
  Operation *op = node.value.getDefiningOp();
  if (auto constant = dyn_cast<ef::ConstantOp>(op))
    return emitSplat(b, constant, lanes);
  SmallVector<Value> operands;
  for (unsigned operand : node.operands)
    operands.push_back(values[operand]);
  if (node.factor >= 0) {
    Value factor = loadScalar(b, inputs.size(), node.factor);
    operands.push_back(lanes == 1 ? factor : b.splat(factor, lanes));
  }
  bool exact = isQuantized(view);
  if (auto geglu = dyn_cast<ef::GegluOp>(op))
    return emitGate(b, geglu, operands[0], operands[1], exact);
  return emitScalarOp(b, op, operands, exact);
}

void Plan::emit(KernelBuilder &b) const {
  if (roots.empty())
    return;
  SmallVector<Value> from, to;
  for (size_t i = 0; i < inputs.size(); ++i)
    from.push_back(b.pointer(b.input(i)));
  for (size_t i = 0; i < roots.size(); ++i)
    to.push_back(b.pointer(b.result(i)));
  StridedLoop loop = getLoop();
  auto body = [&](ArrayRef<Value> offsets, int64_t lanes) {
    SmallVector<Value> values;
    for (const Node &node : nodes) {
      if (node.access < 0) {
        values.push_back(emitNode(b, node, values, lanes));
        continue;
      }
      const Load &load = loads[node.access];
      values.push_back(loadElements(b, from[load.input], offsets[node.access],
                                    load.elementType,
                                    loop.getInnerStride(node.access), lanes));
    }
    for (auto [i, root] : llvm::enumerate(roots))
      storeElements(b, values[root], to[i], offsets[loads.size() + i],
                    elementTypeOf(view.results[i]));
  };
  loop.emit(b, b.begin(), b.end(), b.variant.lanes, body);
}

Lowered efc::cpu::lowerElementwise(const KernelView &view, OpBuilder &main,
                                   DispatchBuilder &dispatches,
                                   const KernelOptions &) {
  if (isa_and_nonnull<ef::TimestepEmbeddingOp>(view.anchor))
    return lowerTimestepEmbedding(view, main, dispatches);
  if (view.anchor && !isa<ef::GegluOp>(view.anchor))
    return std::nullopt;
  Plan plan(view);
  std::string reason;
  if (failed(plan.build(reason)))
    return FailureOr<SmallVector<Value>>(
        view.root->emitError("the CPU target cannot compile the element-wise "
                             "kernel '")
        << view.label() << "': " << reason
        << "; compile without element-wise fusion");
  Launch launch{
      view.root->getLoc(), "elementwise",
      view.label(),        view.key(),
      plan.inputs,         SmallVector<Type>(view.root->getResultTypes())};
  if (Value factors = createScalars(main, view.root->getLoc(), plan.factors))
    launch.inputs.push_back(factors);
  launch.work = plan.getLoop().getNumWorkItems();
  ResultRange results =
      dispatches.launch(main, launch, [&](KernelBuilder &b) { plan.emit(b); });
  return FailureOr<SmallVector<Value>>(SmallVector<Value>(results));
}
