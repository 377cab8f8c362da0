// Which levels of the engine this build has and this CPU runs, and the threads that share one call's work.
#pragma once

#include <atomic>
#include <cfenv>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "../bind/traced.h"
#include "coupled.h"
#include "engine.h"
#include "moments.h"
#include "update.h"

namespace ematheory {

// One instruction set's engine.
struct Level {
  const char *name;
  bool (*is_supported)();
  int64_t (*cells_per_tile)();
  void (*advance)(const ematheory_job *, int64_t point, int64_t tile);
  void (*normals)(const ematheory_normals *);
  int (*contraction_is_off)(const float *, const double *, int);
  int64_t (*cells_per_moments_tile)();
  int (*advance_vector)(const ematheory_job *, int64_t point, int64_t replica);
  void (*moments)(const ematheory_moments_job *, int64_t point, int64_t tile);
  void (*update)(const ematheory_update_job *);

  // "portable", "x86-64-v2", …
  std::string public_name() const;
};

// Those this CPU runs, the fastest last.
std::vector<const Level *> supported_levels();

// Those in EMATHEORY_MOMENTS.
const std::vector<Traced> &traced_moments();

// While it lives, the bits are those of IEEE 754's defaults, whatever the caller set (flush-to-zero, another rounding).
class IeeeDefaults {
 public:
  IeeeDefaults();
  ~IeeeDefaults();
  IeeeDefaults(const IeeeDefaults &) = delete;
  IeeeDefaults &operator=(const IeeeDefaults &) = delete;

 private:
  std::fenv_t before_;
};

// Runs tiles of work on threads of its own; joins them when destroyed.
class Run {
 public:
  // `work` does one tile, and leaves it unfinished once *stop is not 0.
  Run(std::function<void(int64_t tile)> work, int64_t tiles, int *stop, int threads);
  ~Run();
  Run(const Run &) = delete;
  Run &operator=(const Run &) = delete;

  // Waits until all is done, at most this long; says whether it is.
  bool wait(std::chrono::milliseconds longest);
  // Tells the threads to leave their work unfinished.
  void stop() { __atomic_store_n(stop_, 1, __ATOMIC_RELAXED); }
  // The share of the work that has been taken up.
  double done() const;

 private:
  void work();

  const std::function<void(int64_t)> work_on_;
  const int64_t tiles_;
  std::atomic<int64_t> next_{0};
  int *const stop_;
  int working_ = 0;
  std::mutex mutex_;
  std::condition_variable finished_;
  std::vector<std::thread> threads_;
};

}  // namespace ematheory
