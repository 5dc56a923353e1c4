// Operators that choose what is computed (If, on a known condition), those that
// do nothing at inference (Dropout), and the table of all operators.
#include "compiler/import/NodeImporter.h"

using namespace mlir;
using namespace efc;
using namespace efc::importer;
using ef::HostTensor;

static LogicalResult importIf(NodeImporter &node) {
  FailureOr<HostTensor> condition = node.getConstant(0, "cond");
  if (failed(condition))
    return failure();
  if (condition->getNumElements() != 1)
    return node.fail("its condition must be one boolean");
  StringRef name = condition->getInt(0) ? "then_branch" : "else_branch";
  const onnx::AttributeProto *branch = node.findAttribute(name);
  if (!branch || !branch->has_g())
    return node.fail("it has no " + name);
  SmallVector<Value> results;
  if (failed(node.getImporter().importBranch(branch->g(), node.getScope(),
                                             results)))
    return node.fail("its " + name + " could not be imported");
  if (results.size() != node.getNumOutputs())
    return node.fail("its " + name + " has " + llvm::Twine(results.size()) +
                     " outputs, but the node has " +
                     llvm::Twine(node.getNumOutputs()));
  for (auto [index, value] : llvm::enumerate(results))
    if (failed(node.setResult(index, value)))
      return failure();
  return success();
}

/// At inference the identity, and a mask that keeps everything.
static LogicalResult importDropout(NodeImporter &node) {
  Value input = node.getInput(0);
  if (!input)
    return failure();
  if (node.getOpset() >= 12 && node.hasInput(2)) {
    FailureOr<HostTensor> training = node.getConstant(2, "training_mode");
    if (failed(training))
      return failure();
    bool drops = true;
    if (node.hasInput(1)) {
      FailureOr<HostTensor> ratio = node.getConstant(1, "ratio");
      if (failed(ratio))
        return failure();
      drops = ratio->getNumElements() != 1 || ratio->getFloat(0) != 0;
    }
    if (training->getNumElements() == 1 && training->getInt(0) && drops)
      return node.fail("it is in training mode; export the model for "
                       "inference");
  }
  if (node.wantsOutput(1) &&
      failed(node.setResult(
          1, node.constant(node.getBool(), 1, node.getShape(input)))))
    return failure();
  return node.setResult(input);
}

ArrayRef<OpEntry> importer::getControlOps() {
  static constexpr OpEntry kOps[] = {{"If", importIf},
                                     {"Dropout", importDropout}};
  return kOps;
}

Handler importer::findHandler(StringRef opType) {
  static const llvm::StringMap<Handler> handlers = [] {
    llvm::StringMap<Handler> all;
    for (ArrayRef<OpEntry> family :
         {getActivationOps(), getAttentionOps(), getControlOps(), getConvOps(),
          getEinsumOps(), getElementwiseOps(), getIndexingOps(), getMatmulOps(),
          getNormOps(), getPoolOps(), getQuantOps(), getReduceOps(),
          getResizeOps(), getShapeOps(), getSliceOps()})
      for (const OpEntry &entry : family)
        all[entry.opType] = entry.handler;
    return all;
  }();
  return handlers.lookup(opType);
}
