// The CPU engine: steps a tile of cells through a whole call with its state in local arrays.
//
// Compiled once per instruction set with EMATHEORY_LEVEL set to its name. No STL and no inline externs here: a weak
// symbol compiled for one instruction set could be the copy the linker keeps for all.
#include "engine.h"

#include "../core/generated.h"
#include "coefficients.h"
#include "noise.h"

#define EMATHEORY_JOIN(level, name) ematheory_##level##_##name
#define EMATHEORY_NAME(level, name) EMATHEORY_JOIN(level, name)

EMATHEORY_ENGINE(EMATHEORY_LEVEL)

// What a step is made of: benchmarks/parts.cpp leaves one out to time the other.
#ifndef EMATHEORY_DRAWS
#define EMATHEORY_DRAWS true
#define EMATHEORY_UPDATES true
#endif

namespace ematheory {
namespace {

// A tile of cells under one problem and one optimizer, in the dtype T: of one point, or across several where each
// has too few cells to fill one. Cells are counted over all points.
template <class T, class Problem, class Optimizer, class Source, class Rates>
struct Tile {
  static constexpr bool ACROSS = Source::ACROSS;
  alignas(64) T state[Optimizer::STATE][LANES];
  alignas(64) T of_problem[Problem::COEFFICIENTS][LANES];
  alignas(64) Normals normals[2];  // of even and odd blocks
  Source noise;
  const ematheory_job &job;
  const int64_t cells, cell, size;  // of a point; the first one's number; how many
  const int parts;                  // of the lanes, that have cells
  Rates coefficients;

  // The lanes from `cell` on, of which `left` are there.
  Tile(const ematheory_job &job, const int64_t cell, const int64_t left)
      : job(job),
        cells(job.replicas * job.coordinates),
        cell(cell),
        size(left < LANES ? left : LANES),
        parts(static_cast<int>((size + PART - 1) / PART)),
        coefficients(job, cell, size) {
    set_up_noise();
    for (int member = 0; member < Optimizer::STATE; ++member)
      for (int lane = 0; lane < LANES; ++lane)
        state[member][lane] = lane < size ? place(job.state, member)[lane] : T(0);
    for (int member = 0; member < Problem::COEFFICIENTS; ++member)
      for (int lane = 0; lane < LANES; ++lane) of_problem[member][lane] = problem_coefficient(member, lane);
  }

  // Lanes past the end are of the last cell's point.
  int64_t point(const int lane) const {
    return (cell + (ACROSS && lane >= size ? size - 1 : ACROSS ? lane : 0)) / cells;
  }

  T problem_coefficient(const int member, const int lane) const {
    const T *row =
        static_cast<const T *>(job.problem_coefficients) + (member * job.points + point(lane)) * job.coordinates;
    return row[(cell + lane) % job.coordinates];
  }

  void set_up_noise() {
    const uint32_t last = last_word(job.point_numbers[point(0)], GRADIENT_STREAM);
    ematheory::set_up(noise, job.seed, last, job.first_replica, job.coordinates, cell % cells,
                      ACROSS ? job.replicas : INT64_MAX);
    if constexpr (ACROSS)
      for (int lane = 0; lane < LANES; ++lane)
        noise.lasts[lane] = last_word(job.point_numbers[point(lane)], GRADIENT_STREAM);
  }

  // Where this tile starts in the given member of an array of shape (members, points, replicas, coordinates).
  T *place(void *array, const int64_t member) const {
    return static_cast<T *>(array) + member * job.points * cells + cell;
  }

  void save(void *array, const int64_t member, const T *values) const {
    T *out = place(array, member);
    for (int lane = 0; lane < size; ++lane) out[lane] = values[lane];
  }

  // One step of every cell, with the coefficients of this call's step `step`.
  void update(const int64_t step, const float drawn[LANES]) {
    const auto now = coefficients.take(step);
    for (int part = 0; part < parts; ++part)
      for (int lane = part * PART; lane < (part + 1) * PART; ++lane) {
        T c[Optimizer::COEFFICIENTS], own[Optimizer::STATE], of[Problem::COEFFICIENTS];
        for (int place = 0; place < Optimizer::COEFFICIENTS; ++place) c[place] = now.at(place, lane);
        for (int member = 0; member < Optimizer::STATE; ++member) own[member] = state[member][lane];
        for (int member = 0; member < Problem::COEFFICIENTS; ++member) of[member] = of_problem[member][lane];
        Optimizer::update(own, Problem::gradient(Optimizer::point(own, c), static_cast<T>(drawn[lane]), of), c);
        for (int member = 0; member < Optimizer::STATE; ++member) state[member][lane] = own[member];
      }
  }

  // All normals of the first step's block, and what the steps before it in the block would have drawn of the next.
  void draw_first() {
    const uint32_t block = static_cast<uint32_t>(job.first_step / STEPS_PER_CALL);
    const int row = static_cast<int>(job.first_step % STEPS_PER_CALL);
    for (int part = 0; part < parts; ++part) draw(noise, block, part, normals[block % 2]);
    for (int part = 0; part < row && part < parts; ++part) draw(noise, block + 1, part, normals[(block + 1) % 2]);
  }

  // Steps `from` … `until` of this call; false when told to stop.
  bool run(const int64_t from, const int64_t until) {
    for (int64_t number = from; number < until; ++number) {
      const uint64_t step = job.first_step + static_cast<uint64_t>(number);
      const uint32_t block = static_cast<uint32_t>(step / STEPS_PER_CALL);
      const int row = static_cast<int>(step % STEPS_PER_CALL);
      if (EMATHEORY_DRAWS && row < parts) draw(noise, block + 1, row, normals[(block + 1) % 2]);
      if (EMATHEORY_UPDATES) update(number, normals[block % 2][row]);
      if (__atomic_load_n(job.stop, __ATOMIC_RELAXED)) return false;
    }
    return true;
  }

  void run() {
    draw_first();
    int64_t step = 0;
    for (int64_t number = 0; number < job.snapshot_count; ++number) {
      if (!run(step, job.snapshots_at[number])) return;
      step = job.snapshots_at[number];
      save(job.snapshots, number, state[0]);
    }
    if (!run(step, job.steps)) return;
    for (int member = 0; member < Optimizer::STATE; ++member) save(job.state, member, state[member]);
  }
};

using Run = void (*)(const ematheory_job &, int64_t, int64_t);

// The tiles of each point, or of all points together.
template <class T, class Problem, class Optimizer>
void run_tile(const ematheory_job &job, const int64_t point, const int64_t tile) {
  const int64_t cells = job.replicas * job.coordinates, first = tile * LANES;
  if (point == ALL_POINTS)
    Tile<T, Problem, Optimizer, NoiseAcross, CoefficientsAcross<T, Optimizer>>(job, first, job.points * cells - first)
        .run();
  else
    Tile<T, Problem, Optimizer, Noise, Coefficients<T, Optimizer>>(job, point * cells + first, cells - first).run();
}

template <class T, class Problem>
Run for_optimizer(const int optimizer) {
#define EMATHEORY_ENTRY(name) run_tile<T, Problem, optimizers::name>,
  static constexpr Run runs[] = {EMATHEORY_OPTIMIZERS(EMATHEORY_ENTRY)};
#undef EMATHEORY_ENTRY
  return runs[optimizer];
}

template <class T>
Run for_problem(const int problem, const int optimizer) {
#define EMATHEORY_ENTRY(name) for_optimizer<T, problems::name>,
  static constexpr Run (*choices[])(int) = {EMATHEORY_PROBLEMS(EMATHEORY_ENTRY)};
#undef EMATHEORY_ENTRY
  return choices[problem](optimizer);
}

// Counts the products plus sums a·b + c that are not what two roundings give; `numbers` holds (a, b, c, a·b) each.
template <class T>
int contracted(const T *numbers, const int count) {
  int wrong = 0;
  for (int i = 0; i < count; ++i) {
    const T *n = numbers + 4 * i;
    const T fused_if_contracted = n[0] * n[1] + n[2];
    wrong += fused_if_contracted != n[3] + n[2];
  }
  return wrong;
}

}  // namespace
}  // namespace ematheory

using namespace ematheory;

extern "C" int64_t EMATHEORY_NAME(EMATHEORY_LEVEL, cells_per_tile)() { return LANES; }

extern "C" void EMATHEORY_NAME(EMATHEORY_LEVEL, advance)(const ematheory_job *job, const int64_t point,
                                                         const int64_t tile) {
  const Run run = job->is_double ? for_problem<double>(job->problem, job->optimizer)
                                 : for_problem<float>(job->problem, job->optimizer);
  run(*job, point, tile);
}

extern "C" void EMATHEORY_NAME(EMATHEORY_LEVEL, normals)(const ematheory_normals *wanted) {
  const int64_t cells = wanted->replicas * wanted->columns;
  for (int64_t cell = 0; cell < cells; cell += LANES) {
    const int64_t size = cells - cell < LANES ? cells - cell : LANES;
    Noise noise;
    set_up(noise, wanted->seed, last_word(wanted->point, GRADIENT_STREAM), wanted->first_replica, wanted->columns,
           cell);
    alignas(64) Normals normals;
    for (int64_t done = 0; done < wanted->steps; ++done) {
      const uint64_t step = wanted->first_step + static_cast<uint64_t>(done);
      const int row = static_cast<int>(step % STEPS_PER_CALL);
      const uint32_t block = static_cast<uint32_t>(step / STEPS_PER_CALL);
      for (int part = 0; part < STEPS_PER_CALL && (row == 0 || done == 0); ++part) draw(noise, block, part, normals);
      for (int64_t lane = 0; lane < size; ++lane) wanted->normals[done * cells + cell + lane] = normals[row][lane];
    }
  }
}

extern "C" int EMATHEORY_NAME(EMATHEORY_LEVEL, contraction_is_off)(const float *singles, const double *doubles,
                                                                   const int count) {
  return contracted(singles, count) + contracted(doubles, count) == 0;
}
