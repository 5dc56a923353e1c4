// See Layer.h.
#include "targets/exynos_npu/Layer.h"

#include "targets/exynos_npu/LayerBuilder.h"
#include "targets/exynos_npu/LayerOrder.h"

using namespace mlir;
using namespace efc;
using namespace efc::npu;

int64_t Tensor::bytes() const {
  return positions * channels * static_cast<int64_t>(efrt::sizeOf(dtype));
}

int64_t Constant::bytes() const {
  return n * taps * k * static_cast<int64_t>(efrt::sizeOf(dtype));
}

bool Layer::isPositionLocal() const {
  switch (kind) {
  case LayerKind::Matmul:
  case LayerKind::Softmax:
  case LayerKind::Attention:
  case LayerKind::LayerNorm:
  case LayerKind::Elementwise:
  case LayerKind::Concat:
    return true;
  case LayerKind::Conv:
  case LayerKind::Scores:
  case LayerKind::Context:
  case LayerKind::GroupStats:
  case LayerKind::Resize:
  case LayerKind::Transpose:
    return false;
  }
  llvm_unreachable("all kinds of layers are handled above");
}

FailureOr<LayerGraph> efc::npu::buildLayers(func::FuncOp partition,
                                            MltMode mlt) {
  LayerGraph graph;
  LayerBuilder builder(graph, mlt);
  for (Value argument : partition.getArguments())
    builder.addInput(argument);
  for (Operation &op : partition.front().without_terminator())
    if (llvm::Error error = builder.add(&op))
      return op.emitOpError("cannot run on the NPU: ")
             << llvm::toString(std::move(error));
  Operation *terminator = partition.front().getTerminator();
  for (Value result : terminator->getOperands())
    if (llvm::Error error = builder.addOutput(result))
      return terminator->emitOpError("cannot run on the NPU: ")
             << llvm::toString(std::move(error));
  hoistSmallLayers(graph);
  return graph;
}
