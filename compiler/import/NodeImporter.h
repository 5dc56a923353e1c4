// One ONNX node on its way into the `ef` dialect: what its handler asks for
// (operands, attributes, constants) and what it builds with.
//
// Building functions pass failure on: given a null value they return null, and
// when an operation is not valid they keep the reason and return null. So a
// handler is one expression that ends in `setResult`.
#ifndef EFC_COMPILER_IMPORT_NODEIMPORTER_H
#define EFC_COMPILER_IMPORT_NODEIMPORTER_H

#include "compiler/import/Importer.h"
#include "dialects/ef/Shapes.h"

namespace efc::importer {

using ef::BinaryKind;
using ef::Shape;
using ef::UnaryKind;
using llvm::ArrayRef;
using llvm::StringRef;
using mlir::LogicalResult;
using mlir::RankedTensorType;
using mlir::Type;
using mlir::Value;

class NodeImporter {
public:
  NodeImporter(Importer &importer, const onnx::NodeProto &node, Scope &scope,
               StringRef name);

  /// Looks up the operands; fails if one is undefined. `hasFailedInput` says
  /// that one could not be imported, so that there is nothing to add.
  LogicalResult resolveInputs();
  bool hasFailedInput() const { return failedInput; }

  //===--- The node ---===//
  const onnx::NodeProto &getNode() const { return node; }
  StringRef getOpType() const { return node.op_type(); }
  int64_t getOpset() const { return opset; }
  Importer &getImporter() { return importer; }
  Scope &getScope() { return scope; }
  size_t getNumInputs() const { return inputs.size(); }
  size_t getNumOutputs() const { return node.output_size(); }
  bool hasInput(size_t index) const;
  /// Whether output `index` has a name, that is, whether somebody wants it.
  bool wantsOutput(size_t index) const;
  /// A required operand; null (and the node fails) if the model leaves it out.
  Value getInput(size_t index);
  ArrayRef<Value> getInputs() const { return inputs; }

  //===--- Attributes ---===//
  const onnx::AttributeProto *findAttribute(StringRef name);
  bool hasAttribute(StringRef name) { return findAttribute(name); }
  int64_t getInt(StringRef name, int64_t fallback);
  double getFloat(StringRef name, double fallback);
  std::string getString(StringRef name, StringRef fallback);
  std::optional<llvm::SmallVector<int64_t>> findInts(StringRef name);
  llvm::SmallVector<double> getFloats(StringRef name);
  /// An axis attribute, counted from the front; fails outside [-rank, rank).
  llvm::FailureOr<int64_t> getAxis(StringRef name, int64_t fallback,
                                   int64_t rank);
  llvm::FailureOr<int64_t> normalizeAxis(int64_t axis, int64_t rank);

  //===--- Constants ---===//
  /// The elements of an operand that must be known at compile time; `what` is
  /// its name in ONNX's specification.
  llvm::FailureOr<ef::HostTensor> getConstant(size_t index, StringRef what);
  llvm::FailureOr<llvm::SmallVector<int64_t>> getConstantInts(size_t index,
                                                              StringRef what);
  /// The same parameter as input `index` (newer opsets) or as attribute
  /// `name` (older ones); nothing if there is neither.
  llvm::FailureOr<std::optional<llvm::SmallVector<int64_t>>>
  getIntsFromInputOrAttribute(size_t index, StringRef name);

  //===--- Outcome ---===//
  /// Records the reason why the node cannot be imported. The first one counts.
  LogicalResult fail(const llvm::Twine &reason);
  /// The same for a building function: null.
  Value failValue(const llvm::Twine &reason);
  LogicalResult setResult(size_t index, Value value);
  LogicalResult setResult(Value value) { return setResult(0, value); }
  const std::string &getReason() const { return reason; }
  /// "node 'n' (Conv, opset 17) with inputs x [1, 3, 8, 8] f32, ...".
  std::string describe() const;
  /// What the node computes stands for its outputs' names from now on.
  void publishResults();
  void publishFailure();
  mlir::Location getLocation() const { return location; }

  //===--- Types ---===//
  static RankedTensorType getType(Value value) {
    return mlir::cast<RankedTensorType>(value.getType());
  }
  static ArrayRef<int64_t> getShape(Value value) {
    return getType(value).getShape();
  }
  static Type getElementType(Value value) {
    return getType(value).getElementType();
  }
  static int64_t getRank(Value value) { return getType(value).getRank(); }
  static bool isFloat(Value value) {
    return mlir::isa<mlir::FloatType>(getElementType(value));
  }
  mlir::OpBuilder &getBuilder() { return importer.getBuilder(); }
  Type getF32() { return getBuilder().getF32Type(); }
  Type getI64() { return getBuilder().getI64Type(); }
  Type getBool() { return getBuilder().getI1Type(); }

  //===--- Building (NodeBuilder.cpp) ---===//
  /// A splat.
  Value constant(Type elementType, double value, ArrayRef<int64_t> shape = {});
  Value constantInts(ArrayRef<int64_t> values);
  Value constantTensor(const ef::HostTensor &tensor);
  Value unary(UnaryKind kind, Value input);
  Value binary(BinaryKind kind, Value lhs, Value rhs);
  /// With a scalar of the left side's type.
  Value binary(BinaryKind kind, Value lhs, double rhs);
  Value select(Value condition, Value onTrue, Value onFalse);
  Value cast(Value input, Type elementType);
  Value reshape(Value input, ArrayRef<int64_t> shape);
  Value transpose(Value input, ArrayRef<int64_t> permutation);
  Value broadcast(Value input, ArrayRef<int64_t> shape);
  Value slice(Value input, ArrayRef<int64_t> starts, ArrayRef<int64_t> steps,
              ArrayRef<int64_t> sizes);
  /// Elements [start, start + size) of one axis.
  Value sliceAxis(Value input, int64_t axis, int64_t start, int64_t size);
  Value concat(ArrayRef<Value> inputs, int64_t axis);
  Value pad(Value input, ArrayRef<int64_t> pads, ef::PadMode mode,
            Value value = {});
  Value gather(Value input, Value indices, int64_t axis);
  Value reduce(ef::ReduceKind kind, Value input, ArrayRef<int64_t> axes,
               bool keepDims);
  Value matmul(Value a, Value b, bool transposeA = false,
               bool transposeB = false);
  Value softmax(Value input, int64_t axis, bool log = false);
  Value argReduce(Value input, int64_t axis, bool keepDims, bool minimum,
                  bool selectLast);
  /// A per-channel vector [C] as [1, C, 1, ...] of `rank`.
  Value alongAxis(Value vector, int64_t axis, int64_t rank);
  Value clamp(Value input, double low, double high);

  /// Creates an operation whose result types are inferred. Returns null (with
  /// the reason kept) if the operands or attributes are not valid.
  template <typename OpT>
  mlir::Operation *createInferred(ArrayRef<Value> operands,
                                  ArrayRef<mlir::NamedAttribute> attributes) {
    if (llvm::is_contained(operands, Value()))
      return nullptr;
    mlir::DictionaryAttr dict = getBuilder().getDictionaryAttr(attributes);
    typename OpT::Properties properties{};
    llvm::SmallVector<Type> types;
    auto emitError = [&] { return mlir::emitError(location); };
    if (failed(OpT::setPropertiesFromAttr(properties, dict, emitError)))
      return nullptr;
    mlir::OperationName(OpT::getOperationName(), getBuilder().getContext())
        .populateDefaultProperties(&properties);
    if (failed(OpT::inferReturnTypes(getBuilder().getContext(), location,
                                     operands, dict, &properties, {}, types)))
      return nullptr;
    return create<OpT>(types, operands, attributes);
  }
  template <typename OpT>
  mlir::Operation *create(ArrayRef<Type> types, ArrayRef<Value> operands,
                          ArrayRef<mlir::NamedAttribute> attributes) {
    return createGeneric(OpT::getOperationName(), types, operands, attributes);
  }
  mlir::NamedAttribute attribute(StringRef name, mlir::Attribute value) {
    return getBuilder().getNamedAttr(name, value);
  }
  mlir::NamedAttribute intAttribute(StringRef name, int64_t value) {
    return attribute(name, getBuilder().getI64IntegerAttr(value));
  }
  mlir::NamedAttribute intsAttribute(StringRef name, ArrayRef<int64_t> values) {
    return attribute(name, getBuilder().getDenseI64ArrayAttr(values));
  }
  mlir::NamedAttribute floatAttribute(StringRef name, double value) {
    return attribute(name, getBuilder().getF64FloatAttr(value));
  }
  mlir::NamedAttribute unitAttribute(StringRef name) {
    return attribute(name, getBuilder().getUnitAttr());
  }

private:
  /// Verifies, and replaces an operation on constants by its value. Null if the
  /// operation is not valid.
  mlir::Operation *createGeneric(StringRef opName, ArrayRef<Type> types,
                                 ArrayRef<Value> operands,
                                 ArrayRef<mlir::NamedAttribute> attributes);
  mlir::Operation *fold(mlir::Operation *op);
  LogicalResult checkSize(Type type);

  Importer &importer;
  const onnx::NodeProto &node;
  Scope &scope;
  std::string name, reason;
  int64_t opset = 0;
  mlir::Location location;
  bool failedInput = false;
  llvm::SmallVector<Value> inputs, results;
  llvm::SmallVector<mlir::Operation *> created;
  AttributeMap attributes;
};

inline Value firstResult(mlir::Operation *op) {
  return op ? op->getResult(0) : Value();
}

/// Imports one node of one operator.
using Handler = LogicalResult (*)(NodeImporter &);

struct OpEntry {
  llvm::StringLiteral opType;
  Handler handler;
};

/// The operators of each family, one function a file.
ArrayRef<OpEntry> getActivationOps();
ArrayRef<OpEntry> getAttentionOps();
ArrayRef<OpEntry> getControlOps();
ArrayRef<OpEntry> getConvOps();
ArrayRef<OpEntry> getEinsumOps();
ArrayRef<OpEntry> getElementwiseOps();
ArrayRef<OpEntry> getIndexingOps();
ArrayRef<OpEntry> getMatmulOps();
ArrayRef<OpEntry> getNormOps();
ArrayRef<OpEntry> getPoolOps();
ArrayRef<OpEntry> getQuantOps();
ArrayRef<OpEntry> getReduceOps();
ArrayRef<OpEntry> getResizeOps();
ArrayRef<OpEntry> getShapeOps();
ArrayRef<OpEntry> getSliceOps();

/// The handler of `opType` of ONNX's own domain, or null.
Handler findHandler(StringRef opType);

} // namespace efc::importer

#endif
