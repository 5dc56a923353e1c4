// See Disassembly.h.
#include "compiler/report/Disassembly.h"

#include "npu/MachineFields.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"

using namespace efc;
using namespace efrt::npu;
using namespace llvm;

/// "i16[1, 18, 64, 320] @0x1000"; leading extents of 1 are left out.
static void print(const View &view, raw_ostream &os) {
  ArrayRef<uint32_t> extents(view.extents.data(), view.extents.size());
  while (extents.size() > 1 && extents.front() == 1)
    extents = extents.drop_front();
  os << StringRef(efrt::nameOf(view.dtype)) << '[';
  interleaveComma(extents, os);
  os << "] @" << format_hex(view.address, 2);
  if (view.scale != 1)
    os << format(" * %g", view.scale);
}

static void print(const Instruction &instruction, raw_ostream &os) {
  os << 'r' << unsigned(instruction.dst) << " = "
     << StringRef(nameOf(instruction.op)) << ' ';
  if (instruction.op == Opcode::Constant)
    os << format("%g", instruction.immediate);
  else if (instruction.op == Opcode::Load)
    os << '#' << unsigned(instruction.a);
  else
    os << 'r' << unsigned(instruction.a);
  bool isBinary =
      instruction.op >= Opcode::Add && instruction.op <= Opcode::Max;
  if (isBinary)
    os << " r" << unsigned(instruction.b);
}

/// " {r1 = load #0; r0 = mul r0 r1} (operand, ...) -> result".
static void print(const VectorProgram &program, raw_ostream &os) {
  if (!program.code.empty()) {
    os << " {";
    interleave(
        program.code, os, [&](const Instruction &i) { print(i, os); }, "; ");
    os << '}';
  }
  if (!program.operands.empty()) {
    os << " (";
    interleaveComma(program.operands, os,
                    [&](const View &view) { print(view, os); });
    os << ')';
  }
  os << " -> ";
  print(program.result, os);
  if (program.value != 0)
    os << " of r" << unsigned(program.value);
}

static void print(const DmaCommand &dma, raw_ostream &os) {
  ArrayRef<uint32_t> extents(dma.extents.data(), dma.extents.size());
  while (extents.size() > 1 && extents.front() == 1)
    extents = extents.drop_front();
  std::string dram = "slot " + utostr(dma.slot) + " + " + utostr(dma.offset);
  os << (dma.isStore ? "store" : "load") << " [";
  interleaveComma(extents, os);
  os << "] x " << unsigned(dma.elementBytes) << " bytes ";
  if (dma.isStore)
    os << '@' << format_hex(dma.address, 2) << " -> " << dram;
  else
    os << dram << " -> @" << format_hex(dma.address, 2);
}

static void print(const TensorCommand &tensor, raw_ostream &os) {
  bool isMatmul = tensor.weights.extents[1] == 1 &&
                  tensor.weights.extents[2] == 1 && tensor.strideY == 1 &&
                  tensor.strideX == 1;
  os << (tensor.depthwise ? "depthwise " : isMatmul ? "matmul " : "conv ");
  print(tensor.input, os);
  os << " x ";
  print(tensor.weights, os);
  if (tensor.gated) {
    os << " gate ";
    print(tensor.gateWeights, os);
  }
  if (!isMatmul)
    os << " stride " << tensor.strideY << 'x' << tensor.strideX << " dilation "
       << tensor.dilationY << 'x' << tensor.dilationX << " pad "
       << tensor.padTop << ',' << tensor.padLeft;
  print(tensor.epilogue, os);
}

static void print(const VectorCommand &vector, raw_ostream &os) {
  os << "vector";
  print(vector.program, os);
}

static void print(const SoftmaxCommand &softmax, raw_ostream &os) {
  os << "softmax ";
  print(softmax.input, os);
  if (softmax.causalOffset != INT32_MAX)
    os << " causal from " << softmax.causalOffset;
  os << " -> ";
  print(softmax.result, os);
  os << " sums ";
  print(softmax.sums, os);
}

static void print(const NormStatsCommand &norm, raw_ostream &os) {
  os << "norm_stats ";
  print(norm.input, os);
  os << (norm.accumulate ? " += " : " -> ");
  print(norm.stats, os);
}

static void print(const NormFactorsCommand &norm, raw_ostream &os) {
  os << "norm_factors ";
  print(norm.stats, os);
  os << " of " << norm.count << " elements, epsilon "
     << format("%g", norm.epsilon) << " -> ";
  print(norm.factors, os);
  os << ", ";
  print(norm.biases, os);
}

static void print(const LayerNormCommand &norm, raw_ostream &os) {
  os << (norm.rms ? "rms_norm " : "layer_norm ");
  print(norm.input, os);
  os << " epsilon " << format("%g", norm.epsilon);
  print(norm.epilogue, os);
}

void efc::printCommand(const Command &command, raw_ostream &os) {
  std::visit([&](const auto &body) { print(body, os); }, command.body);
}

static void printLine(const Program &program, const Command &command,
                      uint32_t index, const Event *event, raw_ostream &os) {
  os << format("%7u %8u", index, command.sequence);
  if (event)
    os << format(" %14.1f %14.1f", event->start, event->end);
  os << (command.notify ? "  *  " : "     ");
  std::string waits;
  for (const Wait &wait : command.waits)
    waits += (waits.empty() ? "" : " ") + StringRef(nameOf(wait.queue)).str() +
             ">=" + utostr(wait.count);
  os << left_justify(waits, 24) << ' ';
  printCommand(command, os);
  const Source &source = program.sources[command.source];
  os << "  ; " << source.node << " (" << source.op << ") group " << source.group
     << " tile " << source.tile << '\n';
}

void efc::printProgram(StringRef name, const Program &program,
                       const std::vector<Event> &events, raw_ostream &os) {
  os << "program " << name << ": slots of";
  for (uint64_t bytes : program.slotBytes)
    os << ' ' << bytes;
  os << " bytes (weights, workspace, " << program.numInputs
     << " inputs, outputs), scratchpad up to " << program.scratchpadBytes
     << '\n';
  for (size_t queue = 0; queue < kNumQueues; ++queue) {
    const std::vector<Command> &commands = program.queues[queue];
    if (commands.empty())
      continue;
    std::vector<const Event *> times(commands.size(), nullptr);
    for (const Event &event : events)
      if (event.queue == static_cast<Queue>(queue))
        times[event.index] = &event;
    os << "\nqueue " << StringRef(nameOf(static_cast<Queue>(queue))) << ": "
       << commands.size() << " commands (* notifies)\n"
       << "  index sequence";
    if (!events.empty())
      os << "          start            end";
    os << "     waits                    command\n";
    for (uint32_t index = 0; index < commands.size(); ++index)
      printLine(program, commands[index], index, times[index], os);
  }
  os << '\n';
}
