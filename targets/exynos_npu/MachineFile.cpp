// Finds machine files, resolves what they inherit, applies settings.
#include "targets/exynos_npu/MachineFile.h"

#include "targets/exynos_npu/MachineFigures.h"
#include "targets/exynos_npu/MachineYaml.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace llvm;
using namespace efc;
using namespace efc::npu;

namespace {
struct EmbeddedFile {
  StringLiteral name, text;
};
} // namespace

/// targets/exynos_npu/machines/*.yaml, sorted by name.
static constexpr EmbeddedFile embeddedFiles[] = {
#include "targets/exynos_npu/MachineFiles.inc"
};

std::vector<std::string> npu::machineNames() {
  std::vector<std::string> names;
  for (const EmbeddedFile &file : embeddedFiles)
    names.push_back(file.name.str());
  return names;
}

static bool isPath(StringRef nameOrFile) {
  return nameOrFile.contains('/') || nameOrFile.ends_with(".yaml");
}

/// Text and display name of a machine file. `where` asks for it.
static Expected<std::pair<std::string, std::string>>
readFile(StringRef nameOrFile, StringRef where) {
  if (isPath(nameOrFile)) {
    ErrorOr<std::unique_ptr<MemoryBuffer>> buffer =
        MemoryBuffer::getFile(nameOrFile, /*IsText=*/true);
    if (buffer && sys::fs::is_directory(nameOrFile))
      buffer = std::make_error_code(std::errc::is_a_directory);
    if (!buffer)
      return errorAt(where, "cannot read the machine file '" + nameOrFile +
                                "': " + buffer.getError().message());
    return std::pair((*buffer)->getBuffer().str(), nameOrFile.str());
  }
  for (const EmbeddedFile &file : embeddedFiles)
    if (file.name == nameOrFile)
      return std::pair(file.text.str(), nameOrFile.str() + ".yaml");
  return errorAt(where, "there is no machine '" + nameOrFile + "'; there are " +
                            join(machineNames(), ", ") +
                            ", or a path of a .yaml file");
}

/// Puts the figures of `machine` over those of what it inherits. `chain` holds
/// the files that led here.
static Error inherit(MachineText &machine, std::vector<std::string> &chain) {
  if (machine.inherits.empty())
    return Error::success();
  // A path is relative to the file that names it.
  std::string base = machine.inherits;
  if (isPath(base) && sys::path::is_relative(base)) {
    SmallString<128> path = sys::path::parent_path(chain.back());
    sys::path::append(path, base);
    base = path.str().str();
  }
  auto file = readFile(base, machine.inheritsWhere);
  if (!file)
    return file.takeError();
  bool isCycle = is_contained(chain, file->second);
  chain.push_back(file->second);
  if (isCycle)
    return errorAt(machine.inheritsWhere,
                   "machine '" + machine.name +
                       "' inherits itself: " + join(chain, " -> "));
  Expected<MachineText> parent = parseMachineText(file->first, file->second);
  if (!parent)
    return parent.takeError();
  if (Error error = inherit(*parent, chain))
    return error;
  for (Figure &figure : parent->figures)
    if (none_of(machine.figures,
                [&](const Figure &own) { return own.key == figure.key; }))
      machine.figures.push_back(std::move(figure));
  return Error::success();
}

/// "scratchpad=1MiB"
static Error applySetting(StringRef setting, MutableArrayRef<Figure> figures) {
  std::string where = ("the setting '" + setting + "'").str();
  auto [key, text] = setting.split('=');
  auto figure =
      find_if(figures, [key](const Figure &f) { return f.key == key; });
  if (figure == figures.end())
    return errorAt(where, "'" + key +
                              "' is no figure of a machine; --print-machine "
                              "prints all of them");
  const FigureSpec &spec = *findFigureSpec(key);
  size_t numberEnd = text.find_first_not_of("0123456789.+-eE");
  StringRef number = text.take_front(numberEnd);
  StringRef unit = text.drop_front(number.size()).trim();
  if (key == "overlap" && (text == "true" || text == "false")) {
    number = text == "true" ? "1" : "0";
    unit = "";
  }
  if (number.getAsDouble(figure->value))
    return errorAt(where,
                   "expected KEY=VALUE with a number in " + unitNames(spec));
  if (!unit.empty() && !findUnit(spec, unit))
    return errorAt(where, "the unit of '" + key + "' is '" + unit +
                              "' but must be " + unitNames(spec));
  if (!unit.empty())
    figure->unit = unit.str();
  figure->source = FigureSource::Assumed;
  figure->from = "Set on the command line.";
  figure->where = where;
  return Error::success();
}

Expected<MachineFile> npu::parseMachine(StringRef text, StringRef fileName,
                                        ArrayRef<std::string> settings) {
  Expected<MachineText> parsed = parseMachineText(text, fileName);
  if (!parsed)
    return parsed.takeError();
  std::vector<std::string> chain = {fileName.str()};
  if (Error error = inherit(*parsed, chain))
    return std::move(error);
  MachineFile result;
  result.description = parsed->description;
  for (const FigureSpec &spec : figureSpecs()) {
    auto figure = find_if(parsed->figures, [&](const Figure &candidate) {
      return candidate.key == spec.key;
    });
    if (figure == parsed->figures.end())
      return errorAt(fileName, "machine '" + parsed->name + "' lacks '" +
                                   spec.key + "' (in " + unitNames(spec) +
                                   "): add it, or inherit from " +
                                   join(machineNames(), ", "));
    result.figures.push_back(std::move(*figure));
  }
  for (StringRef setting : settings)
    if (Error error = applySetting(setting, result.figures))
      return std::move(error);
  auto machine = machineOf(parsed->name, result.figures);
  if (!machine)
    return machine.takeError();
  result.machine = std::move(*machine);
  return result;
}

Expected<MachineFile> npu::loadMachine(StringRef nameOrFile,
                                       ArrayRef<std::string> settings) {
  auto file = readFile(nameOrFile, "--machine");
  if (!file)
    return file.takeError();
  return parseMachine(file->first, file->second, settings);
}
