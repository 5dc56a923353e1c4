// Text of the pieces that commands and attributes share.
#ifndef EFC_DIALECTS_NPU_TEXT_H
#define EFC_DIALECTS_NPU_TEXT_H

#include "dialects/npu/NpuDialect.h"

namespace efc::npu {

/// `i16 at 64 [1, 1, 8, 32] strides [0, 0, 128, 2] * 0.5 limit 8191`
mlir::ParseResult parseView(mlir::AsmParser &parser, efrt::npu::View &view);
void printView(mlir::AsmPrinter &printer, const efrt::npu::View &view);

} // namespace efc::npu

#endif
