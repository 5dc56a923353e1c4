// Prints machines: as a machine file, and as the documentation's table.
#include "targets/exynos_npu/MachineFigures.h"

#include "llvm/Support/YAMLTraits.h"

using namespace llvm;
using namespace efc;
using namespace efc::npu;

static std::string valueText(const Figure &figure) {
  if (figure.unit == "boolean")
    return figure.value != 0 ? "true" : "false";
  return numberText(figure.value);
}

/// In double quotes, with what YAML would read otherwise escaped.
static std::string quoted(StringRef text) {
  return "\"" + yaml::escape(text, /*EscapePrintable=*/false) + "\"";
}

void npu::printMachine(const MachineFile &file, raw_ostream &os) {
  os << "machine: " << file.machine.name << "\n";
  if (!file.description.empty())
    os << "description: " << quoted(file.description) << "\n";
  os << "figures:\n";
  for (const Figure &figure : file.figures)
    os << "  # " << figure.where << "\n  " << figure.key
       << ": {value: " << valueText(figure) << ", unit: " << figure.unit
       << ", source: " << nameOf(figure.source)
       << ", from: " << quoted(figure.from) << "}\n";
}

void npu::printMachineTable(ArrayRef<MachineFile> machines, raw_ostream &os) {
  os << "| figure | unit |";
  for (const MachineFile &file : machines)
    os << " " << file.machine.name << " |";
  os << "\n|---|---|";
  for (size_t i = 0; i < machines.size(); ++i)
    os << "---|";
  os << "\n";
  for (size_t row = 0; row < figureSpecs().size(); ++row) {
    const Figure &first = machines.front().figures[row];
    os << "| `" << first.key << "` | " << first.unit << " |";
    for (const MachineFile &file : machines) {
      const Figure &figure = file.figures[row];
      os << " " << valueText(figure);
      if (figure.unit != first.unit)
        os << " " << figure.unit;
      os << " (" << nameOf(figure.source).take_front(1) << ") |";
    }
    os << "\n";
  }
}
