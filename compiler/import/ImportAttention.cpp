// Attention and RotaryEmbedding. Attention becomes ef.attention where nobody
// asks for its intermediate scores, otherwise the chain of its definition.
#include "compiler/import/NodeImporter.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace efc;
using namespace efc::importer;
using ef::HostTensor;

namespace {
/// Operands as [batch, heads, tokens, channels], past tokens included.
struct Attention {
  Value query, key, value;
  Value
      mask; ///< Added to the scores or (boolean) kept where true; may be null.
  int64_t heads = 0, keyHeads = 0, queries = 0, keys = 0, past = 0;
  double scale = 1, softcap = 0;
  bool isThreeD = false;
};
} // namespace

/// [B, T, H * d] -> [B, H, T, d].
static Value splitHeads(NodeImporter &node, Value input, int64_t heads) {
  if (!input || node.getRank(input) != 3)
    return input;
  ArrayRef<int64_t> shape = node.getShape(input);
  if (heads < 1 || shape[2] % heads != 0)
    return node.failValue("its " + llvm::Twine(heads) +
                          " heads do not divide the channels of " +
                          ef::formatShape(shape));
  return node.transpose(
      node.reshape(input, {shape[0], shape[1], heads, shape[2] / heads}),
      ArrayRef<int64_t>{0, 2, 1, 3});
}

/// [B, H, T, d] -> [B, T, H * d].
static Value mergeHeads(NodeImporter &node, Value input) {
  if (!input)
    return Value();
  ArrayRef<int64_t> shape = node.getShape(input);
  return node.reshape(node.transpose(input, ArrayRef<int64_t>{0, 2, 1, 3}),
                      {shape[0], shape[2], shape[1] * shape[3]});
}

static FailureOr<Attention> getAttention(NodeImporter &node) {
  Attention attention;
  Value query = node.getInput(0), key = node.getInput(1),
        value = node.getInput(2);
  if (!query || !key || !value)
    return failure();
  int64_t rank = node.getRank(query);
  if ((rank != 3 && rank != 4) || node.getRank(key) != rank ||
      node.getRank(value) != rank)
    return node.fail("query, key and value must all have rank 3 or rank 4");
  attention.isThreeD = rank == 3;
  attention.heads =
      rank == 4 ? node.getShape(query)[1] : node.getInt("q_num_heads", 0);
  attention.keyHeads =
      rank == 4 ? node.getShape(key)[1] : node.getInt("kv_num_heads", 0);
  attention.query = splitHeads(node, query, attention.heads);
  attention.key = splitHeads(node, key, attention.keyHeads);
  attention.value = splitHeads(node, value, attention.keyHeads);
  if (!attention.query || !attention.key || !attention.value)
    return failure();
  if (node.getShape(attention.value)[1] != attention.keyHeads)
    return node.fail("keys and values have different numbers of heads");
  if (attention.keyHeads < 1 || attention.heads % attention.keyHeads != 0)
    return node.fail("its " + llvm::Twine(attention.heads) +
                     " query heads cannot share " +
                     llvm::Twine(attention.keyHeads) + " key heads evenly");
  if (node.hasInput(4) != node.hasInput(5))
    return node.fail("past_key and past_value must be given together");
  if (node.hasInput(4)) {
    attention.past = node.getRank(node.getInput(4)) == 4
                         ? node.getShape(node.getInput(4))[2]
                         : 0;
    attention.key = node.concat({node.getInput(4), attention.key}, 2);
    attention.value = node.concat({node.getInput(5), attention.value}, 2);
    if (!attention.key || !attention.value)
      return failure();
  }
  attention.queries = node.getShape(attention.query)[2];
  attention.keys = node.getShape(attention.key)[2];
  attention.scale = node.getFloat(
      "scale", 1 / std::sqrt(double(node.getShape(attention.query)[3])));
  attention.softcap = node.getFloat("softcap", 0);
  return attention;
}

/// The mask padded to all keys: what it does not speak of is masked.
static Value getMaskOperand(NodeImporter &node, const Attention &attention) {
  Value mask = node.getInput(3);
  if (!mask || node.getRank(mask) == 0)
    return mask;
  int64_t rank = node.getRank(mask),
          missing = attention.keys - node.getShape(mask).back();
  if (missing <= 0)
    return mask;
  Shape pads(2 * rank, 0);
  pads.back() = missing;
  Type element = node.getElementType(mask);
  double outside =
      element.isInteger(1) ? 0 : -std::numeric_limits<double>::infinity();
  return node.pad(mask, pads, ef::PadMode::Constant,
                  node.constant(element, outside));
}

/// Which keys a query may see by its position: true where j <= i + past and
/// within the window; null if all.
static FailureOr<Value> getPositionMask(NodeImporter &node,
                                        const Attention &attention) {
  bool causal = node.getInt("is_causal", 0) != 0;
  int64_t left = node.getInt("left_window_size", -1),
          right = node.getInt("right_window_size", -1);
  if (!causal && left < 0 && right < 0)
    return Value();
  int64_t queries = attention.queries, keys = attention.keys;
  // Per batch where a static cache says how many of its keys are valid.
  Shape offsets{attention.past};
  if (node.hasInput(6)) {
    FailureOr<SmallVector<int64_t>> lengths =
        node.getConstantInts(6, "nonpad_kv_seqlen");
    if (failed(lengths))
      return failure();
    offsets.clear();
    for (int64_t length : *lengths)
      offsets.push_back(length - queries);
  }
  int64_t batches = offsets.size();
  Shape shape{batches, 1, queries, keys};
  if (queries * keys > (int64_t(1) << 24) / std::max<int64_t>(batches, 1))
    return node.fail("its mask by position is too large");
  HostTensor keep(RankedTensorType::get(shape, node.getBool()));
  for (int64_t b = 0; b < batches; ++b)
    for (int64_t i = 0; i < queries; ++i)
      for (int64_t j = 0; j < keys; ++j) {
        int64_t distance = i + offsets[b] - j;
        bool sees = (!causal || distance >= 0) &&
                    (left < 0 || distance <= left) &&
                    (right < 0 || -distance <= right);
        keep.setInt(((b * queries) + i) * keys + j, sees);
      }
  return node.constantTensor(keep);
}

/// All masks as one.
static LogicalResult addMasks(NodeImporter &node, Attention &attention) {
  Type element = node.getElementType(attention.query);
  if (node.hasInput(3)) {
    attention.mask = getMaskOperand(node, attention);
    if (!attention.mask)
      return failure();
  }
  auto keepWhere = [&](Value keep) {
    if (!attention.mask) {
      attention.mask = keep;
    } else if (node.getElementType(attention.mask).isInteger(1)) {
      attention.mask = node.binary(BinaryKind::And, attention.mask, keep);
    } else {
      attention.mask = node.select(
          keep, attention.mask,
          node.constant(element, -std::numeric_limits<double>::infinity()));
    }
    return attention.mask;
  };
  FailureOr<Value> byPosition = getPositionMask(node, attention);
  if (failed(byPosition) || (*byPosition && !keepWhere(*byPosition)))
    return failure();
  if (!node.hasInput(6))
    return success();
  Value counts =
      node.constantInts(llvm::to_vector(llvm::seq<int64_t>(0, attention.keys)));
  Value isValid = node.binary(
      BinaryKind::Lt, node.alongAxis(counts, 3, 4),
      node.alongAxis(node.cast(node.getInput(6), node.getI64()), 0, 4));
  return success(isValid && keepWhere(isValid));
}

static Value fusedAttention(NodeImporter &node, const Attention &attention) {
  SmallVector<Value> operands{mergeHeads(node, attention.query),
                              mergeHeads(node, attention.key),
                              mergeHeads(node, attention.value)};
  if (attention.mask)
    operands.push_back(attention.mask);
  Value result = firstResult(node.createInferred<ef::AttentionOp>(
      operands, {node.intAttribute("heads", attention.heads),
                 node.intAttribute("kv_heads", attention.keyHeads),
                 node.floatAttribute("scale", attention.scale)}));
  return attention.isThreeD ? result
                            : splitHeads(node, result, attention.heads);
}

/// Key or value heads repeated for the query heads that share them.
static Value repeatHeads(NodeImporter &node, Value input, int64_t heads) {
  if (!input)
    return Value();
  ArrayRef<int64_t> shape = node.getShape(input);
  int64_t repeat = heads / shape[1];
  if (repeat == 1)
    return input;
  Value column =
      node.reshape(input, {shape[0], shape[1], 1, shape[2], shape[3]});
  return node.reshape(
      node.broadcast(column, {shape[0], shape[1], repeat, shape[2], shape[3]}),
      {shape[0], heads, shape[2], shape[3]});
}

/// The chain that defines attention. `exposed` receives the scores that the
/// fourth output shows: 0 the products, 1 after the soft cap, 2 with the mask,
/// 3 after the softmax.
static Value attentionChain(NodeImporter &node, const Attention &attention,
                            int64_t mode, Value &exposed) {
  Type element = node.getElementType(attention.query);
  double root = std::sqrt(attention.scale);
  Value key = repeatHeads(node, attention.key, attention.heads),
        value = repeatHeads(node, attention.value, attention.heads);
  Value scores =
      node.matmul(node.binary(BinaryKind::Mul, attention.query, root),
                  node.binary(BinaryKind::Mul, key, root), false, true);
  // Mode 1 and 2 have changed places between opsets; both are after the cap.
  if (mode == 0)
    exposed = scores;
  if (attention.softcap > 0)
    scores = node.binary(
        BinaryKind::Mul,
        node.unary(UnaryKind::Tanh,
                   node.binary(BinaryKind::Div, scores, attention.softcap)),
        attention.softcap);
  if (mode == 0 || mode == 1)
    exposed = scores;
  Value mask = attention.mask;
  double infinity = std::numeric_limits<double>::infinity();
  if (mask && node.getElementType(mask).isInteger(1))
    mask = node.select(mask, node.constant(element, 0),
                       node.constant(element, -infinity));
  if (mask)
    scores = node.binary(BinaryKind::Add, scores, mask);
  if (mode == 2)
    exposed = scores;
  if (!scores)
    return Value();
  // A row that sees no key has no largest score; it becomes zero.
  Value isDead =
      node.binary(BinaryKind::Eq,
                  node.reduce(ef::ReduceKind::Max, scores, 3, true), -infinity);
  Value zero = node.constant(element, 0);
  if (!isDead)
    return Value();
  Value weights = node.softmax(node.select(isDead, zero, scores), 3);
  weights = node.select(isDead, zero, weights);
  if (mode == 3)
    exposed = weights;
  Value result = node.matmul(weights, value);
  return attention.isThreeD ? mergeHeads(node, result) : result;
}

static LogicalResult importAttention(NodeImporter &node) {
  FailureOr<Attention> attention = getAttention(node);
  if (failed(attention) || failed(addMasks(node, *attention)))
    return failure();
  if (failed(node.setResult(1, attention->key)) ||
      failed(node.setResult(2, attention->value)))
    return failure();
  if (!node.wantsOutput(3) && attention->softcap <= 0)
    return node.setResult(fusedAttention(node, *attention));
  Value exposed;
  Value result = attentionChain(
      node, *attention, node.getInt("qk_matmul_output_mode", 0), exposed);
  if (!result || failed(node.setResult(3, exposed)))
    return failure();
  return node.setResult(result);
}

//===--- RotaryEmbedding ---===//

/// The table [B or 1, 1, T, half] of cosines or sines.
static Value getTable(NodeImporter &node, size_t index) {
  Value table = node.getInput(index);
  if (!table)
    return Value();
  if (node.hasInput(3))
    table = node.gather(table, node.getInput(3), 0);
  if (!table || node.getRank(table) != 3)
    return node.failValue("its caches must be [positions, half] with "
                          "position_ids, or [batch, tokens, half] without");
  ArrayRef<int64_t> shape = node.getShape(table);
  return node.reshape(table, {shape[0], 1, shape[1], shape[2]});
}

static LogicalResult importRotaryEmbedding(NodeImporter &node) {
  Value input = node.getInput(0);
  if (!input)
    return failure();
  bool isThreeD = node.getRank(input) == 3;
  Value x = splitHeads(node, input, node.getInt("num_heads", 0));
  Value cosine = getTable(node, 1), sine = getTable(node, 2);
  if (!x || !cosine || !sine)
    return failure();
  if (node.getRank(x) != 4)
    return node.fail("its input must have rank 3 or 4");
  Shape shape(node.getShape(x));
  int64_t width = shape[3], rotated = node.getInt("rotary_embedding_dim", 0);
  rotated = rotated == 0 ? width : rotated;
  int64_t half = rotated / 2;
  if (rotated < 2 || rotated > width || rotated % 2 != 0)
    return node.fail("its rotary_embedding_dim " + llvm::Twine(rotated) +
                     " is not possible for heads of " + llvm::Twine(width) +
                     " channels");
  bool interleaved = node.getInt("interleaved", 0) != 0;
  // Halves, or even and odd channels.
  auto part = [&](int64_t which) {
    Shape starts{0, 0, 0, interleaved ? which : which * half},
        steps{1, 1, 1, interleaved ? 2 : 1},
        sizes{shape[0], shape[1], shape[2], half};
    return node.slice(x, starts, steps, sizes);
  };
  Value first = part(0), second = part(1);
  Value real =
      node.binary(BinaryKind::Sub, node.binary(BinaryKind::Mul, first, cosine),
                  node.binary(BinaryKind::Mul, second, sine));
  Value imaginary =
      node.binary(BinaryKind::Add, node.binary(BinaryKind::Mul, first, sine),
                  node.binary(BinaryKind::Mul, second, cosine));
  if (!real || !imaginary)
    return failure();
  Value turned;
  if (interleaved) {
    Shape column{shape[0], shape[1], shape[2], half, 1};
    turned = node.reshape(
        node.concat(
            {node.reshape(real, column), node.reshape(imaginary, column)}, 4),
        {shape[0], shape[1], shape[2], rotated});
  } else {
    turned = node.concat({real, imaginary}, 3);
  }
  if (rotated < width)
    turned = node.concat(
        {turned, node.sliceAxis(x, 3, rotated, width - rotated)}, 3);
  return node.setResult(isThreeD ? mergeHeads(node, turned) : turned);
}

ArrayRef<OpEntry> importer::getAttentionOps() {
  static constexpr OpEntry kOps[] = {
      {"Attention", importAttention},
      {"RotaryEmbedding", importRotaryEmbedding},
  };
  return kOps;
}
