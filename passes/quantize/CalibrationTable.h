// The calibration table: the range of every tensor that is stored as int16.
//
// A text file, one tensor a line, columns separated by tabs:
//
//   # edgefusion calibration 1
//   # model: unet.onnx
//   tensor	minimum	maximum
//   sample	-4.25	4.5
//   scores:attention_out	-11.5	13
//
// Lines that begin with # and empty lines are comments; `scores:T` is the range
// of the scaled scores of the attention whose result is tensor T.
#ifndef EFC_PASSES_QUANTIZE_CALIBRATIONTABLE_H
#define EFC_PASSES_QUANTIZE_CALIBRATIONTABLE_H

#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"

#include <optional>
#include <string>

namespace efc {

class CalibrationTable {
public:
  /// Reads `path`. An error is one sentence with the line.
  static llvm::Expected<CalibrationTable> read(llvm::StringRef path);
  static llvm::Expected<CalibrationTable> parse(llvm::StringRef text,
                                                llvm::StringRef path);

  /// The largest magnitude of a tensor; nothing if it is not in the table.
  std::optional<float> getLargest(llvm::StringRef tensor) const;

  /// Names that were never asked for, sorted.
  std::vector<std::string> getUnused() const;

private:
  struct Range {
    float largest;
    mutable bool isUsed;
  };
  llvm::StringMap<Range> ranges;
};

} // namespace efc

#endif
