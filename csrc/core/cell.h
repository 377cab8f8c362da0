// Some cells' whole call with their state in local variables: what one GPU thread does. A host compiler makes the same
// of it, which is how the tests run it where there is no GPU.
#pragma once

#include "generated.h"
#include "job.h"
#include "normal.h"

namespace ematheory {
namespace {

// A step's coefficients: on a device as few loads as their size allows, for memory there starts at multiples of 256.
template <class T, int COUNT>
struct EMATHEORY_ALIGNED((COUNT * sizeof(T)) % 16 == 0  ? 16
                         : (COUNT * sizeof(T)) % 8 == 0 ? 8
                                                        : sizeof(T)) Row {
  T c[COUNT];
};

// `COUNT` cells of one point, `apart` cells from each other; those past the end repeat the last one, unused.
template <class T, class Problem, class Optimizer, int COUNT>
struct Cells {
  T state[Optimizer::STATE][COUNT];
  T of_problem[Problem::COEFFICIENTS][COUNT];
  float drawn[STEPS_PER_CALL][COUNT];
  PhiloxCell noise[COUNT];
  PhiloxKey key;
  uint32_t last;
  const ematheory_job &job;
  const T *coefficients;  // of this point
  int64_t point, first, apart, all;

  EMATHEORY_FUNCTION Cells(const ematheory_job &job, const int64_t point, const int64_t first, const int64_t apart)
      : key(philox_key(job.seed)),
        last(last_word(job.point_numbers[point], GRADIENT_STREAM)),
        job(job),
        coefficients(static_cast<const T *>(job.coefficients) + point * job.steps * Optimizer::COEFFICIENTS),
        point(point),
        first(first),
        apart(apart),
        all(job.replicas * job.coordinates) {
    EMATHEORY_UNROLL
    for (int lane = 0; lane < COUNT; ++lane) {
      const int64_t cell = number(lane) < all ? number(lane) : all - 1;
      const int64_t replica = cell / job.coordinates, column = cell % job.coordinates;
      noise[lane] = philox_cell(static_cast<uint32_t>(column), job.first_replica + static_cast<uint32_t>(replica), key);
      EMATHEORY_UNROLL
      for (int member = 0; member < Optimizer::STATE; ++member)
        state[member][lane] = static_cast<const T *>(job.state)[place(member) + cell];
      const T *of = static_cast<const T *>(job.problem_coefficients) + point * job.coordinates + column;
      EMATHEORY_UNROLL
      for (int member = 0; member < Problem::COEFFICIENTS; ++member)
        of_problem[member][lane] = of[member * job.points * job.coordinates];
    }
  }

  // The cell of a lane, counted within the point.
  EMATHEORY_FUNCTION int64_t number(const int lane) const { return first + lane * apart; }

  // Where this point starts in the given member of an array of shape (members, points, replicas, coordinates).
  EMATHEORY_FUNCTION int64_t place(const int64_t member) const { return (member * job.points + point) * all; }

  EMATHEORY_FUNCTION void save(void *array, const int64_t member, const T values[COUNT]) const {
    EMATHEORY_UNROLL
    for (int lane = 0; lane < COUNT; ++lane)
      if (number(lane) < all) static_cast<T *>(array)[place(member) + number(lane)] = values[lane];
  }

  // The normals of steps 4·block … 4·block + 3.
  EMATHEORY_FUNCTION void draw(const uint32_t block) {
    const PhiloxBlock<uint32_t> shared = philox_block(block, last, key);
    EMATHEORY_UNROLL
    for (int lane = 0; lane < COUNT; ++lane) {
      uint32_t words[4];
      philox_finish(noise[lane].low1, noise[lane].high0, noise[lane].low0, shared, key, words);
      float four[STEPS_PER_CALL];
      box_muller(words, four);
      EMATHEORY_UNROLL
      for (int step = 0; step < STEPS_PER_CALL; ++step) drawn[step][lane] = four[step];
    }
  }

  // One step of every cell, with the coefficients of this call's step `step`.
  EMATHEORY_FUNCTION void update(const int64_t step, const float normals[COUNT]) {
    const Row<T, Optimizer::COEFFICIENTS> row =
        reinterpret_cast<const Row<T, Optimizer::COEFFICIENTS> *>(coefficients)[step];
    EMATHEORY_UNROLL
    for (int lane = 0; lane < COUNT; ++lane) {
      T own[Optimizer::STATE], of[Problem::COEFFICIENTS];
      EMATHEORY_UNROLL
      for (int member = 0; member < Optimizer::STATE; ++member) own[member] = state[member][lane];
      EMATHEORY_UNROLL
      for (int member = 0; member < Problem::COEFFICIENTS; ++member) of[member] = of_problem[member][lane];
      const T gradient = Problem::gradient(Optimizer::point(own, row.c), static_cast<T>(normals[lane]), of);
      Optimizer::update(own, gradient, row.c);
      EMATHEORY_UNROLL
      for (int member = 0; member < Optimizer::STATE; ++member) state[member][lane] = own[member];
    }
  }

  // One step with the normals of a row that is known when the program runs: choices keep them in registers.
  EMATHEORY_FUNCTION void update_with(const int row, const int64_t step) {
    float normals[COUNT];
    EMATHEORY_UNROLL
    for (int lane = 0; lane < COUNT; ++lane)
      normals[lane] = row == 0   ? drawn[0][lane]
                      : row == 1 ? drawn[1][lane]
                      : row == 2 ? drawn[2][lane]
                                 : drawn[3][lane];
    update(step, normals);
  }

  // The call's steps from `number` up to `until`; four at once, without a choice between, wherever they share a draw.
  EMATHEORY_FUNCTION void advance(int64_t number, const int64_t until) {
    while (number < until) {
      const uint64_t step = job.first_step + static_cast<uint64_t>(number);
      const int from = static_cast<int>(step % STEPS_PER_CALL);
      draw(static_cast<uint32_t>(step / STEPS_PER_CALL));
      if (from == 0 && until - number >= STEPS_PER_CALL) {
        EMATHEORY_UNROLL
        for (int row = 0; row < STEPS_PER_CALL; ++row) update(number + row, drawn[row]);
        number += STEPS_PER_CALL;
      } else {
        EMATHEORY_ROLLED
        for (int row = from; row < STEPS_PER_CALL && number < until; ++row) update_with(row, number++);
      }
    }
  }

  // All steps, with a copy of the weight wherever a snapshot is wanted after so many of them.
  EMATHEORY_FUNCTION void run() {
    int64_t number = 0;
    for (int64_t snapshot = 0; snapshot <= job.snapshot_count; ++snapshot) {
      const bool is_last = snapshot == job.snapshot_count;
      const int64_t until = is_last ? job.steps : job.snapshots_at[snapshot];
      advance(number, until);
      number = until;
      if (!is_last) save(job.snapshots, snapshot, state[0]);
    }
    EMATHEORY_UNROLL
    for (int member = 0; member < Optimizer::STATE; ++member) save(job.state, member, state[member]);
  }
};

}  // namespace
}  // namespace ematheory
