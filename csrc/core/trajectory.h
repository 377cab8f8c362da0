// One vector, a replica of a point, through a whole call: its noise or its batches of items, its steps, its snapshots.
//
// The same for every engine. An engine is a team (coupled.h) that can also do the following, each of its threads
// calling it alike:
//   sync()                                  wait until all have come here, and see what each has written
//   points, gradient, update                the parts of a step, of the job's records, as coupled.h has them
//   draw(drawn, block)                      the numbers of steps 4·block … 4·block + 3, a row of each step
//   sort(epoch, keys, order)                the data set's items in their order in an epoch
//   is_stopped()                            whether to leave the work unfinished
//   HAS_OPTIONS                             whether jobs may have options of a step
#pragma once

#include "coupled.h"
#include "drawn.h"
#include "items.h"
#include "options.h"

namespace ematheory {
namespace {

// Sizes that an engine asks for by the records' places.
struct Records {
  int state, coefficients, of_problem;
  int batch;  // where the batch size stands among the problem's coefficients, or −1
  bool has_samples;
};

inline Records records_of(const int problem, const int optimizer) {
#define EMATHEORY_ENTRY(name) {0, 0, problems::name::COEFFICIENTS, problems::name::BATCH, problems::name::SAMPLES != 0},
  static constexpr Records of_problem[] = {EMATHEORY_PROBLEMS(EMATHEORY_ENTRY)
                                               EMATHEORY_COUPLED_PROBLEMS(EMATHEORY_ENTRY)};
#undef EMATHEORY_ENTRY
#define EMATHEORY_ENTRY(name) {optimizers::name::STATE, optimizers::name::COEFFICIENTS, 0, -1, false},
  static constexpr Records of_optimizer[] = {EMATHEORY_OPTIMIZERS(EMATHEORY_ENTRY)
                                                 EMATHEORY_COUPLED_OPTIMIZERS(EMATHEORY_ENTRY)};
#undef EMATHEORY_ENTRY
  const Records &one = of_problem[problem], &other = of_optimizer[optimizer];
  return {other.state, other.coefficients, one.of_problem, one.batch, one.has_samples};
}

// How long a vector's arrays are.
struct Lengths {
  int64_t size, batch, columns, items;
  int64_t multiple;  // of which rows of random numbers are
};

// Of the job's vectors at a point.
template <class T>
EMATHEORY_FUNCTION Lengths lengths_of(const ematheory_job &job, const Records &records, const int64_t point,
                                      const int64_t multiple) {
  const int64_t size = job.coordinates;
  const T *const of_problem = static_cast<const T *>(job.problem_coefficients);
  const int64_t batch =
      records.batch < 0 ? 1 : static_cast<int64_t>(of_problem[(records.batch * job.points + point) * size]);
  const int64_t columns = records.has_samples ? batch * (size + 1) : size;
  return {size, batch, columns, job.items, multiple};
}

// Where a vector starts in the given member of an array of shape (members, points, replicas, coordinates).
EMATHEORY_FUNCTION int64_t place_of(const ematheory_job &job, const int64_t member, const int64_t point,
                                    const int64_t replica) {
  return ((member * job.points + point) * job.replicas + replica) * job.coordinates;
}

// What the normals that a step needs are for.
EMATHEORY_FUNCTION Stream stream_of(const ematheory_job &job) { return job.items ? DATA_STREAM : GRADIENT_STREAM; }

// Whether the normals are of the dtype T, and so need no copy.
template <class T>
EMATHEORY_FUNCTION constexpr bool normals_are() {
  return sizeof(T) == sizeof(float);
}

// The arrays that a vector needs while it is stepped.
template <class T>
struct Working {
  T *at, *gradient, *noise;
  Drawn<float> normals;
  // What the options draw for each coordinate: bits that round the weight, and normals that move the optimum.
  Drawn<uint32_t> words;
  Drawn<float> moves;
  uint64_t *keys;
  int64_t *order;

  EMATHEORY_FUNCTION Working(Arena &arena, const ematheory_job &job, const Lengths &lengths)
      : at(arena.take<T>(lengths.size)),
        gradient(arena.take<T>(lengths.size)),
        noise(arena.take<T>(normals_are<T>() && !lengths.items ? 0 : lengths.columns)),
        normals(arena, stream_of(job), lengths.columns, lengths.multiple),
        words(arena, ROUNDING_STREAM, is_stochastic(job) ? lengths.size : 0, lengths.multiple),
        moves(arena, DRIFT_STREAM, job.drift ? lengths.size : 0, lengths.multiple),
        keys(arena.take<uint64_t>(lengths.items)),
        order(arena.take<int64_t>(lengths.items)) {}
};

template <class T, class Engine>
struct Trajectory {
  const ematheory_job &job;
  const Engine &engine;
  const Records &records;
  const Lengths lengths;
  const int64_t point, replica;
  const uint32_t replica_number, point_number;
  const Members<T> state;
  const Members<const T> of_problem;
  const Options<T, Engine::HAS_OPTIONS> options;
  Working<T> working;
  int64_t epoch = -1;

  EMATHEORY_FUNCTION Trajectory(const ematheory_job &job, const Engine &engine, const Records &records,
                                const Lengths &lengths, const int64_t point, const int64_t replica,
                                const Members<T> &state, const Working<T> &working)
      : job(job),
        engine(engine),
        records(records),
        lengths(lengths),
        point(point),
        replica(replica),
        replica_number(job.first_replica + static_cast<uint32_t>(replica)),
        point_number(job.point_numbers[point]),
        state(state),
        of_problem{static_cast<const T *>(job.problem_coefficients) + point * lengths.size, job.points * lengths.size},
        options{job, {state[records.state], state.apart}, point, lengths.size},
        working(working) {}

  // The numbers of a step, or of an item.
  template <class Entry>
  EMATHEORY_FUNCTION const Entry *row_of(Drawn<Entry> &drawn, const uint64_t step) {
    const int64_t block = static_cast<int64_t>(step / STEPS_PER_CALL);
    if (drawn.block != block) {
      drawn.block = block;
      // Columns may be read by other threads than those that draw them.
      engine.sync();
      engine.draw(drawn, static_cast<uint32_t>(block));
      engine.sync();
    }
    return drawn.at(step);
  }

  // One standard normal for each column, or the mean of a batch's items.
  EMATHEORY_FUNCTION const T *noise_of(const uint64_t step) {
    if (job.items) return batch_mean(step);
    const float *row = row_of(working.normals, step);
    if constexpr (normals_are<T>()) {
      return row;
    } else {
      T *const noise = working.noise;
      engine.sync();
      engine.each(lengths.columns, [=](const int64_t i) { noise[i] = static_cast<T>(row[i]); });
      engine.sync();
      return noise;
    }
  }

  EMATHEORY_FUNCTION const T *batch_mean(const uint64_t step) {
    T *const noise = working.noise;
    engine.each(lengths.size, [=](const int64_t i) { noise[i] = T(0); });
    for (int64_t place = 0; place < lengths.batch && !engine.is_stopped(); ++place) {
      const int64_t item = item_of(step * static_cast<uint64_t>(lengths.batch) + static_cast<uint64_t>(place));
      const float *row = row_of(working.normals, static_cast<uint64_t>(item));
      engine.each(lengths.size, [=](const int64_t i) { noise[i] = noise[i] + static_cast<T>(row[i]); });
    }
    const T batch = static_cast<T>(lengths.batch);
    engine.each(lengths.size, [=](const int64_t i) { noise[i] = noise[i] / batch; });
    return noise;
  }

  // The item that is drawn as number `draw` of the run.
  EMATHEORY_FUNCTION int64_t item_of(const uint64_t draw) {
    if (job.is_replaced) return replaced_item(job.seed, point_number, replica_number, draw, job.items);
    const uint64_t items = static_cast<uint64_t>(job.items);
    if (epoch != static_cast<int64_t>(draw / items)) {
      epoch = static_cast<int64_t>(draw / items);
      engine.sync();
      engine.sort(static_cast<uint32_t>(epoch), working.keys, working.order);
      engine.sync();
    }
    return working.order[draw % items];
  }

  EMATHEORY_FUNCTION void step(const int64_t number) {
    const T *c = static_cast<const T *>(job.coefficients) + (point * job.steps + number) * records.coefficients;
    const uint64_t step = job.first_step + static_cast<uint64_t>(number);
    const T *drawn = noise_of(step);
    engine.points(lengths.size, state, c, working.at);
    options.shift(engine, working.at);
    engine.gradient(lengths.size, of_problem, working.at, drawn, working.gradient);
    options.clip(engine, working.gradient);
    engine.update(lengths.size, state, c, working.gradient);
    finish(step, number);
  }

  // What the options do after the update.
  EMATHEORY_FUNCTION void finish(const uint64_t step, const int64_t number) {
    if (options.rounds_to(EMATHEORY_NEAREST)) options.round_to_nearest(engine, state[0]);
    if (options.rounds_to(EMATHEORY_STOCHASTIC))
      options.round_stochastically(engine, row_of(working.words, step), state[0]);
    options.average(engine, number, state[0]);
    if (options.drifts()) options.drift(engine, row_of(working.moves, step));
  }

  // Into the snapshots, of shape (snapshots, points, copies, replicas, coordinates).
  EMATHEORY_FUNCTION void copy(const int64_t snapshot) const {
    const int64_t copies = options.copies(), first = (snapshot * job.points + point) * copies;
    for (int64_t place = 0; place < copies; ++place) {
      T *const to = static_cast<T *>(job.snapshots) + ((first + place) * job.replicas + replica) * lengths.size;
      const T *const from = options.copied(place, state[0]);
      engine.each(lengths.size, [=](const int64_t i) { to[i] = from[i]; });
    }
  }

  EMATHEORY_FUNCTION void run() {
    int64_t snapshot = 0;
    for (int64_t number = 0; number <= job.steps; ++number) {
      if (snapshot < job.snapshot_count && job.snapshots_at[snapshot] == number) copy(snapshot++);
      if (number == job.steps || engine.is_stopped()) return;
      step(number);
    }
  }
};

}  // namespace
}  // namespace ematheory
