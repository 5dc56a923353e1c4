// The NPU's commands as text: efc --disassemble.
#ifndef EFC_COMPILER_REPORT_DISASSEMBLY_H
#define EFC_COMPILER_REPORT_DISASSEMBLY_H

#include "compiler/report/CompileReport.h"

#include "llvm/Support/raw_ostream.h"

namespace efc {

/// One line: what it does, on which addresses.
///   conv i16[1, 18, 64, 320] @0x1000 * i8[64, 3, 3, 320] @0x8000 -> ...
void printCommand(const efrt::npu::Command &command, llvm::raw_ostream &os);

/// Queue by queue, each command with its place in the serial order, its
/// simulated time, what it waits for, and the ONNX node that it belongs to.
/// `events` may be empty: no times.
void printProgram(llvm::StringRef name, const efrt::npu::Program &program,
                  const std::vector<efrt::npu::Event> &events,
                  llvm::raw_ostream &os);

} // namespace efc

#endif
