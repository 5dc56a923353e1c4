// The commands of one group of layers: tile by tile, layer by layer, in serial
// order on virtual buffers. Implementation: GroupEmitter.cpp (tiles and DMA),
// EmitProducts.cpp, EmitAttention.cpp, EmitVectors.cpp, EmitMovement.cpp.
#ifndef EFC_TARGETS_EXYNOSNPU_GROUPEMITTER_H
#define EFC_TARGETS_EXYNOSNPU_GROUPEMITTER_H

#include "targets/exynos_npu/CommandBuilder.h"
#include "targets/exynos_npu/DramPlan.h"

#include "llvm/ADT/STLFunctionalExtras.h"

namespace efc::npu {

inline int64_t bytesOf(efrt::DType dtype) {
  return static_cast<int64_t>(efrt::sizeOf(dtype));
}

/// Some positions of a tensor in a buffer: row-major, `channels` of each from
/// `firstChannel` on.
struct Tile {
  mlir::Value buffer;
  int64_t begin = 0, end = 0; ///< Positions.
  int64_t firstChannel = 0, channels = 0;
};

/// What a command computes: y * x positions from `begin` on in row-major order,
/// and some channels of each.
struct Region {
  int64_t begin = 0;
  int64_t y = 1, x = 1;
  int64_t firstChannel = 0, channels = 0;
};

/// How the elements of a tile are stored.
struct Format {
  efrt::DType dtype = efrt::DType::I16;
  float scale = 1;
  int32_t limit = 32767;
};

class GroupEmitter {
public:
  GroupEmitter(const LayerGraph &graph, const Group &group, int index,
               const DramPlan &dram, const efrt::npu::Machine &machine,
               CommandBuilder &commands)
      : graph(graph), group(group), index(index), dram(dram), machine(machine),
        commands(commands) {}

  void emit();

private:
  /// Positions [begin, end) of a layer's work; first or last of the group's
  /// tiles.
  struct Range {
    int64_t begin = 0, end = 0;
    bool isFirst = true, isLast = true;
    int64_t size() const { return end - begin; }
  };

  // GroupEmitter.cpp: tiles, their views, DMA.
  /// The positions of each tensor that the layers of a tile read, so that
  /// `range` of what the group stores can be computed.
  void findNeeds(const Range &range);
  /// What a layer computes in a tile.
  Range workOf(const Layer &layer, Range range) const;
  void emitLayer(const Layer &layer, const LayerTiling &tiling, Range range);
  void fetchOperands(const Layer &layer, const Range &range);
  Tile makeTile(int tensor, int64_t begin, int64_t end);
  /// The tile of the group's own tensor, or one loaded from DRAM, that has all
  /// channels of positions [begin, end).
  Tile fetchRows(int tensor, int64_t begin, int64_t end);
  /// As fetchRows, but loads only some channels, into a buffer of their own.
  Tile fetchColumns(int tensor, int64_t begin, int64_t end, int64_t first,
                    int64_t channels);
  /// Writes the tile to DRAM if anything outside the group needs it.
  void storeTile(int tensor, const Tile &tile);
  void loadVectors(const Layer &layer);
  mlir::Value loadBytes(int slot, int64_t offset, int64_t count,
                        efrt::DType dtype);
  Format formatOf(int tensor) const;
  /// Whether an operand is the sums that an attention's result is divided by.
  bool isSums(const Operand &operand) const;
  BufferView view(const Tile &tile, const Format &format,
                  const Region &region) const;
  BufferView operandView(const Operand &operand, const Region &region);
  BufferView vectorView(const Operand &operand, const Region &region);
  /// The views of an epilogue's operands, appended.
  void addOperands(llvm::SmallVectorImpl<BufferView> &views,
                   const Epilogue &epilogue, const Region &region);

  // EmitProducts.cpp
  /// Weights of output channels [first, first + count).
  struct Chunk {
    int64_t first = 0, count = 0;
    mlir::Value weights, gate;
  };
  void emitProduct(const Layer &layer, const LayerTiling &tiling,
                   const Range &range);
  Chunk fetchWeights(const Layer &layer, const LayerTiling &tiling,
                     int64_t first);
  void emitChunk(const Layer &layer, const Chunk &chunk, const Tile &input,
                 const Tile &result, const Range &range);
  void emitPiece(const Layer &layer, const Chunk &chunk, const Tile &input,
                 const Tile &result, const Region &region);
  void addWeights(llvm::SmallVectorImpl<BufferView> &views, const Layer &layer,
                  const Chunk &chunk, const Region &region) const;
  /// Positions of a convolution's input that output positions of `range` read.
  Range inputRange(const Layer &layer, const Range &range) const;
  /// A product that is split over the tensor engines by rows (of `x` positions
  /// each) or by output channels, whichever is faster.
  struct Product {
    efrt::DType input, weights;
    int64_t taps = 1, k = 1;
    Region region;
    bool isGated = false, isDepthwise = false;
    double cost = 0; ///< Of the epilogue, each output.
  };
  void splitProduct(const Product &product,
                    llvm::function_ref<void(const Region &)> emit) const;
  double costOf(const Epilogue &epilogue) const;

  // EmitAttention.cpp
  /// One head of some query positions.
  struct HeadUnit {
    int64_t head = 0;
    Range queries;
    Tile scores, sums; ///< Scores become exponentials in place.
  };
  void emitAttention(const Layer &layer, const LayerTiling &tiling,
                     const Range &range);
  void emitUnitScores(const Layer &layer, const LayerTiling &tiling,
                      HeadUnit &unit, const Tile &query, Tile &keys);
  void emitUnitContext(const Layer &layer, const LayerTiling &tiling,
                       HeadUnit &unit, const Tile &result, Tile &values);
  void emitScores(const Layer &layer, const Range &queries, int64_t head,
                  const Tile &query, const Tile &keys, const Tile &scores,
                  int64_t firstKey, int64_t numKeys);
  void emitSoftmax(const Layer &layer, const Tile &scores, const Tile &result,
                   const Tile &sums, int64_t firstQuery);
  void emitContext(const Layer &layer, const HeadUnit &unit, const Tile &values,
                   const Tile &result, int64_t firstValue, int64_t numValues);
  void emitScoresLayer(const Layer &layer, const LayerTiling &tiling,
                       const Range &range);
  void emitSoftmaxLayer(const Layer &layer, const Range &range);
  void emitContextLayer(const Layer &layer, const LayerTiling &tiling,
                        const Range &range);
  Tile fetchHead(const Operand &operand, int64_t firstRow, int64_t rows,
                 int64_t firstChannel, int64_t channels);
  Format scoreFormat(const Layer &layer) const;
  int64_t numQueries(const Layer &layer) const;

  // EmitVectors.cpp
  void emitElementwise(const Layer &layer, const Range &range);
  void emitConcat(const Layer &layer, const Range &range);
  void emitLayerNorm(const Layer &layer, const Range &range);
  void emitGroupStats(const Layer &layer, const Range &range);
  void emitNormFactors(const Layer &layer, mlir::Value statistics);
  /// Splits rows (or, of a single row, channels) over the vector engines.
  void splitVector(const Region &region, double cost,
                   llvm::function_ref<void(const Region &)> emit) const;

  // EmitMovement.cpp
  void emitResize(const Layer &layer, const Range &range);
  void emitTranspose(const Layer &layer, const Range &range);

  const LayerGraph &graph;
  const Group &group;
  int index;
  const DramPlan &dram;
  const efrt::npu::Machine &machine;
  CommandBuilder &commands;

  /// Of the current tile of a group of layers; empty if there is only one tile.
  llvm::DenseMap<int, Range> needs;
  Range stored; ///< What each tile stores of its tensors.
  /// Tensors of the current tile that are in the scratchpad.
  llvm::DenseMap<int, Tile> tiles;
  /// Of the group: constant vectors (buffer and byte), other tensors' vectors,
  /// resident weights by constant and first channel, statistics by tensor.
  llvm::DenseMap<int, std::pair<mlir::Value, int64_t>> vectors;
  llvm::DenseMap<int, Tile> tensorVectors;
  llvm::DenseMap<std::pair<int, int64_t>, Chunk> residentWeights;
  llvm::DenseMap<int, mlir::Value> statistics;
  /// The last keys or values of a part of an attention, by first channel.
  std::pair<int64_t, Tile> headTile = {-1, {}};
  /// What the sums in an attention's epilogue stand for.
  const Tile *attentionSums = nullptr;
  efrt::DType sumsType = efrt::DType::I32;
};

/// Whether the small tensor engines run a product: of one position, or
/// depthwise.
inline bool runsOnSmallEngines(int64_t positions, bool isDepthwise,
                               const efrt::npu::Machine &machine) {
  return machine.ste.count > 0 && (positions == 1 || isDepthwise);
}

} // namespace efc::npu

#endif
