// Asks the processor (x86-64: CPUID, XGETBV; AArch64: the kernel's hardware
// capabilities).
#include "runtime/devices/CpuFeatures.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

#if defined(__x86_64__)

std::string_view efrt::hostArchitecture() { return "x86_64"; }

enum Register { Eax, Ebx, Ecx, Edx };

/// Which of the vector registers the system must save for a feature to be
/// usable.
enum State { Always, Ymm, Zmm };

/// Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2A,
/// CPUID.
struct Feature {
  std::string_view name;
  uint32_t leaf, subleaf;
  Register reg;
  unsigned bit;
  State state;
};

static constexpr Feature kFeatures[] = {
    {"sse3", 1, 0, Ecx, 0, Always},
    {"ssse3", 1, 0, Ecx, 9, Always},
    {"fma", 1, 0, Ecx, 12, Ymm},
    {"sse4.1", 1, 0, Ecx, 19, Always},
    {"sse4.2", 1, 0, Ecx, 20, Always},
    {"movbe", 1, 0, Ecx, 22, Always},
    {"popcnt", 1, 0, Ecx, 23, Always},
    {"avx", 1, 0, Ecx, 28, Ymm},
    {"f16c", 1, 0, Ecx, 29, Ymm},
    {"bmi", 7, 0, Ebx, 3, Always},
    {"avx2", 7, 0, Ebx, 5, Ymm},
    {"bmi2", 7, 0, Ebx, 8, Always},
    {"avx512f", 7, 0, Ebx, 16, Zmm},
    {"avx512dq", 7, 0, Ebx, 17, Zmm},
    {"avx512ifma", 7, 0, Ebx, 21, Zmm},
    {"avx512cd", 7, 0, Ebx, 28, Zmm},
    {"avx512bw", 7, 0, Ebx, 30, Zmm},
    {"avx512vl", 7, 0, Ebx, 31, Zmm},
    {"avx512vbmi", 7, 0, Ecx, 1, Zmm},
    {"avx512vbmi2", 7, 0, Ecx, 6, Zmm},
    {"avx512vnni", 7, 0, Ecx, 11, Zmm},
    {"avx512bitalg", 7, 0, Ecx, 12, Zmm},
    {"avx512fp16", 7, 0, Edx, 23, Zmm},
    {"avxvnni", 7, 1, Eax, 4, Ymm},
    {"avx512bf16", 7, 1, Eax, 5, Zmm},
    {"lzcnt", 0x80000001, 0, Ecx, 5, Always}};

/// XCR0: bits 1, 2 for the lower 256 bits, 5 to 7 for the masks and the upper
/// half.
static bool systemSaves(State state) {
  if (state == Always)
    return true;
  uint32_t regs[4];
  constexpr uint32_t osxsave = 1u << 27;
  if (!__get_cpuid(1, &regs[Eax], &regs[Ebx], &regs[Ecx], &regs[Edx]) ||
      !(regs[Ecx] & osxsave))
    return false;
  uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  uint32_t needed = state == Ymm ? 0x06 : 0xe6;
  return (low & needed) == needed;
}

bool efrt::hostHasFeature(std::string_view name) {
  if (name == "avx512_bf16" ||
      name == "avx512_vnni") // The names of the kernel's /proc/cpuinfo.
    return hostHasFeature(name == "avx512_bf16" ? "avx512bf16" : "avx512vnni");
  const Feature *feature = std::ranges::find(kFeatures, name, &Feature::name);
  if (feature == std::end(kFeatures) || !systemSaves(feature->state))
    return false;
  uint32_t regs[4] = {};
  if (!__get_cpuid_count(feature->leaf, feature->subleaf, &regs[Eax],
                         &regs[Ebx], &regs[Ecx], &regs[Edx]))
    return false;
  return (regs[feature->reg] >> feature->bit) & 1;
}

#elif defined(__aarch64__)

std::string_view efrt::hostArchitecture() { return "aarch64"; }

/// Linux, Documentation/arch/arm64/elf_hwcaps.rst.
struct Feature {
  std::string_view name;
  unsigned long type;
  unsigned bit;
};

static constexpr Feature kFeatures[] = {
    {"neon", AT_HWCAP, 1},     {"fullfp16", AT_HWCAP, 10},
    {"dotprod", AT_HWCAP, 20}, {"sve", AT_HWCAP, 22},
    {"sve2", AT_HWCAP2, 1},    {"i8mm", AT_HWCAP2, 13},
    {"bf16", AT_HWCAP2, 14}};

bool efrt::hostHasFeature(std::string_view name) {
  const Feature *feature = std::ranges::find(kFeatures, name, &Feature::name);
  return feature != std::end(kFeatures) &&
         (getauxval(feature->type) >> feature->bit & 1);
}

#else
#error "the CPU device knows x86-64 and AArch64"
#endif
