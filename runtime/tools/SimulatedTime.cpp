// See SimulatedTime.h.
#include "runtime/tools/SimulatedTime.h"

#include "runtime/core/AtomicFile.h"
#include "runtime/core/Text.h"
#include "runtime/pipeline/PipelineConfig.h"

#include <nlohmann/json.hpp>

#include <iomanip>
#include <iostream>

using namespace efrt;
using namespace efrun;

static std::string milliseconds(double seconds) {
  std::ostringstream stream;
  stream << std::fixed << std::setprecision(3) << seconds * 1e3 << " ms";
  return stream.str();
}

Result<SimulatedTime> efrun::simulatedTimeOf(const Session &session,
                                             const std::string &model) {
  SimulatedTime time;
  time.model = model;
  time.seconds = session.simulatedSeconds();
  time.cpuLaunches = session.numCpuLaunches();
  for (const SimulatedLaunch *launch : session.simulation()) {
    time.machine = launch->machine;
    time.commands += launch->commands.size();
    time.macs += launch->macs;
    time.dramBytes += launch->dramBytes;
  }
  if (time.machine.empty())
    return Status(StatusCode::InvalidArgument,
                  concat(quote(model),
                         " has no NPU programs to simulate: it was compiled "
                         "with --target=cpu, or the NPU runs none of its "
                         "operations; compile it with --target=exynos-npu, "
                         "which lists what stays on the CPU and why"));
  return time;
}

std::string efrun::toText(const SimulatedTime &time) {
  std::ostringstream stream;
  stream << quote(time.model) << ": simulated " << milliseconds(time.seconds)
         << " a run on " << time.machine << " (" << time.commands
         << " commands, " << std::fixed << std::setprecision(2)
         << static_cast<double>(time.macs) * 1e-9 << " GMAC, "
         << bytesText(time.dramBytes) << " of DRAM traffic";
  if (time.cpuLaunches > 0)
    stream << "; without " << time.cpuLaunches
           << (time.cpuLaunches == 1 ? " launch" : " launches")
           << " on the CPU";
  stream << ')';
  return stream.str();
}

static nlohmann::json toJson(const SimulatedTime &time) {
  return {{"model", time.model},
          {"machine", time.machine},
          {"simulated_seconds", time.seconds},
          {"commands", time.commands},
          {"macs", time.macs},
          {"dram_bytes", time.dramBytes},
          {"cpu_launches", time.cpuLaunches}};
}

static Result<SimulatedTime> loadTime(const std::string &path,
                                      SessionOptions options) {
  options.timingOnly = true;
  Result<std::unique_ptr<Session>> session = Session::load(path, options);
  if (!session)
    return session.status();
  return simulatedTimeOf(**session, path);
}

static Status writeJson(const nlohmann::json &json, const std::string &path) {
  if (path.empty())
    return Status();
  std::string text =
      json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  return writeFileAtomically(path, {std::as_bytes(std::span(text))});
}

Status efrun::printSimulatedTime(const std::string &path,
                                 const SessionOptions &options,
                                 const std::string &json) {
  Result<SimulatedTime> time = loadTime(path, options);
  if (!time)
    return time.status();
  std::cout << toText(*time) << '\n';
  return writeJson(::toJson(*time), json);
}

Status efrun::printSimulatedTimes(const std::string &bundle, int64_t steps,
                                  const SessionOptions &options,
                                  const std::string &json) {
  Result<PipelineConfig> config = readPipelineConfig(bundle);
  if (!config)
    return config.status();
  double total = 0;
  nlohmann::json models = nlohmann::json::array();
  for (const auto &[path, runs] : {std::pair(config->textEncoder, int64_t(1)),
                                   std::pair(config->unet, steps),
                                   std::pair(config->vaeDecoder, int64_t(1))}) {
    Result<SimulatedTime> time = loadTime(path, options);
    if (!time)
      return time.status();
    std::cout << toText(*time) << '\n';
    total += time->seconds * static_cast<double>(runs);
    nlohmann::json entry = ::toJson(*time);
    entry["runs"] = runs;
    models.push_back(std::move(entry));
  }
  std::cout << "a picture in " << steps << (steps == 1 ? " step" : " steps")
            << ": simulated " << milliseconds(total) << '\n';
  return writeJson({{"models", models}, {"simulated_seconds", total}}, json);
}
