// The figures that a machine file may hold: their keys, units and limits. Used
// by the parser and the printer of machine files only.
#ifndef EFC_TARGETS_EXYNOSNPU_MACHINEFIGURES_H
#define EFC_TARGETS_EXYNOSNPU_MACHINEFIGURES_H

#include "targets/exynos_npu/MachineFile.h"

namespace efc::npu {

struct Unit {
  llvm::StringLiteral name;
  double factor; ///< value in Machine's unit = value in this unit * factor
};

/// What a machine file may say of one field of efrt::npu::Machine.
struct FigureSpec {
  std::string key; ///< The field's name (MachineFields.h) without its unit.
  llvm::ArrayRef<Unit> units;
};

/// In the order of MachineFields.h.
const std::vector<FigureSpec> &figureSpecs();
const FigureSpec *findFigureSpec(llvm::StringRef key);
/// Null if `spec` has no such unit.
const Unit *findUnit(const FigureSpec &spec, llvm::StringRef name);
/// "MHz, kHz or Hz"
std::string unitNames(const FigureSpec &spec);

llvm::StringRef nameOf(FigureSource source);
std::optional<FigureSource> parseSource(llvm::StringRef name);

/// 0.1 as "0.1", 41 as "41": the shortest text that reads back the same.
std::string numberText(double value);

/// One figure for each spec, in that order, as a Machine. Fails if a value is
/// no value of its field or contradicts another.
llvm::Expected<efrt::npu::Machine> machineOf(llvm::StringRef name,
                                             llvm::ArrayRef<Figure> figures);

llvm::Error errorAt(const llvm::Twine &where, const llvm::Twine &sentence);

} // namespace efc::npu

#endif
