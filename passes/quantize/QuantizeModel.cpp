// efc-quantize: W8A16 by a calibration table.
#include "passes/Passes.h"
#include "passes/quantize/ModelQuantizer.h"
#include "passes/quantize/PartNorms.h"

#include "dialects/ef/Locations.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"

namespace efc {
#define GEN_PASS_DEF_EFCQUANTIZE
#include "passes/Passes.h.inc"
} // namespace efc

using namespace mlir;
using namespace efc;
using namespace efc::ef;

/// "'a', 'b', 'c' and 12 more"
static std::string formatNames(ArrayRef<std::string> names) {
  constexpr size_t kShown = 5;
  std::string text;
  llvm::raw_string_ostream stream(text);
  llvm::interleaveComma(
      names.take_front(kShown), stream,
      [&](const std::string &name) { stream << "'" << name << "'"; });
  if (names.size() > kShown)
    stream << " and " << names.size() - kShown << " more";
  return text;
}

/// One movement, for Python: its name, its result's shape and its attributes.
static llvm::json::Value describeMovement(Operation *op) {
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  llvm::json::Object movement{{"op", op->getName().stripDialect()},
                              {"shape", llvm::json::Array(type.getShape())}};
  if (auto slice = dyn_cast<SliceOp>(op)) {
    movement["starts"] = llvm::json::Array(slice.getStarts());
    movement["steps"] = llvm::json::Array(slice.getSteps());
  } else if (auto transpose = dyn_cast<TransposeOp>(op)) {
    movement["permutation"] = llvm::json::Array(transpose.getPermutation());
  }
  return movement;
}

/// The stored tensor that an attention's operand shows, and how.
static llvm::json::Value describeOperand(Operation *kernel, Value operand) {
  SmallVector<Operation *> movements;
  auto follow = [&](Value value) {
    for (; isMovement(value.getDefiningOp());
         value = value.getDefiningOp()->getOperand(0))
      movements.push_back(value.getDefiningOp());
    return value;
  };
  Value root = follow(getOutside(kernel, follow(operand)));
  llvm::json::Array path;
  for (Operation *movement : llvm::reverse(movements))
    path.push_back(describeMovement(movement));
  auto type = cast<RankedTensorType>(root.getType());
  return llvm::json::Object{{"tensor", llvm::json::fixUTF8(getTableName(root))},
                            {"shape", llvm::json::Array(type.getShape())},
                            {"movements", std::move(path)}};
}

/// What `edgefusion calibrate` has to measure.
static llvm::json::Value describePlan(const QuantizationPlan &plan) {
  llvm::json::Array tensors, elements, scores;
  for (Value value : plan.getTensors()) {
    tensors.push_back(llvm::json::fixUTF8(getTableName(value)));
    elements.push_back(
        cast<RankedTensorType>(value.getType()).getNumElements());
  }
  for (AttentionOp attention : plan.getAttentions()) {
    Operation *kernel = isa<FusedOp>(attention->getParentOp())
                            ? attention->getParentOp()
                            : attention.getOperation();
    scores.push_back(llvm::json::Object{
        {"name", llvm::json::fixUTF8(getScoresName(attention))},
        {"query", describeOperand(kernel, attention.getQuery())},
        {"key", describeOperand(kernel, attention.getKey())},
        {"heads", static_cast<int64_t>(attention.getHeads())},
        {"kv_heads", static_cast<int64_t>(attention.getKvHeads())},
        {"scale", attention.getScale().convertToDouble()},
        {"causal", attention.getCausal()}});
  }
  return llvm::json::Object{{"tensors", std::move(tensors)},
                            {"elements", std::move(elements)},
                            {"scores", std::move(scores)}};
}

namespace {
class Quantize : public efc::impl::EfcQuantizeBase<Quantize> {
public:
  using Base::Base;

  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main || main.isExternal())
      return;
    llvm::Regex pattern(keepFloat);
    std::string problem;
    if (!keepFloat.empty() && !pattern.isValid(problem)) {
      main.emitError() << "--keep-float='" << keepFloat
                       << "' is no regular expression: " << problem;
      return signalPassFailure();
    }
    std::optional<CalibrationTable> table;
    if (listTensors.empty() && !weightsOnly) {
      if (failed(readTable(main, table)))
        return signalPassFailure();
      numPartNorms += normalizeParts(main, *table);
    }
    QuantizationPlan plan(main, keepFloat.empty() ? nullptr : &pattern);
    if (failed(listTensors.empty() ? quantize(main, plan, table)
                                   : writePlan(main, plan)))
      signalPassFailure();
  }

private:
  LogicalResult readTable(func::FuncOp main,
                          std::optional<CalibrationTable> &table) {
    if (calibration.empty())
      return main.emitError()
             << "W8A16 needs the ranges of the activations: make a table with "
                "`edgefusion calibrate` and give it with --calibration=FILE";
    llvm::Expected<CalibrationTable> read = CalibrationTable::read(calibration);
    if (!read)
      return main.emitError() << llvm::toString(read.takeError());
    table = std::move(*read);
    return success();
  }

  /// By `table`, or the weights alone without one.
  LogicalResult quantize(func::FuncOp main, const QuantizationPlan &plan,
                         const std::optional<CalibrationTable> &table) {
    for (const auto &[kernel, reason] : plan.getFloatKernels())
      kernel->emitRemark() << "stays in float: it " << reason;
    numQuantized += plan.getQuantizedKernels().size();
    numFloat += plan.getFloatKernels().size();
    auto directory = getOperation()->getAttrOfType<StringAttr>("ef.model_dir");
    WeightStore store(directory ? directory.str() : ".");
    WeightQuantizer weights(store);
    LogicalResult result = table ? quantizeAll(main, plan, *table, weights)
                                 : quantizeWeights(plan, weights);
    numWeights += weights.getCount();
    return result;
  }

  LogicalResult writePlan(func::FuncOp main, const QuantizationPlan &plan) {
    llvm::Error failed = llvm::writeToOutput(listTensors, [&](raw_ostream &os) {
      os << llvm::formatv("{0:2}", describePlan(plan)) << '\n';
      return llvm::Error::success();
    });
    if (failed)
      return main.emitError() << "cannot write '" << listTensors
                              << "': " << llvm::toString(std::move(failed));
    return success();
  }

  /// Activations stay in float: what the error of the weights alone is.
  static LogicalResult quantizeWeights(const QuantizationPlan &plan,
                                       WeightQuantizer &weights) {
    for (Operation *kernel : plan.getQuantizedKernels())
      for (Operation *op : getKernelOps(kernel)) {
        if (getWeightOperand(op) < 0)
          continue;
        Value value = getOutside(kernel, op->getOperand(getWeightOperand(op)));
        FailureOr<Value> rounded =
            weights.quantizeDequantize(value, getWeightAxis(op), kernel);
        if (failed(rounded))
          return failure();
        kernel->replaceUsesOfWith(value, *rounded);
      }
    return success();
  }

  LogicalResult quantizeAll(func::FuncOp main, const QuantizationPlan &plan,
                            const CalibrationTable &table,
                            WeightQuantizer &weights) {
    if (failed(checkTable(main, plan, table)))
      return failure();
    ModelQuantizer quantizer(plan, table, weights);
    LogicalResult result = quantizer.run(main);
    numBorderCasts += quantizer.getNumBorderCasts();
    return result;
  }

  /// Every tensor that is stored as int16 needs a range.
  LogicalResult checkTable(func::FuncOp main, const QuantizationPlan &plan,
                           const CalibrationTable &table) {
    SmallVector<std::string> missing;
    auto require = [&](const std::string &name) {
      if (!table.getLargest(name) && !llvm::is_contained(missing, name))
        missing.push_back(name);
    };
    for (Value value : plan.getTensors())
      require(getTableName(value));
    for (AttentionOp attention : plan.getAttentions())
      require(getScoresName(attention));
    std::vector<std::string> unused = table.getUnused();
    if (!unused.empty())
      main.emitWarning() << "the calibration table '" << calibration << "' has "
                         << unused.size()
                         << " tensors that the model does not need: "
                         << formatNames(unused);
    if (missing.empty())
      return success();
    return main.emitError()
           << "the calibration table '" << calibration << "' lacks "
           << missing.size() << " tensors: " << formatNames(missing)
           << "; make it for this model with `edgefusion calibrate`, or keep "
              "the nodes in float with --keep-float";
  }
};
} // namespace
