// Shape arithmetic: broadcasting, axes, windows.
#include "dialects/ef/Shapes.h"

#include <gtest/gtest.h>

using namespace efc::ef;

TEST(Shapes, Broadcast) {
  EXPECT_EQ(broadcastShapes({2, 1, 4}, {3, 1}), Shape({2, 3, 4}));
  EXPECT_EQ(broadcastShapes({}, {5}), Shape({5}));
  EXPECT_EQ(broadcastShapes({0}, {1}), Shape({0}));
  EXPECT_EQ(broadcastShapes({2}, {3}), std::nullopt);
  EXPECT_TRUE(broadcastsTo({4}, {2, 4}));
  EXPECT_FALSE(broadcastsTo({2, 4}, {4}));
}

TEST(Shapes, NormalizeAxis) {
  EXPECT_EQ(normalizeAxis(-1, 3), 2);
  EXPECT_EQ(normalizeAxis(-3, 3), 0);
  EXPECT_EQ(normalizeAxis(3, 3), std::nullopt);
  EXPECT_EQ(normalizeAxis(-4, 3), std::nullopt);
  EXPECT_EQ(normalizeAxis(0, 0), std::nullopt);
}

TEST(Shapes, Windows) {
  EXPECT_EQ(convOutputExtent(/*input=*/8, /*kernel=*/3, /*stride=*/2,
                             /*padBegin=*/1, /*padEnd=*/1, /*dilation=*/1),
            4);
  EXPECT_EQ(convOutputExtent(5, 3, 1, 0, 0, 2), 1);
  // A kernel larger than the input does not fit once, whatever the stride.
  EXPECT_EQ(convOutputExtent(2, 3, 4, 0, 0, 1), 0);
  EXPECT_EQ(convTransposeOutputExtent(4, 3, 2, 1, 1, 1, 1), 8);
}

TEST(Shapes, Strides) {
  EXPECT_EQ(getStrides({2, 3, 4}), Shape({12, 4, 1}));
  EXPECT_EQ(getBroadcastStrides({3, 1}, {2, 3, 4}), Shape({0, 1, 0}));
  EXPECT_EQ(formatShape({1, 2}), "[1, 2]");
}
