// The C interface between the dispatcher and the steps of moments, which are compiled once per instruction set.
#pragma once

#include <stdint.h>

// One call of `moments`: arrays as ematheory/_native.pyi describes them, checked by the binding.
struct ematheory_moments_job {
  int program;  // its place in EMATHEORY_MOMENTS
  int64_t points, columns, steps;
  const double *gradient;
  const double *coefficients;
  double *state;
  int64_t snapshot_count;
  const int64_t *snapshots_at;
  double *snapshots;
  const int *stop;  // not 0: leave the work unfinished
  // Where a step takes sums over a point's columns: how many threads share a point, how many of them have come to each
  // point's next meeting, and what each cell adds to the sums, (points, 2, tiles, sums, cells per tile).
  int64_t crew;
  int64_t *arrived;
  double *terms;
};

// Every level has these under its own name: ematheory_<level>_….
#define EMATHEORY_MOMENTS_ENGINE(level)                                                            \
  extern "C" {                                                                                     \
  int64_t ematheory_##level##_cells_per_moments_tile();                                            \
  void ematheory_##level##_moments(const ematheory_moments_job *job, int64_t point, int64_t tile); \
  }
