// Machine <-> list of named numbers.
#include "npu/MachineFields.h"

#include "runtime/core/Text.h"

#include <cmath>
#include <limits>
#include <map>

using namespace efrt;
using namespace efrt::npu;

static constexpr std::array<std::string_view, kNumOpcodes> kOpcodeNames = {
    "load",      "constant",   "add",        "sub",  "mul",
    "div",       "min",        "max",        "neg",  "abs",
    "sqrt",      "rsqrt",      "reciprocal", "exp",  "log",
    "tanh",      "erf",        "sigmoid",    "silu", "gelu",
    "gelu_tanh", "quick_gelu", "relu",       "sin",  "cos"};

std::string_view npu::nameOf(Opcode op) {
  return kOpcodeNames[static_cast<size_t>(op)];
}

std::vector<std::pair<std::string, double>>
npu::figuresOf(const Machine &machine) {
  std::vector<std::pair<std::string, double>> figures;
  forEachFigure(machine, [&](std::string name, const auto &field) {
    figures.emplace_back(std::move(name), static_cast<double>(field));
  });
  return figures;
}

/// False if `value` is no value of the field.
static bool assign(double &field, double value) {
  field = value;
  return std::isfinite(value) && value >= 0;
}

static bool assign(uint32_t &field, double value) {
  constexpr double most = std::numeric_limits<uint32_t>::max();
  if (!(value >= 0 && value <= most) || value != std::floor(value))
    return false;
  field = static_cast<uint32_t>(value);
  return true;
}

static bool assign(bool &field, double value) {
  field = value != 0;
  return value == 0 || value == 1;
}

/// What the event model divides by.
static bool hasDivisors(const Machine &machine) {
  for (const TensorEngineSpec *engine : {&machine.gte, &machine.ste})
    if (engine->arrayK == 0 || engine->arrayN == 0 || engine->arrayM == 0 ||
        engine->outputLanes == 0 || !(engine->utilisation > 0))
      return false;
  return machine.clockHz > 0 && machine.dramBytesPerSecond > 0 &&
         machine.vectorLanes > 0 && machine.rateI16xI8 > 0 &&
         machine.rateI16xI16 > 0 && machine.rateF16xF16 > 0;
}

Result<Machine> npu::machineFromFigures(
    std::string name,
    const std::vector<std::pair<std::string, double>> &figures) {
  std::map<std::string, double> values(figures.begin(), figures.end());
  size_t numKnown = 0;
  std::string problem;
  Machine machine;
  forEachFigure(machine, [&](const std::string &figure, auto &field) {
    auto found = values.find(figure);
    if (found == values.end())
      problem = concat("lacks ", quote(figure));
    else if (!assign(field, found->second))
      problem = concat(quote(figure), " cannot be ", found->second);
    else
      ++numKnown;
  });
  if (problem.empty() && numKnown != figures.size())
    problem = "has unknown or repeated figures";
  if (problem.empty() && !hasDivisors(machine))
    problem = "has a clock, rate, width or bandwidth of zero";
  if (!problem.empty())
    return Status(StatusCode::CorruptData,
                  concat("its NPU machine ", quote(name), " ", problem));
  machine.name = std::move(name);
  return machine;
}
