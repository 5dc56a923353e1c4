// The state of one import: the graph that is being built, the values that
// names stand for, and what went wrong. Handlers of single operators see it
// through NodeImporter.
#ifndef EFC_COMPILER_IMPORT_IMPORTER_H
#define EFC_COMPILER_IMPORT_IMPORTER_H

#include "compiler/import/OnnxFile.h"
#include "compiler/import/OnnxImporter.h"
#include "dialects/ef/EfDialect.h"
#include "dialects/ef/WeightStore.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringSet.h"

#include <string>
#include <vector>

namespace efc::importer {

class NodeImporter;
using llvm::Expected;

using AttributeMap = llvm::StringMap<const onnx::AttributeProto *>;
using OpsetMap = llvm::StringMap<int64_t>;

/// What names mean in one graph or function body. A subgraph sees the names of
/// the graphs around it, a function only its own.
struct Scope {
  const Scope *parent = nullptr;
  /// A null value: the node that should have computed it failed.
  llvm::StringMap<mlir::Value> values;
  llvm::StringMap<const onnx::TensorProto *> initializers;
  llvm::StringMap<const onnx::SparseTensorProto *> sparseInitializers;
  llvm::StringSet<> omitted; ///< Inputs of a function that its call leaves out.
  /// In a function: what ref_attr_name refers to.
  const AttributeMap *functionAttributes = nullptr;
  const OpsetMap *opsets = nullptr;
  /// How deeply functions and subgraphs are nested.
  unsigned depth = 0;
};

class Importer {
public:
  Importer(mlir::MLIRContext &context, OnnxFile file,
           const ImportOptions &options);

  mlir::OwningOpRef<mlir::ModuleOp> run();

  mlir::OpBuilder &getBuilder() { return builder; }
  /// Records one sentence, to be reported with all others. It names the node,
  /// the input or the initializer that it is about.
  void addError(const llvm::Twine &message);

  //===--- Graphs (ImportGraph.cpp) ---===//
  /// Imports the nodes in an order in which each comes after those that it
  /// uses. Fails if any could not be imported; all are tried.
  mlir::LogicalResult
  importBody(const google::protobuf::RepeatedPtrField<onnx::NodeProto> &nodes,
             Scope &scope);
  /// A subgraph without inputs (a branch of If), inlined here.
  mlir::LogicalResult importBranch(const onnx::GraphProto &graph,
                                   const Scope &parent,
                                   llvm::SmallVectorImpl<mlir::Value> &results);
  /// The value of `name`, or nothing if it is not defined; initializers come
  /// into being here.
  std::optional<mlir::Value> lookup(Scope &scope, llvm::StringRef name);

  //===--- Tensors (ImportTensor.cpp) ---===//
  /// ef.constant or ef.weight with the elements of `tensor`. Fails with a
  /// reason.
  Expected<mlir::Value> importTensor(const onnx::TensorProto &tensor,
                                     llvm::StringRef name);
  Expected<mlir::Value>
  importSparseTensor(const onnx::SparseTensorProto &tensor,
                     llvm::StringRef name);
  Expected<ef::HostTensor> readWeight(ef::WeightOp weight) {
    return weights.get(weight);
  }
  /// The element type, or a reason why it has none here.
  Expected<mlir::Type> getElementType(int64_t onnxType);

private:
  struct TensorData; ///< Where the elements of a tensor are.

  //===--- Model (Importer.cpp) ---===//
  mlir::LogicalResult checkModel();
  mlir::LogicalResult importInputs(Scope &scope);
  std::optional<mlir::RankedTensorType>
  getInputType(const onnx::ValueInfoProto &input, bool &needsDims);
  mlir::LogicalResult checkOptions();
  void bindDimsFromShapes();
  mlir::LogicalResult importOutputs(Scope &scope);
  void eraseDeadOps();
  void reportErrors();

  mlir::LogicalResult importNode(const onnx::NodeProto &node, Scope &scope);
  mlir::LogicalResult importFunctionCall(NodeImporter &node,
                                         const onnx::FunctionProto &function);
  void collectFunctions();
  const onnx::FunctionProto *findFunction(const onnx::NodeProto &node) const;
  void addInitializers(const onnx::GraphProto &graph, Scope &scope);
  std::string makeNodeName(const onnx::NodeProto &node);

  Expected<TensorData> getTensorData(const onnx::TensorProto &tensor,
                                     mlir::RankedTensorType type);
  Expected<TensorData> getExternalData(const onnx::TensorProto &tensor,
                                       uint64_t size);
  Expected<mlir::RankedTensorType>
  getTensorType(const onnx::TensorProto &tensor);

  mlir::MLIRContext &context;
  OnnxFile file;
  const ImportOptions &options;
  mlir::OpBuilder builder;
  ef::WeightStore weights;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::func::FuncOp function;
  OpsetMap opsets;
  llvm::StringMap<int64_t> dims;
  llvm::StringMap<const onnx::FunctionProto *> functions;
  llvm::StringSet<> nodeNames;
  std::vector<std::string> errors;
};

} // namespace efc::importer

#endif
