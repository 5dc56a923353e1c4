// Parses the calibration table. See CalibrationTable.h.
#include "passes/quantize/CalibrationTable.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/LineIterator.h"
#include "llvm/Support/MemoryBuffer.h"

#include <algorithm>
#include <cmath>

using namespace efc;
using llvm::Error;
using llvm::Expected;
using llvm::StringRef;

Expected<CalibrationTable> CalibrationTable::read(StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
  if (!buffer)
    return llvm::createStringError("cannot read the calibration table '" +
                                   path + "': " + buffer.getError().message());
  return parse((*buffer)->getBuffer(), path);
}

Expected<CalibrationTable> CalibrationTable::parse(StringRef text,
                                                   StringRef path) {
  CalibrationTable table;
  llvm::SmallVector<StringRef> lines;
  text.split(lines, '\n');
  bool isFirst = true;
  for (auto [index, line] : llvm::enumerate(lines)) {
    line = line.rtrim("\r");
    auto fail = [&, number = index + 1](const llvm::Twine &problem) {
      return llvm::createStringError("calibration table '" + path + "', line " +
                                     llvm::Twine(number) + ": " + problem);
    };
    if (line.trim().empty() || line.starts_with("#"))
      continue;
    llvm::SmallVector<StringRef, 3> columns;
    line.split(columns, '\t');
    if (columns.size() != 3)
      return fail("needs three columns separated by tabs (tensor, minimum, "
                  "maximum), but has " +
                  llvm::Twine(columns.size()));
    if (std::exchange(isFirst, false) && columns[1].trim() == "minimum")
      continue;
    StringRef name = columns[0].trim();
    double minimum, maximum;
    if (columns[1].trim().getAsDouble(minimum) ||
        columns[2].trim().getAsDouble(maximum))
      return fail("'" + columns[1] + "' and '" + columns[2] +
                  "' are not both numbers");
    if (!std::isfinite(minimum) || !std::isfinite(maximum))
      return fail("the range of '" + name +
                  "' is not finite; did the model give NaN or infinities when "
                  "it was calibrated?");
    if (minimum > maximum)
      return fail("the range of '" + name + "' is empty: its minimum " +
                  columns[1].trim() + " is above its maximum " +
                  columns[2].trim());
    auto largest =
        static_cast<float>(std::max(std::fabs(minimum), std::fabs(maximum)));
    if (!table.ranges.try_emplace(name, Range{largest, false}).second)
      return fail("'" + name + "' has a range already");
  }
  return table;
}

std::optional<float> CalibrationTable::getLargest(StringRef tensor) const {
  auto found = ranges.find(tensor);
  if (found == ranges.end())
    return std::nullopt;
  found->second.isUsed = true;
  return found->second.largest;
}

std::vector<std::string> CalibrationTable::getUnused() const {
  std::vector<std::string> names;
  for (const auto &entry : ranges)
    if (!entry.second.isUsed)
      names.push_back(entry.first().str());
  llvm::sort(names);
  return names;
}
