// What a kernel generator writes with: a builder inside one kernel's function,
// and the way to launch it from @main.
//
// A kernel is a func.func over statically shaped memrefs: one per input, one
// per result, then scratch (memref<Sxi8>), begin and end (index). It does the
// work items [begin, end) of [0, work). Any partition over any threads must
// give the same bits, so a work item never depends on another one of the same
// launch, and no sum is split by the partition.
#ifndef EFC_TARGETS_CPU_KERNELBUILDER_H
#define EFC_TARGETS_CPU_KERNELBUILDER_H

#include "targets/cpu/CpuVariant.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/StringMap.h"

namespace efc::cpu {

/// The element type in memory: i1 is i8 (0 or 1), unsigned integers are
/// signless, quantised elements are their integers, all others are themselves.
mlir::Type getStorageType(mlir::Type elementType);
/// A type as kernels' keys have it: a quantised one without its scales, which
/// are data of the launch (kernels/QuantizedOperands.h).
void printStructure(llvm::raw_ostream &os, mlir::Type type);
/// memref<shape x storage type> for a tensor.
mlir::MemRefType getStorageMemRef(mlir::Type tensorType);

class KernelBuilder : public mlir::ImplicitLocOpBuilder {
public:
  KernelBuilder(mlir::func::FuncOp kernel, const CpuVariant &variant,
                size_t numInputs, size_t numResults);

  const CpuVariant &variant;
  mlir::func::FuncOp kernel;
  mlir::ModuleOp module();

  mlir::Value input(size_t index) { return kernel.getArgument(index); }
  mlir::Value result(size_t index) {
    return kernel.getArgument(numInputs + index);
  }
  mlir::Value scratch() { return kernel.getArgument(numInputs + numResults); }
  mlir::Value begin() { return kernel.getArgument(numInputs + numResults + 1); }
  mlir::Value end() { return kernel.getArgument(numInputs + numResults + 2); }

  // Index arithmetic, folded where both sides are constants.
  mlir::Value index(int64_t value);
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value sub(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, mlir::Value b);
  mlir::Value add(mlir::Value a, int64_t b) { return add(a, index(b)); }
  mlir::Value mul(mlir::Value a, int64_t b) { return mul(a, index(b)); }
  mlir::Value divFloor(mlir::Value a, int64_t b); ///< a >= 0, b > 0
  mlir::Value mod(mlir::Value a, int64_t b);      ///< a >= 0, b > 0
  mlir::Value min(mlir::Value a, mlir::Value b);

  mlir::Value f32(double value);
  /// `value` in all lanes of vector<lanes x T>.
  mlir::Value splat(mlir::Value value, int64_t lanes);

  /// The address of a memref's first byte, as !llvm.ptr.
  mlir::Value pointer(mlir::Value memref);
  /// pointer + offset elements of `elementType` (GEP).
  mlir::Value offsetPointer(mlir::Value pointer, mlir::Value elements,
                            mlir::Type elementType);
  /// Unaligned loads and stores through !llvm.ptr; `type` is a scalar or a
  /// vector.
  mlir::Value load(mlir::Value pointer, mlir::Type type);
  void store(mlir::Value value, mlir::Value pointer);

  /// scf.for from `lower` to `upper` by `step`; `body` gets the index.
  void loop(mlir::Value lower, mlir::Value upper, int64_t step,
            llvm::function_ref<void(mlir::Value)> body);
  void loop(int64_t lower, int64_t upper, int64_t step,
            llvm::function_ref<void(mlir::Value)> body) {
    loop(index(lower), index(upper), step, body);
  }
  /// The loop over this call's work items.
  void forEachWorkItem(llvm::function_ref<void(mlir::Value)> body) {
    loop(begin(), end(), 1, body);
  }

private:
  size_t numInputs, numResults;
};

/// One launch, as @main sees it.
struct Launch {
  mlir::Location loc; ///< The ONNX tensor and node.
  std::string
      family;      ///< Start of the kernel's symbol: "matmul", "conv_winograd".
  std::string op;  ///< For people: "conv3x3.winograd+add+silu".
  std::string key; ///< With family, types, work and scratch: all that the body
                   ///< depends on.
  llvm::SmallVector<mlir::Value> inputs; ///< Tensors of @main.
  llvm::SmallVector<mlir::Type> results; ///< Tensor types.
  int64_t work = 1, scratch = 0, macs = 0;
  /// For the report, of a product of integers: the proved bound of its sums,
  /// and the steps of k that an int32 accumulator takes (0: all).
  int64_t accumulatorBound = 0, accumulatorChunk = 0;
};

/// Adds launches to @main and kernels to the module; equal kernels are made
/// once.
class DispatchBuilder {
public:
  DispatchBuilder(mlir::ModuleOp module, const CpuVariant &variant)
      : variant(variant), module(module) {}

  /// Emits a cpu.dispatch at `main`'s insertion point; `body` fills the kernel
  /// if this one is new.
  mlir::ResultRange launch(mlir::OpBuilder &main, const Launch &launch,
                           llvm::function_ref<void(KernelBuilder &)> body);

  /// A private function of the module that kernels share (a microkernel), made
  /// by `make` at its first use.
  mlir::func::FuncOp
  getOrCreateHelper(llvm::StringRef name, mlir::FunctionType type,
                    llvm::function_ref<void(mlir::func::FuncOp)> make);

  const CpuVariant &variant;

private:
  mlir::ModuleOp module;
  llvm::StringMap<std::string> symbols;
  llvm::StringMap<unsigned> counters;
};

} // namespace efc::cpu

#endif
