// See WinogradTiles.h.
#include "targets/cpu/kernels/WinogradTiles.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace efc::cpu;

static constexpr int64_t kMinGroupPanels = 5;
static constexpr int64_t kWantedItems = 24;
/// Groups are made of pairs of panels: registers of some variants take both.
static constexpr int64_t kGroupGranule = 2;

int64_t efc::cpu::getEvenBlock(int64_t size, int64_t most) {
  return llvm::alignTo(llvm::divideCeil(size, llvm::divideCeil(size, most)),
                       16);
}

WinogradItems::WinogradItems(const Conv2d &conv, int64_t output) {
  tilesY = llvm::divideCeil(conv.outH, output);
  tilesX = llvm::divideCeil(conv.outW, output);
  tiles = conv.n * tilesY * tilesX;
  chunks = std::max<int64_t>(1, (tiles + kChunk / 2 - 1) / kChunk);
  lastTiles = tiles - (chunks - 1) * kChunk;
  maxTiles = chunks > 1 ? std::max(lastTiles, kChunk) : lastTiles;
  panels = llvm::divideCeil(conv.m, kPanelColumns);
  groups = 1;
  while (chunks * groups < kWantedItems &&
         panels / (groups + 1) >= kMinGroupPanels)
    ++groups;
  groupPanels = llvm::alignTo(llvm::divideCeil(panels, groups), kGroupGranule);
  groups = llvm::divideCeil(panels, groupPanels);
}

WinogradItems::Item WinogradItems::locate(KernelBuilder &b, Value item) const {
  Value chunk = b.mod(item, chunks), group = b.divFloor(item, chunks);
  Value count = b.index(lastTiles);
  if (chunks > 1 && lastTiles != kChunk) {
    Value isLast = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, chunk,
                                         b.index(chunks - 1));
    count = arith::SelectOp::create(b, isLast, count, b.index(kChunk));
  }
  Value firstPanel = b.mul(group, groupPanels);
  return {b.mul(chunk, kChunk), count, firstPanel,
          b.min(b.index(groupPanels), b.sub(b.index(panels), firstPanel))};
}

/// low <= x <= high
static Value isBetween(KernelBuilder &b, Value x, int64_t low, int64_t high) {
  return arith::AndIOp::create(
      b, arith::CmpIOp::create(b, arith::CmpIPredicate::sge, x, b.index(low)),
      arith::CmpIOp::create(b, arith::CmpIPredicate::sle, x, b.index(high)));
}

WinogradTiles::Tile WinogradTiles::locate(Value tile) {
  Value x = b.mod(tile, tilesX), rest = b.divFloor(tile, tilesX);
  return {b.divFloor(rest, tilesY), b.mul(b.mod(rest, tilesY), output),
          b.mul(x, output)};
}

Value WinogradTiles::pixelPointer(Value image, Value y, Value x,
                                  Value channel) {
  Value offset = b.add(
      b.mul(b.add(b.mul(b.add(b.mul(image, conv.h), y), conv.w), x), conv.c),
      channel);
  return b.offsetPointer(b.pointer(b.input(0)), offset, stored);
}

void WinogradTiles::emitCopy(Value image, Value firstY, Value firstX,
                             Value channel, Value channels) {
  b.loop(0, input, 1, [&](Value i) {
    b.loop(0, input, 1, [&](Value j) {
      Value y = b.add(firstY, i), x = b.add(firstX, j);
      Value inside = arith::AndIOp::create(b, isBetween(b, y, 0, conv.h - 1),
                                           isBetween(b, x, 0, conv.w - 1));
      Value place = b.mul(b.add(b.mul(i, input), j), patchChannels);
      Value to = b.offsetPointer(patchScratch, place, stored);
      auto branch = scf::IfOp::create(b, inside, /*withElseRegion=*/true);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(&branch.getThenRegion().front());
      emitCopyRun(b, pixelPointer(image, y, x, channel), to, channels, stored);
      b.setInsertionPointToStart(&branch.getElseRegion().front());
      emitZeroRun(b, to, channels, stored);
    });
  });
}

WinogradTiles::Patch WinogradTiles::emitPatch(const Tile &tile, Value channel,
                                              Value channels) {
  Value firstY = b.sub(tile.y, b.index(conv.padTop)),
        firstX = b.sub(tile.x, b.index(conv.padLeft));
  Value inside =
      arith::AndIOp::create(b, isBetween(b, firstY, 0, conv.h - input),
                            isBetween(b, firstX, 0, conv.w - input));
  Type pointer = LLVM::LLVMPointerType::get(b.getContext()),
       index = b.getIndexType();
  auto branch = scf::IfOp::create(b, TypeRange{pointer, index, index}, inside,
                                  /*addElseBlock=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&branch.getThenRegion().front());
  scf::YieldOp::create(
      b, ValueRange{pixelPointer(tile.image, firstY, firstX, channel),
                    b.index(conv.w * conv.c), b.index(conv.c)});
  b.setInsertionPointToStart(&branch.getElseRegion().front());
  emitCopy(tile.image, firstY, firstX, channel, channels);
  scf::YieldOp::create(b,
                       ValueRange{patchScratch, b.index(input * patchChannels),
                                  b.index(patchChannels)});
  return {branch.getResult(0), branch.getResult(1), branch.getResult(2)};
}

void WinogradTiles::forEachResult(const Tile &tile,
                                  function_ref<void(Value, Value)> body) {
  auto inside = [&](Value first, int64_t size) {
    Value most = b.index(output);
    return size % output ? b.min(most, b.sub(b.index(size), first)) : most;
  };
  Value outRow = b.add(b.mul(tile.image, conv.outH), tile.y);
  b.loop(b.index(0), inside(tile.y, conv.outH), 1, [&](Value i) {
    b.loop(b.index(0), inside(tile.x, conv.outW), 1, [&](Value j) {
      body(b.add(b.mul(i, output), j),
           b.add(b.mul(b.add(outRow, i), conv.outW), b.add(tile.x, j)));
    });
  });
}
