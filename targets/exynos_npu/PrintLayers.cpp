// efc-npu-print-layers, and the text of a layer.
#include "targets/exynos_npu/Layer.h"
#include "targets/exynos_npu/Passes.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

namespace efc::npu {
#define GEN_PASS_DEF_EFCNPUPRINTLAYERS
#include "targets/exynos_npu/Passes.h.inc"
} // namespace efc::npu

using namespace mlir;
using namespace efc;
using namespace efc::npu;
using efrt::npu::Instruction;
using efrt::npu::Opcode;

llvm::StringRef efc::npu::nameOf(LayerKind kind) {
  static const char *const names[] = {
      "conv",        "matmul",    "scores",      "softmax",
      "context",     "attention", "group_stats", "layer_norm",
      "elementwise", "concat",    "resize",      "transpose"};
  return names[static_cast<size_t>(kind)];
}

static llvm::StringRef nameOf(OperandUse use) {
  static const char *const names[] = {"rows", "whole", "channel", "factors"};
  return names[static_cast<size_t>(use)];
}

static llvm::StringRef nameOf(Opcode op) {
  static const char *const names[] = {
      "load",      "constant",   "add",        "sub",  "mul",
      "div",       "min",        "max",        "neg",  "abs",
      "sqrt",      "rsqrt",      "reciprocal", "exp",  "log",
      "tanh",      "erf",        "sigmoid",    "silu", "gelu",
      "gelu_tanh", "quick_gelu", "relu",       "sin",  "cos"};
  static_assert(std::size(names) == efrt::npu::kNumOpcodes);
  return names[static_cast<size_t>(op)];
}

static void print(llvm::raw_ostream &os, const LayerGraph &graph,
                  const Operand &operand) {
  os << nameOf(operand.use) << ' ';
  if (operand.tensor >= 0)
    os << '%' << operand.tensor;
  else if (operand.constant >= 0)
    os << 'c' << operand.constant << '<' << graph.constants[operand.constant].n
       << '>';
  else
    os << "sums";
  if (operand.raw)
    os << " raw";
  if (operand.firstChannel)
    os << " from " << operand.firstChannel;
}

static void print(llvm::raw_ostream &os, const Instruction &instruction) {
  os << 'r' << unsigned(instruction.dst) << " = " << nameOf(instruction.op);
  switch (instruction.op) {
  case Opcode::Load:
    os << ' ' << unsigned(instruction.a);
    break;
  case Opcode::Constant:
    os << ' ' << llvm::format("%g", double(instruction.immediate));
    break;
  case Opcode::Add:
  case Opcode::Sub:
  case Opcode::Mul:
  case Opcode::Div:
  case Opcode::Min:
  case Opcode::Max:
    os << " r" << unsigned(instruction.a) << ", r" << unsigned(instruction.b);
    break;
  default:
    os << " r" << unsigned(instruction.a);
  }
  os << "; ";
}

static void printGeometry(llvm::raw_ostream &os, const LayerGraph &graph,
                          const Layer &layer) {
  if (layer.kind == LayerKind::Conv)
    os << ' ' << layer.kernelY << 'x' << layer.kernelX << " stride "
       << layer.strideY << 'x' << layer.strideX << " pad " << layer.padTop
       << ',' << layer.padLeft << (layer.depthwise ? " depthwise" : "");
  if (layer.weights >= 0) {
    const Constant &weights = graph.constants[layer.weights];
    os << " weights [" << weights.n << " x " << weights.taps << " x "
       << weights.k << ' ' << efrt::nameOf(weights.dtype) << ']';
  }
  if (layer.heads > 1 || layer.keys)
    os << " heads " << layer.heads << " keys " << layer.keys << " d "
       << layer.headChannels << ',' << layer.valueChannels << " factor "
       << layer.scoreFactor << (layer.causal ? " causal" : "");
  if (layer.kind == LayerKind::GroupStats)
    os << " groups " << layer.groups;
  if (layer.kind == LayerKind::Resize)
    os << ' ' << layer.factorY << 'x' << layer.factorX;
  if (layer.kind == LayerKind::Transpose) {
    os << " [";
    llvm::interleave(layer.extents, os, "x");
    os << "] by [";
    llvm::interleaveComma(layer.permutation, os);
    os << ']';
  }
}

void efc::npu::print(llvm::raw_ostream &os, const LayerGraph &graph,
                     const Layer &layer) {
  os << nameOf(layer.kind) << " \"" << layer.node << "\" " << layer.label
     << ": ";
  for (int index : layer.results) {
    const Tensor &tensor = graph.tensors[index];
    os << '%' << index << " [" << tensor.positions << " x " << tensor.channels
       << ' ' << efrt::nameOf(tensor.dtype) << "] ";
    if (tensor.output >= 0)
      os << "(output " << tensor.output << ") ";
  }
  os << "=";
  for (const Operand &operand : layer.inputs) {
    os << ' ';
    ::print(os, graph, operand);
  }
  printGeometry(os, graph, layer);
  os << '\n';
  const Epilogue &epilogue = layer.epilogue;
  if (epilogue.code.empty())
    return;
  os << (epilogue.gated ? "  gated" : " ");
  for (auto [index, operand] : llvm::enumerate(epilogue.operands)) {
    os << ' ' << index << " = ";
    ::print(os, graph, operand);
    os << ';';
  }
  os << "\n  ";
  for (const Instruction &instruction : epilogue.code)
    ::print(os, instruction);
  os << "store r" << unsigned(epilogue.value) << '\n';
}

static std::optional<MltMode> parseMlt(llvm::StringRef text) {
  return llvm::StringSwitch<std::optional<MltMode>>(text)
      .Case("off", MltMode::Off)
      .Case("attention", MltMode::Attention)
      .Case("full", MltMode::Full)
      .Default(std::nullopt);
}

namespace {
class PrintLayers : public npu::impl::EfcNpuPrintLayersBase<PrintLayers> {
public:
  using Base::Base;
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (!function->hasAttr("npu.partition"))
      return;
    std::optional<MltMode> mode = parseMlt(mlt);
    if (!mode) {
      function.emitError() << "model-level tiling is off, attention or full, "
                              "not '"
                           << mlt << "'";
      return signalPassFailure();
    }
    FailureOr<LayerGraph> graph = buildLayers(function, *mode);
    if (failed(graph))
      return signalPassFailure();
    numLayers += graph->layers.size();
    std::string text;
    llvm::raw_string_ostream os(text);
    os << "layers of @" << function.getName() << ":\n";
    for (const Layer &layer : graph->layers)
      npu::print(os, *graph, layer);
    llvm::outs() << text;
  }
};
} // namespace
