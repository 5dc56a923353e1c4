// Keys, units and limits of a machine's figures.
#include "targets/exynos_npu/MachineFigures.h"

#include "npu/MachineFields.h"

#include <charconv>
#include <cmath>

using namespace llvm;
using namespace efc;
using namespace efc::npu;
using efrt::npu::Machine;

static constexpr Unit hertz[] = {
    {"MHz", 1e6}, {"GHz", 1e9}, {"kHz", 1e3}, {"Hz", 1}};
static constexpr Unit bytes[] = {{"B", 1}, {"KiB", 1024}, {"MiB", 1024 * 1024}};
static constexpr Unit bandwidth[] = {{"GB/s", 1e9}, {"MB/s", 1e6}, {"B/s", 1}};
static constexpr Unit seconds[] = {
    {"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}};
static constexpr Unit cycles[] = {{"cycles", 1}};
static constexpr Unit engines[] = {{"engines", 1}};
static constexpr Unit banks[] = {{"banks", 1}};
static constexpr Unit queues[] = {{"queues", 1}};
static constexpr Unit lanes[] = {{"lanes", 1}};
static constexpr Unit channels[] = {{"channels", 1}};
static constexpr Unit outputs[] = {{"outputs", 1}};
static constexpr Unit positions[] = {{"positions", 1}};
static constexpr Unit ofPeak[] = {{"of-peak", 1}};
static constexpr Unit ofInt8[] = {{"of-int8", 1}};
static constexpr Unit laneOps[] = {{"lane-ops", 1}};
static constexpr Unit boolean[] = {{"boolean", 1}};

/// The units of the figure `key`, which is how its field's name ends.
static ArrayRef<Unit> unitsOf(StringRef key) {
  struct Rule {
    StringLiteral suffix;
    ArrayRef<Unit> units;
  };
  static const Rule rules[] = {{"clock", hertz},
                               {"scratchpad", bytes},
                               {"scratchpad_banks", banks},
                               {"array_k", channels},
                               {"array_n", outputs},
                               {"array_m", positions},
                               {"utilisation", ofPeak},
                               {"lanes", lanes},
                               {"start", cycles},
                               {"count", engines},
                               {"queues", queues},
                               {"setup", seconds},
                               {"bandwidth", bandwidth},
                               {"burst", bytes},
                               {"overlap", boolean}};
  if (key.starts_with("rate."))
    return ofInt8;
  if (key.starts_with("cost."))
    return laneOps;
  for (const Rule &rule : rules)
    if (key.ends_with(rule.suffix))
      return rule.units;
  llvm_unreachable("a figure without units");
}

/// "dram.bytes_per_second" -> "dram.bandwidth": a file says its unit itself.
static std::string keyOf(StringRef field) {
  if (field == "dram.bytes_per_second")
    return "dram.bandwidth";
  for (StringRef unit : {"_hz", "_bytes", "_seconds", "_cycles"})
    if (field.consume_back(unit))
      break;
  return field.str();
}

const std::vector<FigureSpec> &npu::figureSpecs() {
  static const std::vector<FigureSpec> specs = [] {
    std::vector<FigureSpec> result;
    Machine machine;
    efrt::npu::forEachFigure(machine, [&](StringRef field, auto &) {
      std::string key = keyOf(field);
      ArrayRef<Unit> units = unitsOf(key);
      result.push_back({std::move(key), units});
    });
    return result;
  }();
  return specs;
}

const FigureSpec *npu::findFigureSpec(StringRef key) {
  for (const FigureSpec &spec : figureSpecs())
    if (spec.key == key)
      return &spec;
  return nullptr;
}

const Unit *npu::findUnit(const FigureSpec &spec, StringRef name) {
  for (const Unit &unit : spec.units)
    if (unit.name == name)
      return &unit;
  return nullptr;
}

std::string npu::unitNames(const FigureSpec &spec) {
  std::string text;
  for (size_t i = 0; i < spec.units.size(); ++i) {
    if (i > 0)
      text += i + 1 == spec.units.size() ? " or " : ", ";
    text += spec.units[i].name;
  }
  return text;
}

static constexpr StringLiteral sourceNames[] = {"published", "derived",
                                                "calibrated", "assumed"};

StringRef npu::nameOf(FigureSource source) {
  return sourceNames[static_cast<size_t>(source)];
}

std::optional<FigureSource> npu::parseSource(StringRef name) {
  for (size_t i = 0; i < std::size(sourceNames); ++i)
    if (sourceNames[i] == name)
      return static_cast<FigureSource>(i);
  return std::nullopt;
}

std::string npu::numberText(double value) {
  char buffer[32];
  auto [end, error] = std::to_chars(buffer, std::end(buffer), value);
  assert(error == std::errc());
  return std::string(buffer, end);
}

Error npu::errorAt(const Twine &where, const Twine &sentence) {
  return createStringError(where + ": " + sentence);
}

static std::string valueText(const Figure &figure) {
  return "'" + figure.key + "' is " + numberText(figure.value) + " " +
         figure.unit;
}

/// Limits of single figures; what has none may be any value of its field.
static Error checkLimits(ArrayRef<Figure> figures) {
  for (const Figure &figure : figures) {
    StringRef key = figure.key;
    double most = INFINITY, least = 0;
    bool positive = key == "clock" || key == "scratchpad" ||
                    key == "dram.bandwidth" || key == "dram.burst" ||
                    key.ends_with("utilisation") || key.starts_with("rate.");
    if (key.contains("array_") || key.ends_with("lanes") ||
        key == "scratchpad_banks" || key == "gte.count" ||
        key == "vector.count" || key == "dma.queues")
      least = 1;
    // The commands name two queues of DMA and of each kind of tensor engine,
    // and four of vector engines.
    if (key == "gte.count" || key == "ste.count" || key == "dma.queues")
      most = 2;
    if (key == "vector.count")
      most = 4;
    if (key.ends_with("utilisation") || key.starts_with("rate.") ||
        key == "overlap")
      most = 1;
    if (!std::isfinite(figure.value) || figure.value < least ||
        (positive && figure.value == 0))
      return errorAt(
          figure.where,
          valueText(figure) + " but must be " +
              (positive ? "above 0" : "at least " + numberText(least)));
    if (figure.value > most)
      return errorAt(figure.where, valueText(figure) + " but must be at most " +
                                       numberText(most));
  }
  return Error::success();
}

static Error checkMachine(const Machine &machine, ArrayRef<Figure> figures) {
  auto find = [&](StringRef key) -> const Figure & {
    return *find_if(figures, [&](const Figure &f) { return f.key == key; });
  };
  const Figure &banks = find("scratchpad_banks");
  if (machine.scratchpadBytes % machine.scratchpadBanks != 0)
    return errorAt(banks.where, "the scratchpad's " +
                                    Twine(machine.scratchpadBytes) +
                                    " bytes (" + find("scratchpad").where +
                                    ") do not divide into " +
                                    Twine(machine.scratchpadBanks) + " banks");
  if (machine.scratchpadBytes % efrt::npu::kScratchGranule != 0)
    return errorAt(find("scratchpad").where,
                   "the scratchpad's " + Twine(machine.scratchpadBytes) +
                       " bytes are not a multiple of " +
                       Twine(efrt::npu::kScratchGranule) +
                       ", which dependencies are tracked in");
  return Error::success();
}

/// False if `value` is no value of the field.
template <typename T> static bool assign(T &field, double value) {
  if constexpr (std::is_same_v<T, double>) {
    field = value;
    return true;
  } else {
    bool fits = value >= 0 && value == std::floor(value) &&
                value <= static_cast<double>(std::numeric_limits<T>::max());
    field = fits ? static_cast<T>(value) : T();
    return fits;
  }
}

Expected<Machine> npu::machineOf(StringRef name, ArrayRef<Figure> figures) {
  if (Error error = checkLimits(figures))
    return std::move(error);
  Machine machine;
  machine.name = name.str();
  size_t index = 0;
  const Figure *wrong = nullptr;
  efrt::npu::forEachFigure(machine, [&](StringRef, auto &field) {
    const Figure &figure = figures[index];
    const FigureSpec &spec = figureSpecs()[index++];
    assert(figure.key == spec.key && "figures in another order");
    double value = figure.value * findUnit(spec, figure.unit)->factor;
    if (!assign(field, value) && !wrong)
      wrong = &figure;
  });
  if (wrong)
    return errorAt(wrong->where, valueText(*wrong) +
                                     " but must be a whole number that is "
                                     "below 2^32 in its smallest unit");
  if (Error error = checkMachine(machine, figures))
    return std::move(error);
  return machine;
}
