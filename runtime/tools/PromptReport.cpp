// Text and JSON about a generated picture.
#include "runtime/tools/PromptReport.h"

#include "runtime/core/Text.h"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <sys/resource.h>

using namespace efrt;

static uint64_t peakRssBytes() {
  struct rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024; // Linux counts KiB.
}

static std::string timeLine(const std::string &stage, double seconds,
                            double total) {
  char line[128];
  std::snprintf(line, sizeof(line), "  %-16s %10.1f ms %5.1f%%\n",
                stage.c_str(), seconds * 1e3, 100 * seconds / total);
  return line;
}

std::string efrun::toText(const GeneratedImage &image, double loadSeconds,
                          const std::string &path) {
  double total = loadSeconds + image.totalSeconds;
  std::string text =
      concat("wrote ", path, " (", image.width, "x", image.height, ")\n");
  text += timeLine("load", loadSeconds, total);
  double rest = image.totalSeconds;
  for (const StageTime &time : image.times) {
    text += timeLine(time.stage, time.seconds, total);
    rest -= time.seconds;
  }
  text += timeLine("pixels, noise", rest, total);
  text += timeLine("total", total, total);
  return text + concat("  peak memory ", bytesText(peakRssBytes()), "\n");
}

std::string efrun::toJson(const GeneratedImage &image, double loadSeconds,
                          const std::string &path) {
  nlohmann::ordered_json json;
  json["output"] = path;
  for (const auto &[key, value] : image.parameters)
    json["parameters"][key] = value;
  json["width"] = image.width;
  json["height"] = image.height;
  json["tokens"] = image.numTokens;
  json["tokens_read"] = image.numTokensRead;
  json["timesteps"] = image.timesteps;
  json["load_seconds"] = loadSeconds;
  for (const StageTime &time : image.times)
    json["stages"].push_back(
        {{"stage", time.stage}, {"seconds", time.seconds}});
  json["total_seconds"] = image.totalSeconds;
  json["peak_rss_bytes"] = peakRssBytes();
  // A file name may hold bytes that are not UTF-8.
  return json.dump(2, ' ', false,
                   nlohmann::ordered_json::error_handler_t::replace) +
         "\n";
}
