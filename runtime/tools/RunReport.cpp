// Times, sizes and profile, for people and for programs.
#include "runtime/tools/RunReport.h"

#include "runtime/core/Text.h"
#include "runtime/tools/SimulatedTime.h"

#include <nlohmann/json.hpp>

#include <sys/resource.h>

#include <algorithm>
#include <iomanip>
#include <map>
#include <numeric>

using namespace efrt;
using namespace efrun;

static double medianOf(std::vector<double> values) {
  std::ranges::sort(values);
  size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle]
                                : (values[middle - 1] + values[middle]) / 2;
}

static uint64_t peakResidentBytes() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

static std::string milliseconds(double seconds) {
  std::ostringstream stream;
  stream << std::fixed << std::setprecision(3) << seconds * 1e3 << " ms";
  return stream.str();
}

/// One line of a profile table: milliseconds of a run, share, rates.
static void printRow(std::ostream &stream, const ProfileEntry &entry,
                     uint64_t runs, double total) {
  double seconds = entry.seconds / static_cast<double>(runs);
  auto perSecond = [&](uint64_t amount) {
    return entry.seconds > 0 ? static_cast<double>(amount * entry.calls) *
                                   1e-9 / entry.seconds
                             : 0;
  };
  stream << std::fixed << std::setw(11) << std::setprecision(3) << seconds * 1e3
         << std::setw(7) << std::setprecision(1)
         << (total > 0 ? 100 * entry.seconds / total : 0) << std::setw(9)
         << std::setprecision(1) << perSecond(entry.macs) << std::setw(8)
         << perSecond(entry.bytes) << "  " << entry.op;
  if (!entry.node.empty())
    stream << "  (" << entry.node << ")";
  if (entry.simulatedSeconds > 0)
    stream << "  simulated " << milliseconds(entry.simulatedSeconds);
  stream << '\n';
}

/// The profile summed up by operation; macs and bytes become averages over the
/// calls.
static std::vector<ProfileEntry>
sumByOperation(std::span<const ProfileEntry> profile) {
  std::map<std::string, ProfileEntry> sums;
  for (const ProfileEntry &entry : profile) {
    ProfileEntry &sum = sums[entry.op];
    sum.op = entry.op;
    sum.calls += entry.calls;
    sum.seconds += entry.seconds;
    sum.macs += entry.macs * entry.calls;
    sum.bytes += entry.bytes * entry.calls;
  }
  std::vector<ProfileEntry> result;
  for (auto &[op, sum] : sums) {
    sum.macs /= std::max<uint64_t>(sum.calls, 1);
    sum.bytes /= std::max<uint64_t>(sum.calls, 1);
    result.push_back(sum);
  }
  return result;
}

static void printTable(std::ostream &stream, const char *title,
                       std::vector<ProfileEntry> entries, uint64_t runs) {
  constexpr size_t maxRows = 25;
  double total = std::accumulate(
      entries.begin(), entries.end(), 0.0,
      [](double sum, const auto &entry) { return sum + entry.seconds; });
  std::ranges::sort(entries, std::greater(), &ProfileEntry::seconds);
  stream << '\n'
         << title << " (per run, the slowest first)\n"
         << "         ms      %   GMAC/s    GB/s  operation\n";
  for (size_t i = 0; i < std::min(entries.size(), maxRows); ++i)
    printRow(stream, entries[i], runs, total);
  if (entries.size() > maxRows)
    stream << "        ... and " << entries.size() - maxRows << " more\n";
}

std::string efrun::toText(const RunReport &report, const Session &session) {
  std::ostringstream stream;
  stream << quote(report.model) << ": " << session.variant() << ", weights "
         << bytesText(session.weightBytes()) << ", arena "
         << bytesText(session.arenaBytes()) << ", loaded in "
         << milliseconds(report.loadSeconds) << '\n';
  stream << report.seconds.size()
         << (report.seconds.size() == 1 ? " run: " : " runs: ") << "median "
         << milliseconds(medianOf(report.seconds)) << ", min "
         << milliseconds(*std::ranges::min_element(report.seconds)) << '\n';
  if (!session.simulation().empty())
    if (Result<SimulatedTime> time = simulatedTimeOf(session, report.model))
      stream << toText(*time) << '\n';
  std::vector<ProfileEntry> profile = session.profile();
  if (profile.empty())
    return stream.str();
  printTable(stream, "by operation", sumByOperation(profile),
             report.seconds.size());
  printTable(stream, "by launch", profile, report.seconds.size());
  return stream.str();
}

static nlohmann::json toJson(std::span<const TensorInfo> infos) {
  nlohmann::json list = nlohmann::json::array();
  for (const TensorInfo &info : infos)
    list.push_back({{"name", info.name},
                    {"dtype", nameOf(info.dtype)},
                    {"shape", info.shape}});
  return list;
}

std::string efrun::toJson(const RunReport &report, const Session &session) {
  nlohmann::json profile = nlohmann::json::array(),
                 metadata = nlohmann::json::object();
  for (const ProfileEntry &entry : session.profile())
    profile.push_back({{"node", entry.node},
                       {"op", entry.op},
                       {"kernel", entry.kernel},
                       {"calls", entry.calls},
                       {"seconds", entry.seconds},
                       {"macs", entry.macs},
                       {"bytes", entry.bytes},
                       {"device", entry.device},
                       {"simulated_seconds", entry.simulatedSeconds}});
  for (const auto &[key, value] : session.metadata())
    metadata[key] = value;
  nlohmann::json json = {
      {"model", report.model},
      {"variant", session.variant()},
      {"load_seconds", report.loadSeconds},
      {"run_seconds", report.seconds},
      {"median_seconds", medianOf(report.seconds)},
      {"min_seconds", *std::ranges::min_element(report.seconds)},
      {"simulated_seconds", session.simulatedSeconds()},
      {"arena_bytes", session.arenaBytes()},
      {"weight_bytes", session.weightBytes()},
      {"peak_rss_bytes", peakResidentBytes()},
      {"inputs", ::toJson(session.inputs())},
      {"outputs", ::toJson(session.outputs())},
      {"metadata", metadata},
      {"profile", profile}};
  return json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) +
         "\n";
}
