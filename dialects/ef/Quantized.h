// Quantised tensors of the `ef` dialect: their types, and the reference
// evaluation of the operations that read them. Every rule is in
// docs/numerics.md.
#ifndef EFC_DIALECTS_EF_QUANTIZED_H
#define EFC_DIALECTS_EF_QUANTIZED_H

#include "dialects/ef/HostTensor.h"

#include "mlir/Dialect/Quant/IR/QuantTypes.h"
#include "llvm/ADT/ArrayRef.h"

#include <optional>
#include <string>

namespace efc::ef {

class AttentionOp;
class ConvOp;
class GroupNormOp;
class LayerNormOp;
class MatmulOp;

/// Largest |q| of an activation, and of one with a guard bit.
inline constexpr int32_t kActivationLimit = 32767, kGuardedLimit = 16383;
/// Whether a kernel may compute a convolution by Winograd's F(2x2, 3x3), so
/// that its input keeps a guard bit. Of the shape alone, the same for every
/// target.
bool mayUseWinograd(ConvOp conv);
/// ... of the queries and keys of a head of `depth` channels: floor(sqrt((2^31
/// - 1) / depth)), so that a sum of their products fits 32 bits.
int32_t getScoreOperandLimit(int64_t depth);
/// Largest |q| of a weight.
inline constexpr int32_t kWeightLimit = 127;

/// True for a quantised element type and for a tensor of one.
bool isQuantized(mlir::Type type);

/// What an element type of ours says; `type` may be the tensor's.
struct ActivationFormat {
  float scale;
  int32_t limit; ///< Largest |q|.
};
/// Nothing unless `type` is a symmetric int16 type with one scale.
std::optional<ActivationFormat> getActivationFormat(mlir::Type type);

struct WeightFormat {
  llvm::ArrayRef<double> scales; ///< Binary32 values, one an index of `axis`.
  int32_t axis;
};
/// Nothing unless `type` is a symmetric int8 type with scales along an axis.
std::optional<WeightFormat> getWeightFormat(mlir::Type type);

/// !quant.uniform<i16:f32, scale>, with `limit` as the range if that is not
/// the whole one. `scale` must be positive and normal.
mlir::Type makeActivationType(mlir::MLIRContext *context, float scale,
                              int32_t limit);
/// !quant.uniform<i8<-127:127>:f32:axis, {scales}>.
mlir::Type makeWeightType(mlir::MLIRContext *context,
                          llvm::ArrayRef<float> scales, int32_t axis);

/// The scale of a tensor whose largest magnitude is `largest`: largest / limit,
/// or 1 where that is no normal binary32 number (a tensor of zeros).
float makeScale(float largest, int32_t limit);

/// Makes quant.qcast and quant.dcast evaluable; the dialect calls it.
void attachQuantizedCastModels(mlir::MLIRContext &context);

/// Reference evaluation of the anchors on quantised operands: binary32 results.
HostTensor evaluateQuantized(ConvOp op, llvm::ArrayRef<HostTensor> operands);
HostTensor evaluateQuantized(MatmulOp op, llvm::ArrayRef<HostTensor> operands);
HostTensor evaluateQuantized(AttentionOp op,
                             llvm::ArrayRef<HostTensor> operands);
HostTensor evaluateQuantized(GroupNormOp op,
                             llvm::ArrayRef<HostTensor> operands);
HostTensor evaluateQuantized(LayerNormOp op,
                             llvm::ArrayRef<HostTensor> operands);

/// True for an element-wise operation (or geglu) on binary32 values whose
/// functions docs/numerics.md defines: what a quantised kernel may hold.
bool hasExactEvaluation(mlir::Operation *op);
/// Its value in binary32, one rounding an operation.
HostTensor evaluateExact(mlir::Operation *op,
                         llvm::ArrayRef<HostTensor> operands);

} // namespace efc::ef

#endif
