// Reads the YAML of one machine file. LLVM's YAML nodes keep their place in the
// text, so that every message names a line.
#include "targets/exynos_npu/MachineYaml.h"

#include "targets/exynos_npu/MachineFigures.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/YAMLParser.h"

using namespace llvm;
using namespace efc;
using namespace efc::npu;

namespace {
class Reader {
public:
  Reader(StringRef text, StringRef fileName)
      : fileName(fileName), stream(text, sources) {
    sources.setDiagHandler(
        [](const SMDiagnostic &diagnostic, void *context) {
          auto &reader = *static_cast<Reader *>(context);
          if (reader.syntaxError.empty()) {
            reader.syntaxError = diagnostic.getMessage().str();
            reader.syntaxLine = diagnostic.getLineNo();
          }
        },
        this);
  }

  Expected<MachineText> read();

private:
  Error readEntry(yaml::KeyValueNode &entry, MachineText &machine);
  Error readFigures(yaml::Node *node, MachineText &machine);
  Expected<Figure> readFigure(StringRef key, yaml::Node *node,
                              const std::string &where);
  /// Reads one field into `figure` and returns its key.
  Expected<std::string> readFigureField(yaml::KeyValueNode &entry,
                                        const FigureSpec &spec, Figure &figure);
  Error setFigureField(StringRef name, std::string text,
                       const std::string &where, const FigureSpec &spec,
                       Figure &figure);
  Expected<std::string> readScalar(yaml::Node *node, const Twine &what);
  Error readNumber(StringRef text, const std::string &where, Figure &figure);
  std::string whereOf(yaml::Node *node);
  /// What is wrong with the text as YAML, if anything.
  Error syntax() const;

  StringRef fileName;
  SourceMgr sources;
  std::string syntaxError;
  int syntaxLine = 0;
  yaml::Stream stream;
};
} // namespace

Error Reader::syntax() const {
  if (syntaxError.empty())
    return Error::success();
  return errorAt(fileName + ":" + Twine(syntaxLine),
                 "this is not YAML: " + syntaxError);
}

std::string Reader::whereOf(yaml::Node *node) {
  unsigned line = 1;
  if (node && node->getSourceRange().Start.isValid())
    line = sources.getLineAndColumn(node->getSourceRange().Start).first;
  return (fileName + ":" + Twine(line)).str();
}

Expected<std::string> Reader::readScalar(yaml::Node *node, const Twine &what) {
  SmallString<64> storage;
  if (auto *scalar = dyn_cast_or_null<yaml::ScalarNode>(node))
    return scalar->getValue(storage).str();
  if (auto *block = dyn_cast_or_null<yaml::BlockScalarNode>(node))
    return block->getValue().rtrim().str();
  if (Error error = syntax())
    return std::move(error);
  return errorAt(whereOf(node), what + " must be a single value");
}

Error Reader::readNumber(StringRef text, const std::string &where,
                         Figure &figure) {
  bool isBoolean = figure.key == "overlap";
  if (isBoolean && (text == "true" || text == "false")) {
    figure.value = text == "true";
    return Error::success();
  }
  if (isBoolean || text.getAsDouble(figure.value))
    return errorAt(where, "the value of '" + figure.key + "' is '" + text +
                              "' but must be " +
                              (isBoolean ? "true or false" : "a number"));
  return Error::success();
}

Error Reader::setFigureField(StringRef name, std::string text,
                             const std::string &where, const FigureSpec &spec,
                             Figure &figure) {
  if (name == "value")
    return readNumber(text, where, figure);
  if (name == "from") {
    figure.from = std::move(text);
    return Error::success();
  }
  if (name == "unit") {
    if (!findUnit(spec, text))
      return errorAt(where, "the unit of '" + figure.key + "' is '" + text +
                                "' but must be " + unitNames(spec));
    figure.unit = std::move(text);
    return Error::success();
  }
  if (name != "source")
    return errorAt(where, "'" + figure.key + "' has the unknown key '" + name +
                              "'; a figure has value, unit, source and from");
  std::optional<FigureSource> source = parseSource(text);
  if (!source)
    return errorAt(where, "the source of '" + figure.key + "' is '" + text +
                              "' but must be published, derived, calibrated "
                              "or assumed");
  figure.source = *source;
  return Error::success();
}

Expected<std::string> Reader::readFigureField(yaml::KeyValueNode &entry,
                                              const FigureSpec &spec,
                                              Figure &figure) {
  std::string where = whereOf(entry.getKey());
  Expected<std::string> name = readScalar(entry.getKey(), "a key");
  if (!name)
    return name;
  Expected<std::string> text =
      readScalar(entry.getValue(), "'" + *name + "' of '" + figure.key + "'");
  if (!text)
    return text;
  if (Error error =
          setFigureField(*name, std::move(*text), where, spec, figure))
    return std::move(error);
  return name;
}

Expected<Figure> Reader::readFigure(StringRef key, yaml::Node *node,
                                    const std::string &where) {
  const FigureSpec *spec = findFigureSpec(key);
  if (!spec)
    return errorAt(where, "'" + key +
                              "' is no figure of a machine; --print-machine "
                              "prints one with all of them");
  Figure figure;
  figure.key = key.str();
  figure.where = where;
  auto *mapping = dyn_cast_or_null<yaml::MappingNode>(node);
  if (!mapping)
    return errorAt(where, "'" + key +
                              "' must be written as {value: ..., unit: ..., "
                              "source: ..., from: ...}");
  SmallVector<std::string> seen;
  for (yaml::KeyValueNode &entry : *mapping) {
    Expected<std::string> name = readFigureField(entry, *spec, figure);
    if (!name)
      return name.takeError();
    seen.push_back(std::move(*name));
  }
  if (Error error = syntax())
    return std::move(error);
  for (StringRef field : {"value", "unit", "source", "from"}) {
    size_t count = llvm::count(seen, field);
    if (count != 1)
      return errorAt(where,
                     "'" + key + "' " +
                         (count ? "says twice its " : "lacks its ") + field +
                         (field == "unit" ? ", which is " + unitNames(*spec)
                                          : std::string()));
  }
  return figure;
}

Error Reader::readFigures(yaml::Node *node, MachineText &machine) {
  if (isa_and_nonnull<yaml::NullNode>(node))
    return Error::success();
  auto *mapping = dyn_cast_or_null<yaml::MappingNode>(node);
  if (!mapping)
    return errorAt(whereOf(node), "'figures' must map keys to figures");
  for (yaml::KeyValueNode &entry : *mapping) {
    std::string where = whereOf(entry.getKey());
    Expected<std::string> key = readScalar(entry.getKey(), "a key");
    if (!key)
      return key.takeError();
    Expected<Figure> figure = readFigure(*key, entry.getValue(), where);
    if (!figure)
      return figure.takeError();
    for (const Figure &other : machine.figures)
      if (other.key == *key)
        return errorAt(where, "'" + *key + "' stands here again, after " +
                                  other.where);
    machine.figures.push_back(std::move(*figure));
  }
  return Error::success();
}

Error Reader::readEntry(yaml::KeyValueNode &entry, MachineText &machine) {
  std::string where = whereOf(entry.getKey());
  Expected<std::string> key = readScalar(entry.getKey(), "a key");
  if (!key)
    return key.takeError();
  if (*key == "figures")
    return readFigures(entry.getValue(), machine);
  std::string *field = *key == "machine"       ? &machine.name
                       : *key == "description" ? &machine.description
                       : *key == "inherits"    ? &machine.inherits
                                               : nullptr;
  if (!field)
    return errorAt(where, "unknown key '" + *key +
                              "'; a machine file has machine, description, "
                              "inherits and figures");
  Expected<std::string> text = readScalar(entry.getValue(), "'" + *key + "'");
  if (!text)
    return text.takeError();
  *field = std::move(*text);
  if (field == &machine.inherits)
    machine.inheritsWhere = where;
  return Error::success();
}

Expected<MachineText> Reader::read() {
  MachineText machine;
  auto document = stream.begin();
  yaml::Node *root = document == stream.end() ? nullptr : document->getRoot();
  if (Error error = syntax())
    return std::move(error);
  auto *mapping = dyn_cast_or_null<yaml::MappingNode>(root);
  if (!mapping)
    return errorAt(fileName + ":1",
                   "a machine file begins with 'machine: NAME'");
  for (yaml::KeyValueNode &entry : *mapping)
    if (Error error = readEntry(entry, machine))
      return std::move(error);
  if (Error error = syntax())
    return std::move(error);
  if (machine.name.empty())
    return errorAt(fileName + ":1", "the file lacks 'machine: NAME'");
  return machine;
}

Expected<MachineText> npu::parseMachineText(StringRef text,
                                            StringRef fileName) {
  return Reader(text, fileName).read();
}
