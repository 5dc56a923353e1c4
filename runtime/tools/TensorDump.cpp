// Uses the session's observer; the first write that fails ends the run.
#include "runtime/tools/TensorDump.h"

#include "runtime/core/AtomicFile.h"
#include "runtime/core/Text.h"
#include "runtime/tools/Interrupt.h"
#include "runtime/tools/Npy.h"

#include <nlohmann/json.hpp>

#include <cctype>
#include <iomanip>

using namespace efrt;
using namespace efrun;

std::string efrun::fileNameOf(std::string_view tensorName) {
  constexpr size_t maxBytes = 150;
  std::string name(tensorName.substr(0, maxBytes));
  for (char &c : name)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '-')
      c = '_';
  bool isDots = name.find_first_not_of('.') == std::string::npos;
  return isDots ? "tensor" + name : name;
}

Status efrun::dumpTensors(Session &session, const std::string &folder) {
  nlohmann::json index = nlohmann::json::array();
  Status failure;
  session.setObserver([&](const TensorInfo &tensor, std::string_view node,
                          std::string_view op,
                          std::span<const std::byte> data) {
    if (!failure.ok())
      return;
    std::string file =
        concat(std::setw(4), std::setfill('0'), index.size(), "_",
               fileNameOf(tensor.name.empty() ? node : tensor.name), ".npy");
    failure = writeNpy(folder + "/" + file, tensor.dtype, tensor.shape, data);
    index.push_back({{"file", file},
                     {"tensor", tensor.name},
                     {"node", node},
                     {"op", op},
                     {"dtype", nameOf(tensor.dtype)},
                     {"shape", tensor.shape}});
  });
  Status status = session.run([&] { return !failure.ok() || isInterrupted(); });
  session.setObserver({});
  if (!failure.ok())
    return failure;
  if (!status.ok())
    return status;
  std::string text =
      index.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) +
      "\n";
  return writeFileAtomically(folder + "/index.json",
                             {std::as_bytes(std::span(text))});
}
