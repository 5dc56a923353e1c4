// Rewrites a function by a quantisation plan: types, casts, quantised weights.
#ifndef EFC_PASSES_QUANTIZE_MODELQUANTIZER_H
#define EFC_PASSES_QUANTIZE_MODELQUANTIZER_H

#include "passes/quantize/CalibrationTable.h"
#include "passes/quantize/QuantizationPlan.h"

#include "dialects/ef/WeightStore.h"

#include "llvm/ADT/DenseMap.h"

namespace efc {

/// The table's name of a value that is stored as int16: its ONNX tensor.
std::string getTableName(mlir::Value value);
/// ... of an attention's scores.
std::string getScoresName(ef::AttentionOp attention);

/// Quantised weights as constant expressions, each once for all its users.
class WeightQuantizer {
public:
  explicit WeightQuantizer(ef::WeightStore &store) : store(store) {}

  /// quant.qcast of `weights`, behind it. Fails with a diagnostic at `user`.
  mlir::FailureOr<mlir::Value> quantize(mlir::Value weights, int32_t axis,
                                        mlir::Operation *user);
  /// The float value of the same, for activations in float: a kernel of one
  /// quant.dcast.
  mlir::FailureOr<mlir::Value>
  quantizeDequantize(mlir::Value weights, int32_t axis, mlir::Operation *user);

  size_t getCount() const { return casts.size(); }

private:
  ef::WeightStore &store;
  llvm::DenseMap<std::pair<mlir::Value, int32_t>, mlir::Value> casts, floats;
};

class ModelQuantizer {
public:
  /// All ranges that the plan asks for must be in the table.
  ModelQuantizer(const QuantizationPlan &plan, const CalibrationTable &table,
                 WeightQuantizer &weights)
      : plan(plan), table(table), weights(weights) {}

  /// Fails with a diagnostic.
  mlir::LogicalResult run(mlir::func::FuncOp function);

  size_t getNumBorderCasts() const { return numBorderCasts; }

private:
  mlir::LogicalResult rewriteKernel(mlir::Operation *kernel);
  mlir::Value getQuantized(mlir::Value value);
  mlir::Value getFloat(mlir::Value value);
  mlir::Value quantizeMovement(mlir::Operation *op);
  mlir::Type getResultType(mlir::Value root);

  const QuantizationPlan &plan;
  const CalibrationTable &table;
  WeightQuantizer &weights;
  /// Of the values before the rewrite: the int16 form, and for those whose
  /// producer is now quantised, the float form.
  llvm::DenseMap<mlir::Value, mlir::Value> quantized, floats;
  /// Operations that have a quantised form in their place.
  llvm::SetVector<mlir::Operation *> replaced;
  size_t numBorderCasts = 0;
};

} // namespace efc

#endif
