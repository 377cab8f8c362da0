// The C interface between the dispatcher and the engine, which is compiled once per instruction set.
#pragma once

#include <stdint.h>

// One call of `advance`: arrays as ematheory/_native.pyi describes them, checked by the binding.
struct ematheory_job {
  int is_double;
  int problem, optimizer;  // places in EMATHEORY_PROBLEMS and EMATHEORY_OPTIMIZERS
  int64_t points, replicas, coordinates, steps;
  uint64_t first_step, seed;
  uint32_t first_replica;
  const uint32_t *point_numbers;
  void *state;
  const void *problem_coefficients;
  const void *coefficients;
  int64_t snapshot_count;
  const int64_t *snapshots_at;
  void *snapshots;
  const int *stop;  // not 0: leave the work unfinished
};

// The normals of consecutive steps, replicas and columns (from 0) of stream 0: (steps, replicas, columns).
struct ematheory_normals {
  uint64_t seed, first_step;
  int64_t steps, replicas, columns;
  uint32_t first_replica, point;
  float *normals;
};

// Every level has these under its own name: ematheory_<level>_….
#define EMATHEORY_ENGINE(level)                                                                       \
  extern "C" {                                                                                        \
  int64_t ematheory_##level##_cells_per_tile();                                                       \
  void ematheory_##level##_advance(const ematheory_job *job, int64_t point, int64_t tile);            \
  void ematheory_##level##_normals(const ematheory_normals *wanted);                                  \
  int ematheory_##level##_contraction_is_off(const float *singles, const double *doubles, int count); \
  }
