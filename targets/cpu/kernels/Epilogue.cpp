// See Epilogue.h. Values are computed on demand, from what is stored back to
// the anchor, each at one place of the result: a vector of columns of one row.
#include "targets/cpu/kernels/Epilogue.h"

#include "targets/cpu/kernels/QuantizedOperands.h"
#include "targets/cpu/kernels/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <map>

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

static ArrayRef<int64_t> shapeOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape();
}
static Type elementOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getElementType();
}
static int64_t columnsOf(ArrayRef<int64_t> shape) {
  return shape.empty() ? 1 : shape.back();
}

static ef::GegluOp findGate(const KernelView &view) {
  for (Operation *op : view.epilogue)
    if (auto geglu = dyn_cast<ef::GegluOp>(op))
      return geglu;
  return nullptr;
}

/// True if the anchor's result is among what `value` is computed from.
static bool dependsOnAnchor(const KernelView &view, Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || !view.anchor)
    return false;
  if (op == view.anchor)
    return true;
  return llvm::is_contained(view.epilogue, op) &&
         llvm::any_of(op->getOperands(), [&](Value operand) {
           return dependsOnAnchor(view, operand);
         });
}

//===----------------------------------------------------------------------===//
// What can be emitted
//===----------------------------------------------------------------------===//

/// Whether one operation on the way from the anchor keeps every element at its
/// place in row-major order.
static bool keepsPlaces(Operation *op, const KernelView &view) {
  int64_t elements =
      cast<RankedTensorType>(op->getResult(0).getType()).getNumElements();
  for (Value operand : op->getOperands())
    if (dependsOnAnchor(view, operand) &&
        cast<RankedTensorType>(operand.getType()).getNumElements() != elements)
      return false;
  return true;
}

bool Epilogue::isSupported(std::string &reason) const {
  ef::GegluOp gate = findGate(view);
  for (Operation *op : view.epilogue) {
    StringRef name = op->getName().getStringRef();
    if (auto geglu = dyn_cast<ef::GegluOp>(op)) {
      bool sameRows = view.anchor && dependsOnAnchor(view, geglu.getInput()) &&
                      columnsOf(shapeOf(geglu.getInput())) ==
                          columnsOf(shapeOf(view.anchor->getResult(0)));
      if (geglu != gate || !sameRows) {
        reason = "its '" + name.str() +
                 "' does not gate the columns that the kernel computes";
        return false;
      }
      continue;
    }
    if (!isScalarOp(op) && !isa<ef::ReshapeOp, ef::ConstantOp>(op)) {
      reason = "its '" + name.str() + "' is not element-wise";
      return false;
    }
    if (auto constant = dyn_cast<ef::ConstantOp>(op);
        constant && !isa<SplatElementsAttr>(constant.getValue())) {
      reason = "it holds a constant of more than one value";
      return false;
    }
    if (!keepsPlaces(op, view)) {
      reason = "its '" + name.str() + "' broadcasts the kernel's own result";
      return false;
    }
  }
  for (Value result : view.results)
    if (gate && !dependsOnAnchor(view, result)) {
      reason =
          "it stores a value that does not come from the kernel's own result";
      return false;
    } else if (gate && shapeOf(result) != shapeOf(gate.getResult()) &&
               cast<RankedTensorType>(result.getType()).getNumElements() !=
                   gate.getType().getNumElements()) {
      reason = "it stores a value from before its gate";
      return false;
    }
  return true;
}

void Epilogue::collectInputs(SmallVectorImpl<Value> &inputs) const {
  for (Value operand : operands())
    inputs.push_back(view.outer(operand));
  SmallVector<float> factors;
  for (Operation *op : casts())
    factors.push_back(getCastFactor(op));
  OpBuilder main(view.root);
  if (Value scalars = createScalars(main, view.root->getLoc(), factors))
    inputs.push_back(scalars);
}

SmallVector<Operation *> Epilogue::casts() const {
  SmallVector<Operation *> found;
  llvm::copy_if(view.epilogue, std::back_inserter(found), isQuantizationCast);
  return found;
}

SmallVector<Value> Epilogue::operands() const {
  SmallVector<Value> found;
  for (Operation *op : view.epilogue)
    for (Value operand : op->getOperands())
      if (view.outer(operand) &&
          !(view.anchor && operand.getDefiningOp() == view.anchor) &&
          !llvm::is_contained(found, operand))
        found.push_back(operand);
  return found;
}

bool Epilogue::isGated() const { return static_cast<bool>(findGate(view)); }

//===----------------------------------------------------------------------===//
// Emission
//===----------------------------------------------------------------------===//

namespace {
/// `lanes` columns from `column` on of a row of some shape seen as a matrix;
/// `flat` is the row-major index of the first of them.
struct Place {
  Value row, column;
  SmallVector<int64_t> shape;
};

struct Emitter {
  KernelBuilder &b;
  const KernelView &view;
  ArrayRef<Value> outerOperands;
  ArrayRef<Operation *> casts;
  size_t firstInput;
  Value anchorValue, anchorGate;
  int64_t lanes;
  bool exact = isQuantized(view);
  /// By value and `gate`.
  std::map<std::pair<const void *, bool>, Value> computed = {};

  Value flatIndex(const Place &place) {
    return b.add(b.mul(place.row, columnsOf(place.shape)), place.column);
  }

  /// The same elements where the tensor has another shape.
  Place reshaped(const Place &place, ArrayRef<int64_t> shape) {
    if (columnsOf(shape) == columnsOf(place.shape))
      return {place.row, place.column, SmallVector<int64_t>(shape)};
    Value flat = flatIndex(place);
    return {b.divFloor(flat, columnsOf(shape)), b.mod(flat, columnsOf(shape)),
            SmallVector<int64_t>(shape)};
  }

  /// Element offset, in a tensor of `shape` that is broadcast to `place.shape`,
  /// of the row's first column.
  Value rowOffset(ArrayRef<int64_t> shape, const Place &place) {
    Value rest = place.row, offset = b.index(0);
    int64_t rank = place.shape.size(), shift = rank - int64_t(shape.size());
    int64_t stride = shape.empty() ? 1 : shape.back();
    // Neighbouring dimensions that the tensor walks through with one stride are
    // one dimension.
    struct Group {
      int64_t size, stride;
    };
    SmallVector<Group> groups;
    for (int64_t d = rank - 2; d >= 0; --d) {
      int64_t size = place.shape[d], own = d >= shift ? shape[d - shift] : 1;
      if (size == 1)
        continue;
      int64_t step = own == 1 ? 0 : stride;
      stride *= own;
      if (!groups.empty() && step == groups.back().stride * groups.back().size)
        groups.back().size *= size;
      else
        groups.push_back({size, step});
    }
    for (auto [i, group] : llvm::enumerate(groups)) {
      bool last = i + 1 == groups.size();
      if (group.stride)
        offset = b.add(
            offset, b.mul(last ? rest : b.mod(rest, group.size), group.stride));
      if (!last)
        rest = b.divFloor(rest, group.size);
    }
    return offset;
  }

  Value readScalar(Value memref, Type element, ArrayRef<int64_t> shape,
                   const Place &place) {
    Value offset = rowOffset(shape, place);
    if (columnsOf(shape) != 1)
      offset = b.add(offset, place.column);
    Type stored = getStorageType(element);
    return toCompute(
        b, b.load(b.offsetPointer(b.pointer(memref), offset, stored), stored),
        element);
  }

  /// Lanes that run over the end of a row of the operand's shape: one by one.
  Value readSplitVector(Value memref, Type element, ArrayRef<int64_t> shape,
                        const Place &place) {
    SmallVector<Value> scalars;
    for (int64_t lane = 0; lane < lanes; ++lane) {
      Value flat = b.add(flatIndex(place), lane);
      int64_t columns = columnsOf(place.shape);
      scalars.push_back(readScalar(
          memref, element, shape,
          {b.divFloor(flat, columns), b.mod(flat, columns), place.shape}));
    }
    return vector::FromElementsOp::create(
        b, VectorType::get({lanes}, scalars.front().getType()), scalars);
  }

  /// An operand of @main, seen with `shape` (its own, or that of a reshape of
  /// it) and broadcast.
  Value read(Value inner, ArrayRef<int64_t> shape, const Place &place) {
    size_t index = llvm::find(outerOperands, inner) - outerOperands.begin();
    Value memref = b.input(firstInput + index);
    Type element = elementOf(inner);
    bool oneColumn = columnsOf(shape) == 1;
    if (lanes > 1 && columnsOf(place.shape) % lanes != 0 && splits(place))
      return readSplitVector(memref, element, shape, place);
    if (lanes == 1)
      return readScalar(memref, element, shape, place);
    if (oneColumn)
      return b.splat(readScalar(memref, element, shape, place), lanes);
    Type stored = getStorageType(element);
    Value offset = b.add(rowOffset(shape, place), place.column);
    Value vector = b.load(b.offsetPointer(b.pointer(memref), offset, stored),
                          VectorType::get({lanes}, stored));
    return toCompute(b, vector, element);
  }

  /// Whether a vector of columns of the anchor may cross a row's end in a
  /// reshaped place.
  bool splits(const Place &place) {
    return view.anchor &&
           columnsOf(place.shape) !=
               columnsOf(shapeOf(view.anchor->getResult(0))) &&
           !isGatedResult(place);
  }
  bool isGatedResult(const Place &place) {
    ef::GegluOp gate = findGate(view);
    return gate &&
           columnsOf(shapeOf(gate.getResult())) == columnsOf(place.shape);
  }

  Value constant(ef::ConstantOp op) {
    auto dense = cast<DenseElementsAttr>(op.getValue());
    Type type = getComputeType(dense.getElementType());
    TypedAttr value;
    if (auto floats = dyn_cast<FloatType>(type)) {
      APFloat number = dense.getSplatValue<APFloat>();
      value = FloatAttr::get(floats, number.convertToDouble());
    } else {
      value = IntegerAttr::get(type, dense.getSplatValue<APInt>());
    }
    Value scalar = arith::ConstantOp::create(b, value);
    return lanes == 1 ? scalar : b.splat(scalar, lanes);
  }

  /// What a quant.dcast or quant.qcast multiplies by, in all lanes.
  Value castFactor(Operation *op) {
    unsigned slot = llvm::find(casts, op) - casts.begin();
    Value factor = loadScalar(b, firstInput + outerOperands.size(), slot);
    return lanes == 1 ? factor : b.splat(factor, lanes);
  }

  Value emitGate(ef::GegluOp op, const Place &place) {
    Place inside{place.row, place.column,
                 SmallVector<int64_t>(shapeOf(op.getInput()))};
    Value linear = evaluate(op.getInput(), inside, /*gate=*/false);
    int64_t half = columnsOf(shapeOf(op.getResult()));
    Value gate = evaluate(
        op.getInput(), {inside.row, b.add(inside.column, half), inside.shape},
        /*gate=*/true);
    return cpu::emitGate(b, op, linear, gate, exact);
  }

  /// `value` at `place`; `gate` says that this is the second evaluation of what
  /// stands before a geglu, half a row further.
  Value evaluate(Value value, const Place &place, bool gate) {
    // Only what comes from the anchor has one place; other operands may be
    // broadcast to several shapes.
    if (!dependsOnAnchor(view, value))
      return compute(value, place, gate);
    auto key = std::make_pair(value.getAsOpaquePointer(), gate);
    if (auto known = computed.find(key); known != computed.end())
      return known->second;
    Value result = compute(value, place, gate);
    computed[key] = result;
    return result;
  }

  /// The quant.dcast of an operand of @main that `value` is, or null. Reshaped,
  /// it is read as the reshaped operand, which broadcasts by its new shape.
  Operation *findOperandCast(Value value) {
    Operation *op = value.getDefiningOp();
    bool isCast = op && isQuantizationCast(op) &&
                  llvm::is_contained(outerOperands, op->getOperand(0));
    return isCast ? op : nullptr;
  }

  Value compute(Value value, const Place &place, bool gate) {
    Operation *op = value.getDefiningOp();
    if (op && op == view.anchor)
      return gate ? anchorGate : anchorValue;
    if (llvm::is_contained(outerOperands, value))
      return read(value, shapeOf(value), place);
    if (auto constantOp = dyn_cast<ef::ConstantOp>(op))
      return constant(constantOp);
    if (auto geglu = dyn_cast<ef::GegluOp>(op))
      return emitGate(geglu, place);
    if (auto reshape = dyn_cast<ef::ReshapeOp>(op)) {
      if (llvm::is_contained(outerOperands, reshape.getInput()))
        return read(reshape.getInput(), shapeOf(value), place);
      if (Operation *cast = findOperandCast(reshape.getInput()))
        return emitScalarOp(b, cast,
                            {read(cast->getOperand(0), shapeOf(value), place),
                             castFactor(cast)},
                            exact);
      return evaluate(reshape.getInput(),
                      reshaped(place, shapeOf(reshape.getInput())), gate);
    }
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(evaluate(operand, place, gate));
    if (isQuantizationCast(op))
      operands.push_back(castFactor(op));
    return emitScalarOp(b, op, operands, exact);
  }
};
} // namespace

void Epilogue::emitStore(KernelBuilder &b, size_t firstInput, Value value,
                         Value gate, Value row, Value column,
                         int64_t lanes) const {
  SmallVector<Value> outerOperands = operands();
  SmallVector<Operation *> quantizationCasts = casts();
  Emitter emitter{b,          view,  outerOperands, quantizationCasts,
                  firstInput, value, gate,          lanes};
  ArrayRef<int64_t> anchorShape = view.anchor
                                      ? shapeOf(view.anchor->getResult(0))
                                      : shapeOf(view.results.front());
  SmallVector<int64_t> shape(anchorShape);
  if (ef::GegluOp geglu = findGate(view))
    shape.back() /= 2;
  Place start{row, column, shape};
  for (auto [i, result] : llvm::enumerate(view.results)) {
    Value computed = emitter.evaluate(
        result, emitter.reshaped(start, shapeOf(result)), /*gate=*/false);
    Type element = elementOf(result);
    Value pointer =
        b.offsetPointer(b.pointer(b.result(i)), emitter.flatIndex(start),
                        getStorageType(element));
    b.store(toStorage(b, computed, element), pointer);
  }
}
