// Machine files: the NPU as figures that each say where they come from. The
// compiler reads one (embedded by name, or a path), and the artifact carries
// the resulting Machine. The format, and what each figure means:
// docs/exynos-npu.md.
#ifndef EFC_TARGETS_EXYNOSNPU_MACHINEFILE_H
#define EFC_TARGETS_EXYNOSNPU_MACHINEFILE_H

#include "npu/Machine.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

#include <optional>
#include <string>
#include <vector>

namespace efc::npu {

inline constexpr llvm::StringLiteral defaultMachine = "exynos2400";

/// How much a figure can be trusted.
enum class FigureSource {
  Published,  ///< By the chip's maker.
  Derived,    ///< Computed from published figures; `from` says how.
  Calibrated, ///< Fitted to published measurements (docs/validation.md).
  Assumed,    ///< Nothing is published; `from` says why this value.
};

/// One figure of a machine, in the unit that its file uses.
struct Figure {
  std::string key;  ///< "gte.count", "scratchpad", "cost.exp", ...
  double value = 0; ///< In `unit`; boolean: 0 or 1.
  std::string unit; ///< "MHz", "KiB", "cycles", "boolean", ...
  FigureSource source = FigureSource::Assumed;
  std::string from;  ///< Where the value comes from, a sentence.
  std::string where; ///< "exynos2400.yaml:12", or "--machine-set".
};

struct MachineFile {
  efrt::npu::Machine machine;
  std::string description;
  /// Every figure of the machine once, in the order of the documentation.
  std::vector<Figure> figures;
};

/// The machines that are built in, by name, sorted.
std::vector<std::string> machineNames();

/// Reads the machine `nameOrFile` (a built-in name; else a path, which has a
/// '/' or ends in ".yaml") with what it inherits, then applies `settings`, each
/// "KEY=VALUE[UNIT]" ("scratchpad=1MiB", "overlap=false"). A setting without
/// unit is in the unit that the file uses. Fails with one sentence that names
/// the file and line, or the setting, and what would be right.
llvm::Expected<MachineFile>
loadMachine(llvm::StringRef nameOrFile,
            llvm::ArrayRef<std::string> settings = {});

/// As loadMachine, from text; `fileName` is for messages.
llvm::Expected<MachineFile>
parseMachine(llvm::StringRef text, llvm::StringRef fileName,
             llvm::ArrayRef<std::string> settings = {});

/// Writes the resolved machine, each figure with its source and file: itself a
/// machine file that inherits nothing.
void printMachine(const MachineFile &file, llvm::raw_ostream &os);

/// The table of figures in docs/exynos-npu.md (Markdown).
void printMachineTable(llvm::ArrayRef<MachineFile> machines,
                       llvm::raw_ostream &os);

} // namespace efc::npu

#endif
