// Artifact -> text for a person (efc --inspect).
#include "runtime/core/Artifact.h"
#include "runtime/core/Text.h"

#include <algorithm>
#include <iomanip>
#include <map>
#include <tuple>

using namespace efrt;

static const char *kindText(SectionKind kind) {
  return kind <= SectionKind::MAX ? efc::fb::EnumNameSectionKind(kind)
                                  : "unknown";
}

static void printPorts(std::ostream &stream, const char *title,
                       std::span<const ArtifactPort> ports) {
  for (const ArtifactPort &port : ports) {
    stream << title << quote(port.name) << "  "
           << typeText(port.dtype, port.shape);
    if (port.scale != 0)
      stream << ", real = " << port.scale << " * integer";
    stream << '\n';
  }
}

static void printVariants(std::ostream &stream, const Artifact &artifact) {
  for (const ArtifactVariant &variant : artifact.variants) {
    stream << "cpu variant  " << quote(variant.name) << "  " << variant.triple
           << ", needs";
    for (const std::string &feature : variant.features)
      stream << ' ' << feature;
    stream << (variant.features.empty() ? " nothing" : "") << '\n';
  }
}

/// The launches summed up by what they do, the most work first.
static void printLaunches(std::ostream &stream, const Artifact &artifact) {
  struct Sum {
    uint64_t launches = 0, macs = 0, bytes = 0;
  };
  std::map<std::string, Sum> sums;
  for (const ArtifactDispatch &dispatch : artifact.dispatches) {
    Sum &sum = sums[dispatch.op];
    ++sum.launches;
    sum.macs += dispatch.macs;
    sum.bytes += dispatch.bytes;
  }
  std::vector<std::pair<std::string, Sum>> rows(sums.begin(), sums.end());
  std::ranges::sort(rows, [](const auto &a, const auto &b) {
    return std::tuple(b.second.macs, b.second.bytes, a.first) <
           std::tuple(a.second.macs, a.second.bytes, b.first);
  });
  stream << "launches     " << artifact.dispatches.size() << " of "
         << artifact.kernels.size() << " kernels\n";
  if (rows.empty())
    return;
  stream << std::setw(9) << "launches" << std::setw(11) << "GMAC"
         << std::setw(12) << "bytes"
         << "  operation\n";
  for (const auto &[op, sum] : rows)
    stream << std::setw(9) << sum.launches << std::setw(11) << std::fixed
           << std::setprecision(3) << static_cast<double>(sum.macs) * 1e-9
           << std::setw(12) << bytesText(sum.bytes) << "  " << op << '\n';
}

std::string efrt::describe(const Artifact &artifact) {
  std::ostringstream stream;
  stream << "artifact     " << quote(artifact.name) << ", format "
         << artifact.versionMajor << '.' << artifact.versionMinor << ", "
         << bytesText(artifact.fileBytes) << ", by " << quote(artifact.producer)
         << '\n';
  printPorts(stream, "input        ", artifact.inputs);
  printPorts(stream, "output       ", artifact.outputs);
  stream << "arena        " << bytesText(artifact.arenaBytes)
         << "\nweights      " << bytesText(artifact.weights.size()) << '\n';
  for (const ArtifactSection &section : artifact.sections)
    stream << "section      " << kindText(section.kind) << ' '
           << quote(section.name) << "  " << bytesText(section.data.size())
           << ", checksum " << std::hex << std::setw(16) << std::setfill('0')
           << section.checksum << std::dec << std::setfill(' ') << '\n';
  printVariants(stream, artifact);
  for (const auto &[key, value] : artifact.metadata)
    stream << "metadata     " << key << " = " << value << '\n';
  printLaunches(stream, artifact);
  return stream.str();
}
