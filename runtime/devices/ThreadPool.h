// Threads that share one job at a time. Jobs follow each other within
// microseconds, so waiting threads spin for a while before they sleep.
#ifndef EFRT_DEVICES_THREADPOOL_H
#define EFRT_DEVICES_THREADPOOL_H

#include "efrt/Status.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace efrt {

class ThreadPool {
public:
  /// Does [begin, end) on thread `thread` of [0, numThreads()); must not throw.
  using Body = void (*)(void *context, unsigned thread, int64_t begin,
                        int64_t end);

  /// `threads` counts the caller: one fewer is started. 0: one per usable core.
  static Result<std::unique_ptr<ThreadPool>> create(unsigned threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  unsigned numThreads() const {
    return static_cast<unsigned>(workers.size()) + 1;
  }

  /// Offers body(context, ...) over [0, work) to the workers. One job at a
  /// time: finish() must come before the next start().
  void start(Body body, void *context, uint64_t work);
  /// Takes part in the job as thread 0 and returns when all of it is done.
  void finish();

private:
  ThreadPool() = default;
  void runWorker(unsigned thread);
  void runChunks(unsigned thread);

  /// Written by start() only, and read only by who holds a chunk of the job,
  /// which keeps finish() from returning.
  Body body = nullptr;
  void *context = nullptr;
  uint64_t work = 0, chunkItems = 0;
  uint32_t numChunks = 0;

  /// Chunks that nobody has taken yet. Taking one is the only way into a job.
  alignas(64) std::atomic<uint32_t> untaken = 0;
  /// Chunks that are not done yet.
  alignas(64) std::atomic<uint32_t> undone = 0;
  /// Counts the jobs; sleeping workers wait for it to change.
  alignas(64) std::atomic<uint32_t> jobs = 0;
  std::atomic<bool> stopping = false;
  unsigned spins = 0;
  std::vector<std::thread> workers;
};

} // namespace efrt

#endif
