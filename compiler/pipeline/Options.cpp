// See Options.h.
#include "compiler/pipeline/Options.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Regex.h"

using namespace efc;
using namespace llvm;

static constexpr StringLiteral kNames[] = {"import",    "canonical",   "fused",
                                           "quantized", "partitioned", "tiled",
                                           "scheduled", "code"};

StringRef efc::nameOf(Phase phase) {
  return kNames[static_cast<size_t>(phase)];
}

std::optional<Phase> efc::parsePhase(StringRef name) {
  auto found = llvm::find(kNames, name);
  if (found == std::end(kNames))
    return std::nullopt;
  return static_cast<Phase>(found - std::begin(kNames));
}

/// "a, b or c".
static std::string listOf(ArrayRef<StringRef> names) {
  return join(names.drop_back(), ", ") + " or " + names.back().str();
}

std::string efc::phaseNames() {
  return listOf(SmallVector<StringRef>(std::begin(kNames), std::end(kNames)));
}

bool efc::appliesTo(Phase phase, const CompileOptions &options) {
  switch (phase) {
  case Phase::Quantized:
    return !options.quantize.empty();
  case Phase::Partitioned:
  case Phase::Tiled:
    return options.isForNpu();
  default:
    return true;
  }
}

SmallVector<Phase> efc::phasesOf(const CompileOptions &options) {
  SmallVector<Phase> phases;
  for (int index = static_cast<int>(options.from);
       index <= static_cast<int>(options.to); ++index)
    if (Phase phase = static_cast<Phase>(index); appliesTo(phase, options))
      phases.push_back(phase);
  return phases;
}

static Error checkChoice(StringRef flag, StringRef value,
                         ArrayRef<StringRef> choices) {
  if (is_contained(choices, value))
    return Error::success();
  return createStringError("--" + flag + "=" + value + " is unknown; choose " +
                           listOf(choices));
}

static Error checkQuantization(const CompileOptions &options) {
  std::string problem;
  if (!options.keepFloat.empty() && !Regex(options.keepFloat).isValid(problem))
    return createStringError("--keep-float=" + options.keepFloat +
                             " is not a regular expression: " + problem);
  if (options.quantize.empty()) {
    if (options.calibration.empty() &&
        (options.keepFloat.empty() || !options.listTensors.empty()))
      return Error::success();
    return createStringError(
        StringRef(options.calibration.empty() ? "--keep-float"
                                              : "--calibration") +
        " says how to quantise, but nothing is quantised; add "
        "--quantize=w8a16");
  }
  if (Error error = checkChoice("quantize", options.quantize, {"w8a16", "w8"}))
    return error;
  if (options.quantize == "w8a16" && options.calibration.empty())
    return createStringError(
        "--quantize=w8a16 needs the ranges of the activations, and there is "
        "no --calibration=FILE; write one with: edgefusion calibrate");
  return Error::success();
}

static Error checkPhases(const CompileOptions &options) {
  for (auto [flag, phase] :
       {std::pair(StringRef("--compile-from="), options.from),
        std::pair(StringRef("--compile-to="), options.to)})
    if (!appliesTo(phase, options))
      return createStringError(
          flag + nameOf(phase) + ": there is no such phase " +
          (phase == Phase::Quantized ? "without --quantize"
                                     : "for --target=" + options.target));
  if (options.from > options.to)
    return createStringError("--compile-from=" + nameOf(options.from) +
                             " comes after --compile-to=" + nameOf(options.to));
  if (options.from >= Phase::Scheduled)
    return createStringError("--compile-from=" + nameOf(options.from) +
                             " is not possible: start from an earlier phase");
  return Error::success();
}

static Error checkMachine(const CompileOptions &options) {
  if (options.isForNpu())
    return checkChoice("mlt", options.mlt, {"off", "attention", "full"});
  if (options.machine.empty() && options.machineSettings.empty())
    return Error::success();
  return createStringError(
      "--machine describes an NPU, but --target=" + options.target +
      " has none; add --target=exynos-npu");
}

Error efc::check(const CompileOptions &options) {
  if (Error error =
          checkChoice("target", options.target, {"cpu", "exynos-npu"}))
    return error;
  if (Error error = checkQuantization(options))
    return error;
  if (Error error = checkMachine(options))
    return error;
  if (!options.listTensors.empty() && options.from > Phase::Fused)
    return createStringError("--list-tensors needs a model, or the IR of the "
                             "phase fused or an earlier one");
  return checkPhases(options);
}
