// What one call of an engine is asked to do, on a CPU or a GPU.
#pragma once

#include <stdint.h>

// To which of the numbers that bfloat16 holds the weights are rounded after each step.
enum ematheory_rounding { EMATHEORY_UNROUNDED, EMATHEORY_NEAREST, EMATHEORY_STOCHASTIC };

// One call of `advance`: arrays as ematheory/_native.pyi describes them, checked by the binding.
struct ematheory_job {
  int is_double;
  // Places in EMATHEORY_PROBLEMS and EMATHEORY_OPTIMIZERS, those that couple coordinates being numbered after them.
  int problem, optimizer;
  int is_coupled;  // one of them couples coordinates or draws from a data set, or there is one of the options
  // Of a data set that is drawn from: its size, 0 where there is none, and whether items are put back.
  int64_t items;
  int is_replaced;
  int64_t points, replicas, coordinates, steps;
  uint64_t first_step, seed;
  uint32_t first_replica;
  int64_t first_column;  // of the noise: where this vector starts among its replica's coordinates
  const uint32_t *point_numbers;
  void *state;
  const void *problem_coefficients;
  const void *coefficients;
  int64_t snapshot_count;
  const int64_t *snapshots_at;
  void *snapshots;
  // Options of a step, each null or 0 where it is not asked for; only the engines for whole vectors have them.
  const double *clip_norm;  // (points,)
  int64_t averages;
  const void *averaging;  // (steps, averages, 2): the shares of the old average and of the new weight
  int rounding;           // an ematheory_rounding
  const void *drift;      // (2, points, coordinates): what is kept of the optimum's displacement, and the noise's scale
  const int *stop;        // not 0: leave the work unfinished
};
