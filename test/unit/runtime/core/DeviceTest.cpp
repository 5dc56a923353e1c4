// The parts of the CPU device: thread pool, processor features, memory.
#include "runtime/core/Affinity.h"
#include "runtime/core/AlignedMemory.h"
#include "runtime/devices/CpuFeatures.h"
#include "runtime/devices/ThreadPool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <mutex>
#include <random>

using namespace efrt;

namespace {
/// Counts how often each item was done, and by which threads.
struct Counter {
  std::vector<std::atomic<int>> done;
  std::atomic<unsigned> largestThread = 0;

  explicit Counter(size_t work) : done(work) {}

  static void run(void *context, unsigned thread, int64_t begin, int64_t end) {
    auto *counter = static_cast<Counter *>(context);
    for (int64_t i = begin; i < end; ++i)
      ++counter->done[static_cast<size_t>(i)];
    for (unsigned seen = counter->largestThread;
         seen < thread &&
         !counter->largestThread.compare_exchange_weak(seen, thread);) {
    }
  }
};
} // namespace

TEST(ThreadPool, DoesEachItemOnce) {
  constexpr unsigned seed = 5;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 generator(seed);
  for (unsigned threads : {1u, 2u, 3u, 8u}) {
    Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(threads);
    ASSERT_TRUE(pool.ok());
    EXPECT_EQ((*pool)->numThreads(), threads);
    for (int job = 0; job < 1000; ++job) {
      size_t work = job % 10 == 0 ? generator() % 5000 : generator() % 20;
      Counter counter(work);
      (*pool)->start(Counter::run, &counter, work);
      (*pool)->finish();
      for (size_t i = 0; i < work; ++i)
        ASSERT_EQ(counter.done[i], 1) << threads << " threads, job " << job
                                      << ", item " << i << " of " << work;
      ASSERT_LT(counter.largestThread, threads);
    }
  }
}

TEST(ThreadPool, WakesAfterSleep) {
  Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(2);
  ASSERT_TRUE(pool.ok());
  for (int job = 0; job < 5; ++job) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    Counter counter(100);
    (*pool)->start(Counter::run, &counter, 100);
    (*pool)->finish();
    for (std::atomic<int> &done : counter.done)
      ASSERT_EQ(done, 1);
  }
}

TEST(ThreadPool, PartsOfTheLargestJobDoNotOverflow) {
  struct Range {
    std::mutex mutex;
    int64_t items = 0, largest = 0;
  } range;
  auto body = [](void *context, unsigned, int64_t begin, int64_t end) {
    auto *range = static_cast<Range *>(context);
    std::lock_guard lock(range->mutex);
    ASSERT_LT(begin, end);
    range->items += end - begin;
    range->largest = std::max(range->largest, end);
  };
  Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(3);
  ASSERT_TRUE(pool.ok());
  constexpr int64_t most = std::numeric_limits<int64_t>::max();
  (*pool)->start(body, &range, static_cast<uint64_t>(most));
  (*pool)->finish();
  EXPECT_EQ(range.items, most);
  EXPECT_EQ(range.largest, most);
}

TEST(ThreadPool, DefaultsToTheUsableCores) {
  Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(0);
  ASSERT_TRUE(pool.ok());
  EXPECT_EQ((*pool)->numThreads(), usableCores());
}

TEST(CpuFeatures, AgreeWithTheCompilersRuntime) {
#if defined(__x86_64__)
  EXPECT_EQ(hostHasFeature("avx2"), __builtin_cpu_supports("avx2") != 0);
  EXPECT_EQ(hostHasFeature("fma"), __builtin_cpu_supports("fma") != 0);
  EXPECT_EQ(hostHasFeature("bmi2"), __builtin_cpu_supports("bmi2") != 0);
  EXPECT_EQ(hostHasFeature("avx512f"), __builtin_cpu_supports("avx512f") != 0);
  EXPECT_EQ(hostHasFeature("avx512vnni"),
            __builtin_cpu_supports("avx512vnni") != 0);
  EXPECT_EQ(hostHasFeature("avx512bf16"),
            __builtin_cpu_supports("avx512bf16") != 0);
  EXPECT_EQ(hostHasFeature("avx512_bf16"), hostHasFeature("avx512bf16"));
  EXPECT_EQ(hostArchitecture(), "x86_64");
#else
  EXPECT_TRUE(hostHasFeature("neon"));
  EXPECT_EQ(hostArchitecture(), "aarch64");
#endif
  EXPECT_FALSE(hostHasFeature("warp-drive"));
  EXPECT_FALSE(hostHasFeature(""));
}

TEST(AlignedMemory, IsZeroedAndAligned) {
  for (size_t bytes : {size_t(1), size_t(4096), (size_t(2) << 20) - 1,
                       size_t(2) << 20, (size_t(5) << 20) + 3}) {
    Result<AlignedMemory> memory = AlignedMemory::allocate(bytes, "a test");
    ASSERT_TRUE(memory.ok());
    size_t alignment = bytes >= size_t(2) << 20 ? size_t(2) << 20 : 4096;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory->data()) % alignment, 0u)
        << bytes;
    EXPECT_EQ(memory->data()[0], std::byte(0));
    memory->data()[bytes - 1] = std::byte(1);
    EXPECT_EQ(memory->size(), bytes);
  }
  EXPECT_EQ(AlignedMemory::allocate(0, "a test")->size(), 0u);
}
