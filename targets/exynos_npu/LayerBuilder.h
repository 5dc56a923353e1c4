// Builds the layers of a partition one operation at a time: what buildLayers()
// and the predicates share.
#ifndef EFC_TARGETS_EXYNOSNPU_LAYERBUILDER_H
#define EFC_TARGETS_EXYNOSNPU_LAYERBUILDER_H

#include "targets/exynos_npu/EpilogueBuilder.h"
#include "targets/exynos_npu/Kernel.h"
#include "targets/exynos_npu/Layer.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/Support/Error.h"

#include <map>
#include <tuple>

namespace efc::npu {

/// An error that is one sentence.
llvm::Error refuse(const llvm::Twine &why);

/// A shape as positions and channels: the last dimension is the channels; a
/// vector is one position whatever its shape ([1, C, 1, 1]).
struct Extents {
  int64_t positions = 1, channels = 1;
};
Extents extentsOf(mlir::Value value);

/// Where the channels that a slice takes begin; nothing if it takes other than
/// a run of them.
std::optional<int64_t> firstChannelOf(ef::SliceOp slice);
/// Whether a channels-last image's rows and columns repeat whole times.
bool repeatsRowsAndColumns(ef::ResizeOp resize);
/// Whether one descriptor of the DMA can do it.
bool isTransposeOfDma(ef::TransposeOp transpose);

class LayerBuilder {
public:
  LayerBuilder(LayerGraph &graph, MltMode mlt) : graph(graph), mlt(mlt) {}

  /// The next operand of the partition. Values that are neither added nor
  /// computed by an added operation become inputs when they are first read.
  void addInput(mlir::Value value);
  /// The layers of one operation; nothing for constants and reshapes. Fails
  /// with the reason if the NPU cannot execute it.
  llvm::Error add(mlir::Operation *op);
  /// The next result of the partition.
  llvm::Error addOutput(mlir::Value value);

  /// The whole of `value`, seen as `extents`; a copy where it cannot be.
  llvm::Expected<int> tensorOf(mlir::Value value, Extents extents);
  /// As tensorOf, but channels of a wider tensor are read where they are.
  llvm::Expected<Operand> rowsOf(mlir::Value value, Extents extents);
  /// One value, or one a channel, for all positions.
  llvm::Expected<Operand> channelsOf(mlir::Value value);
  /// As channelsOf for an anchor's float32 vector; a vector of `fill` for null.
  llvm::Expected<Operand> vectorOf(mlir::Value value, int64_t channels,
                                   float fill);
  Operand vectorOf(std::vector<float> values);

private:
  /// Where the elements of a value stand.
  struct View {
    int tensor = -1;
    int64_t firstChannel = 0;
    Extents extents;
  };
  /// What the layers of one attention share; tensors by index.
  struct AttentionTensors {
    int query = -1, key = -1, value = -1;
    int64_t queries = 0;
    bool isInteger = false;
  };

  View viewOf(mlir::Value value);
  int addTensor(Tensor tensor);
  llvm::Expected<Tensor> makeResult(const Kernel &kernel, Extents extents);
  Layer makeLayer(LayerKind kind, const Kernel &kernel) const;
  void addLayer(Layer layer);
  int copySlice(const View &view, mlir::Operation *op);
  int copyReshaped(int tensor, Extents extents);
  llvm::Expected<int> imageOf(mlir::Value value, mlir::Value use);
  /// Adds a layer whose result is the kernel's.
  llvm::Error addResultLayer(const Kernel &kernel, Layer layer,
                             Extents extents);
  /// As addResultLayer, with the kernel's epilogue.
  llvm::Error addKernelLayer(const Kernel &kernel, Layer layer,
                             EpilogueBuilder &epilogue, Extents extents);

  llvm::Error addSlice(mlir::Operation *op);
  llvm::Error addTranspose(const Kernel &kernel);
  llvm::Error addResize(const Kernel &kernel);
  llvm::Error addConcat(const Kernel &kernel, mlir::Operation *concat);
  llvm::Error addElementwise(const Kernel &kernel);
  llvm::Error addConv(const Kernel &kernel);
  llvm::Error addPool(const Kernel &kernel);
  llvm::Error addMatmul(const Kernel &kernel);
  llvm::Error addProduct(const Kernel &kernel, Layer layer, Extents extents,
                         mlir::Value weights, Constant::Layout layout);
  llvm::Error addAttention(const Kernel &kernel);
  llvm::Expected<AttentionTensors> attentionTensors(const Kernel &kernel);
  std::pair<int, int> addScores(const Layer &prototype,
                                const AttentionTensors &tensors);
  llvm::Error addGroupNorm(const Kernel &kernel);
  llvm::Error addLayerNorm(const Kernel &kernel);
  llvm::Expected<int> weightsOf(mlir::Value value, Constant::Layout layout,
                                efrt::DType activations);
  int constantOf(Constant constant);

  LayerGraph &graph;
  MltMode mlt;
  llvm::DenseMap<mlir::Value, View> views;
  /// Copies and aliases of a tensor as other extents.
  std::map<std::tuple<int, int64_t, int64_t>, int> reshaped;
};

} // namespace efc::npu

#endif
