#include "dispatch.h"

#include "../core/moments.h"

// setup.py lists the levels it compiled: EMATHEORY_LEVELS(X) X(portable) ….
#define EMATHEORY_DECLARE(level) \
  EMATHEORY_ENGINE(level) EMATHEORY_COUPLED_ENGINE(level) EMATHEORY_MOMENTS_ENGINE(level) EMATHEORY_UPDATE_ENGINE(level)
EMATHEORY_LEVELS(EMATHEORY_DECLARE)

namespace ematheory {
namespace {

// Feature names, not level names: older compilers lack those. Each also asks whether the operating system keeps the
// registers.
bool is_supported_portable() { return true; }

#if defined(__x86_64__)
[[maybe_unused]] bool is_supported_v2() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("popcnt");
}

[[maybe_unused]] bool is_supported_v3() {
  return is_supported_v2() && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}

[[maybe_unused]] bool is_supported_v4() {
  return is_supported_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

}  // namespace

std::string Level::public_name() const {
  return std::string(name) == "portable" ? name : std::string("x86-64-") + name;
}

std::vector<const Level *> supported_levels() {
#define EMATHEORY_ENTRY(level)                 \
  {#level,                                     \
   is_supported_##level,                       \
   ematheory_##level##_cells_per_tile,         \
   ematheory_##level##_advance,                \
   ematheory_##level##_normals,                \
   ematheory_##level##_contraction_is_off,     \
   ematheory_##level##_cells_per_moments_tile, \
   ematheory_##level##_advance_vector,         \
   ematheory_##level##_moments,                \
   ematheory_##level##_update},
  static const Level levels[] = {EMATHEORY_LEVELS(EMATHEORY_ENTRY)};
#undef EMATHEORY_ENTRY
  std::vector<const Level *> supported;
  for (const Level &level : levels)
    if (level.is_supported()) supported.push_back(&level);
  return supported;
}

const std::vector<Traced> &traced_moments() {
#define EMATHEORY_ENTRY(name) \
  {#name, moments::name::STATE, moments::name::COEFFICIENTS, -1, false, moments::name::GRADIENT, moments::name::SUMS},
  static const std::vector<Traced> all = {EMATHEORY_MOMENTS(EMATHEORY_ENTRY)};
#undef EMATHEORY_ENTRY
  return all;
}

IeeeDefaults::IeeeDefaults() {
  std::fegetenv(&before_);
  std::fesetenv(FE_DFL_ENV);
}

IeeeDefaults::~IeeeDefaults() { std::fesetenv(&before_); }

Run::Run(std::function<void(int64_t)> work, const int64_t tiles, int *const stop, const int threads)
    : work_on_(std::move(work)), tiles_(tiles), stop_(stop) {
  const int64_t count = tiles_ < threads ? tiles_ : threads;
  try {
    for (int64_t number = 0; number < count; ++number) {
      const std::lock_guard<std::mutex> lock(mutex_);
      threads_.emplace_back(&Run::work, this);
      ++working_;
    }
  } catch (...) {
    this->stop();
    for (std::thread &thread : threads_) thread.join();
    throw;
  }
}

Run::~Run() {
  for (std::thread &thread : threads_) thread.join();
}

bool Run::wait(const std::chrono::milliseconds longest) {
  std::unique_lock<std::mutex> lock(mutex_);
  return finished_.wait_for(lock, longest, [this] { return working_ == 0; });
}

double Run::done() const {
  const int64_t taken = next_.load(std::memory_order_relaxed);
  return tiles_ == 0 || taken >= tiles_ ? 1.0 : static_cast<double>(taken) / static_cast<double>(tiles_);
}

void Run::work() {
  const IeeeDefaults defaults;
  while (!__atomic_load_n(stop_, __ATOMIC_RELAXED)) {
    const int64_t tile = next_.fetch_add(1, std::memory_order_relaxed);
    if (tile >= tiles_) break;
    work_on_(tile);
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  if (--working_ == 0) finished_.notify_all();
}

}  // namespace ematheory
