// Steps one replica of one point, a vector of coupled coordinates, through a whole call.
//
// Compiled once per instruction set like engine.cpp, under the same rules: no STL and no inline externs here.
#include "coupled.h"

#include <stdlib.h>

#include "../core/trajectory.h"
#include "noise.h"
#include "order.h"

#define EMATHEORY_JOIN(level, name) ematheory_##level##_##name
#define EMATHEORY_NAME(level, name) EMATHEORY_JOIN(level, name)

EMATHEORY_COUPLED_ENGINE(EMATHEORY_LEVEL)

// The arrays of a vector never overlap.
#if defined(__clang__)
#define EMATHEORY_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define EMATHEORY_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace ematheory {
namespace {

// All coordinates by one thread.
struct Lanes {
  template <class Work>
  EMATHEORY_FUNCTION void each(const int64_t size, const Work &work) const {
    EMATHEORY_INDEPENDENT
    for (int64_t i = 0; i < size; ++i) work(i);
  }

  template <int PASS, class T, class Program, class Terms>
  EMATHEORY_FUNCTION void sum(const int64_t size, T *dots, const Terms &terms) const {
    alignas(64) double partials[Program::DOTS][PARTIALS] = {};
    int64_t base = 0;
    for (; base + PARTIALS <= size; base += PARTIALS) {
      EMATHEORY_INDEPENDENT
      for (int lane = 0; lane < PARTIALS; ++lane) add<PASS, Program>(base + lane, lane, terms, partials);
    }
    for (int lane = 0; base + lane < size; ++lane) add<PASS, Program>(base + lane, lane, terms, partials);
    for (int dot = 0; dot < Program::DOTS; ++dot) {
      if (Program::pass_of(dot) != PASS) continue;
      for (int half = PARTIALS / 2; half > 0; half /= 2)
        for (int lane = 0; lane < half; ++lane) partials[dot][lane] += partials[dot][lane + half];
      dots[dot] = static_cast<T>(partials[dot][0]);
    }
  }

  template <int PASS, class Program, class Terms>
  EMATHEORY_FUNCTION static void add(const int64_t i, const int lane, const Terms &terms, double partials[][PARTIALS]) {
    double own[Program::DOTS];
    terms(i, Pass<PASS>(), own);
    for (int dot = 0; dot < Program::DOTS; ++dot)
      if (Program::pass_of(dot) == PASS) partials[dot][lane] += own[dot];
  }
};

template <class T>
using Points = void (*)(int64_t size, const Members<T> &state, const T *c, T *point);
template <class T>
using Gradient = void (*)(int64_t size, const Members<const T> &of_problem, const T *point, const T *noise,
                          T *gradient);
template <class T>
using Update = void (*)(int64_t size, const Members<T> &state, const T *c, const T *gradient);

// The parts of a step by the records' places; each is compiled apart, for pairs would be many.
template <class T>
struct Functions {
  Points<T> points;
  Gradient<T> gradient;
  Update<T> update;
};

template <class T, class Optimizer>
void points(const int64_t size, const Members<T> &state, const T *c, T *point) {
  points_of<T, Optimizer>(Lanes(), size, state, c, point);
}

template <class T, class Problem>
void gradient(const int64_t size, const Members<const T> &of_problem, const T *point, const T *noise, T *gradient) {
  gradient_of<T, Problem>(Lanes(), size, of_problem, point, noise, gradient);
}

template <class T, class Optimizer>
void update(const int64_t size, const Members<T> &state, const T *c, const T *gradient) {
  update_of<T, Optimizer>(Lanes(), size, state, c, gradient);
}

template <class T>
Functions<T> functions_of(const int problem, const int optimizer) {
#define EMATHEORY_ENTRY(name) gradient<T, problems::name>,
  static constexpr Gradient<T> of_problem[] = {EMATHEORY_PROBLEMS(EMATHEORY_ENTRY)
                                                   EMATHEORY_COUPLED_PROBLEMS(EMATHEORY_ENTRY)};
#undef EMATHEORY_ENTRY
#define EMATHEORY_ENTRY(name) points<T, optimizers::name>,
  static constexpr Points<T> points_of_optimizer[] = {EMATHEORY_OPTIMIZERS(EMATHEORY_ENTRY)
                                                          EMATHEORY_COUPLED_OPTIMIZERS(EMATHEORY_ENTRY)};
#undef EMATHEORY_ENTRY
#define EMATHEORY_ENTRY(name) update<T, optimizers::name>,
  static constexpr Update<T> of_optimizer[] = {EMATHEORY_OPTIMIZERS(EMATHEORY_ENTRY)
                                                   EMATHEORY_COUPLED_OPTIMIZERS(EMATHEORY_ENTRY)};
#undef EMATHEORY_ENTRY
  return {points_of_optimizer[optimizer], of_problem[problem], of_optimizer[optimizer]};
}

// What core/trajectory.h asks of an engine, by one thread for one vector.
template <class T>
struct Thread : Lanes {
  static constexpr bool HAS_OPTIONS = true;
  const ematheory_job &job;
  const Functions<T> functions;
  const uint32_t point, replica;  // their numbers
  Noise *const drawing;           // tile by tile

  Thread(const ematheory_job &job, const uint32_t point, const uint32_t replica, const int64_t tiles, Noise *drawing)
      : job(job),
        functions(functions_of<T>(job.problem, job.optimizer)),
        point(point),
        replica(replica),
        drawing(drawing) {
    for (int64_t tile = 0; tile < tiles; ++tile)
      set_up(drawing[tile], job.seed, 0, replica, int64_t{1} << 32, job.first_column + tile * LANES);
  }

  void sync() const {}

  void points(const int64_t size, const Members<T> &state, const T *c, T *at) const {
    functions.points(size, state, c, at);
  }

  void gradient(const int64_t size, const Members<const T> &of_problem, const T *at, const T *noise, T *found) const {
    functions.gradient(size, of_problem, at, noise, found);
  }

  void update(const int64_t size, const Members<T> &state, const T *c, const T *gradient) const {
    functions.update(size, state, c, gradient);
  }

  // What is drawn for a step that is left unfinished is too, for nothing reads it then.
  template <class Entry>
  void draw(const Drawn<Entry> &drawn, const uint32_t block) const {
    const int64_t tiles = drawn.row / LANES;
    for (int64_t tile = 0; tile < tiles && !is_stopped(); ++tile) {
      drawing[tile].last = last_word(point, drawn.stream);
      alignas(64) Entry four[STEPS_PER_CALL][LANES];
      for (int part = 0; part < STEPS_PER_CALL; ++part) ematheory::draw(drawing[tile], block, part, four);
      for (int row = 0; row < STEPS_PER_CALL; ++row)
        __builtin_memcpy(drawn.rows + (row * tiles + tile) * LANES, four[row], sizeof four[row]);
    }
  }

  void sort(const uint32_t epoch, uint64_t *keys, int64_t *order) const {
    ematheory_order(job.seed, point, replica, epoch, job.items, keys, order);
  }

  bool is_stopped() const { return __atomic_load_n(job.stop, __ATOMIC_RELAXED); }
};

// The arrays of a vector and of its thread.
template <class T>
struct Arrays {
  const Working<T> working;
  const int64_t tiles;
  Noise *const drawing;

  Arrays(Arena arena, const ematheory_job &job, const Lengths &lengths, size_t *size = nullptr)
      : working(arena, job, lengths), tiles(working.normals.row / LANES), drawing(arena.take<Noise>(tiles)) {
    if (size) *size = arena.used;
  }
};

template <class T>
bool run_vector(const ematheory_job &job, const int64_t point, const int64_t replica) {
  const Records records = records_of(job.problem, job.optimizer);
  const Lengths lengths = lengths_of<T>(job, records, point, LANES);
  size_t size;
  Arrays<T>(Arena{0}, job, lengths, &size);
  void *const memory = aligned_alloc(Arena::ALIGNMENT, size);
  if (!memory) return false;
  const Arrays<T> arrays(Arena{reinterpret_cast<uintptr_t>(memory)}, job, lengths);
  const Members<T> state{static_cast<T *>(job.state) + place_of(job, 0, point, replica), place_of(job, 1, 0, 0)};
  const Thread<T> thread(job, job.point_numbers[point], job.first_replica + static_cast<uint32_t>(replica),
                         arrays.tiles, arrays.drawing);
  Trajectory<T, Thread<T>>(job, thread, records, lengths, point, replica, state, arrays.working).run();
  free(memory);
  return true;
}

}  // namespace
}  // namespace ematheory

using namespace ematheory;

extern "C" int EMATHEORY_NAME(EMATHEORY_LEVEL, advance_vector)(const ematheory_job *job, const int64_t point,
                                                               const int64_t replica) {
  return job->is_double ? run_vector<double>(*job, point, replica) : run_vector<float>(*job, point, replica);
}
