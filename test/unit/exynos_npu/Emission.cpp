// See Emission.h.
#include "test/unit/exynos_npu/Emission.h"

#include "targets/exynos_npu/Convert.h"
#include "targets/exynos_npu/DataFlow.h"
#include "targets/exynos_npu/DramPlan.h"
#include "targets/exynos_npu/Emit.h"
#include "targets/exynos_npu/Schedule.h"
#include "targets/exynos_npu/Synchronize.h"

#include "npu/Encoding.h"
#include "npu/Verifier.h"
#include "npu/simulator/Simulator.h"

#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/Dialect/Quant/IR/QuantTypes.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace efc;
using namespace efc::npu;
using namespace efc::npu::test;

uint64_t Execution::movedBytes(int slot, bool isStore) const {
  uint64_t bytes = 0;
  for (const auto &dma : commands<efrt::npu::DmaCommand>())
    if (dma.slot == slot && dma.isStore == isStore)
      bytes += dma.numBytes();
  return bytes;
}

uint64_t Execution::movedBytes() const {
  uint64_t bytes = 0;
  for (const auto &dma : commands<efrt::npu::DmaCommand>())
    bytes += dma.numBytes();
  return bytes;
}

Emission::Emission() {
  context.loadDialect<ef::EfDialect, func::FuncDialect, quant::QuantDialect,
                      NpuDialect>();
  llvm::Expected<MachineFile> file = loadMachine(defaultMachine, {});
  EXPECT_TRUE(static_cast<bool>(file)) << llvm::toString(file.takeError());
  machine = file->machine;
  SmallString<128> path;
  EXPECT_FALSE(llvm::sys::fs::createUniqueDirectory("efc-emission", path));
  folder = std::string(path);
  store = std::make_unique<ef::WeightStore>(folder);
  RecordProperty("seed", 20261123);
}

Emission::~Emission() { llvm::sys::fs::remove_directories(folder); }

void Emission::makeWeights(int64_t count) {
  std::vector<float> values(count);
  for (float &value : values)
    value = (static_cast<int>(generator() % 257) - 128) / 64.0f;
  std::error_code error;
  llvm::raw_fd_ostream stream(folder + "/w.bin", error);
  ASSERT_FALSE(error);
  stream << StringRef(reinterpret_cast<char *>(values.data()),
                      values.size() * sizeof(float));
  // One that has mapped an earlier file goes on with that.
  store = std::make_unique<ef::WeightStore>(folder);
}

void Emission::build(const std::string &text, MltMode mode) {
  mlt = mode;
  module = parseSourceString<ModuleOp>(text, &context);
  ASSERT_TRUE(module) << text;
  partition = *module->getOps<func::FuncOp>().begin();
  FailureOr<LayerGraph> layers = buildLayers(partition, mlt);
  ASSERT_TRUE(succeeded(layers));
  graph = std::move(*layers);
}

Tensors Emission::makeArguments(int32_t part) {
  Tensors arguments;
  for (Type type : partition.getArgumentTypes()) {
    ef::HostTensor tensor(cast<RankedTensorType>(type));
    auto quantized = cast<quant::QuantizedType>(tensor.getElementType());
    int64_t limit = quantized.getStorageTypeMax() / part;
    for (int64_t i = 0; i < tensor.getNumElements(); ++i)
      tensor.setInt(i, static_cast<int64_t>(generator() % (2 * limit + 1)) -
                           limit);
    arguments.push_back(tensor);
  }
  return arguments;
}

Tiling Emission::priced(int64_t tilePositions, bool weightsResident) {
  TilingProblem problem(graph, machine, mlt);
  Group group;
  group.last = graph.layers.size();
  group.tilePositions = tilePositions;
  std::string why;
  EXPECT_TRUE(
      GroupCost(problem, 0, group.last).price(group, weightsResident, why))
      << why;
  Tiling tiling;
  tiling.groups.push_back(group);
  return tiling;
}

efrt::npu::Program Emission::compile(const Tiling &tiling,
                                     std::vector<char> &weightBytes) {
  ProgramOp op = emitProgram(partition, graph, tiling, machine);
  EmittedCommands emitted(op);
  EXPECT_TRUE(succeeded(scheduleProgram(op, machine, ScheduleOptions())));
  emitted.setFlow(op);
  synchronizeProgram(op);
  FailureOr<efrt::npu::Program> program = toProgram(op);
  EXPECT_TRUE(succeeded(program));
  weightBytes.assign(program->slotBytes[kWeightsSlot], 0);
  for (ConstantOp constant : constantsOf(op)) {
    MutableArrayRef<char> bytes(weightBytes.data() + constant.getOffset(),
                                bytesOf(constant));
    if (llvm::Error error = writeConstant(constant, *store, bytes))
      ADD_FAILURE() << llvm::toString(std::move(error));
  }
  op.erase();
  return *program;
}

Tensors Emission::simulate(const efrt::npu::Program &program,
                           std::vector<char> &weightBytes,
                           const Tensors &arguments) {
  auto simulator = efrt::npu::Simulator::create(machine, /*threads=*/1,
                                                /*timingOnly=*/false);
  EXPECT_TRUE(simulator.ok());
  auto bytes = efrt::npu::encodeProgram(program);
  EXPECT_TRUE(bytes.ok());
  efrt::Status added = (*simulator)->addProgram("npu_0", *bytes);
  EXPECT_TRUE(added.ok()) << added.message();
  std::vector<char> workspace(program.slotBytes[kWorkspaceSlot]);
  std::vector<void *> slots = {weightBytes.data(), workspace.data()};
  for (const ef::HostTensor &argument : arguments)
    slots.push_back(const_cast<char *>(argument.getBytes().data()));
  Tensors outputs;
  for (Type type : partition.getResultTypes()) {
    outputs.emplace_back(cast<RankedTensorType>(type));
    slots.push_back(outputs.back().getMutableBytes().data());
  }
  efrt::Status status = (*simulator)->run(0, slots);
  EXPECT_TRUE(status.ok()) << status.message();
  return outputs;
}

Execution Emission::run(const Tiling &tiling, const Tensors &arguments) {
  TilingProblem problem(graph, machine, mlt);
  if (llvm::Error error = problem.verify(tiling))
    ADD_FAILURE() << llvm::toString(std::move(error));
  std::vector<char> weightBytes;
  Execution execution;
  execution.program = compile(tiling, weightBytes);
  efrt::Status status = efrt::npu::verifyProgram(execution.program, machine);
  EXPECT_TRUE(status.ok()) << status.message();
  execution.outputs = simulate(execution.program, weightBytes, arguments);

  FailureOr<Tensors> expected =
      efc::test::evaluate(partition, arguments, store.get());
  EXPECT_TRUE(succeeded(expected));
  if (failed(expected))
    return execution;
  for (auto [actual, wanted] : llvm::zip_equal(execution.outputs, *expected)) {
    EXPECT_EQ(actual.getType(), wanted.getType());
    int64_t different = 0;
    for (int64_t i = 0; i < wanted.getNumElements(); ++i)
      different += actual.getInt(i) != wanted.getInt(i);
    EXPECT_EQ(different, 0) << "of " << wanted.getNumElements();
  }
  return execution;
}
