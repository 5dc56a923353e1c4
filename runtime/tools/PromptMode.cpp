// efrun BUNDLE --prompt "...": from a prompt to a picture, and where the time
// went.
#include "runtime/core/AtomicFile.h"
#include "runtime/core/Text.h"
#include "runtime/tools/Interrupt.h"
#include "runtime/tools/Modes.h"
#include "runtime/tools/Npy.h"
#include "runtime/tools/PromptModes.h"
#include "runtime/tools/PromptReport.h"
#include "runtime/tools/SimulatedTime.h"

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <unistd.h>

using namespace efrt;
using namespace efrun;

namespace {
struct Options {
  std::string bundle, output = "out.png", json, saveLatents, saveImage, latents,
                      tokenizeLines;
  GenerationParams generation;
  TextToImageOptions pipeline;
  bool hasPrompt = false, hasGuidance = false, timingOnly = false;
};
} // namespace

static void declareOutputs(CLI::App &app, Options &options) {
  app.add_option("-o,--output", options.output,
                 "The picture; the parameters are stored inside")
      ->type_name("FILE.png")
      ->capture_default_str();
  app.add_option("--json", options.json,
                 "Write parameters, tokens, times and memory to a file")
      ->type_name("FILE.json");
  app.add_option("--save-latents", options.saveLatents,
                 "Write the final latent, before the VAE decoder")
      ->type_name("FILE.npy");
  app.add_option("--save-image-npy", options.saveImage,
                 "Write the VAE decoder's output, [1, 3, height, width] in "
                 "[-1, 1]")
      ->type_name("FILE.npy");
  // For tests only: hidden.
  app.add_option("--tokenize-lines", options.tokenizeLines)->group("");
}

static void declareOptions(CLI::App &app, Options &options) {
  app.add_option("bundle", options.bundle,
                 "The folder with pipeline.json and the compiled models")
      ->required()
      ->type_name("BUNDLE");
  CLI::Option *prompt = app.add_option("--prompt", options.generation.prompt,
                                       "What the picture shows");
  prompt->type_name("TEXT");
  app.add_option("--steps", options.generation.steps, "Steps of the LCM loop")
      ->check(CLI::Range(int64_t(1), TextToImage::kMaxSteps))
      ->capture_default_str();
  app.add_option("--seed", options.generation.seed,
                 "Seed of the noise, equal to torch's CPU generator")
      ->capture_default_str();
  CLI::Option *guidance =
      app.add_option("--guidance", options.generation.guidance,
                     "Guidance scale, as diffusers counts it")
          ->capture_default_str();
  app.add_option("--latents", options.latents,
                 "The first latent, instead of noise from the seed")
      ->type_name("FILE.npy");
  app.add_option("--threads", options.pipeline.threads,
                 "Threads; 0: one per core that the process may use")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option("--variant", options.pipeline.variant,
                 "CPU variant of the artifacts; default: the best that this "
                 "machine runs")
      ->type_name("NAME");
  app.add_option("--device", options.pipeline.device,
                 "What runs the artifacts: cpu, or for those compiled for the "
                 "NPU exynos-npu-sim, its simulator (the default there)")
      ->type_name("NAME");
  app.add_flag("--timing-only", options.timingOnly,
               "Compute nothing: only print the times on the simulated "
               "machine; needs no prompt");
  app.add_flag("--low-memory", options.pipeline.lowMemory,
               "Keep only the model in memory that is running");
  declareOutputs(app, options);
  app.parse_complete_callback([&options, prompt, guidance] {
    options.hasPrompt = prompt->count() > 0;
    options.hasGuidance = guidance->count() > 0;
  });
  app.footer("Example: efrun bundle --prompt \"a lighthouse at dawn\" --steps "
             "2 --seed 0 --guidance 8 -o out.png");
}

// A minute of work should not end with a folder that does not exist.
static Status checkWritable(const std::string &path) {
  std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (folder.empty())
    folder = ".";
  if (access(folder.c_str(), W_OK) == 0)
    return {};
  return Status(StatusCode::IoError,
                concat("cannot write ", quote(path), ": the folder ",
                       quote(folder.string()), ": ", std::strerror(errno)));
}

static Status checkOutputs(const Options &options) {
  for (const std::string &path :
       {options.output, options.json, options.saveLatents, options.saveImage})
    if (!path.empty())
      if (Status status = checkWritable(path); !status.ok())
        return status;
  return {};
}

static Status readLatents(const std::string &path,
                          std::vector<float> &latents) {
  if (path.empty())
    return {};
  Result<Array> array = readNpy(path);
  if (!array)
    return array.status();
  if (array->dtype != DType::F32)
    return Status(StatusCode::InvalidArgument,
                  concat(quote(path), " holds ", nameOf(array->dtype),
                         ", but latents are f32"));
  latents.resize(array->data.size() / sizeof(float));
  std::memcpy(latents.data(), array->data.data(), array->data.size());
  return {};
}

static Status writeFloats(const std::string &path,
                          const std::vector<int64_t> &shape,
                          const std::vector<float> &values) {
  if (path.empty())
    return {};
  return writeNpy(path, DType::F32, shape, std::as_bytes(std::span(values)));
}

static Status writeResults(const Options &options, const GeneratedImage &image,
                           double loadSeconds) {
  if (Status status = writePng(options.output, image); !status.ok())
    return status;
  if (Status status = writeFloats(
          options.saveLatents,
          {1, image.latentChannels, image.latentHeight, image.latentWidth},
          image.latents);
      !status.ok())
    return status;
  if (Status status = writeFloats(
          options.saveImage, {1, 3, image.height, image.width}, image.values);
      !status.ok())
    return status;
  if (options.json.empty())
    return {};
  std::string json = toJson(image, loadSeconds, options.output);
  return writeFileAtomically(options.json, {std::as_bytes(std::span(json))});
}

// A bar that is drawn over itself, on a terminal only.
static void showProgress(const Progress &progress) {
  constexpr int64_t width = 24;
  int64_t filled = progress.done * width / progress.total;
  std::string bar = std::string(filled, '#') + std::string(width - filled, '.');
  // "ESC [ K" clears the rest of the line.
  std::cerr << "\r[" << bar << "] " << progress.done << '/' << progress.total
            << ' ' << progress.stage << "\x1b[K" << std::flush;
  if (progress.done == progress.total)
    std::cerr << "\r\x1b[K" << std::flush;
}

static void printNotes(const Options &options, const TextToImage &pipeline,
                       const GeneratedImage &image) {
  if (image.numTokens > image.numTokensRead)
    std::cerr << "efrun: note: the prompt has " << image.numTokens
              << " tokens; the text encoder reads the first "
              << image.numTokensRead << '\n';
  if (options.hasGuidance && !pipeline.hasGuidance())
    std::cerr << "efrun: note: --guidance has no effect: the U-Net has no "
                 "guidance embedding\n";
}

static Status generate(Options &options) {
  if (Status status = checkOutputs(options); !status.ok())
    return status;
  if (Status status =
          readLatents(options.latents, options.generation.initialLatents);
      !status.ok())
    return status;
  auto begin = std::chrono::steady_clock::now();
  Result<std::unique_ptr<TextToImage>> pipeline =
      TextToImage::load(options.bundle, options.pipeline);
  if (!pipeline)
    return pipeline.status();
  std::chrono::duration<double> loading =
      std::chrono::steady_clock::now() - begin;

  bool onTerminal = isatty(STDERR_FILENO) != 0;
  Result<GeneratedImage> image = (*pipeline)->generate(
      options.generation, onTerminal ? showProgress : ProgressCallback(),
      isInterrupted);
  if (!image) {
    if (onTerminal)
      std::cerr << '\n';
    return image.status();
  }
  printNotes(options, **pipeline, *image);
  if (Status status = writeResults(options, *image, loading.count());
      !status.ok())
    return status;
  std::cout << toText(*image, loading.count(), options.output);
  return {};
}

static Status runOptions(Options &options) {
  if (!options.tokenizeLines.empty())
    return tokenizeLines(options.bundle, options.tokenizeLines);
  if (options.timingOnly) {
    SessionOptions session;
    session.threads = options.pipeline.threads;
    session.variant = options.pipeline.variant;
    session.device = options.pipeline.device;
    return printSimulatedTimes(options.bundle, options.generation.steps,
                               session, options.json);
  }
  if (!options.hasPrompt)
    return Status(StatusCode::InvalidArgument,
                  concat("a bundle needs --prompt TEXT; see efrun ",
                         options.bundle, " --help"));
  return generate(options);
}

int efrun::runPromptMode(int argc, char **argv) {
  CLI::App app("Generates a picture from a prompt.", "efrun");
  Options options;
  declareOptions(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    if (error.get_exit_code() == 0)
      return app.exit(error);
    std::cerr << "efrun: error: " << error.what() << "; see efrun "
              << options.bundle << " --help\n";
    return 1;
  }
  catchInterrupts();
  Status status = runOptions(options);
  if (status.ok())
    return 0;
  std::cerr << "efrun: error: " << status.message() << '\n';
  return status.getCode() == StatusCode::Cancelled ? kInterruptedExitCode : 1;
}
