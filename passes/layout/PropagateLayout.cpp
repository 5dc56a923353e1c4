// efc-propagate-layout: activations to channels-last. The work is in
// LayoutRewriter.
#include "passes/Passes.h"
#include "passes/layout/LayoutRewriter.h"

namespace efc {
#define GEN_PASS_DEF_EFCPROPAGATELAYOUT
#include "passes/Passes.h.inc"
} // namespace efc

using namespace mlir;
using namespace efc;
using namespace efc::ef;

namespace {
class PropagateLayout
    : public efc::impl::EfcPropagateLayoutBase<PropagateLayout> {
public:
  using Base::Base;

  void runOnOperation() override {
    if (getOperation().isExternal())
      return;
    Block &block = getOperation().getBody().front();
    LayoutRewriter rewriter(block);
    rewriter.run();
    numConverted += rewriter.getNumConverted();
    numMoved += rewriter.getNumMoved();
    numTransposes += llvm::range_size(block.getOps<TransposeOp>());
  }
};
} // namespace
