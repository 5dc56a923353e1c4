// Hand-made programs for the tests of encoding, verifier and simulator.
#ifndef EFC_TEST_UNIT_RUNTIME_NPU_TESTPROGRAMS_H
#define EFC_TEST_UNIT_RUNTIME_NPU_TESTPROGRAMS_H

#include "npu/Machine.h"

#include <random>

namespace efrt::npu::test {

/// All engines, 64 KiB of scratchpad.
Machine testMachine();

/// A dense view.
View denseView(uint32_t address, DType dtype, std::array<uint32_t, 4> extents,
               float scale = 1, int32_t limit = 32767);

/// Contiguous bytes.
DmaCommand denseDma(bool isStore, uint16_t slot, uint64_t offset,
                    uint32_t address, uint32_t bytes);

/// Adds a command in serial order, without waits.
void append(Program &program, Queue queue, Body body);

/// Gives every command notify and the waits that order each of its accesses
/// after all conflicting ones of earlier commands: by looking at all pairs.
void synchronize(Program &program);

inline constexpr uint32_t kTiles = 6, kTileRows = 16, kDepth = 24,
                          kOutputs = 20;

/// y = qcast(silu(dcast-scaled x W^T) + dcast(x's first channels)), W int8
/// [kOutputs, kDepth], x int16 [kTiles * kTileRows, kDepth], in tiles with
/// double buffering on both DMA queues, a GTE and a vector engine: a
/// synchronised program with slots weights (W, then kOutputs f32 factors),
/// workspace, x, y. The product goes through the workspace.
Program matmulProgram();

/// Random commands that can be encoded but make no sense.
Program randomProgram(std::mt19937 &generator);

} // namespace efrt::npu::test

#endif
