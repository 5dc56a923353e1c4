// See EfcFlags.h.
#include "compiler/tools/EfcFlags.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Path.h"

using namespace efc;
using namespace llvm;

EfcFlags::EfcFlags()
    : input(cl::Positional,
            cl::desc("MODEL.onnx (or the .mlir file of a phase)"),
            cl::value_desc("input"), cl::cat(category)),
      output("o",
             cl::desc("Artifact to write; default: the input's name with .efa. "
                      "With --compile-to an earlier phase: IR, default "
                      "standard output"),
             cl::value_desc("file"), cl::cat(category)),
      target("target",
             cl::desc("Machine kind: cpu or exynos-npu (what its NPU cannot "
                      "run becomes code for the CPU in the same artifact)"),
             cl::init("cpu"), cl::value_desc("name"), cl::cat(category)),
      quantize("quantize",
               cl::desc("w8a16: int8 weights, int16 activations; w8: the "
                        "weights alone, to tell their error apart"),
               cl::value_desc("scheme"), cl::cat(category)),
      calibration("calibration",
                  cl::desc("Ranges of the activations for --quantize=w8a16, "
                           "written by edgefusion calibrate"),
                  cl::value_desc("file"), cl::cat(category)),
      keepFloat("keep-float", cl::desc("ONNX nodes that are not quantised"),
                cl::value_desc("regex"), cl::cat(category)),
      listTensors("list-tensors",
                  cl::desc("Write which tensors --quantize=w8a16 needs ranges "
                           "of (JSON), and stop"),
                  cl::value_desc("file"), cl::cat(category)),
      machine("machine",
              cl::desc("The NPU: exynos2100, exynos2200, exynos2400 "
                       "(default), exynos2500 or a machine file"),
              cl::value_desc("name|file"), cl::cat(category)),
      machineSettings("machine-set",
                      cl::desc("A figure of the machine, over its file's, e.g. "
                               "--machine-set scratchpad=2MiB; repeatable"),
                      cl::value_desc("key=value"), cl::cat(category)),
      mlt("mlt",
          cl::desc("Model-level tiling, which keeps intermediate results in "
                   "the scratchpad: off, attention or full"),
          cl::init("full"), cl::value_desc("extent"), cl::cat(category)),
      overlap("overlap",
              cl::desc("Engines and DMA at the same time: on or off"),
              cl::init("on"), cl::value_desc("on|off"), cl::cat(category)),
      cpu("cpu",
          cl::desc(
              "Machine to generate code for: host, x86-64-v3, x86-64-v4, "
              "x86-64-v4-vnni, "
              "cortex-x4, cortex-a76, generic-armv8; default: "
              "every x86-64 variant, so that the artifact runs on any of them"),
          cl::value_desc("name"), cl::cat(category)),
      precision(
          "cpu-precision",
          cl::desc("Weights of matrix products and convolutions: f32 or bf16"),
          cl::init("f32"), cl::value_desc("type"), cl::cat(category)),
      winograd("winograd",
               cl::desc("Allow Winograd convolution: up to 4 times fewer "
                        "multiplications, slightly different rounding"),
               cl::init(true), cl::cat(category)),
      dims("dim",
           cl::desc("Value of a symbolic dimension, e.g. --dim batch=1; "
                    "repeatable"),
           cl::value_desc("name=value"), cl::cat(category)),
      shapes("input-shape",
             cl::desc("Shape of an input, e.g. --input-shape image=1x3x48x192; "
                      "repeatable"),
             cl::value_desc("name=1x2x3"), cl::cat(category)),
      to("compile-to",
         cl::desc("Stop after a phase: import, canonical, fused, quantized, "
                  "partitioned, tiled, scheduled or code"),
         cl::init("code"), cl::value_desc("phase"), cl::cat(category)),
      from("compile-from",
           cl::desc("The input is the IR of this phase: import, canonical, "
                    "fused, quantized, partitioned or tiled"),
           cl::init("import"), cl::value_desc("phase"), cl::cat(category)),
      dump("dump-phases-to",
           cl::desc("Folder for the IR of each phase, numbered; each can be "
                    "compiled on from"),
           cl::value_desc("folder"), cl::cat(category)),
      report("report",
             cl::desc("Folder for what the compile did: compile.json; for an "
                      "NPU also layers.csv, layers.json, trace.json (for "
                      "ui.perfetto.dev) and report.html"),
             cl::value_desc("folder"), cl::cat(category)),
      timing("timing", cl::desc("Print the time of every pass"),
             cl::cat(category)),
      fusionReport("fusion-report",
                   cl::desc("Print a count of what was fused, and near-misses"),
                   cl::cat(category)),
      unfused("unfused",
              cl::desc("One kernel an operation: every tensor of the model "
                       "stays visible to edgefusion verify"),
              cl::cat(category)),
      reproducer("crash-reproducer",
                 cl::desc("Where MLIR writes a reproducer if a pass fails"),
                 cl::value_desc("file"), cl::cat(category)),
      inspect("inspect", cl::desc("Print what is in an artifact, and stop"),
              cl::value_desc("file.efa"), cl::cat(category)),
      disassemble("disassemble",
                  cl::desc("Print the NPU's commands in an artifact by queue, "
                           "with their times and ONNX nodes, and stop"),
                  cl::value_desc("file.efa"), cl::cat(category)),
      printMachine("print-machine",
                   cl::desc("Print the NPU that --machine and --machine-set "
                            "give, each figure with its source, and stop"),
                   cl::cat(category)),
      supportedOps("supported-ops",
                   cl::desc("Print what the NPU runs, as Markdown, and stop"),
                   cl::cat(category)),
      logLevel("log-level",
               cl::desc("Log to standard error: debug, info, warning or off"),
               cl::init("warning"), cl::value_desc("level"), cl::cat(category)),
      quiet("quiet", cl::desc("Print errors only"), cl::cat(category)) {}

static Error parseDims(const EfcFlags &flags, CompileOptions &options) {
  for (StringRef flag : flags.dims) {
    auto [name, value] = flag.rsplit('=');
    int64_t extent;
    if (name.empty() || value.getAsInteger(10, extent) || extent <= 0)
      return createStringError(
          "--dim=" + flag +
          ": expected name=value with a positive integer, e.g. --dim=batch=1");
    options.dims[name] = extent;
  }
  return Error::success();
}

static Error parseShapes(const EfcFlags &flags, CompileOptions &options) {
  for (StringRef flag : flags.shapes) {
    auto [name, text] = flag.rsplit('=');
    SmallVector<StringRef> parts;
    if (!text.empty())
      text.split(parts, 'x');
    SmallVector<int64_t> shape;
    for (StringRef part : parts) {
      int64_t extent;
      if (part.getAsInteger(10, extent) || extent <= 0)
        return createStringError(
            "--input-shape=" + flag + ": '" + part +
            "' is not a positive integer; expected e.g. image=1x3x48x192");
      shape.push_back(extent);
    }
    if (name.empty() || shape.empty())
      return createStringError("--input-shape=" + flag +
                               ": expected name=1x3x48x192");
    options.inputShapes[name] = std::move(shape);
  }
  return Error::success();
}

static Error parsePhases(const EfcFlags &flags, CompileOptions &options) {
  for (auto [flag, phase] : {std::pair(&flags.from, &options.from),
                             std::pair(&flags.to, &options.to)}) {
    std::optional<Phase> parsed = parsePhase(*flag);
    if (!parsed)
      return createStringError("'" + *flag + "' is not a phase; choose " +
                               phaseNames());
    *phase = *parsed;
  }
  return Error::success();
}

Expected<CompileOptions> efc::toOptions(const EfcFlags &flags) {
  CompileOptions options;
  options.target = flags.target;
  options.quantize = flags.quantize;
  options.calibration = flags.calibration;
  options.keepFloat = flags.keepFloat;
  options.listTensors = flags.listTensors;
  options.machine = flags.machine;
  options.machineSettings.assign(flags.machineSettings.begin(),
                                 flags.machineSettings.end());
  options.mlt = flags.mlt;
  options.cpu = flags.cpu;
  options.winograd = flags.winograd;
  options.dumpPhasesTo = flags.dump;
  options.reportFolder = flags.report;
  options.timing = flags.timing;
  options.fusionReport = flags.fusionReport;
  options.keepUnfused = flags.unfused;
  options.crashReproducer = flags.reproducer;
  if (flags.precision != "f32" && flags.precision != "bf16")
    return createStringError("--cpu-precision=" + flags.precision +
                             " is unknown; choose f32 or bf16");
  options.bf16 = flags.precision == "bf16";
  if (flags.overlap != "on" && flags.overlap != "off")
    return createStringError("--overlap=" + flags.overlap +
                             " is unknown; choose on or off");
  options.overlap = flags.overlap == "on";
  if (Error error = parsePhases(flags, options))
    return error;
  if (Error error = parseDims(flags, options))
    return error;
  if (Error error = parseShapes(flags, options))
    return error;
  if (Error error = check(options))
    return error;
  return options;
}

std::string efc::outputPath(const EfcFlags &flags,
                            const CompileOptions &options) {
  if (!flags.output.empty())
    return flags.output;
  if (options.to != Phase::Code)
    return "-";
  SmallString<128> path(flags.input.getValue());
  sys::path::replace_extension(path, ".efa");
  return path.str().str();
}
