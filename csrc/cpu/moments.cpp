// Steps the moments of a tile of cells through a whole call with their state in local arrays.
//
// Compiled once per instruction set like engine.cpp, under the same rules: no STL and no inline externs here.
#include "moments.h"

#include <sched.h>

#include "../core/moments.h"

#define EMATHEORY_JOIN(level, name) ematheory_##level##_##name
#define EMATHEORY_NAME(level, name) EMATHEORY_JOIN(level, name)

EMATHEORY_MOMENTS_ENGINE(EMATHEORY_LEVEL)

namespace ematheory {
namespace {

constexpr int LANES = 64;
constexpr int PATIENCE = 100;  // looks for the others, before a thread offers its core to them

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

  const double *coefficients(const int64_t step) const {
    return job.coefficients + (point * job.steps + step) * Program::COEFFICIENTS;
  }

  // What each cell adds to the sums that step `step` takes, (sums, cells); +0 where there is no cell.
  void terms(const int64_t step, double (*found)[LANES]) const {
    const double *c = coefficients(step);
    for (int lane = 0; lane < LANES; ++lane) {
      double own[Program::STATE], of[Program::GRADIENT], each[Program::SUMS];
#pragma GCC unroll 128
      for (int member = 0; member < Program::STATE; ++member) own[member] = state[member][lane];
#pragma GCC unroll 128
      for (int member = 0; member < Program::GRADIENT; ++member) of[member] = gradient[member][lane];
      Program::terms(own, of, c, each);
#pragma GCC unroll 128
      for (int sum = 0; sum < Program::SUMS; ++sum) found[sum][lane] = lane < size ? each[sum] : 0.0;
    }
  }

  // One step of every cell, with the coefficients of this call's step `step`.
  void update(const int64_t step, const double *sums = nullptr) {
    double c[Program::COEFFICIENTS];
    for (int place = 0; place < Program::COEFFICIENTS; ++place) c[place] = coefficients(step)[place];
    // Loops within the loop over lanes are unrolled, or it is no loop over vectors.
    for (int lane = 0; lane < LANES; ++lane) {
      double own[Program::STATE], of[Program::GRADIENT];
#pragma GCC unroll 128
      for (int member = 0; member < Program::STATE; ++member) own[member] = state[member][lane];
#pragma GCC unroll 128
      for (int member = 0; member < Program::GRADIENT; ++member) of[member] = gradient[member][lane];
      if constexpr (Program::SUMS > 0)
        Program::step(own, of, c, sums);
      else
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

// One of the threads that share a point's columns where each step takes sums over all of them: it has every crew-th
// tile. All meet once a step, between what the cells add to the sums and the step; each joins them for itself.
template <class Program>
struct Mate {
  using Terms = double[Program::SUMS][LANES];
  const ematheory_moments_job &job;
  const int64_t point, first, tiles;

  Mate(const ematheory_moments_job &job, const int64_t point, const int64_t first)
      : job(job), point(point), first(first), tiles((job.columns + LANES - 1) / LANES) {}

  // Those of odd steps stand apart from those of even ones: no mate is more than one step ahead.
  Terms *terms(const int64_t step) const {
    return reinterpret_cast<Terms *>(job.terms) + (point * 2 + step % 2) * tiles;
  }

  // Waits for the others; false when told to stop.
  bool meet(const int64_t step) const {
    __atomic_add_fetch(&job.arrived[point], 1, __ATOMIC_ACQ_REL);
    for (int looks = 0; __atomic_load_n(&job.arrived[point], __ATOMIC_ACQUIRE) < (step + 1) * job.crew; ++looks) {
      if (__atomic_load_n(job.stop, __ATOMIC_RELAXED)) return false;
      if (looks > PATIENCE) sched_yield();
    }
    return true;
  }

  // Column i joins partial i mod 64 in increasing i, then they are joined by halving.
  void join(const int64_t step, double sums[Program::SUMS]) const {
    alignas(64) double partials[Program::SUMS][LANES] = {};
    for (int64_t tile = 0; tile < tiles; ++tile)
      for (int sum = 0; sum < Program::SUMS; ++sum)
        for (int lane = 0; lane < LANES; ++lane) partials[sum][lane] += terms(step)[tile][sum][lane];
    for (int sum = 0; sum < Program::SUMS; ++sum) {
      for (int half = LANES / 2; half > 0; half /= 2)
        for (int lane = 0; lane < half; ++lane) partials[sum][lane] += partials[sum][lane + half];
      sums[sum] = partials[sum][0];
    }
  }

  bool step(const int64_t step) const {
    for (int64_t tile = first; tile < tiles; tile += job.crew)
      Tile<Program>(job, point, tile).terms(step, terms(step)[tile]);
    if (!meet(step)) return false;
    double sums[Program::SUMS];
    join(step, sums);
    for (int64_t tile = first; tile < tiles; tile += job.crew) {
      Tile<Program> own(job, point, tile);
      own.update(step, sums);
      own.save(job.state, 0);
    }
    return !__atomic_load_n(job.stop, __ATOMIC_RELAXED);
  }

  void run() const {
    int64_t snapshot = 0;
    for (int64_t number = 0; number <= job.steps; ++number) {
      for (; snapshot < job.snapshot_count && job.snapshots_at[snapshot] == number; ++snapshot)
        for (int64_t tile = first; tile < tiles; tile += job.crew)
          Tile<Program>(job, point, tile).save(job.snapshots, snapshot * Program::STATE);
      if (number == job.steps || !step(number)) return;
    }
  }
};

using Run = void (*)(const ematheory_moments_job &, int64_t, int64_t);

template <class Program>
void run_tile(const ematheory_moments_job &job, const int64_t point, const int64_t tile) {
  if constexpr (Program::SUMS > 0)
    Mate<Program>(job, point, tile).run();
  else
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
