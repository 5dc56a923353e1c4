// efrun MODEL.efa: reads the inputs, runs the model, writes the outputs,
// reports the times.
#include "runtime/core/AtomicFile.h"
#include "runtime/core/Text.h"
#include "runtime/tools/Inputs.h"
#include "runtime/tools/Interrupt.h"
#include "runtime/tools/Modes.h"
#include "runtime/tools/Npy.h"
#include "runtime/tools/RunReport.h"
#include "runtime/tools/SimulatedTime.h"
#include "runtime/tools/TensorDump.h"

#include <CLI/CLI.hpp>

#include <chrono>
#include <filesystem>
#include <iostream>

using namespace efrt;
using namespace efrun;

namespace {
struct Options {
  std::string model, outputDir, json, dumpDir;
  std::vector<std::string> inputs;
  uint64_t randomSeed = 0;
  bool useRandomInputs = false;
  unsigned repeat = 1, warmup = 0;
  SessionOptions session;
};
} // namespace

static void declareOptions(CLI::App &app, Options &options) {
  app.add_option("model", options.model,
                 "The compiled model (.efa), or the folder of a bundle: see "
                 "'efrun BUNDLE --help'")
      ->required()
      ->type_name("MODEL.efa");
  app.add_option("--input", options.inputs,
                 "The array for an input; once for each input of the model")
      ->type_name("NAME=FILE.npy")
      ->take_all();
  CLI::Option *seed =
      app.add_option("--random-inputs", options.randomSeed,
                     "Fill the inputs that are not given: floats from N(0, 1), "
                     "integers from 0 to 15");
  seed->type_name("SEED");
  app.add_option("--output-dir", options.outputDir,
                 "Write each output to DIR/NAME.npy; the folder is created")
      ->type_name("DIR");
  app.add_option("--threads", options.session.threads,
                 "Threads; 0: one per core that the process may use")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option("--repeat", options.repeat, "Timed runs")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  app.add_option("--warmup", options.warmup, "Runs before the timed ones")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  app.add_option("--variant", options.session.variant,
                 "CPU variant of the artifact; default: the best that this "
                 "machine runs")
      ->type_name("NAME");
  app.add_option("--device", options.session.device,
                 "What runs the artifact: cpu, or for one compiled for the NPU "
                 "exynos-npu-sim, its simulator (the default there)")
      ->type_name("NAME");
  app.add_flag("--timing-only", options.session.timingOnly,
               "Compute nothing: only print the time on the simulated machine; "
               "needs no inputs");
  app.add_flag("--profile", options.session.profile,
               "Measure each launch and print where the time went");
  app.add_option("--json", options.json,
                 "Write times, sizes and profile to a file")
      ->type_name("FILE.json");
  app.add_option("--dump-tensors", options.dumpDir,
                 "Before the timed runs, write what each launch computes to "
                 "DIR/NNNN_NAME.npy, listed in DIR/index.json")
      ->type_name("DIR");
  app.parse_complete_callback(
      [&options, seed] { options.useRandomInputs = seed->count() > 0; });
  app.footer("Example: efrun unet.efa --input sample=x.npy --input "
             "timestep=t.npy --output-dir out --threads 2 --repeat 5");
}

static Status createFolder(const std::string &path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error)
    return Status(StatusCode::IoError,
                  concat("cannot create the folder ", quote(path), ": ",
                         error.message()));
  return Status();
}

static Status writeOutputs(const Session &session, const std::string &folder) {
  if (Status status = createFolder(folder); !status.ok())
    return status;
  std::span<const TensorInfo> outputs = session.outputs();
  for (size_t i = 0; i < outputs.size(); ++i) {
    std::string path = concat(folder, "/", fileNameOf(outputs[i].name), ".npy");
    if (Status status = writeNpy(path, outputs[i].dtype, outputs[i].shape,
                                 session.outputBuffer(i));
        !status.ok())
      return status;
  }
  return Status();
}

static double secondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
      .count();
}

static Status timeRuns(Session &session, const Options &options,
                       RunReport &report) {
  for (unsigned i = 0; i < options.warmup; ++i)
    if (Status status = session.run(isInterrupted); !status.ok())
      return status;
  session.resetProfile();
  for (unsigned i = 0; i < options.repeat; ++i) {
    auto begin = std::chrono::steady_clock::now();
    if (Status status = session.run(isInterrupted); !status.ok())
      return status;
    report.seconds.push_back(secondsSince(begin));
  }
  return Status();
}

static Status runModel(const Options &options) {
  if (std::filesystem::is_directory(options.model))
    return Status(
        StatusCode::InvalidArgument,
        concat(quote(options.model),
               " is a folder; to run a bundle make it the first argument"));
  if (options.session.timingOnly)
    return printSimulatedTime(options.model, options.session, options.json);
  auto begin = std::chrono::steady_clock::now();
  Result<std::unique_ptr<Session>> loaded =
      Session::load(options.model, options.session);
  if (!loaded)
    return loaded.status();
  Session &session = **loaded;
  RunReport report;
  report.loadSeconds = secondsSince(begin);
  std::optional<uint64_t> seed = options.useRandomInputs
                                     ? std::optional(options.randomSeed)
                                     : std::nullopt;
  if (Status status = fillInputs(session, options.inputs, seed); !status.ok())
    return status;
  if (!options.dumpDir.empty()) {
    if (Status status = createFolder(options.dumpDir); !status.ok())
      return status;
    if (Status status = dumpTensors(session, options.dumpDir); !status.ok())
      return status;
  }
  if (Status status = timeRuns(session, options, report); !status.ok())
    return status;
  if (!options.outputDir.empty())
    if (Status status = writeOutputs(session, options.outputDir); !status.ok())
      return status;
  report.model = options.model;
  std::cout << toText(report, session);
  if (options.json.empty())
    return Status();
  std::string json = toJson(report, session);
  return writeFileAtomically(options.json, {std::as_bytes(std::span(json))});
}

int efrun::runModelMode(int argc, char **argv) {
  CLI::App app("Runs a compiled model.", "efrun");
  Options options;
  declareOptions(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    if (error.get_exit_code() == 0)
      return app.exit(error);
    std::cerr << "efrun: error: " << error.what() << "; see efrun --help\n";
    return 1;
  }
  catchInterrupts();
  Status status = runModel(options);
  if (status.ok())
    return 0;
  std::cerr << "efrun: error: " << status.message() << '\n';
  return status.getCode() == StatusCode::Cancelled ? kInterruptedExitCode : 1;
}
