// Steps the moments of a tile of cells through a whole call with their state in local arrays.
//
// Compiled once per instruction set like engine.cpp, under the same rules: no STL and no inline externs here.
#include "moments.h"

#include "../core/moments.h"

#define EMATHEORY_JOIN(level, name) ematheory_##level##_##name
#define EMATHEORY_NAME(level, name) EMATHEORY_JOIN(level, name)

EMATHEORY_MOMENTS_ENGINE(EMATHEORY_LEVEL)

namespace ematheory {
namespace {

constexpr int LANES = 64;

// A tile of one point's columns under one program.
template <class Program>
struct Tile {
  alignas(64) double state[Program::STATE][LANES];
  alignas(64) double gradient[Program::GRADIENT][LANES];
  const ematheory_moments_job &job;
  int64_t point, column, size;

  Tile(const ematheory_moments_job &job, const int64_t point, const int64_t tile)
      : job(job), point(point), column(tile * LANES) {
    size = job.columns - column < LANES ? job.columns - column : LANES;
    for (int member = 0; member < Program::GRADIENT; ++member) load(gradient[member], job.gradient, member);
    for (int member = 0; member < Program::STATE; ++member) load(state[member], job.state, member);
  }

  // Where this tile starts in the given member of an array of shape (members, points, columns).
  int64_t place(const int64_t member) const { return (member * job.points + point) * job.columns + column; }

  // Lanes past the end repeat the last cell, unused.
  void load(double *lanes, const double *array, const int64_t member) const {
    for (int lane = 0; lane < LANES; ++lane) lanes[lane] = array[place(member) + (lane < size ? lane : size - 1)];
  }

  void save(double *array, const int64_t first) const {
    for (int member = 0; member < Program::STATE; ++member)
      for (int64_t lane = 0; lane < size; ++lane) array[place(first + member) + lane] = state[member][lane];
  }

  // One step of every cell, with the coefficients of this call's step `step`.
  void update(const int64_t step) {
    double c[Program::COEFFICIENTS];
    for (int place = 0; place < Program::COEFFICIENTS; ++place)
      c[place] = job.coefficients[(point * job.steps + step) * Program::COEFFICIENTS + place];
    // Loops within the loop over lanes are unrolled, or it is no loop over vectors.
    for (int lane = 0; lane < LANES; ++lane) {
      double own[Program::STATE], of[Program::GRADIENT];
#pragma GCC unroll 128
      for (int member = 0; member < Program::STATE; ++member) own[member] = state[member][lane];
#pragma GCC unroll 128
      for (int member = 0; member < Program::GRADIENT; ++member) of[member] = gradient[member][lane];
      Program::step(own, of, c);
#pragma GCC unroll 128
      for (int member = 0; member < Program::STATE; ++member) state[member][lane] = own[member];
    }
  }

  // Steps `from` … `until` of this call; false when told to stop.
  bool run(const int64_t from, const int64_t until) {
    for (int64_t step = from; step < until; ++step) {
      update(step);
      if (__atomic_load_n(job.stop, __ATOMIC_RELAXED)) return false;
    }
    return true;
  }

  void run() {
    int64_t step = 0;
    for (int64_t number = 0; number < job.snapshot_count; ++number) {
      if (!run(step, job.snapshots_at[number])) return;
      step = job.snapshots_at[number];
      save(job.snapshots, number * Program::STATE);
    }
    if (run(step, job.steps)) save(job.state, 0);
  }
};

using Run = void (*)(const ematheory_moments_job &, int64_t, int64_t);

template <class Program>
void run_tile(const ematheory_moments_job &job, const int64_t point, const int64_t tile) {
  Tile<Program>(job, point, tile).run();
}

}  // namespace
}  // namespace ematheory

using namespace ematheory;

extern "C" int64_t EMATHEORY_NAME(EMATHEORY_LEVEL, cells_per_moments_tile)() { return LANES; }

extern "C" void EMATHEORY_NAME(EMATHEORY_LEVEL, moments)(const ematheory_moments_job *job, const int64_t point,
                                                         const int64_t tile) {
#define EMATHEORY_ENTRY(name) run_tile<moments::name>,
  static constexpr Run runs[] = {EMATHEORY_MOMENTS(EMATHEORY_ENTRY)};
#undef EMATHEORY_ENTRY
  runs[job->program](*job, point, tile);
}
