// A machine file as it is written, before inheritance.
#ifndef EFC_TARGETS_EXYNOSNPU_MACHINEYAML_H
#define EFC_TARGETS_EXYNOSNPU_MACHINEYAML_H

#include "targets/exynos_npu/MachineFile.h"

namespace efc::npu {

struct MachineText {
  std::string name, description;
  std::string inherits;      ///< Empty: nothing.
  std::string inheritsWhere; ///< "file:line" of it.
  std::vector<Figure> figures;
};

/// Keys, units, sources and their completeness are checked; values are not.
llvm::Expected<MachineText> parseMachineText(llvm::StringRef text,
                                             llvm::StringRef fileName);

} // namespace efc::npu

#endif
