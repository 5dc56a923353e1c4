// The table of figures in docs/exynos-npu.md is that of the machine files.
#include "targets/exynos_npu/MachineFile.h"

#include "llvm/Support/MemoryBuffer.h"

#include <gtest/gtest.h>

using namespace llvm;
using namespace efc::npu;

TEST(MachineTable, TheDocumentationShowsTheMachineFiles) {
  std::vector<MachineFile> machines;
  for (const std::string &name : machineNames()) {
    Expected<MachineFile> file = loadMachine(name);
    ASSERT_TRUE(bool(file)) << toString(file.takeError());
    machines.push_back(std::move(*file));
  }
  std::string table;
  raw_string_ostream os(table);
  printMachineTable(machines, os);
  auto page = MemoryBuffer::getFile(EFC_DOCS "/exynos-npu.md");
  ASSERT_TRUE(bool(page));
  EXPECT_TRUE((*page)->getBuffer().contains(table))
      << "docs/exynos-npu.md should have this table:\n"
      << table;
}
