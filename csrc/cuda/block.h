// A GPU block as the team of core/coupled.h and the engine of core/trajectory.h.
//
// Thread t takes the coordinates t, t + 64, … in every pass, so that passes need no barrier between them: only what
// threads read of each other does. A sum's halving is a butterfly, after which every thread has the same bits, for
// x + y is y + x.
//
// Loops over coordinates are not unrolled: that costs registers, so that fewer blocks run at once, and spills some.
#pragma once

#include "../core/trajectory.h"
#include "turns.h"

namespace ematheory {
namespace {

constexpr int WARP = 32;
constexpr int MOST_DOTS = 6;

// What a block's threads exchange: two sets, so that one barrier per exchange is enough.
struct Exchanged {
  double partials[2][MOST_DOTS][PARTIALS];
};

struct Block {
  const int thread;
  Exchanged *const exchanged;
  mutable int set = 0;

  EMATHEORY_FUNCTION Block(const int thread, Exchanged *exchanged) : thread(thread), exchanged(exchanged) {}

  EMATHEORY_FUNCTION void sync() const {
#if defined(__CUDA_ARCH__)
    __syncthreads();
#else
    Turns<PARTIALS>::wait();
#endif
  }

  template <class Work>
  EMATHEORY_FUNCTION void each(const int64_t size, const Work &work) const {
    EMATHEORY_ROLLED
    for (int64_t i = thread; i < size; i += PARTIALS) work(i);
  }

  template <int PASS, class T, class Program, class Terms>
  EMATHEORY_FUNCTION void sum(const int64_t size, T *dots, const Terms &terms) const {
    static_assert(Program::DOTS <= MOST_DOTS);
    double partials[Program::DOTS] = {};
    EMATHEORY_ROLLED
    for (int64_t i = thread; i < size; i += PARTIALS) {
      double own[Program::DOTS];
      terms(i, Pass<PASS>(), own);
      for (int dot = 0; dot < Program::DOTS; ++dot)
        if (Program::pass_of(dot) == PASS) partials[dot] += own[dot];
    }
    halve<PASS, Program, PARTIALS / 2>(partials);
    for (int dot = 0; dot < Program::DOTS; ++dot)
      if (Program::pass_of(dot) == PASS) dots[dot] = static_cast<T>(partials[dot]);
  }

  // Adds those of the thread whose number differs in the bit HALF, then in the lower ones.
  template <int PASS, class Program, int HALF>
  EMATHEORY_FUNCTION void halve(double *partials) const {
    if constexpr (HALF > 0) {
#if defined(__CUDA_ARCH__)
      if constexpr (HALF < WARP)
        shuffle<PASS, Program, HALF>(partials);
      else
#endif
        exchange<PASS, Program, HALF>(partials);
      halve<PASS, Program, HALF / 2>(partials);
    }
  }

  template <int PASS, class Program, int HALF>
  EMATHEORY_FUNCTION void exchange(double *partials) const {
    double (*const slots)[PARTIALS] = exchanged->partials[set];
    set = 1 - set;
    for (int dot = 0; dot < Program::DOTS; ++dot)
      if (Program::pass_of(dot) == PASS) slots[dot][thread] = partials[dot];
    sync();
    for (int dot = 0; dot < Program::DOTS; ++dot)
      if (Program::pass_of(dot) == PASS) partials[dot] += slots[dot][thread ^ HALF];
  }

#if defined(__CUDACC__)
  template <int PASS, class Program, int HALF>
  __device__ __forceinline__ void shuffle(double *partials) const {
    for (int dot = 0; dot < Program::DOTS; ++dot)
      if (Program::pass_of(dot) == PASS) partials[dot] += __shfl_xor_sync(0xFFFFFFFFu, partials[dot], HALF);
  }
#endif
};

// The records' places, for the choice among them.
#define EMATHEORY_ENTRY(name) PROBLEM_##name,
enum ProblemPlace { EMATHEORY_PROBLEMS(EMATHEORY_ENTRY) EMATHEORY_COUPLED_PROBLEMS(EMATHEORY_ENTRY) };
#undef EMATHEORY_ENTRY
#define EMATHEORY_ENTRY(name) OPTIMIZER_##name,
enum OptimizerPlace { EMATHEORY_OPTIMIZERS(EMATHEORY_ENTRY) EMATHEORY_COUPLED_OPTIMIZERS(EMATHEORY_ENTRY) };
#undef EMATHEORY_ENTRY

// A step's coefficients in registers: stores to the state might change them where they are.
template <class T, class Optimizer>
struct Coefficients {
  T own[Optimizer::COEFFICIENTS];

  EMATHEORY_FUNCTION explicit Coefficients(const T *c) {
    EMATHEORY_UNROLL
    for (int member = 0; member < Optimizer::COEFFICIENTS; ++member) own[member] = c[member];
  }
};

// What core/trajectory.h asks of an engine, by one of a block's threads. Which records, all threads decide alike at
// each part of a step: a kernel for each pair would take minutes to compile. Options cost registers, so that a job
// without them is better off without.
template <class T, bool OPTIONS>
struct BlockEngine {
  static constexpr bool HAS_OPTIONS = OPTIONS;
  const ematheory_job &job;
  const Block &block;
  const uint32_t point, replica;  // their numbers

  template <class Work>
  EMATHEORY_FUNCTION void each(const int64_t size, const Work &work) const {
    block.each(size, work);
  }

  template <int PASS, class Number, class Program, class Terms>
  EMATHEORY_FUNCTION void sum(const int64_t size, Number *dots, const Terms &terms) const {
    block.template sum<PASS, Number, Program>(size, dots, terms);
  }

  EMATHEORY_FUNCTION void sync() const { block.sync(); }

  EMATHEORY_FUNCTION void points(const int64_t size, const Members<T> &state, const T *c, T *at) const {
#define EMATHEORY_ENTRY(name)                                                                         \
  case OPTIMIZER_##name:                                                                              \
    points_of<T, optimizers::name>(block, size, state, Coefficients<T, optimizers::name>(c).own, at); \
    break;
    switch (job.optimizer) { EMATHEORY_OPTIMIZERS(EMATHEORY_ENTRY) EMATHEORY_COUPLED_OPTIMIZERS(EMATHEORY_ENTRY) }
#undef EMATHEORY_ENTRY
  }

  EMATHEORY_FUNCTION void gradient(const int64_t size, const Members<const T> &of_problem, const T *at, const T *noise,
                                   T *found) const {
#define EMATHEORY_ENTRY(name)                                                  \
  case PROBLEM_##name:                                                         \
    gradient_of<T, problems::name>(block, size, of_problem, at, noise, found); \
    break;
    switch (job.problem) { EMATHEORY_PROBLEMS(EMATHEORY_ENTRY) EMATHEORY_COUPLED_PROBLEMS(EMATHEORY_ENTRY) }
#undef EMATHEORY_ENTRY
  }

  EMATHEORY_FUNCTION void update(const int64_t size, const Members<T> &state, const T *c, const T *gradient) const {
#define EMATHEORY_ENTRY(name)                                                                               \
  case OPTIMIZER_##name:                                                                                    \
    update_of<T, optimizers::name>(block, size, state, Coefficients<T, optimizers::name>(c).own, gradient); \
    break;
    switch (job.optimizer) { EMATHEORY_OPTIMIZERS(EMATHEORY_ENTRY) EMATHEORY_COUPLED_OPTIMIZERS(EMATHEORY_ENTRY) }
#undef EMATHEORY_ENTRY
  }

  template <class Entry>
  EMATHEORY_FUNCTION void draw(const Drawn<Entry> &drawn, const uint32_t number) const {
    const PhiloxKey key = philox_key(job.seed);
    const PhiloxBlock<uint32_t> shared = philox_block(number, last_word(point, drawn.stream), key);
    const uint32_t of_replica = replica, first = static_cast<uint32_t>(job.first_column);
    const int64_t row = drawn.row;
    Entry *const rows = drawn.rows;
    block.each(drawn.columns, [=](const int64_t i) {
      const PhiloxCell cell = philox_cell(first + static_cast<uint32_t>(i), of_replica, key);
      uint32_t words[4];
      philox_finish(cell.low1, cell.high0, cell.low0, shared, key, words);
      Entry four[STEPS_PER_CALL];
      entries_of(words, four);
      EMATHEORY_UNROLL
      for (int step = 0; step < STEPS_PER_CALL; ++step) rows[step * row + i] = four[step];
    });
  }

  // A bitonic sort of any number of items: those that would fill it up to a power of two would stay at the end.
  EMATHEORY_FUNCTION void sort(const uint32_t epoch, uint64_t *keys, int64_t *order) const {
    const uint64_t seed = job.seed;
    const uint32_t of_point = point, of_replica = replica;
    block.each(job.items, [=](const int64_t item) {
      keys[item] = item_key(seed, of_point, of_replica, epoch, static_cast<uint64_t>(item));
      order[item] = item;
    });
    sync();
    for (int64_t span = 2; span / 2 < job.items; span *= 2) {
      put_in_order(span - 1, keys, order);
      for (int64_t bit = span / 4; bit > 0; bit /= 2) put_in_order(bit, keys, order);
    }
  }

  // Every two places that differ in just these bits.
  EMATHEORY_FUNCTION void put_in_order(const int64_t bits, const uint64_t *keys, int64_t *order) const {
    const int64_t items = job.items;
    block.each(items, [=](const int64_t place) {
      const int64_t other = place ^ bits;
      if (other < place || other >= items || comes_first(keys, order[place], order[other])) return;
      const int64_t item = order[place];
      order[place] = order[other];
      order[other] = item;
    });
    sync();
  }

  // A call on a GPU is short: an interrupt waits for its end.
  EMATHEORY_FUNCTION bool is_stopped() const { return false; }
};

// A vector's state, the options' arrays after the optimizer's, and the arrays it is stepped with.
template <class T>
struct BlockArrays {
  const int64_t members;
  const Members<T> state;
  const Working<T> working;

  EMATHEORY_FUNCTION BlockArrays(Arena &arena, const ematheory_job &job, const Records &records, const Lengths &lengths)
      : members(records.state + held_of(job)),
        state{arena.take<T>(members * lengths.size), lengths.size},
        working(arena, job, lengths) {}
};

// One vector with its state in `memory`.
template <class T, bool OPTIONS>
EMATHEORY_FUNCTION void run_vector(const ematheory_job &job, const Records &records, const Block &block,
                                   const uintptr_t memory, const int64_t point, const int64_t replica) {
  const Lengths lengths = lengths_of<T>(job, records, point, 1);
  Arena arena{memory};
  const BlockArrays<T> arrays(arena, job, records, lengths);
  const Members<T> state = arrays.state;
  const Members<T> whole{static_cast<T *>(job.state) + place_of(job, 0, point, replica), place_of(job, 1, 0, 0)};
  for (int64_t member = 0; member < arrays.members; ++member)
    block.each(lengths.size, [=](const int64_t i) { state[member][i] = whole[member][i]; });
  using Engine = BlockEngine<T, OPTIONS>;
  const Engine engine{job, block, job.point_numbers[point], job.first_replica + static_cast<uint32_t>(replica)};
  Trajectory<T, Engine>(job, engine, records, lengths, point, replica, state, arrays.working).run();
  for (int64_t member = 0; member < arrays.members; ++member)
    block.each(lengths.size, [=](const int64_t i) { whole[member][i] = state[member][i]; });
}

// The vectors number `first`, `first` + `apart`, … of the job.
template <class T, bool OPTIONS>
EMATHEORY_FUNCTION void run_vectors(const ematheory_job &job, const Records &records, const Block &block,
                                    const uintptr_t memory, const int64_t first, const int64_t apart) {
  for (int64_t vector = first; vector < job.points * job.replicas; vector += apart)
    run_vector<T, OPTIONS>(job, records, block, memory, vector / job.replicas, vector % job.replicas);
}

// How much memory that takes, for the longest vector; the job's arrays are the host's.
template <class T>
size_t memory_of(const ematheory_job &job, const Records &records) {
  size_t most = 0;
  for (int64_t point = 0; point < job.points; ++point) {
    Arena counted{0};
    BlockArrays<T>(counted, job, records, lengths_of<T>(job, records, point, 1));
    most = counted.used > most ? counted.used : most;
  }
  return most;
}

}  // namespace
}  // namespace ematheory
