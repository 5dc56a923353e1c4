// The command line of `efc`: its flags, and their meaning as CompileOptions.
#ifndef EFC_COMPILER_TOOLS_EFCFLAGS_H
#define EFC_COMPILER_TOOLS_EFCFLAGS_H

#include "compiler/pipeline/Options.h"

#include "llvm/Support/CommandLine.h"

namespace efc {

inline llvm::cl::OptionCategory category("efc options");

/// Registers itself with LLVM's parser; one object, in main. Linking runs lld
/// in this process, which resets every flag: what is needed after a compile
/// must be copied before.
struct EfcFlags {
  EfcFlags();

  using Text = llvm::cl::opt<std::string>;
  using Texts = llvm::cl::list<std::string>;
  using Switch = llvm::cl::opt<bool>;

  Text input, output;
  Text target, quantize, calibration, keepFloat, listTensors;
  Text machine;
  Texts machineSettings;
  Text mlt, overlap;
  Text cpu, precision;
  Switch winograd;
  Texts dims, shapes;
  Text to, from, dump;
  Text report;
  Switch timing, fusionReport, unfused;
  Text reproducer;
  Text inspect, disassemble;
  Switch printMachine, supportedOps;
  Text logLevel;
  Switch quiet;
};

/// One sentence on the first flag whose value makes no sense.
llvm::Expected<CompileOptions> toOptions(const EfcFlags &flags);

/// Where the result goes: -o, or else what follows from the input's name.
std::string outputPath(const EfcFlags &flags, const CompileOptions &options);

} // namespace efc

#endif
