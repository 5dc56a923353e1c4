// Machine files: values, inheritance, settings, and a sentence for each
// mistake.
#include "targets/exynos_npu/MachineFile.h"

#include "npu/MachineFields.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace llvm;
using namespace efc::npu;
using ::testing::HasSubstr;

static MachineFile load(StringRef name, ArrayRef<std::string> settings = {}) {
  Expected<MachineFile> file = loadMachine(name, settings);
  if (file)
    return std::move(*file);
  ADD_FAILURE() << toString(file.takeError());
  return {};
}

static std::string print(const MachineFile &file) {
  std::string text;
  raw_string_ostream os(text);
  printMachine(file, os);
  return text;
}

/// What parsing `text` complains of; empty if it does not.
static std::string problemOf(StringRef text,
                             ArrayRef<std::string> settings = {}) {
  Expected<MachineFile> file = parseMachine(text, "m.yaml", settings);
  return file ? "" : toString(file.takeError());
}

static std::string settingProblem(const std::string &setting) {
  Expected<MachineFile> file = loadMachine("exynos2400", {setting});
  return file ? "" : toString(file.takeError());
}

/// exynos2400 with one figure put over it.
static std::string with(StringRef figure) {
  return ("machine: test\ninherits: exynos2400\nfigures:\n  " + figure + "\n")
      .str();
}

TEST(MachineFile, BuiltInMachines) {
  EXPECT_EQ(machineNames()[0], "exynos2100");
  for (const std::string &name : machineNames()) {
    MachineFile file = load(name);
    EXPECT_EQ(file.machine.name, name);
    EXPECT_GT(file.machine.gte.count, 0u);
    EXPECT_EQ(file.figures.size(), efrt::npu::figuresOf(file.machine).size());
    for (const Figure &figure : file.figures)
      EXPECT_FALSE(figure.from.empty()) << figure.key;
  }
}

TEST(MachineFile, TheDefaultMachineIsThePublishedOne) {
  efrt::npu::Machine machine = load(defaultMachine).machine;
  EXPECT_EQ(machine.scratchpadBytes, 6u << 20);
  EXPECT_DOUBLE_EQ(machine.clockHz, 1196e6);
  auto macs = [](const efrt::npu::TensorEngineSpec &engine) {
    return engine.count * engine.arrayK * engine.arrayN * engine.arrayM;
  };
  // 41.64 TOPS
  EXPECT_EQ(macs(machine.gte) + macs(machine.ste), 17408u);
  EXPECT_TRUE(machine.overlap);
}

TEST(MachineFile, OnlyFiveFiguresAreCalibrated) {
  for (const std::string &name : machineNames()) {
    size_t calibrated = 0;
    for (const Figure &figure : load(name).figures)
      calibrated += figure.source == FigureSource::Calibrated;
    EXPECT_LE(calibrated, 5u) << name;
  }
}

TEST(MachineFile, InheritsFiguresAndTheirSources) {
  MachineFile file = load("exynos2200");
  EXPECT_EQ(file.machine.gte.arrayM, 8u);
  EXPECT_EQ(file.machine.gte.arrayK, 32u);
  for (const Figure &figure : file.figures) {
    if (figure.key == "gte.array_m")
      EXPECT_THAT(figure.where, HasSubstr("exynos2200.yaml:"));
    if (figure.key == "gte.array_k")
      EXPECT_THAT(figure.where, HasSubstr("exynos2400.yaml:"));
  }
}

TEST(MachineFile, PrintedMachinesReadBackTheSame) {
  for (const std::string &name : machineNames()) {
    MachineFile file = load(name, {"scratchpad=1.5MiB"});
    Expected<MachineFile> again = parseMachine(print(file), "printed.yaml");
    ASSERT_TRUE(bool(again)) << toString(again.takeError());
    EXPECT_EQ(again->machine.name, file.machine.name);
    EXPECT_EQ(efrt::npu::figuresOf(again->machine),
              efrt::npu::figuresOf(file.machine));
    for (size_t i = 0; i < file.figures.size(); ++i) {
      EXPECT_EQ(again->figures[i].source, file.figures[i].source);
      EXPECT_EQ(again->figures[i].from, file.figures[i].from);
    }
  }
}

TEST(MachineFile, SettingsAreInTheFilesUnitOrInTheirOwn) {
  EXPECT_EQ(load("exynos2400", {"scratchpad=1MiB"}).machine.scratchpadBytes,
            1u << 20);
  EXPECT_EQ(load("exynos2400", {"scratchpad=12"}).machine.scratchpadBytes,
            12u << 20);
  EXPECT_EQ(load("exynos2400", {"scratchpad=64KiB"}).machine.scratchpadBytes,
            65536u);
  MachineFile file =
      load("exynos2400", {"overlap=false", "clock=1GHz", "cost.exp=2.5"});
  EXPECT_FALSE(file.machine.overlap);
  EXPECT_DOUBLE_EQ(file.machine.clockHz, 1e9);
  EXPECT_DOUBLE_EQ(file.machine.opCost[size_t(efrt::npu::Opcode::Exp)], 2.5);
}

TEST(MachineFile, WrongSettings) {
  EXPECT_THAT(settingProblem("speed=3"),
              HasSubstr("the setting 'speed=3': 'speed' is no figure"));
  EXPECT_THAT(settingProblem("scratchpad=1MB"),
              HasSubstr("the unit of 'scratchpad' is 'MB' but must be B, KiB "
                        "or MiB"));
  EXPECT_THAT(settingProblem("scratchpad"), HasSubstr("expected KEY=VALUE"));
  EXPECT_THAT(settingProblem("scratchpad=100B"),
              HasSubstr("do not divide into 16 banks"));
  EXPECT_THAT(settingProblem("scratchpad=-1"), HasSubstr("must be above 0"));
  EXPECT_THAT(settingProblem("overlap=2"), HasSubstr("at most 1"));
}

TEST(MachineFile, UnknownMachine) {
  Expected<MachineFile> file = loadMachine("exynos9");
  ASSERT_FALSE(bool(file));
  EXPECT_EQ(toString(file.takeError()),
            "--machine: there is no machine 'exynos9'; there are " +
                join(machineNames(), ", ") + ", or a path of a .yaml file");
  file = loadMachine("/nowhere/m.yaml");
  ASSERT_FALSE(bool(file));
  EXPECT_THAT(toString(file.takeError()),
              HasSubstr("cannot read the machine file '/nowhere/m.yaml'"));
  file = loadMachine("/tmp/");
  ASSERT_FALSE(bool(file));
  EXPECT_THAT(toString(file.takeError()), HasSubstr("cannot read"));
}

TEST(MachineFile, ReadsAFileAndWhatItInheritsBesideIt) {
  SmallString<128> directory;
  ASSERT_FALSE(sys::fs::createUniqueDirectory("efc-machines", directory));
  auto write = [&](StringRef name, StringRef text) {
    std::error_code error;
    raw_fd_ostream os((directory + "/" + name).str(), error);
    ASSERT_FALSE(error);
    os << text;
  };
  write("a.yaml", "machine: a\ninherits: b.yaml\n");
  write("b.yaml",
        with("clock: {value: 7, unit: MHz, source: assumed, from: x}"));
  write("c.yaml", "machine: c\ninherits: d.yaml\n");
  write("d.yaml", "machine: d\ninherits: c.yaml\n");
  MachineFile file = load((directory + "/a.yaml").str());
  EXPECT_EQ(file.machine.name, "a");
  EXPECT_DOUBLE_EQ(file.machine.clockHz, 7e6);
  Expected<MachineFile> cycle = loadMachine((directory + "/c.yaml").str());
  ASSERT_FALSE(bool(cycle));
  std::string problem = toString(cycle.takeError());
  EXPECT_THAT(problem, HasSubstr("d.yaml:2: machine 'd' inherits itself"));
  EXPECT_THAT(problem, HasSubstr("c.yaml -> "));
  EXPECT_FALSE(sys::fs::remove_directories(directory));
}

TEST(MachineFile, SyntaxAndStructure) {
  EXPECT_EQ(problemOf(""), "m.yaml:1: a machine file begins with 'machine: "
                           "NAME'");
  EXPECT_THAT(problemOf("- 1\n- 2\n"), HasSubstr("begins with 'machine"));
  EXPECT_THAT(problemOf("machine: \"a\n"), HasSubstr("this is not YAML"));
  EXPECT_THAT(problemOf("figures: {}\n"), HasSubstr("lacks 'machine: NAME'"));
  EXPECT_EQ(problemOf("machine: a\nengines: 3\n"),
            "m.yaml:2: unknown key 'engines'; a machine file has machine, "
            "description, inherits and figures");
  EXPECT_THAT(problemOf("machine: a\nfigures: 3\n"),
              HasSubstr("m.yaml:2: 'figures' must map keys to figures"));
  EXPECT_THAT(problemOf("machine: a\ninherits: b\n"),
              HasSubstr("m.yaml:2: there is no machine 'b'"));
  EXPECT_THAT(problemOf("machine: a\n"),
              HasSubstr("machine 'a' lacks 'clock' (in MHz, GHz, kHz or Hz)"));
}

TEST(MachineFile, WrongFigures) {
  auto problem = [](StringRef figure) { return problemOf(with(figure)); };
  EXPECT_THAT(problem("speed: {value: 1, unit: MHz, source: assumed, from: x}"),
              HasSubstr("m.yaml:4: 'speed' is no figure of a machine"));
  EXPECT_THAT(problem("clock: 1196"),
              HasSubstr("m.yaml:4: 'clock' must be written as {value: "));
  EXPECT_EQ(problem("clock: {value: 1, source: assumed, from: x}"),
            "m.yaml:4: 'clock' lacks its unit, which is MHz, GHz, kHz or Hz");
  EXPECT_THAT(problem("clock: {value: 1, unit: MHz, from: x}"),
              HasSubstr("'clock' lacks its source"));
  EXPECT_THAT(problem("clock: {value: 1, unit: MHz, source: assumed}"),
              HasSubstr("'clock' lacks its from"));
  EXPECT_THAT(
      problem(
          "clock: {value: 1, value: 2, unit: MHz, source: assumed, from: x}"),
      HasSubstr("says twice its value"));
  EXPECT_THAT(
      problem("clock: {value: fast, unit: MHz, source: assumed, from: x}"),
      HasSubstr("the value of 'clock' is 'fast' but must be a number"));
  EXPECT_THAT(problem("clock: {value: 1, unit: m, source: assumed, from: x}"),
              HasSubstr("the unit of 'clock' is 'm' but must be MHz"));
  EXPECT_THAT(problem("clock: {value: 1, unit: MHz, source: rumour, from: x}"),
              HasSubstr("must be published, derived, calibrated or assumed"));
  EXPECT_THAT(problem("clock: {value: 1, unit: MHz, note: x}"),
              HasSubstr("has the unknown key 'note'"));
  EXPECT_THAT(
      problem("clock: {value: 1, unit: MHz, source: assumed, from: x}\n"
              "  clock: {value: 2, unit: MHz, source: assumed, from: x}"),
      HasSubstr("m.yaml:5: 'clock' stands here again, after m.yaml:4"));
}

TEST(MachineFile, ContradictoryValues) {
  auto problem = [](StringRef key, StringRef value, StringRef unit) {
    return problemOf(with((key + ": {value: " + value + ", unit: " + unit +
                           ", source: assumed, from: x}")
                              .str()));
  };
  EXPECT_EQ(problem("gte.count", "0", "engines"),
            "m.yaml:4: 'gte.count' is 0 engines but must be at least 1");
  EXPECT_THAT(problem("gte.count", "3", "engines"), HasSubstr("at most 2"));
  EXPECT_THAT(problem("gte.count", "1.5", "engines"),
              HasSubstr("must be a whole number"));
  EXPECT_THAT(problem("dram.bandwidth", "-3", "GB/s"),
              HasSubstr("must be above 0"));
  EXPECT_THAT(problem("dma.setup", "-1", "ns"), HasSubstr("at least 0"));
  EXPECT_THAT(problem("gte.utilisation", "1.5", "of-peak"),
              HasSubstr("at most 1"));
  EXPECT_THAT(problem("scratchpad_banks", "7", "banks"),
              HasSubstr("m.yaml:4: the scratchpad's 6291456 bytes "
                        "(exynos2400.yaml:"));
  EXPECT_THAT(problem("scratchpad", "5000", "MiB"), HasSubstr("below 2^32"));
  EXPECT_THAT(problem("clock", "nan", "MHz"), HasSubstr("must be"));
  EXPECT_THAT(problem("overlap", "maybe", "boolean"),
              HasSubstr("true or false"));
}
