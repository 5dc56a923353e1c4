// See LayerOrder.h.
#include "targets/exynos_npu/LayerOrder.h"

#include "llvm/ADT/STLExtras.h"

using namespace efc::npu;

/// Elements of a result up to which a layer may wait in DRAM for its use.
static constexpr int64_t kSmallElements = 128 << 10;

/// For each layer, whether it moves to the front.
static std::vector<bool> findSmallLayers(const LayerGraph &graph) {
  std::vector<bool> isSmall(graph.layers.size(), false);
  auto isReady = [&](const Operand &operand) {
    if (operand.tensor < 0)
      return true;
    const Tensor &tensor = graph.tensors[operand.tensor];
    // A large input belongs to the network's body.
    return tensor.producer < 0
               ? tensor.positions * tensor.channels <= kSmallElements
               : isSmall[tensor.producer];
  };
  for (auto [index, layer] : llvm::enumerate(graph.layers))
    isSmall[index] =
        llvm::all_of(layer.inputs, isReady) &&
        llvm::all_of(layer.epilogue.operands, isReady) &&
        llvm::all_of(layer.results, [&](int result) {
          const Tensor &tensor = graph.tensors[result];
          return tensor.positions * tensor.channels <= kSmallElements;
        });
  return isSmall;
}

void efc::npu::hoistSmallLayers(LayerGraph &graph) {
  std::vector<bool> isSmall = findSmallLayers(graph);
  std::vector<int> order;
  for (bool wanted : {true, false})
    for (int index = 0, e = graph.layers.size(); index < e; ++index)
      if (isSmall[index] == wanted)
        order.push_back(index);
  std::vector<int> place(order.size());
  std::vector<Layer> layers;
  for (auto [to, from] : llvm::enumerate(order)) {
    place[from] = to;
    layers.push_back(std::move(graph.layers[from]));
  }
  graph.layers = std::move(layers);
  for (Tensor &tensor : graph.tensors) {
    if (tensor.producer >= 0)
      tensor.producer = place[tensor.producer];
    for (int &consumer : tensor.consumers)
      consumer = place[consumer];
    llvm::sort(tensor.consumers);
  }
}
