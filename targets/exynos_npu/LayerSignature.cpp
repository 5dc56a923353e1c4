// See LayerSignature.h.
#include "targets/exynos_npu/LayerSignature.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace efc::npu;

static void printTensor(llvm::raw_ostream &os, const LayerGraph &graph,
                        int index, int first, int last,
                        llvm::DenseMap<int, int> &externals) {
  const Tensor &tensor = graph.tensors[index];
  if (tensor.producer >= first && tensor.producer < last)
    os << '%' << tensor.producer - first << ':';
  else // Two reads of one tensor share its buffer.
    os << 'x' << externals.try_emplace(index, externals.size()).first->second
       << ':';
  os << tensor.positions << 'x' << tensor.channels << 'h' << tensor.height
     << 't' << static_cast<int>(tensor.dtype) << ' ';
}

static void printOperand(llvm::raw_ostream &os, const LayerGraph &graph,
                         const Operand &operand, int first, int last,
                         llvm::DenseMap<int, int> &externals) {
  os << static_cast<int>(operand.use);
  if (operand.tensor >= 0)
    printTensor(os, graph, operand.tensor, first, last, externals);
  else if (operand.constant >= 0)
    os << 'c' << graph.constants[operand.constant].bytes() << ' ';
}

std::string efc::npu::signatureOf(const LayerGraph &graph, int first,
                                  int last) {
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::DenseMap<int, int> externals;
  for (int index = first; index < last; ++index) {
    const Layer &layer = graph.layers[index];
    os << static_cast<int>(layer.kind) << '(';
    for (const Operand &operand : layer.inputs)
      printOperand(os, graph, operand, first, last, externals);
    os << ';';
    for (const Operand &operand : layer.epilogue.operands)
      printOperand(os, graph, operand, first, last, externals);
    os << ')';
    for (const efrt::npu::Instruction &instruction : layer.epilogue.code)
      os << static_cast<int>(instruction.op) << ',';
    if (layer.weights >= 0) {
      const Constant &weights = graph.constants[layer.weights];
      os << 'w' << weights.n << 'x' << weights.taps << 'x' << weights.k << 't'
         << static_cast<int>(weights.dtype);
    }
    os << layer.epilogue.gated << layer.depthwise << layer.causal << ' '
       << layer.kernelY << ' ' << layer.kernelX << ' ' << layer.strideY << ' '
       << layer.strideX << ' ' << layer.dilationY << ' ' << layer.dilationX
       << ' ' << layer.heads << ' ' << layer.keys << ' ' << layer.headChannels
       << ' ' << layer.valueChannels << ' ' << layer.factorY << ' '
       << layer.factorX << "->";
    for (int result : layer.results) {
      printTensor(os, graph, result, first, last, externals);
      const Tensor &tensor = graph.tensors[result];
      os << (tensor.output >= 0 ||
             llvm::any_of(tensor.consumers,
                          [&](int consumer) { return consumer >= last; }));
    }
    os << '\n';
  }
  return text;
}
