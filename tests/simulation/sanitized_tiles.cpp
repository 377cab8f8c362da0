// Drives the engine's tiles over shapes that do not fill them, for AddressSanitizer and UBSan: arrays are exactly as
// long as they are said to be. test_sanitized_tiles.py compiles and runs it.
#include "../../csrc/core/generated.h"

// One kernel compiles in seconds.
#undef EMATHEORY_OPTIMIZERS
#define EMATHEORY_OPTIMIZERS(X) X(adamw)
#undef EMATHEORY_PROBLEMS
#define EMATHEORY_PROBLEMS(X) X(noisy_quadratic)
#define EMATHEORY_LEVEL sanitized
#include <cstdio>
#include <vector>

#include "../../csrc/cpu/engine.cpp"

namespace {

constexpr int64_t MEMBERS = 3, COEFFICIENTS = 8;

template <class T>
void run(const int64_t points, const int64_t replicas, const int64_t coordinates, const int64_t steps,
         const uint64_t first_step) {
  const int64_t cells = replicas * coordinates, snapshots_at[] = {0, steps};
  const int stop = 0;
  std::vector<T> state(MEMBERS * points * cells), of_problem(MEMBERS * points * coordinates);
  std::vector<T> coefficients(points * steps * COEFFICIENTS, T(0.1)), snapshots(2 * points * cells);
  const std::vector<uint32_t> numbers(points, 7);
  ematheory_job job{};
  job.is_double = sizeof(T) == sizeof(double);
  job.points = points;
  job.replicas = replicas;
  job.coordinates = coordinates;
  job.steps = steps;
  job.first_step = first_step;
  job.point_numbers = numbers.data();
  job.state = state.data();
  job.problem_coefficients = of_problem.data();
  job.coefficients = coefficients.data();
  job.snapshot_count = 2;
  job.snapshots_at = snapshots_at;
  job.snapshots = snapshots.data();
  job.stop = &stop;
  for (int64_t tile = 0; tile * LANES < points * cells; ++tile) ematheory_sanitized_advance(&job, ALL_POINTS, tile);
  for (int64_t point = 0; point < points; ++point)
    for (int64_t tile = 0; tile * LANES < cells; ++tile) ematheory_sanitized_advance(&job, point, tile);
}

}  // namespace

int main() {
  int runs = 0;
  for (const int64_t points : {1, 2, 43, 130})
    for (const int64_t replicas : {1, 3, 16})
      for (const int64_t coordinates : {1, 5, 40, 128, 130})
        for (const int64_t steps : {0, 1, 4, 9})
          for (const uint64_t first_step : {0, 6}) {
            run<float>(points, replicas, coordinates, steps, first_step);
            run<double>(points, replicas, coordinates, steps, first_step);
            runs += 2;
          }
  std::printf("%d runs\n", runs);
}
