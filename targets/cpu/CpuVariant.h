// The machines that the CPU target generates code for. An artifact holds one
// object a variant; the runtime takes the first that it can run.
#ifndef EFC_TARGETS_CPU_CPUVARIANT_H
#define EFC_TARGETS_CPU_CPUVARIANT_H

#include "mlir/Support/LLVM.h"
#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace efc::cpu {

/// Columns of a packed weight panel (cpu.pack). The same for every variant, so
/// that one packing serves all of them.
inline constexpr int64_t kPanelColumns = 16;

/// How a machine multiplies pairs of int16 and adds both products to an int32.
enum class PairProduct {
  Widen,   ///< Widening multiply-adds on even and odd elements (AArch64).
  Madd256, ///< vpmaddwd, vpaddd
  Madd512, ///< the same with 16 lanes
  Dot512,  ///< vpdpwssd (AVX-512 VNNI)
};

/// What a kernel generator needs to know of a machine.
struct CpuVariant {
  std::string name;     ///< As in the artifact: "x86-64-v3".
  std::string triple;   ///< LLVM triple.
  std::string cpu;      ///< LLVM's -mcpu.
  std::string features; ///< LLVM's -mattr, added to the cpu's own.
  std::vector<std::string>
      runtimeFeatures;      ///< What the runtime must find (artifact.fbs,
                            ///< CpuVariant.features).
  unsigned lanes = 8;       ///< float32 lanes of one vector register.
  unsigned tileRows = 6;    ///< Rows of the register block of the microkernel.
  unsigned tileVectors = 2; ///< Vectors of the register block: tileRows x
                            ///< tileVectors accumulators.
  bool bf16Dot = false;     ///< avx512_bf16 or AArch64 bf16.
  PairProduct pairProduct = PairProduct::Widen;
  unsigned l1Bytes = 32 << 10, l2Bytes = 512 << 10;
};

/// "" (the usual ones of the build machine's architecture, best first; with
/// `quantized`, of AVX-512 the one with dot products of int16), "host", or one
/// name. Fails with the list of names.
llvm::Expected<std::vector<CpuVariant>> selectVariants(llvm::StringRef name,
                                                       bool quantized = false);

} // namespace efc::cpu

#endif
