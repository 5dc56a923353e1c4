// The table of machines; the blocking of each kernel family is derived from
// these figures.
#include "targets/cpu/CpuVariant.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

using namespace efc::cpu;

static const char *const kX86Triple = "x86_64-unknown-linux-gnu";
static const char *const kArmTriple = "aarch64-unknown-linux-gnu";

/// 16 vector registers of 8 lanes: 6 x 2 accumulators, 2 of the panel, 1 to 2
/// broadcasts.
static CpuVariant x86v3() {
  CpuVariant variant;
  variant.name = "x86-64-v3";
  variant.triple = kX86Triple;
  variant.cpu = "x86-64-v3";
  variant.runtimeFeatures = {"avx2", "fma", "f16c", "bmi2"};
  variant.pairProduct = PairProduct::Madd256;
  return variant;
}

/// 32 vector registers of 16 lanes: 14 x 2 accumulators.
static CpuVariant x86v4() {
  CpuVariant variant;
  variant.name = "x86-64-v4";
  variant.triple = kX86Triple;
  variant.cpu = "x86-64-v4";
  variant.features = "-prefer-256-bit";
  variant.runtimeFeatures = {"avx2",    "fma",      "f16c",     "bmi2",
                             "avx512f", "avx512bw", "avx512dq", "avx512vl"};
  variant.lanes = 16;
  variant.tileRows = 14;
  variant.l2Bytes = 1 << 20;
  variant.pairProduct = PairProduct::Madd512;
  return variant;
}

/// As above with the dot products of int16.
static CpuVariant x86v4Vnni() {
  CpuVariant variant = x86v4();
  variant.name = "x86-64-v4-vnni";
  variant.features += ",+avx512vnni";
  variant.runtimeFeatures.push_back("avx512vnni");
  variant.pairProduct = PairProduct::Dot512;
  return variant;
}

/// 32 vector registers of 4 lanes: 6 x 4 accumulators.
static CpuVariant neon(const char *cpu) {
  CpuVariant variant;
  variant.name = cpu;
  variant.triple = kArmTriple;
  variant.cpu = llvm::StringRef(cpu) == "generic-armv8" ? "generic" : cpu;
  variant.runtimeFeatures = {"neon"};
  variant.lanes = 4;
  variant.tileRows = 6;
  variant.tileVectors = 4;
  return variant;
}

static std::vector<CpuVariant> allVariants() {
  return {x86v4Vnni(),
          x86v4(),
          x86v3(),
          neon("cortex-x4"),
          neon("cortex-a76"),
          neon("generic-armv8")};
}

static bool hostRuns(const CpuVariant &variant) {
  llvm::Triple host(llvm::sys::getProcessTriple());
  if (host.getArch() != llvm::Triple(variant.triple).getArch())
    return false;
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  return llvm::all_of(variant.runtimeFeatures, [&](const std::string &name) {
    return features.lookup(name);
  });
}

llvm::Expected<std::vector<CpuVariant>>
efc::cpu::selectVariants(llvm::StringRef name, bool quantized) {
  llvm::Triple host(llvm::sys::getProcessTriple());
  if (name.empty() && host.isAArch64())
    return std::vector<CpuVariant>{neon("generic-armv8")};
  if (name.empty())
    return std::vector<CpuVariant>{quantized ? x86v4Vnni() : x86v4(), x86v3()};
  std::vector<std::string> names = {"host"};
  for (const CpuVariant &variant : allVariants()) {
    if (name == variant.name || (name == "host" && hostRuns(variant)))
      return std::vector<CpuVariant>{variant};
    names.push_back(variant.name);
  }
  return llvm::createStringError(
      "--cpu=" + name +
      " is not a known machine; choose one of: " + llvm::join(names, ", "));
}
