// The optimizer's coefficients of the cells of a tile, step by step.
#pragma once

#include "engine.h"
#include "noise.h"

namespace ematheory {
namespace {

// The coefficients of a tile's cells: those of one point.
template <class T, class Optimizer>
struct Coefficients {
  // Those of one step: in registers, as locals.
  struct Now {
    T all[Optimizer::COEFFICIENTS];

    EMATHEORY_FUNCTION T at(const int place, int) const { return all[place]; }
  };

  const T *of_point;

  Coefficients(const ematheory_job &job, const int64_t cell, int64_t)
      : of_point(static_cast<const T *>(job.coefficients) +
                 cell / (job.replicas * job.coordinates) * job.steps * Optimizer::COEFFICIENTS) {}

  // Of this call's step `step`.
  EMATHEORY_FUNCTION Now take(const int64_t step) const {
    Now now;
    for (int place = 0; place < Optimizer::COEFFICIENTS; ++place)
      now.all[place] = of_point[step * Optimizer::COEFFICIENTS + place];
    return now;
  }
};

// The same where each cell may be of another point: a few steps at a time, turned so that lanes lie side by side.
template <class T, class Optimizer>
struct CoefficientsAcross {
  using Rows = T[Optimizer::COEFFICIENTS][STEPS_PER_CALL][LANES];

  struct Now {
    const Rows &rows;
    const int64_t row;

    EMATHEORY_FUNCTION T at(const int place, const int lane) const { return rows[place][row][lane]; }
  };

  alignas(64) Rows turned;
  const T *of_lane[LANES];
  int changing[Optimizer::COEFFICIENTS], changing_count = 0;
  int64_t steps;
  const int lanes;  // of the parts that have cells

  // Cells `cell` … `cell` + `size` of all points together; lanes past the end take the last cell's.
  CoefficientsAcross(const ematheory_job &job, const int64_t cell, const int64_t size)
      : steps(job.steps), lanes(static_cast<int>((size + PART - 1) / PART * PART)) {
    for (int lane = 0; lane < lanes; ++lane) {
      const int64_t point = (cell + (lane < size ? lane : size - 1)) / (job.replicas * job.coordinates);
      of_lane[lane] = static_cast<const T *>(job.coefficients) + point * steps * Optimizer::COEFFICIENTS;
    }
    find_changing();
    for (int place = 0; steps && place < Optimizer::COEFFICIENTS; ++place)
      for (int step = 0; step < STEPS_PER_CALL; ++step)
        for (int lane = 0; lane < lanes; ++lane) turned[place][step][lane] = of_lane[lane][place];
  }

  // Most coefficients are the same at every step: only the others have to be turned again. Bits that differ are
  // gathered, not decisions, so that a row is compared at once.
  void find_changing() {
    using Bits = decltype(bits_of(T()));
    Bits differing[Optimizer::COEFFICIENTS] = {};
    for (int lane = 0; lane < lanes; ++lane) {
      if (lane && of_lane[lane] == of_lane[lane - 1]) continue;
      const T *const first = of_lane[lane];
      for (int64_t step = 1; step < steps; ++step) {
        const T *const row = first + step * Optimizer::COEFFICIENTS;
        for (int place = 0; place < Optimizer::COEFFICIENTS; ++place)
          differing[place] |= bits_of(row[place]) ^ bits_of(first[place]);
      }
    }
    for (int place = 0; place < Optimizer::COEFFICIENTS; ++place)
      if (differing[place]) changing[changing_count++] = place;
  }

  EMATHEORY_FUNCTION Now take(const int64_t step) {
    const int64_t row = step % STEPS_PER_CALL;
    if (row == 0) turn(step);
    return {turned, row};
  }

  // Lane by lane: lanes' rows may lie a power of two apart, and so share a few sets of the cache, which keep each for
  // just the time that it is read.
  void turn(const int64_t step) {
    const int64_t count = steps - step < STEPS_PER_CALL ? steps - step : STEPS_PER_CALL;
    for (int lane = 0; lane < lanes; ++lane) {
      const T *const rows_of_lane = of_lane[lane] + step * Optimizer::COEFFICIENTS;
      for (int64_t next = 0; next < count; ++next)
        for (int number = 0; number < changing_count; ++number)
          turned[changing[number]][next][lane] = rows_of_lane[next * Optimizer::COEFFICIENTS + changing[number]];
    }
  }
};

}  // namespace
}  // namespace ematheory
