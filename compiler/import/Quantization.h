// What the quantised operators share.
#ifndef EFC_COMPILER_IMPORT_QUANTIZATION_H
#define EFC_COMPILER_IMPORT_QUANTIZATION_H

#include "compiler/import/NodeImporter.h"

namespace efc::importer {

/// `value` - zero point (input `index` of the node, none if it is left out) in
/// i32: what integer products and convolutions accumulate. A vector of zero
/// points goes along `axis`.
Value subtractZeroPoint(NodeImporter &node, Value value, size_t index,
                        int64_t axis);

/// Quantises `accumulator` (i32) * `scale` to the zero point's type with
/// `outputScale`. `scale` broadcasts to the accumulator.
Value requantize(NodeImporter &node, Value accumulator, Value scale,
                 Value outputScale, Value outputZeroPoint);

/// ef.quantize to `elementType`.
Value quantize(NodeImporter &node, Value input, Value scale, Value zeroPoint,
               Type elementType, int64_t axis, int64_t blockSize);

} // namespace efc::importer

#endif
