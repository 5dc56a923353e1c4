// Einsum: each operand is brought to one common order of subscripts (diagonals
// taken, missing subscripts as extents of one), and the product is a matrix
// product where two operands meet, otherwise a multiplication and a sum.
#include "compiler/import/NodeImporter.h"

#include <map>

using namespace mlir;
using namespace efc;
using namespace efc::importer;

namespace {

/// One operand, its dimensions named by subscripts. Dimensions of an ellipsis
/// have the names '\x01' and up.
struct Term {
  Value value;
  std::string subscripts;
};

struct Equation {
  std::vector<Term> terms;
  std::string output;
  std::map<char, int64_t> extents;
};

} // namespace

static constexpr size_t kMaxEllipsis = 16;

/// Replaces "..." by `count` names; ellipses are aligned at their ends.
static FailureOr<std::string> expandEllipsis(NodeImporter &node, StringRef text,
                                             size_t count) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (llvm::isAlpha(text[i])) {
      result += text[i];
    } else if (text.substr(i).starts_with("...") && count <= kMaxEllipsis) {
      for (size_t k = count; k > 0; --k)
        result += static_cast<char>(k);
      i += 2;
    } else {
      return node.fail("its equation has the unknown subscript '" +
                       text.substr(i, 1) + "'");
    }
  }
  return result;
}

static FailureOr<Equation> parseEquation(NodeImporter &node) {
  std::string text = node.getString("equation", "");
  llvm::erase(text, ' ');
  auto [left, right] = StringRef(text).split("->");
  bool isExplicit = text.find("->") != std::string::npos;
  SmallVector<StringRef> inputs;
  left.split(inputs, ',');
  if (inputs.size() != node.getNumInputs())
    return node.fail("its equation has " + llvm::Twine(inputs.size()) +
                     " operands, but the node has " +
                     llvm::Twine(node.getNumInputs()));
  Equation equation;
  size_t ellipsis = 0;
  for (auto [index, subscripts] : llvm::enumerate(inputs)) {
    Value value = node.getInput(index);
    if (!value)
      return failure();
    size_t rank = node.getRank(value), dots = subscripts.contains("...");
    size_t named = subscripts.size() - 3 * dots;
    if (named > rank || (!dots && named != rank))
      return node.fail("its subscripts '" + subscripts +
                       "' do not fit an operand of rank " + llvm::Twine(rank));
    size_t count = rank - named;
    ellipsis = std::max(ellipsis, count);
    FailureOr<std::string> names = expandEllipsis(node, subscripts, count);
    if (failed(names) || names->size() != rank)
      return node.fail("its equation is not valid");
    for (auto [name, extent] : llvm::zip_equal(*names, node.getShape(value))) {
      int64_t &known = equation.extents.try_emplace(name, 1).first->second;
      if (known != 1 && extent != 1 && known != extent)
        return node.fail("a subscript of its equation stands for extents " +
                         llvm::Twine(known) + " and " + llvm::Twine(extent));
      known = known == 1 ? extent : known;
    }
    equation.terms.push_back({value, *names});
  }
  if (isExplicit) {
    FailureOr<std::string> names = expandEllipsis(node, right, ellipsis);
    if (failed(names))
      return failure();
    equation.output = *names;
    for (char name : equation.output)
      if (!equation.extents.contains(name) ||
          llvm::count(equation.output, name) != 1)
        return node.fail("the output of its equation has a subscript that no "
                         "operand has, or one twice");
    return equation;
  }
  // Implicit: the ellipsis, then the subscripts that appear once, sorted.
  for (size_t k = ellipsis; k > 0; --k)
    equation.output += static_cast<char>(k);
  for (auto &[name, extent] : equation.extents)
    if (llvm::isAlpha(name) && llvm::count(left, name) == 1)
      equation.output += name;
  return equation;
}

/// A subscript that appears twice in one operand: its diagonal, as a sum over
/// the operand times the identity.
static Value takeDiagonals(NodeImporter &node, Term &term) {
  for (size_t i = 0; i < term.subscripts.size(); ++i) {
    size_t second = term.subscripts.find(term.subscripts[i], i + 1);
    if (second == std::string::npos)
      continue;
    int64_t extent = node.getShape(term.value)[i];
    int64_t rank = node.getRank(term.value);
    if (node.getShape(term.value)[second] != extent)
      return node.failValue("a diagonal of its equation is not square");
    Value counts =
        node.constantInts(llvm::to_vector(llvm::seq<int64_t>(0, extent)));
    Value keep = node.binary(BinaryKind::Eq, node.alongAxis(counts, i, rank),
                             node.alongAxis(counts, second, rank));
    Value masked = node.select(
        keep, term.value, node.constant(node.getElementType(term.value), 0));
    term.value = node.reduce(ef::ReduceKind::Sum, masked,
                             static_cast<int64_t>(second), false);
    if (!term.value)
      return Value();
    term.subscripts.erase(second, 1);
    --i;
  }
  return term.value;
}

/// Sums over the dimensions that are in neither the output nor another term.
static Value dropUnused(NodeImporter &node, Term &term, StringRef kept) {
  Shape axes;
  std::string remaining;
  for (auto [dim, name] : llvm::enumerate(term.subscripts)) {
    if (kept.contains(name))
      remaining += name;
    else
      axes.push_back(dim);
  }
  term.subscripts = remaining;
  if (!axes.empty())
    term.value = node.reduce(ef::ReduceKind::Sum, term.value, axes, false);
  return term.value;
}

/// The value with its dimensions in the order of `subscripts`; those that it
/// lacks become extents of one.
static Value arrange(NodeImporter &node, const Term &term,
                     StringRef subscripts) {
  Shape permutation, shape;
  for (char name : subscripts)
    if (size_t dim = term.subscripts.find(name); dim != std::string::npos) {
      permutation.push_back(dim);
      shape.push_back(node.getShape(term.value)[dim]);
    } else {
      shape.push_back(1);
    }
  Value ordered = llvm::is_sorted(permutation)
                      ? term.value
                      : node.transpose(term.value, permutation);
  return node.reshape(ordered, shape);
}

/// Two terms as one batched matrix product: batch dimensions are in both and
/// kept, rows and columns in one, and those of the sum in both and not kept.
static Term multiply(NodeImporter &node, const Equation &equation,
                     const Term &a, const Term &b, StringRef kept) {
  std::string batch, rows, columns, inner;
  for (char name : a.subscripts)
    (!StringRef(b.subscripts).contains(name) ? rows
     : kept.contains(name)                   ? batch
                                             : inner) += name;
  for (char name : b.subscripts)
    if (!StringRef(a.subscripts).contains(name))
      columns += name;
  auto extentOf = [&](StringRef names) {
    Shape shape;
    for (char name : names)
      shape.push_back(equation.extents.at(name));
    return shape;
  };
  auto matrix = [&](const Term &term, StringRef first, StringRef second) {
    Value ordered = arrange(node, term, batch + first.str() + second.str());
    // An extent of one may stand against a larger one of the other operand.
    Shape shape = extentOf(batch + first.str() + second.str());
    ordered = node.broadcast(ordered, shape);
    Shape merged = extentOf(batch);
    merged.push_back(ef::getNumElements(extentOf(first)));
    merged.push_back(ef::getNumElements(extentOf(second)));
    return node.reshape(ordered, merged);
  };
  Value product =
      node.matmul(matrix(a, rows, inner), matrix(b, inner, columns));
  std::string subscripts = batch + rows + columns;
  return {node.reshape(product, extentOf(subscripts)), subscripts};
}

static LogicalResult importEinsum(NodeImporter &node) {
  FailureOr<Equation> equation = parseEquation(node);
  if (failed(equation))
    return failure();
  for (Term &term : equation->terms)
    if (!takeDiagonals(node, term))
      return failure();
  Term result;
  for (auto [index, term] : llvm::enumerate(equation->terms)) {
    // What the output and the operands that are still to come need.
    std::string later = equation->output;
    for (const Term &other : llvm::drop_begin(equation->terms, index + 1))
      later += other.subscripts;
    if (index == 0) {
      result = term;
    } else {
      if (!dropUnused(node, term, later + result.subscripts) ||
          !dropUnused(node, result, later + term.subscripts))
        return failure();
      result = multiply(node, *equation, result, term, later);
    }
    if (!result.value || !dropUnused(node, result, later))
      return failure();
  }
  Shape shape;
  for (char name : equation->output)
    shape.push_back(equation->extents.at(name));
  return node.setResult(
      node.broadcast(arrange(node, result, equation->output), shape));
}

ArrayRef<OpEntry> importer::getEinsumOps() {
  static constexpr OpEntry kOps[] = {{"Einsum", importEinsum}};
  return kOps;
}
