// Creates commands of the `npu` dialect: what the emitter says in views and
// extents becomes operations that carry the current source.
#ifndef EFC_TARGETS_EXYNOSNPU_COMMANDBUILDER_H
#define EFC_TARGETS_EXYNOSNPU_COMMANDBUILDER_H

#include "dialects/npu/NpuDialect.h"
#include "targets/exynos_npu/Layer.h"

#include "mlir/IR/Builders.h"

namespace efc::npu {

/// A buffer and what it is taken for.
struct BufferView {
  mlir::Value buffer;
  efrt::npu::View view;
};

class CommandBuilder {
public:
  CommandBuilder(mlir::OpBuilder &builder) : builder(builder) {}

  /// What the commands from here on are made from.
  void setSource(const Layer &layer, int group, int64_t tile);

  mlir::Value alloc(int64_t bytes);
  /// `transfer`'s address counts from the buffer's start.
  void load(mlir::Value buffer, const efrt::npu::DmaCommand &transfer);
  void store(mlir::Value buffer, const efrt::npu::DmaCommand &transfer);
  /// Views in the order of the operation's description.
  void tensor(llvm::ArrayRef<BufferView> views, const Epilogue &code,
              llvm::ArrayRef<int64_t> window, bool gated, bool depthwise);
  void vector(llvm::ArrayRef<BufferView> views, const Epilogue &code);
  void softmax(llvm::ArrayRef<BufferView> views,
               std::optional<int64_t> causalOffset);
  void normStats(llvm::ArrayRef<BufferView> views, bool accumulate);
  void normFactors(llvm::ArrayRef<BufferView> views, int64_t count,
                   float epsilon, float inputScale);
  void layerNorm(llvm::ArrayRef<BufferView> views, const Epilogue &code,
                 float epsilon, bool rms);

  int64_t numCommands() const { return commands; }

private:
  using Operands = std::pair<llvm::SmallVector<mlir::Value, 8>, ViewsAttr>;
  Operands operandsOf(llvm::ArrayRef<BufferView> views);
  CodeAttr codeOf(const Epilogue &code);

  mlir::OpBuilder &builder;
  mlir::Location loc = builder.getUnknownLoc();
  SourceAttr source;
  int64_t commands = 0;
};

} // namespace efc::npu

#endif
