// Dynamic chunks: about eight a thread, so that a core that is busy elsewhere
// delays the job by an eighth of its share, not by all of it.
#include "runtime/devices/ThreadPool.h"

#include "runtime/core/Affinity.h"
#include "runtime/core/Text.h"

#include <algorithm>
#include <csignal>
#include <system_error>

using namespace efrt;

static constexpr uint64_t kChunksPerThread = 8;
/// About 50 microseconds: longer than the gap between two launches of a run,
/// and short against a time slice.
static constexpr unsigned kSpins = 2000;

static void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Returns when `value` is no longer `expected`: spins first, then sleeps.
static void waitWhileEqual(const std::atomic<uint32_t> &value,
                           uint32_t expected, unsigned spins) {
  for (unsigned i = 0; i < spins; ++i) {
    if (value.load(std::memory_order_acquire) != expected)
      return;
    relax();
  }
  value.wait(expected, std::memory_order_acquire);
}

Result<std::unique_ptr<ThreadPool>> ThreadPool::create(unsigned threads) {
  constexpr unsigned maxThreads = 1024;
  unsigned cores = usableCores();
  if (threads > maxThreads)
    return Status(StatusCode::InvalidArgument,
                  concat("cannot run on ", threads, " threads; the most are ",
                         maxThreads));
  std::unique_ptr<ThreadPool> pool(new ThreadPool());
  unsigned count = threads > 0 ? threads : cores;
  // With more threads than cores, who spins keeps the core from who works.
  pool->spins = count <= cores ? kSpins : 0;
  // Signals belong to the application's threads.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool isComplete = true;
  try {
    for (unsigned thread = 1; thread < count; ++thread)
      pool->workers.emplace_back(
          [pool = pool.get(), thread] { pool->runWorker(thread); });
  } catch (const std::system_error &) {
    isComplete = false;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!isComplete)
    return Status(
        StatusCode::OutOfMemory,
        concat("the system does not give this process ", count, " threads"));
  return pool;
}

ThreadPool::~ThreadPool() {
  stopping = true;
  ++jobs;
  jobs.notify_all();
  for (std::thread &worker : workers)
    worker.join();
}

void ThreadPool::start(Body newBody, void *newContext, uint64_t newWork) {
  body = newBody;
  context = newContext;
  work = newWork;
  uint64_t wanted = std::min<uint64_t>(work, kChunksPerThread * numThreads());
  chunkItems = wanted > 0 ? (work + wanted - 1) / wanted : 0;
  numChunks = wanted > 0
                  ? static_cast<uint32_t>((work + chunkItems - 1) / chunkItems)
                  : 0;
  undone.store(numChunks, std::memory_order_relaxed);
  untaken.store(numChunks, std::memory_order_release);
  if (numChunks > 1) {
    jobs.fetch_add(1, std::memory_order_release);
    jobs.notify_all();
  }
}

void ThreadPool::finish() {
  runChunks(0);
  for (uint32_t left = undone.load(std::memory_order_acquire); left > 0;
       left = undone.load(std::memory_order_acquire))
    waitWhileEqual(undone, left, spins);
}

void ThreadPool::runChunks(unsigned thread) {
  for (;;) {
    uint32_t left = untaken.load(std::memory_order_relaxed);
    do {
      if (left == 0)
        return;
    } while (!untaken.compare_exchange_weak(
        left, left - 1, std::memory_order_acq_rel, std::memory_order_relaxed));
    uint64_t begin = (numChunks - left) * chunkItems;
    body(context, thread, static_cast<int64_t>(begin),
         static_cast<int64_t>(std::min(begin + chunkItems, work)));
    // The last one may be what finish() sleeps for; after that the job, though
    // not the pool, may be gone.
    if (undone.fetch_sub(1, std::memory_order_acq_rel) == 1 && thread != 0)
      undone.notify_one();
  }
}

void ThreadPool::runWorker(unsigned thread) {
  for (;;) {
    uint32_t seen = jobs.load(std::memory_order_acquire);
    if (stopping)
      return;
    runChunks(thread);
    waitWhileEqual(jobs, seen, spins);
  }
}
