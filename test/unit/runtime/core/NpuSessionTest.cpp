// Artifacts with NPU programs: one session on the CPU and the simulator, and
// everything in their header that a reader must refuse.
#include "TestArtifact.h"

#include "../npu/TestPrograms.h"

#include "npu/Encoding.h"
#include "npu/MachineFields.h"
#include "npu/simulator/Simulator.h"
#include "runtime/core/Artifact.h"
#include "runtime/devices/NpuDevices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

using namespace efrt;
using namespace efrt::test;
using testing::AllOf;
using testing::HasSubstr;
namespace fb = efc::fb;

static std::unique_ptr<fb::TensorT> tensor(fb::Memory memory, uint64_t offset,
                                           fb::DType dtype, int64_t count,
                                           uint64_t bytes) {
  auto result = std::make_unique<fb::TensorT>();
  result->memory = memory;
  result->offset = offset;
  result->dtype = dtype;
  result->size = bytes;
  result->shape = {count};
  return result;
}

namespace {
/// TestArtifact with a third launch: matmulProgram() from input q to output z.
class NpuSession : public testing::Test {
protected:
  NpuSession() { reset(); }

  void reset() {
    artifact = TestArtifact();
    fb::ModelT &model = artifact.model;
    model.required_features = 1;
    auto machine = std::make_unique<fb::NpuMachineT>();
    machine->name = "test";
    for (auto &[name, value] : npu::figuresOf(npu::test::testMachine())) {
      auto figure = std::make_unique<fb::NpuFigureT>();
      figure->name = name;
      figure->value = value;
      machine->figures.push_back(std::move(figure));
    }
    model.npu_machine = std::move(machine);
    addPorts();
    addLaunch();
    artifact.sectionData.push_back(*npu::encodeProgram(program));
    auto section = std::make_unique<fb::SectionT>();
    section->kind = fb::SectionKind::NpuCommands;
    section->name = "npu_0";
    model.sections.push_back(std::move(section));
  }

  void addPorts() {
    for (auto [name, slot, ports] :
         {std::tuple("q", 2, &artifact.model.inputs),
          std::tuple("z", 3, &artifact.model.outputs)}) {
      auto port = std::make_unique<fb::PortT>();
      port->name = name;
      port->dtype = fb::DType::I16;
      port->shape = {static_cast<int64_t>(program.slotBytes[slot] / 2)};
      ports->push_back(std::move(port));
    }
  }

  void addLaunch() {
    fb::ModelT &model = artifact.model;
    const std::vector<uint64_t> &bytes = program.slotBytes;
    uint64_t weightsAt = artifact.sectionData[0].size(),
             workspaceAt = model.arena_bytes;
    auto first = static_cast<uint32_t>(model.tensors.size());
    auto count = [&](size_t slot, uint64_t size) {
      return static_cast<int64_t>(bytes[slot] / size);
    };
    model.tensors.push_back(tensor(fb::Memory::Weights, weightsAt,
                                   fb::DType::U8, count(0, 1), bytes[0]));
    model.tensors.push_back(tensor(fb::Memory::Arena, workspaceAt,
                                   fb::DType::U8, count(1, 1), bytes[1]));
    model.tensors.push_back(
        tensor(fb::Memory::Input, 2, fb::DType::I16, count(2, 2), bytes[2]));
    model.tensors.push_back(
        tensor(fb::Memory::Output, 1, fb::DType::I16, count(3, 2), bytes[3]));
    model.arena_bytes += bytes[1];
    artifact.sectionData[0].resize(weightsAt + bytes[0], std::byte(1));
    auto dispatch = std::make_unique<fb::DispatchT>();
    dispatch->device = fb::DeviceKind::Npu;
    dispatch->tensors = {first, first + 1, first + 2, first + 3};
    dispatch->results = 1;
    dispatch->node = "/model/MatMul";
    dispatch->op = "npu_0";
    model.dispatches.push_back(std::move(dispatch));
    auto entry = std::make_unique<fb::NpuProgramT>();
    entry->name = "npu_0";
    entry->commands = 2;
    model.npu_programs.push_back(std::move(entry));
  }

  Result<std::unique_ptr<Session>>
  load(const SessionOptions &options = {},
       const std::function<void(fb::ModelT &)> &adjust = {}) {
    std::string path = folder.file("model.efa");
    writeFile(path, artifact.assemble(adjust));
    return Session::load(path, options);
  }

  std::string errorAfter(const std::function<void(fb::ModelT &)> &adjust,
                         const SessionOptions &options = {}) {
    Result<std::unique_ptr<Session>> session = load(options, adjust);
    if (adjust) // It has changed the model.
      reset();
    return session.ok() ? "" : session.status().message();
  }

  npu::Program program = npu::test::matmulProgram();
  TestArtifact artifact;
  TemporaryFolder folder;
};
} // namespace

TEST_F(NpuSession, RunsCpuAndNpuLaunches) {
  SessionOptions options;
  options.profile = true;
  Result<std::unique_ptr<Session>> loaded = load(options);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  Session &session = **loaded;
  EXPECT_EQ(session.variant(), "generic + exynos-npu-sim (test)");
  EXPECT_EQ(session.numCpuLaunches(), 2u);
  std::mt19937 generator(4);
  std::span<std::byte> q = session.inputBuffer(2);
  for (std::byte &byte : q)
    byte = std::byte(generator());
  ASSERT_TRUE(session.run().ok());
  // What the program alone computes.
  std::vector<std::byte> workspace(program.slotBytes[1]),
      z(program.slotBytes[3]);
  auto simulator =
      std::move(*npu::Simulator::create(npu::test::testMachine(), 1, false));
  ASSERT_TRUE(
      simulator->addProgram("npu_0", *npu::encodeProgram(program)).ok());
  std::byte *weights = artifact.sectionData[0].data() +
                       artifact.sectionData[0].size() - program.slotBytes[0];
  std::vector<void *> slots = {weights, workspace.data(), q.data(), z.data()};
  ASSERT_TRUE(simulator->run(0, slots).ok());
  EXPECT_EQ(std::memcmp(session.outputBuffer(1).data(), z.data(), z.size()), 0);
  EXPECT_NE(z, std::vector<std::byte>(z.size()));

  std::vector<ProfileEntry> profile = session.profile();
  ASSERT_EQ(profile.size(), 3u);
  EXPECT_EQ(profile[0].device, "cpu");
  EXPECT_EQ(profile[0].simulatedSeconds, 0);
  EXPECT_EQ(profile[2].device, "exynos-npu-sim");
  EXPECT_EQ(profile[2].kernel, "npu_0");
  double cycles = simulator->timeline(0).cycles;
  EXPECT_GT(cycles, 0);
  EXPECT_DOUBLE_EQ(profile[2].simulatedSeconds, cycles / 1e9);
  EXPECT_DOUBLE_EQ(session.simulatedSeconds(), cycles / 1e9);
}

TEST_F(NpuSession, GivesTheTimeline) {
  SessionOptions options;
  options.timingOnly = true;
  Result<std::unique_ptr<Session>> session = load(options);
  ASSERT_TRUE(session.ok()) << session.status().message();
  ASSERT_TRUE((*session)->run().ok());
  std::vector<const SimulatedLaunch *> launches = (*session)->simulation();
  ASSERT_EQ(launches.size(), 1u);
  size_t numCommands = 0;
  for (const auto &queue : program.queues)
    numCommands += queue.size();
  ASSERT_EQ(launches[0]->commands.size(), numCommands);
  EXPECT_EQ(launches[0]->machine, "test");
  EXPECT_EQ(launches[0]->commands[0].queue, "dma0");
  EXPECT_EQ(launches[0]->commands[0].node, "/model/MatMul");
  double last = 0;
  for (const SimulatedCommand &command : launches[0]->commands) {
    EXPECT_LE(command.start, command.end);
    last = std::max(last, command.end);
  }
  EXPECT_EQ(last, launches[0]->cycles);
}

TEST_F(NpuSession, RefusesDevicesThatDoNotFit) {
  SessionOptions options;
  options.device = "warp-drive";
  EXPECT_THAT(errorAfter({}, options),
              HasSubstr("there is no NPU device 'warp-drive'; this runtime has "
                        "'exynos-npu-sim'"));
  options.device = "cpu";
  EXPECT_THAT(errorAfter({}, options), HasSubstr("compile the model with "
                                                 "--target=cpu"));
  options.device = "exynos-npu-sim";
  EXPECT_EQ(errorAfter({}, options), "");
  artifact = TestArtifact();
  EXPECT_THAT(errorAfter({}, options),
              AllOf(HasSubstr("has no part for an NPU that the device "
                              "'exynos-npu-sim' could run"),
                    HasSubstr("leave the device out"),
                    HasSubstr("compile the model with --target=exynos-npu")));
}

TEST_F(NpuSession, TakesRegisteredDevices) {
  struct Driver : Device {
    std::string_view name() const override { return "driver"; }
    std::string_view variant() const override { return "v1"; }
    Status submit(const Launch &launch) override {
      return Status(StatusCode::Internal, "reached the driver");
    }
    Status wait() override { return Status(); }
  };
  registerNpuDevice("driver",
                    [](const Artifact &, const SessionOptions &)
                        -> Result<std::unique_ptr<Device>> {
                      return std::unique_ptr<Device>(new Driver());
                    });
  SessionOptions options;
  options.device = "driver";
  Result<std::unique_ptr<Session>> session = load(options);
  ASSERT_TRUE(session.ok()) << session.status().message();
  EXPECT_EQ((*session)->run().message(), "reached the driver");
  EXPECT_EQ((*session)->simulatedSeconds(), 0);
}

TEST_F(NpuSession, RefusesCorruptHeaders) {
  EXPECT_THAT(errorAfter([](fb::ModelT &model) { model.npu_machine.reset(); }),
              HasSubstr("no NPU machine"));
  EXPECT_THAT(errorAfter([](fb::ModelT &model) {
                model.npu_machine->figures.pop_back();
              }),
              HasSubstr("machine 'test' lacks"));
  EXPECT_THAT(errorAfter([](fb::ModelT &model) {
                model.npu_programs[0]->commands = 1;
              }),
              HasSubstr("names no section of commands"));
  EXPECT_THAT(errorAfter([](fb::ModelT &model) {
                model.npu_programs[0]->schedule = 1;
              }),
              HasSubstr("names no schedule"));
  EXPECT_THAT(
      errorAfter([](fb::ModelT &model) { model.dispatches[2]->program = 1; }),
      HasSubstr("names NPU program 1 of 1"));
  EXPECT_THAT(
      errorAfter([](fb::ModelT &model) { model.dispatches[2]->work = 1; }),
      HasSubstr("work items"));
  EXPECT_THAT(errorAfter([](fb::ModelT &model) {
                std::swap(model.dispatches[2]->tensors[0],
                          model.dispatches[2]->tensors[1]);
              }),
              HasSubstr("no bytes of weights and of workspace"));
  EXPECT_THAT(
      errorAfter([](fb::ModelT &model) { model.required_features = 3; }),
      HasSubstr("format features"));
}

TEST_F(NpuSession, RefusesTensorsOfOtherSizes) {
  EXPECT_THAT(errorAfter([](fb::ModelT &model) {
                fb::TensorT &workspace = *model.tensors[6];
                workspace.size -= 64;
                workspace.shape[0] -= 64;
              }),
              HasSubstr("does not give it the tensors that it takes"));
}

TEST_F(NpuSession, RefusesDamagedPrograms) {
  artifact.sectionData[2].resize(artifact.sectionData[2].size() - 4);
  EXPECT_THAT(errorAfter({}),
              testing::AllOf(HasSubstr("NPU program 'npu_0'"),
                             HasSubstr("not as long as it says")));
}
