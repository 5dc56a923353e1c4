// See Predicates.h.
#include "targets/exynos_npu/Predicates.h"

#include "dialects/ef/Quantized.h"
#include "dialects/ef/WeightStore.h"
#include "targets/exynos_npu/Kernel.h"
#include "targets/exynos_npu/LayerBuilder.h"

#include "mlir/Dialect/Quant/IR/Quant.h"

using namespace mlir;
using namespace efc;
using namespace efc::npu;

std::string Refusal::text() const {
  return advice.empty() ? constraint : constraint + "; " + advice;
}

namespace {

struct Constraint {
  StringRef sentence, advice;
  bool (*holds)(const Kernel &);
};

/// Operations that one row of the table speaks of.
struct Kind {
  StringRef name, does;
  bool (*matches)(const Kernel &);
  ArrayRef<Constraint> constraints;
};

} // namespace

static constexpr StringRef kFixBatch = "fix the batch with --dim or "
                                       "--input-shape";

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

static bool isConstant(const Kernel &kernel, Value value) {
  Value leaf = kernel.leaf(value, /*throughDcast=*/false);
  return leaf && ef::isConstantExpression(leaf);
}

/// A constant vector with one value a channel, or none.
static bool isVector(const Kernel &kernel, Value value, int64_t channels) {
  return !value || (isConstant(kernel, value) &&
                    typeOf(value).getNumElements() == channels);
}

template <typename OpT> static OpT anchorOf(const Kernel &kernel) {
  return dyn_cast_or_null<OpT>(kernel.anchor);
}
template <typename OpT> static bool hasAnchor(const Kernel &kernel) {
  return anchorOf<OpT>(kernel) != nullptr;
}
template <typename OpT> static bool isBare(const Kernel &kernel) {
  return isa<OpT>(kernel.root);
}
static bool holdsConcat(const Kernel &kernel) {
  return llvm::any_of(kernel.ops,
                      [](Operation *op) { return isa<ef::ConcatOp>(op); });
}
static bool isElementwise(const Kernel &kernel) {
  return !kernel.anchor && llvm::all_of(kernel.ops, [](Operation *op) {
    return isa<ef::UnaryOp, ef::BinaryOp, ef::GegluOp, ef::CastOp,
               ef::ConstantOp, ef::ReshapeOp, quant::QuantizeCastOp,
               quant::DequantizeCastOp>(op);
  });
}

/// Two spatial dimensions, channels last, batch 1.
template <typename OpT> static bool isImage(const Kernel &kernel) {
  auto op = anchorOf<OpT>(kernel);
  RankedTensorType type = typeOf(op.getInput());
  return type.getRank() == 4 && type.getDimSize(0) == 1 &&
         op.getLayout() == ef::Layout::ChannelsLast;
}

//===--- Constraints of every kernel ---===//

static bool hasOneResult(const Kernel &kernel) {
  return kernel.root->getNumResults() == 1;
}

static bool isSupportedActivation(Type type) {
  Type element = getElementTypeOrSelf(type);
  return element.isF32() || element.isF16() ||
         ef::getActivationFormat(element).has_value();
}

static bool hasSupportedTypes(const Kernel &kernel) {
  for (Value operand : kernel.root->getOperands())
    if (!ef::isConstantExpression(operand) &&
        !isSupportedActivation(operand.getType()))
      return false;
  return llvm::all_of(kernel.root->getResultTypes(), isSupportedActivation);
}

static bool hasElements(const Kernel &kernel) {
  auto isEmpty = [](Value value) {
    return typeOf(value).getNumElements() == 0;
  };
  return llvm::none_of(kernel.root->getOperands(), isEmpty) &&
         llvm::none_of(kernel.root->getResults(), isEmpty);
}

static bool startsWithAnchor(const Kernel &kernel) {
  if (!kernel.anchor)
    return true;
  return llvm::all_of(kernel.anchor->getOperands(), [&](Value operand) {
    return kernel.leaf(operand, /*throughDcast=*/false) != nullptr;
  });
}

static bool hasKnownFunctions(const Kernel &kernel) {
  return llvm::all_of(kernel.ops, [](Operation *op) {
    if (auto unary = dyn_cast<ef::UnaryOp>(op))
      return opcodeOf(unary.getKind()).has_value();
    if (auto binary = dyn_cast<ef::BinaryOp>(op))
      return opcodeOf(binary.getKind()).has_value();
    if (auto geglu = dyn_cast<ef::GegluOp>(op))
      return opcodeOf(geglu.getActivation()).has_value();
    return true;
  });
}

static const Constraint kEveryKernel[] = {
    {"one result", "", hasOneResult},
    {"activations are float32 (stored as float16), float16, or int16 with one "
     "scale a tensor",
     "", hasSupportedTypes},
    {"no dimension of zero", "", hasElements},
    {"nothing is computed before the anchor", "", startsWithAnchor},
    {"element-wise functions are ones that the vector engines have", "",
     hasKnownFunctions},
};

//===--- Constraints of each kind ---===//

static const Constraint kConv[] = {
    {"two spatial dimensions, channels last, batch 1", kFixBatch,
     isImage<ef::ConvOp>},
    {"groups = 1, or depthwise with one filter a channel", "",
     [](const Kernel &kernel) {
       auto conv = anchorOf<ef::ConvOp>(kernel);
       auto groups = static_cast<int64_t>(conv.getGroups());
       return groups == 1 ||
              (groups == typeOf(conv.getInput()).getShape().back() &&
               groups == typeOf(conv.getFilter()).getDimSize(0));
     }},
    {"the filter is constant", "",
     [](const Kernel &kernel) {
       return isConstant(kernel, anchorOf<ef::ConvOp>(kernel).getFilter());
     }},
    {"no negative padding", "",
     [](const Kernel &kernel) {
       return llvm::all_of(anchorOf<ef::ConvOp>(kernel).getPads(),
                           [](int64_t pad) { return pad >= 0; });
     }},
};

static const Constraint kMatmul[] = {
    {"the second operand is constant and has no batch", "",
     [](const Kernel &kernel) {
       auto matmul = anchorOf<ef::MatmulOp>(kernel);
       ArrayRef<int64_t> shape = typeOf(matmul.getB()).getShape();
       return isConstant(kernel, matmul.getB()) &&
              llvm::all_of(shape.drop_back(2),
                           [](int64_t extent) { return extent == 1; });
     }},
    {"the first operand is not constant and not transposed", "",
     [](const Kernel &kernel) {
       auto matmul = anchorOf<ef::MatmulOp>(kernel);
       return !isConstant(kernel, matmul.getA()) && !matmul.getTransposeA();
     }},
};

static const Constraint kAttention[] = {
    {"batch 1", kFixBatch,
     [](const Kernel &kernel) {
       auto attention = anchorOf<ef::AttentionOp>(kernel);
       return typeOf(attention.getQuery()).getDimSize(0) == 1;
     }},
    {"no mask, or a constant one that is causal", "",
     [](const Kernel &kernel) {
       return !anchorOf<ef::AttentionOp>(kernel).getMask();
     }},
    {"as many heads of keys and values as of queries", "",
     [](const Kernel &kernel) {
       auto attention = anchorOf<ef::AttentionOp>(kernel);
       return attention.getHeads() == attention.getKvHeads();
     }},
};

static const Constraint kGroupNorm[] = {
    {"channels last, batch 1", kFixBatch,
     [](const Kernel &kernel) {
       auto norm = anchorOf<ef::GroupNormOp>(kernel);
       return typeOf(norm.getInput()).getDimSize(0) == 1 &&
              norm.getLayout() == ef::Layout::ChannelsLast;
     }},
    {"scale and bias are constant", "",
     [](const Kernel &kernel) {
       auto norm = anchorOf<ef::GroupNormOp>(kernel);
       int64_t channels = typeOf(norm.getInput()).getShape().back();
       return isVector(kernel, norm.getScale(), channels) &&
              isVector(kernel, norm.getBias(), channels);
     }},
};

static const Constraint kLayerNorm[] = {
    {"over the last dimension alone", "",
     [](const Kernel &kernel) {
       auto norm = anchorOf<ef::LayerNormOp>(kernel);
       return static_cast<int64_t>(norm.getAxis()) ==
              typeOf(norm.getInput()).getRank() - 1;
     }},
    {"scale and bias are constant", "",
     [](const Kernel &kernel) {
       auto norm = anchorOf<ef::LayerNormOp>(kernel);
       int64_t channels = typeOf(norm.getInput()).getShape().back();
       return isVector(kernel, norm.getScale(), channels) &&
              isVector(kernel, norm.getBias(), channels);
     }},
};

static const Constraint kPool[] = {
    {"two spatial dimensions, channels last, batch 1", kFixBatch,
     isImage<ef::PoolOp>},
    {"an average without padding or dilation", "",
     [](const Kernel &kernel) {
       auto pool = anchorOf<ef::PoolOp>(kernel);
       return pool.getKind() == ef::PoolKind::Avg &&
              llvm::all_of(pool.getPads(), [](int64_t v) { return v == 0; }) &&
              llvm::all_of(pool.getDilations(),
                           [](int64_t v) { return v == 1; });
     }},
};

static const Constraint kElementwise[] = {
    {"more than one element (single numbers stay float32)", "",
     [](const Kernel &kernel) {
       return typeOf(kernel.root->getResult(0)).getNumElements() > 1;
     }},
    {"casts are between floats, or to and from int16 with a scale", "",
     [](const Kernel &kernel) {
       return llvm::all_of(kernel.ops, [](Operation *op) {
         return !isa<ef::CastOp>(op) || isFloatCast(op);
       });
     }},
};

static const Constraint kConcat[] = {
    {"along the last dimension", "",
     [](const Kernel &kernel) {
       return llvm::all_of(kernel.ops, [](Operation *op) {
         auto concat = dyn_cast<ef::ConcatOp>(op);
         return !concat || static_cast<int64_t>(concat.getAxis()) ==
                               typeOf(concat.getResult()).getRank() - 1;
       });
     }},
    {"alone in its kernel but for casts", "",
     [](const Kernel &kernel) {
       return llvm::all_of(kernel.ops, [](Operation *op) {
         return isFloatCast(op) ||
                isa<ef::ConcatOp, ef::ReshapeOp, quant::QuantizeCastOp,
                    quant::DequantizeCastOp>(op);
       });
     }},
};

static const Constraint kResize[] = {
    {"a channels-last image of batch 1", kFixBatch,
     [](const Kernel &kernel) {
       auto resize = cast<ef::ResizeOp>(kernel.root);
       ArrayRef<int64_t> from = typeOf(resize.getInput()).getShape(),
                         to = typeOf(resize.getResult()).getShape();
       return from.size() == 4 && from[0] == 1 && to[0] == 1 &&
              from[3] == to[3];
     }},
    {"nearest, repeating each row and column a whole number of times", "",
     [](const Kernel &kernel) {
       return repeatsRowsAndColumns(cast<ef::ResizeOp>(kernel.root));
     }},
};

static const Constraint kTranspose[] = {
    {"at most 5 dimensions, counting neighbours that stay together as one", "",
     [](const Kernel &kernel) {
       return isTransposeOfDma(cast<ef::TransposeOp>(kernel.root));
     }},
};

static const Constraint kSlice[] = {
    {"a run of channels, with step 1, of all positions", "",
     [](const Kernel &kernel) {
       return firstChannelOf(cast<ef::SliceOp>(kernel.root)).has_value();
     }},
};

/// A reshape has no constraint.
static const ArrayRef<Constraint> kNone;

static const Kind kKinds[] = {
    {"convolution (`ef.conv`)",
     "tensor engines; 1x1 with stride 1 runs as a matrix product",
     hasAnchor<ef::ConvOp>, kConv},
    {"matrix product (`ef.matmul`)",
     "tensor engines; a following geglu runs in the output stage",
     hasAnchor<ef::MatmulOp>, kMatmul},
    {"attention (`ef.attention`)",
     "tensor engines for the products, vector engines for the softmax",
     hasAnchor<ef::AttentionOp>, kAttention},
    {"group norm (`ef.group_norm`)", "vector engines, statistics first",
     hasAnchor<ef::GroupNormOp>, kGroupNorm},
    {"layer norm (`ef.layer_norm`), also RMS", "vector engines",
     hasAnchor<ef::LayerNormOp>, kLayerNorm},
    {"pooling (`ef.pool`)", "tensor engines, as a depthwise convolution",
     hasAnchor<ef::PoolOp>, kPool},
    {"concatenation (`ef.concat`)",
     "vector engines; each part is cast to the result's scale", holdsConcat,
     kConcat},
    {"resize (`ef.resize`)", "DMA", isBare<ef::ResizeOp>, kResize},
    {"transpose (`ef.transpose`)", "DMA", isBare<ef::TransposeOp>, kTranspose},
    {"slice (`ef.slice`)", "read in place", isBare<ef::SliceOp>, kSlice},
    {"reshape (`ef.reshape`)",
     "free; a DMA copy where the channels of an intermediate change",
     isBare<ef::ReshapeOp>, kNone},
    {"element-wise kernels (`ef.unary`, `ef.binary`, `ef.geglu`, float casts, "
     "`quant.qcast`, `quant.dcast`)",
     "vector engines, or the output stage of what they follow", isElementwise,
     kElementwise},
};

/// Constraints on the epilogue that no table row can test before the layer is
/// built.
static std::optional<Refusal> findBuildRefusal(Operation *op) {
  LayerGraph scratch;
  LayerBuilder builder(scratch, MltMode::Full);
  if (llvm::Error error = builder.add(op))
    return Refusal{llvm::toString(std::move(error)), ""};
  return std::nullopt;
}

std::optional<Refusal> efc::npu::findRefusal(Operation *op) {
  Kernel kernel(op);
  const Kind *kind = llvm::find_if(
      kKinds, [&](const Kind &kind) { return kind.matches(kernel); });
  if (kind == std::end(kKinds)) {
    Operation *known = kernel.anchor ? kernel.anchor : kernel.ops.back();
    return Refusal{
        ("the NPU has no command for '" + known->getName().getStringRef() + "'")
            .str(),
        ""};
  }
  for (ArrayRef<Constraint> constraints :
       {ArrayRef<Constraint>(kEveryKernel), kind->constraints})
    for (const Constraint &constraint : constraints)
      if (!constraint.holds(kernel))
        return Refusal{
            ("breaks the constraint '" + constraint.sentence + "'").str(),
            constraint.advice.str()};
  return findBuildRefusal(op);
}

bool efc::npu::isMovementOnly(Operation *op) {
  return isa<ef::ReshapeOp, ef::SliceOp, ef::TransposeOp, ef::ConcatOp,
             ef::ResizeOp>(op) ||
         isFloatCast(op);
}

//===--- The page ---===//

static void printFunctions(llvm::raw_ostream &os) {
  os << "Functions of the vector engines: ";
  llvm::ListSeparator separator;
  for (unsigned kind = 0; kind <= ef::getMaxEnumValForUnaryKind(); ++kind)
    if (auto unary = ef::symbolizeUnaryKind(kind); unary && opcodeOf(*unary))
      os << separator << '`' << ef::stringifyUnaryKind(*unary) << '`';
  for (unsigned kind = 0; kind <= ef::getMaxEnumValForBinaryKind(); ++kind)
    if (auto binary = ef::symbolizeBinaryKind(kind);
        binary && opcodeOf(*binary))
      os << separator << '`' << ef::stringifyBinaryKind(*binary) << '`';
  os << ".\n";
}

void efc::npu::printSupportedOps(llvm::raw_ostream &os) {
  os << "# What runs on the NPU\n\n"
        "Printed by `efc --supported-ops` from the "
        "predicates "
        "that efc itself asks (targets/exynos_npu/Predicates.cpp).\n"
        "An operation that breaks a constraint runs on the CPU inside the same "
        "artifact; the report of a compile names the node and the constraint.\n"
        "\n## Every kernel\n\n";
  for (const Constraint &constraint : kEveryKernel)
    os << "- " << constraint.sentence << "\n";
  os << "- at most " << efrt::npu::kMaxOperands << " operands and "
     << efrt::npu::kMaxInstructions
     << " instructions beside the anchor, 16 values at a time\n"
        "- an operand beside the anchor's has the result's shape, or one value "
        "a channel, or one value; a constant one of the last two\n\n";
  printFunctions(os);
  os << "\n## Kinds of kernels\n\n| operation | runs on | if "
        "|\n|---|---|---|\n";
  for (const Kind &kind : kKinds) {
    os << "| " << kind.name << " | " << kind.does << " | ";
    llvm::interleave(
        kind.constraints, os,
        [&](const Constraint &constraint) { os << constraint.sentence; }, "; ");
    os << " |\n";
  }
  os << "\n## Numbers\n\n"
        "Quantised tensors keep their bits ([numerics.md](numerics.md)). "
        "Everything else is stored as float16 and computed in float32: a value "
        "beyond 65504 becomes infinite. `edgefusion verify` shows whether a "
        "model has such values.\n"
        "\n## Always on the CPU\n\n"
        "Whatever is not in the table, for example `ef.gather` (token "
        "embeddings), `ef.timestep_embedding`, casts of integers, "
        "`ef.softmax` outside an attention, reductions, and work on single "
        "numbers. With `--quantize=w8a16`, whatever stays in float "
        "(`--keep-float`).\n";
}
