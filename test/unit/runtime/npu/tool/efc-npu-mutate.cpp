// efc-npu-mutate MODEL.efa: breaks the schedules of an artifact's NPU programs
// on purpose, many times, and says what caught each: the verifier, the
// simulator, or equal results on random inputs. Fails if something did not.
#include "Mutations.h"

#include "npu/Encoding.h"
#include "npu/simulator/ScalarFunctions.h"
#include "npu/simulator/Simulator.h"
#include "runtime/core/Artifact.h"
#include "runtime/core/Text.h"

#include <CLI/CLI.hpp>

#include <cstring>
#include <iostream>
#include <map>

using namespace efrt;
using namespace efrt::npu;
using namespace efrt::npu::test;

namespace {
struct Options {
  std::string model;
  unsigned count = 200, firstSeed = 0, threads = 0;
  size_t program = 0;
};

/// Runs forms of one of the artifact's programs on the same inputs.
class Runner {
public:
  Runner(const Artifact &artifact, const Options &options);
  std::vector<std::byte> outputsOf(const Program &program);

private:
  void fill(size_t slot, const ArtifactTensor &tensor);

  const Artifact &artifact;
  const Options &options;
  std::span<const std::byte> weights;
  std::vector<std::vector<std::byte>> slots; ///< Without the weights.
  size_t numOutputs = 0;
};
} // namespace

Runner::Runner(const Artifact &artifact, const Options &options)
    : artifact(artifact), options(options) {
  for (const ArtifactDispatch &dispatch : artifact.dispatches) {
    if (dispatch.device != DeviceKind::Npu ||
        dispatch.kernel != options.program)
      continue;
    const ArtifactTensor &first = artifact.tensors[dispatch.tensors[0]];
    weights = artifact.weights.subspan(first.offset, first.size);
    numOutputs = dispatch.results;
    for (size_t i = 1; i < dispatch.tensors.size(); ++i) {
      const ArtifactTensor &tensor = artifact.tensors[dispatch.tensors[i]];
      slots.emplace_back(tensor.size);
      if (i > 1 && i + numOutputs < dispatch.tensors.size())
        fill(slots.size() - 1, tensor);
    }
    return;
  }
}

void Runner::fill(size_t slot, const ArtifactTensor &tensor) {
  std::mt19937 generator(static_cast<unsigned>(slot));
  std::normal_distribution<float> normal;
  std::byte *data = slots[slot].data();
  for (size_t i = 0; i < tensor.info.numElements(); ++i) {
    float value = normal(generator);
    uint16_t half = simulator::toHalf(value);
    auto integer = static_cast<int16_t>(value * 2000);
    if (tensor.info.dtype == DType::F32)
      std::memcpy(data + 4 * i, &value, 4);
    else if (tensor.info.dtype == DType::F16)
      std::memcpy(data + 2 * i, &half, 2);
    else if (tensor.info.dtype == DType::I16)
      std::memcpy(data + 2 * i, &integer, 2);
  }
}

std::vector<std::byte> Runner::outputsOf(const Program &program) {
  auto simulator = npu::Simulator::create(artifact.npuMachine, options.threads,
                                          /*timingOnly=*/false);
  Result<std::vector<std::byte>> bytes = encodeProgram(program);
  if (!simulator.ok() || !bytes.ok())
    throw std::runtime_error("cannot simulate the program");
  if (Status status = (*simulator)->addProgram("mutated", *bytes); !status.ok())
    throw std::runtime_error(status.message());
  std::vector<std::vector<std::byte>> memory = slots;
  std::vector<void *> addresses = {const_cast<std::byte *>(weights.data())};
  for (std::vector<std::byte> &slot : memory)
    addresses.push_back(slot.data());
  if (Status status = (*simulator)->run(0, addresses); !status.ok())
    throw std::runtime_error(status.message());
  std::vector<std::byte> outputs;
  for (size_t i = memory.size() - numOutputs; i < memory.size(); ++i)
    outputs.insert(outputs.end(), memory[i].begin(), memory[i].end());
  return outputs;
}

static int mutateAll(const Artifact &artifact, const Options &options) {
  if (options.program >= artifact.npuPrograms.size())
    throw std::runtime_error("the artifact has no such NPU program");
  Result<Program> program =
      decodeProgram(artifact.npuPrograms[options.program].commands);
  if (!program)
    throw std::runtime_error(program.status().message());
  std::cout << "data flow is " << (program->flow.empty() ? "not " : "")
            << "recorded\n";
  Runner runner(artifact, options);
  std::vector<std::byte> expected = runner.outputsOf(*program);
  static constexpr const char *outcomes[] = {"caught by the verifier",
                                             "caught by the simulator",
                                             "harmless", "MISSED"};
  std::map<std::pair<std::string, std::string>, unsigned> counts;
  bool isMissed = false;
  for (unsigned seed = options.firstSeed;
       seed < options.firstSeed + options.count; ++seed) {
    std::mt19937 generator(seed);
    Mutation mutation = mutate(*program, generator);
    Judgement judgement =
        judge(mutation.program, artifact.npuMachine, expected,
              [&](const Program &broken) { return runner.outputsOf(broken); });
    const char *outcome = outcomes[static_cast<size_t>(judgement.outcome)];
    ++counts[{test::nameOf(mutation.kind), outcome}];
    if (judgement.outcome != Outcome::Missed)
      continue;
    isMissed = true;
    std::cout << "seed " << seed << ": " << test::nameOf(mutation.kind)
              << " of " << mutation.command << " was missed\n";
  }
  for (const auto &[key, count] : counts)
    std::cout << count << ' ' << key.first << ": " << key.second << '\n';
  return isMissed ? 1 : 0;
}

int main(int argc, char **argv) {
  CLI::App app("Breaks NPU schedules on purpose.", "efc-npu-mutate");
  Options options;
  app.add_option("model", options.model)->required();
  app.add_option("--count", options.count)->capture_default_str();
  app.add_option("--first-seed", options.firstSeed)->capture_default_str();
  app.add_option("--program", options.program)->capture_default_str();
  app.add_option("--threads", options.threads)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  Result<Artifact> artifact = Artifact::open(options.model);
  if (!artifact) {
    std::cerr << "error: " << artifact.status().message() << '\n';
    return 2;
  }
  try {
    return mutateAll(*artifact, options);
  } catch (const std::exception &error) {
    std::cerr << "error: " << error.what() << '\n';
    return 2;
  }
}
