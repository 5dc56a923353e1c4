// WeightStore: bytes of files, values of expressions, and the paths that it
// refuses. HostTensor: conversions of elements.
#include "dialects/ef/WeightStore.h"

#include "mlir/IR/Builders.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>
#include <fstream>
#include <gtest/gtest.h>
#include <limits>

using namespace mlir;
using namespace efc::ef;

namespace {
class WeightStoreTest : public ::testing::Test {
protected:
  void SetUp() override {
    context.loadDialect<EfDialect>();
    SmallString<128> path;
    ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("efc-weights", path));
    root = std::string(path);
    ASSERT_FALSE(llvm::sys::fs::create_directory(root + "/model"));
    float values[] = {1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f};
    write(root + "/model/w.bin",
          StringRef(reinterpret_cast<char *>(values), sizeof(values)));
    write(root + "/secret.bin", "not yours to read, whatever the model says");
  }
  void TearDown() override { llvm::sys::fs::remove_directories(root); }

  static void write(const std::string &path, StringRef bytes) {
    std::error_code error;
    llvm::raw_fd_ostream stream(path, error);
    ASSERT_FALSE(error);
    stream << bytes;
  }

  std::string refuse(StringRef file, uint64_t offset, uint64_t size) {
    WeightStore store(root + "/model");
    auto bytes = store.getBytes(file, offset, size);
    return bytes ? "" : llvm::toString(bytes.takeError());
  }

  MLIRContext context;
  std::string root;
};

TEST_F(WeightStoreTest, readsRanges) {
  WeightStore store(root + "/model");
  auto bytes = store.getBytes("w.bin", 8, 4);
  ASSERT_TRUE(static_cast<bool>(bytes));
  float value;
  std::memcpy(&value, bytes->data(), sizeof(value));
  EXPECT_EQ(value, 3.0f);
}

/// Memory of this process that is part of files, in KiB.
static long residentFileKiB() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssFile:"))
      return std::stol(line.substr(8));
  return 0;
}

TEST_F(WeightStoreTest, releasedBytesStayValid) {
  std::string large(8 << 20, 'x');
  write(root + "/model/large.bin", large);
  WeightStore store(root + "/model");
  auto small = store.getBytes("w.bin", 0, 24);
  auto mapped = store.getBytes("large.bin", 0, large.size());
  ASSERT_TRUE(static_cast<bool>(small) && static_cast<bool>(mapped));
  std::string before(small->data(), small->size());
  EXPECT_EQ(StringRef(mapped->data(), mapped->size()), large);
  long resident = residentFileKiB();
  store.releasePages();
  EXPECT_LT(residentFileKiB(), resident - 6 * 1024);
  EXPECT_EQ(StringRef(small->data(), small->size()), before);
  EXPECT_EQ(StringRef(mapped->data(), mapped->size()), large);
}

TEST_F(WeightStoreTest, refusesRangesOutsideTheFile) {
  EXPECT_NE(refuse("w.bin", 8, 17)
                .find("has 24 bytes, but a weight needs 17 at offset 8"),
            std::string::npos);
  EXPECT_FALSE(
      refuse("w.bin", std::numeric_limits<uint64_t>::max(), 2).empty());
  EXPECT_FALSE(
      refuse("w.bin", 2, std::numeric_limits<uint64_t>::max()).empty());
  EXPECT_TRUE(refuse("w.bin", 24, 0).empty());
}

TEST_F(WeightStoreTest, refusesPathsOutsideTheFolder) {
  EXPECT_NE(
      refuse("../secret.bin", 0, 4).find("leaves the folder of the model"),
      std::string::npos);
  EXPECT_NE(refuse("a/../../secret.bin", 0, 4).find("leaves the folder"),
            std::string::npos);
  EXPECT_NE(refuse(root + "/secret.bin", 0, 4).find("leaves the folder"),
            std::string::npos);
  ASSERT_FALSE(llvm::sys::fs::create_link(root + "/secret.bin",
                                          root + "/model/link.bin"));
  EXPECT_NE(refuse("link.bin", 0, 4).find("is a link that leaves the folder"),
            std::string::npos);
  // A folder whose name only begins like the model's is another one.
  ASSERT_FALSE(llvm::sys::fs::create_directory(root + "/model2"));
  write(root + "/model2/x.bin", "1234");
  ASSERT_FALSE(llvm::sys::fs::create_link(root + "/model2/x.bin",
                                          root + "/model/sibling.bin"));
  EXPECT_NE(
      refuse("sibling.bin", 0, 4).find("is a link that leaves the folder"),
      std::string::npos);
}

TEST_F(WeightStoreTest, refusesWhatIsNoFile) {
  EXPECT_NE(refuse("missing.bin", 0, 4).find("cannot open the weights file"),
            std::string::npos);
  EXPECT_FALSE(refuse("", 0, 4).empty());
  EXPECT_FALSE(refuse(".", 0, 4).empty());
  EXPECT_FALSE(refuse(StringRef("w.bin\0x", 7), 0, 4).empty());
}

TEST_F(WeightStoreTest, evaluatesExpressions) {
  OpBuilder builder(&context);
  OwningOpRef<ModuleOp> module = ModuleOp::create(builder.getUnknownLoc());
  builder.setInsertionPointToStart(module->getBody());
  auto type = RankedTensorType::get({2, 3}, builder.getF32Type());
  Location loc = builder.getUnknownLoc();
  Value weight = WeightOp::create(builder, loc, type, "w", "w.bin", 0);
  Value transposed =
      TransposeOp::create(builder, loc, weight, ArrayRef<int64_t>{1, 0});
  Value sum =
      BinaryOp::create(builder, loc, BinaryKind::Add, transposed, transposed);
  EXPECT_TRUE(isConstantExpression(sum));
  WeightStore store(root + "/model");
  auto value = store.evaluate(sum);
  ASSERT_TRUE(static_cast<bool>(value));
  std::vector<double> expected = {2, 8, 4, 10, 6, 12};
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_EQ(value->getFloat(i), expected[i]);
}

/// What a store to `type` and a load give.
double roundTrip(Type type, double value) {
  HostTensor tensor(RankedTensorType::get({}, type));
  tensor.setFloat(0, value);
  return tensor.getFloat(0);
}

TEST_F(WeightStoreTest, convertsElements) {
  Builder builder(&context);
  EXPECT_EQ(roundTrip(builder.getF16Type(), 2049), 2048); // halfway: to even
  EXPECT_EQ(roundTrip(builder.getF16Type(), 2051), 2052);
  EXPECT_EQ(roundTrip(builder.getBF16Type(), 257), 256);
  EXPECT_TRUE(std::isinf(roundTrip(builder.getF16Type(), 65520)));
  EXPECT_TRUE(std::isnan(roundTrip(builder.getBF16Type(), std::nan(""))));
  EXPECT_EQ(roundTrip(builder.getIntegerType(8), 130), -126); // wraps around
  EXPECT_EQ(roundTrip(builder.getIntegerType(8), -1.9), -1);  // truncates
  EXPECT_EQ(
      roundTrip(IntegerType::get(&context, 8, IntegerType::Unsigned), 200),
      200);
  EXPECT_EQ(
      roundTrip(IntegerType::get(&context, 64, IntegerType::Unsigned), 0x1p63),
      0x1p63);
  EXPECT_EQ(roundTrip(builder.getI1Type(), 0.25), 1);
  // By way of double it would lose the last bit, and then the tie would go to
  // even.
  HostTensor single(RankedTensorType::get({}, builder.getF32Type()));
  single.setInt(0, (int64_t(1) << 60) + (int64_t(1) << 36) + 1);
  EXPECT_EQ(single.getFloat(0), 0x1p60 + 0x1p37);
}

TEST_F(WeightStoreTest, keepsAttributes) {
  Builder builder(&context);
  auto type = RankedTensorType::get({3}, builder.getI1Type());
  auto bits = DenseElementsAttr::get(type, ArrayRef<bool>{true, false, true});
  EXPECT_EQ(HostTensor::fromAttr(bits).toAttr(), bits);
  auto splat =
      DenseElementsAttr::get(RankedTensorType::get({4}, builder.getF16Type()),
                             builder.getF16FloatAttr(1.5).getValue());
  EXPECT_EQ(HostTensor::fromAttr(splat).toAttr(), splat);
  EXPECT_EQ(HostTensor::fromAttr(splat).getFloat(3), 1.5);
}
} // namespace
