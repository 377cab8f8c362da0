// The C interface between the dispatcher and the engine, which is compiled once per instruction set.
#pragma once

#include <stdint.h>

#include "../core/job.h"

// The normals of consecutive steps, replicas and columns (from 0) of stream 0: (steps, replicas, columns).
struct ematheory_normals {
  uint64_t seed, first_step;
  int64_t steps, replicas, columns;
  uint32_t first_replica, point;
  float *normals;
};

// In place of a point's number: a tile of the cells of all points together, few as each has.
constexpr int64_t ALL_POINTS = -1;

// Every level has these under its own name: ematheory_<level>_….
#define EMATHEORY_ENGINE(level)                                                                       \
  extern "C" {                                                                                        \
  int64_t ematheory_##level##_cells_per_tile();                                                       \
  void ematheory_##level##_advance(const ematheory_job *job, int64_t point, int64_t tile);            \
  void ematheory_##level##_normals(const ematheory_normals *wanted);                                  \
  int ematheory_##level##_contraction_is_off(const float *singles, const double *doubles, int count); \
  }
