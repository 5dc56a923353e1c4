// See CommandBuilder.h.
#include "targets/exynos_npu/CommandBuilder.h"

using namespace mlir;
using namespace efc::npu;
using efrt::npu::View;

void CommandBuilder::setSource(const Layer &layer, int group, int64_t tile) {
  loc = layer.op ? layer.op->getLoc() : builder.getUnknownLoc();
  source = SourceAttr::get(builder.getContext(), layer.node, layer.label, group,
                           tile);
}

Value CommandBuilder::alloc(int64_t bytes) {
  return AllocOp::create(builder, loc, BufferType::get(builder.getContext()),
                         builder.getI64IntegerAttr(bytes), IntegerAttr());
}

void CommandBuilder::load(Value buffer, const efrt::npu::DmaCommand &transfer) {
  DmaLoadOp::create(builder, loc, buffer,
                    TransferAttr::get(builder.getContext(), transfer), source,
                    QueueAttr(), WaitsAttr(), UnitAttr(), FloatAttr());
  ++commands;
}

void CommandBuilder::store(Value buffer,
                           const efrt::npu::DmaCommand &transfer) {
  DmaStoreOp::create(builder, loc, buffer,
                     TransferAttr::get(builder.getContext(), transfer), source,
                     QueueAttr(), WaitsAttr(), UnitAttr(), FloatAttr());
  ++commands;
}

CommandBuilder::Operands
CommandBuilder::operandsOf(ArrayRef<BufferView> views) {
  Operands operands;
  SmallVector<View, 8> values;
  for (const BufferView &view : views) {
    operands.first.push_back(view.buffer);
    values.push_back(view.view);
  }
  operands.second = ViewsAttr::get(builder.getContext(), values);
  ++commands;
  return operands;
}

CodeAttr CommandBuilder::codeOf(const Epilogue &code) {
  return CodeAttr::get(builder.getContext(), code.code, code.value);
}

static UnitAttr unitIf(bool condition, OpBuilder &builder) {
  return condition ? builder.getUnitAttr() : UnitAttr();
}

void CommandBuilder::tensor(ArrayRef<BufferView> views, const Epilogue &code,
                            ArrayRef<int64_t> window, bool gated,
                            bool depthwise) {
  auto [buffers, viewsAttr] = operandsOf(views);
  TensorOp::create(builder, loc, buffers, viewsAttr, codeOf(code),
                   window.empty() ? DenseI64ArrayAttr()
                                  : builder.getDenseI64ArrayAttr(window),
                   unitIf(gated, builder), unitIf(depthwise, builder), source,
                   QueueAttr(), WaitsAttr(), UnitAttr(), FloatAttr());
}

void CommandBuilder::vector(ArrayRef<BufferView> views, const Epilogue &code) {
  auto [buffers, viewsAttr] = operandsOf(views);
  VectorOp::create(builder, loc, buffers, viewsAttr, codeOf(code), source,
                   QueueAttr(), WaitsAttr(), UnitAttr(), FloatAttr());
}

void CommandBuilder::softmax(ArrayRef<BufferView> views,
                             std::optional<int64_t> causalOffset) {
  auto [buffers, viewsAttr] = operandsOf(views);
  SoftmaxOp::create(builder, loc, buffers, viewsAttr,
                    causalOffset ? builder.getI64IntegerAttr(*causalOffset)
                                 : IntegerAttr(),
                    source, QueueAttr(), WaitsAttr(), UnitAttr(), FloatAttr());
}

void CommandBuilder::normStats(ArrayRef<BufferView> views, bool accumulate) {
  auto [buffers, viewsAttr] = operandsOf(views);
  NormStatsOp::create(builder, loc, buffers, viewsAttr,
                      unitIf(accumulate, builder), source, QueueAttr(),
                      WaitsAttr(), UnitAttr(), FloatAttr());
}

void CommandBuilder::normFactors(ArrayRef<BufferView> views, int64_t count,
                                 float epsilon, float inputScale) {
  auto [buffers, viewsAttr] = operandsOf(views);
  NormFactorsOp::create(
      builder, loc, buffers, viewsAttr, builder.getI64IntegerAttr(count),
      builder.getF32FloatAttr(epsilon), builder.getF32FloatAttr(inputScale),
      source, QueueAttr(), WaitsAttr(), UnitAttr(), FloatAttr());
}

void CommandBuilder::layerNorm(ArrayRef<BufferView> views, const Epilogue &code,
                               float epsilon, bool rms) {
  auto [buffers, viewsAttr] = operandsOf(views);
  LayerNormOp::create(builder, loc, buffers, viewsAttr, codeOf(code),
                      builder.getF32FloatAttr(epsilon), unitIf(rms, builder),
                      source, QueueAttr(), WaitsAttr(), UnitAttr(),
                      FloatAttr());
}
