// Steps one replica of one point, a vector of coupled coordinates, through a whole call.
//
// Compiled once per instruction set like engine.cpp, under the same rules: no STL and no inline externs here.
#include "coupled.h"

#include "../core/clipping.h"
#include "../core/coupled.h"
#include "noise.h"
#include "options.h"
#include "order.h"
#include "scratch.h"

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

constexpr int MOST_MEMBERS = 16;

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

// What a step does, by the records' places; `points` is null where the gradient is taken at the weight.
template <class T>
struct Functions {
  void (*points)(int64_t size, T *const *state, const T *c, T *point);
  void (*gradient)(int64_t size, const T *const *of_problem, const T *point, const T *noise, T *gradient);
  void (*update)(int64_t size, T *const *state, const T *c, const T *gradient);
  int state, coefficients, of_problem, batch, samples;
};

template <class T, class Optimizer>
void points(const int64_t size, T *const *state, const T *c, T *point) {
  static_assert(Optimizer::STATE <= MOST_MEMBERS);
  points_of<T, Optimizer>(Lanes(), size, state, c, point);
}

template <class T, class Problem>
void gradient(const int64_t size, const T *const *of_problem, const T *point, const T *noise, T *gradient) {
  static_assert(Problem::COEFFICIENTS <= MOST_MEMBERS);
  gradient_of<T, Problem>(Lanes(), size, of_problem, point, noise, gradient);
}

template <class T, class Optimizer>
void update(const int64_t size, T *const *state, const T *c, const T *gradient) {
  update_of<T, Optimizer>(Lanes(), size, state, c, gradient);
}

template <class T>
Functions<T> functions_of(const int problem, const int optimizer) {
  static constexpr Functions<T> of_problem[] = {
#define EMATHEORY_ENTRY(name)    \
  {nullptr,                      \
   gradient<T, problems::name>,  \
   nullptr,                      \
   0,                            \
   0,                            \
   problems::name::COEFFICIENTS, \
   problems::name::BATCH,        \
   problems::name::SAMPLES},
      EMATHEORY_PROBLEMS(EMATHEORY_ENTRY) EMATHEORY_COUPLED_PROBLEMS(EMATHEORY_ENTRY)
#undef EMATHEORY_ENTRY
  };
  static constexpr Functions<T> of_optimizer[] = {
#define EMATHEORY_ENTRY(name)      \
  {points<T, optimizers::name>,    \
   nullptr,                        \
   update<T, optimizers::name>,    \
   optimizers::name::STATE,        \
   optimizers::name::COEFFICIENTS, \
   0,                              \
   0,                              \
   0},
      EMATHEORY_OPTIMIZERS(EMATHEORY_ENTRY) EMATHEORY_COUPLED_OPTIMIZERS(EMATHEORY_ENTRY)
#undef EMATHEORY_ENTRY
  };
  const Functions<T> &one = of_problem[problem], &other = of_optimizer[optimizer];
  return {other.points,       one.gradient,   other.update, other.state,
          other.coefficients, one.of_problem, one.batch,    one.samples};
}

int64_t padded(const int64_t columns) { return (columns + LANES - 1) / LANES * LANES; }

// One vector under one problem and one optimizer, in the dtype T.
template <class T>
struct Vector {
  const ematheory_job &job;
  const Functions<T> functions;
  const int64_t point, replica, size, batch, columns, tiles;
  const uint32_t replica_number, point_number;
  Scratch scratch;
  Options<T> options;
  T *state[MOST_MEMBERS];
  const T *of_problem[MOST_MEMBERS];
  T *gradient, *at, *noise;
  float *normals;  // of four steps, each `columns` and some
  Noise *drawing;
  uint64_t *keys;
  int64_t *order;
  int64_t epoch = -1, block = -1;

  Vector(const ematheory_job &job, const int64_t point, const int64_t replica)
      : job(job),
        functions(functions_of<T>(job.problem, job.optimizer)),
        point(point),
        replica(replica),
        size(job.coordinates),
        batch(functions.batch < 0 ? 1 : static_cast<int64_t>(of(functions.batch)[0])),
        columns(functions.samples ? batch * (size + 1) : size),
        tiles(padded(columns) / LANES),
        replica_number(job.first_replica + static_cast<uint32_t>(replica)),
        point_number(job.point_numbers[point]),
        scratch(needed()),
        options(job, static_cast<T *>(job.state) + place(functions.state), point) {
    if (!scratch.is_there()) return;
    for (int member = 0; member < functions.state; ++member)
      state[member] = static_cast<T *>(job.state) + place(member);
    for (int member = 0; member < functions.of_problem; ++member) of_problem[member] = of(member);
    gradient = scratch.take<T>(size);
    at = scratch.take<T>(size);
    noise = scratch.take<T>(tiles * LANES);
    normals = scratch.take<float>(STEPS_PER_CALL * tiles * LANES);
    drawing = scratch.take<Noise>(tiles);
    keys = scratch.take<uint64_t>(job.items);
    order = scratch.take<int64_t>(job.items);
    options.take(scratch, replica_number);
    const uint32_t last = last_word(point_number, job.items ? DATA_STREAM : GRADIENT_STREAM);
    for (int64_t tile = 0; tile < tiles; ++tile)
      set_up(drawing[tile], job.seed, last, replica_number, int64_t{1} << 32, job.first_column + tile * LANES);
  }

  size_t needed() const {
    return 2 * Scratch::size_of<T>(size) + Scratch::size_of<T>(tiles * LANES) +
           Scratch::size_of<float>(STEPS_PER_CALL * tiles * LANES) + Scratch::size_of<Noise>(tiles) +
           Scratch::size_of<uint64_t>(job.items) + Scratch::size_of<int64_t>(job.items) + Options<T>::needed(job);
  }

  // Where this vector starts in the given member of an array of shape (members, points, replicas, coordinates).
  int64_t place(const int64_t member) const { return ((member * job.points + point) * job.replicas + replica) * size; }

  const T *of(const int64_t member) const {
    return static_cast<const T *>(job.problem_coefficients) + (member * job.points + point) * size;
  }

  // One step of a large batch may take seconds: what is drawn for it is left unfinished too, for nothing reads it then.
  bool is_stopped() const { return __atomic_load_n(job.stop, __ATOMIC_RELAXED) != 0; }

  // The normals of steps 4·block … 4·block + 3, or of the items of those numbers, for every column.
  void draw_all(const int64_t wanted) {
    if (block == wanted) return;
    block = wanted;
    for (int64_t tile = 0; tile < tiles && !is_stopped(); ++tile) {
      alignas(64) Normals four;
      for (int part = 0; part < STEPS_PER_CALL; ++part) draw(drawing[tile], static_cast<uint32_t>(wanted), part, four);
      for (int row = 0; row < STEPS_PER_CALL; ++row)
        __builtin_memcpy(normals + (row * tiles + tile) * LANES, four[row], sizeof four[row]);
    }
  }

  // One standard normal for each column, or the mean of a batch's items.
  const T *noise_of(const uint64_t step) {
    if (job.items) return batch_mean(step);
    draw_all(static_cast<int64_t>(step / STEPS_PER_CALL));
    const float *row = normals + static_cast<int64_t>(step % STEPS_PER_CALL) * tiles * LANES;
    for (int64_t i = 0; i < columns; ++i) noise[i] = static_cast<T>(row[i]);
    return noise;
  }

  const T *batch_mean(const uint64_t step) {
    for (int64_t i = 0; i < size; ++i) noise[i] = T(0);
    for (int64_t place = 0; place < batch && !is_stopped(); ++place) {
      const int64_t item = item_of(step * static_cast<uint64_t>(batch) + static_cast<uint64_t>(place));
      draw_all(item / STEPS_PER_CALL);
      const float *row = normals + (item % STEPS_PER_CALL) * tiles * LANES;
      EMATHEORY_INDEPENDENT
      for (int64_t i = 0; i < size; ++i) noise[i] = noise[i] + static_cast<T>(row[i]);
    }
    for (int64_t i = 0; i < size; ++i) noise[i] = noise[i] / static_cast<T>(batch);
    return noise;
  }

  // The item that is drawn as number `draw` of the run.
  int64_t item_of(const uint64_t draw) {
    if (job.is_replaced) return ematheory_replaced(job.seed, point_number, replica_number, draw, job.items);
    const uint64_t items = static_cast<uint64_t>(job.items);
    if (epoch != static_cast<int64_t>(draw / items)) {
      epoch = static_cast<int64_t>(draw / items);
      ematheory_order(job.seed, point_number, replica_number, static_cast<uint32_t>(epoch), job.items, keys, order);
    }
    return order[draw % items];
  }

  void step(const int64_t number) {
    const T *c = static_cast<const T *>(job.coefficients) + (point * job.steps + number) * functions.coefficients;
    const uint64_t step = job.first_step + static_cast<uint64_t>(number);
    const T *drawn = noise_of(step);
    functions.points(size, state, c, at);
    options.shift(at);
    functions.gradient(size, of_problem, at, drawn, gradient);
    if (job.clip_norm) clip_norm(Lanes(), size, job.clip_norm[point], gradient);
    functions.update(size, state, c, gradient);
    options.round(step, state[0]);
    options.average(number, state[0]);
    options.drift(step);
  }

  // Into the snapshots, of shape (snapshots, points, copies, replicas, coordinates).
  void copy(const int64_t snapshot) const {
    const int64_t copies = options.copies(), first = (snapshot * job.points + point) * copies;
    for (int64_t number = 0; number < copies; ++number)
      __builtin_memcpy(static_cast<T *>(job.snapshots) + ((first + number) * job.replicas + replica) * size,
                       options.copied(number, state[0]), static_cast<size_t>(size) * sizeof(T));
  }

  void run() {
    int64_t snapshot = 0;
    for (int64_t number = 0; number <= job.steps; ++number) {
      if (snapshot < job.snapshot_count && job.snapshots_at[snapshot] == number) copy(snapshot++);
      if (number == job.steps || is_stopped()) return;
      step(number);
    }
  }
};

template <class T>
int run_vector(const ematheory_job &job, const int64_t point, const int64_t replica) {
  Vector<T> vector(job, point, replica);
  if (!vector.scratch.is_there()) return 0;
  vector.run();
  return 1;
}

}  // namespace
}  // namespace ematheory

using namespace ematheory;

extern "C" int EMATHEORY_NAME(EMATHEORY_LEVEL, advance_vector)(const ematheory_job *job, const int64_t point,
                                                               const int64_t replica) {
  return job->is_double ? run_vector<double>(*job, point, replica) : run_vector<float>(*job, point, replica);
}
