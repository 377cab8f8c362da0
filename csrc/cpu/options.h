// What a step does besides the gradient and the update, where a call asks for it (core/job.h): averages of the weights,
// weights in bfloat16, an optimum that moves. Clipping is in core/clipping.h.
#pragma once

#include "../core/bfloat16.h"
#include "../core/job.h"
#include "noise.h"
#include "scratch.h"

namespace ematheory {
namespace {

// The random numbers of one stream for each coordinate of a vector, four steps of them at a time.
template <class Entry>
struct Drawn {
  Noise *tiles = nullptr;
  Entry *rows = nullptr;
  int64_t count = 0, block = -1;

  static size_t needed(const int64_t tiles) {
    return Scratch::size_of<Noise>(tiles) + Scratch::size_of<Entry>(STEPS_PER_CALL * tiles * LANES);
  }

  void take(Scratch &scratch, const int64_t tile_count, const uint64_t seed, const uint32_t last,
            const uint32_t replica) {
    count = tile_count;
    tiles = scratch.take<Noise>(count);
    rows = scratch.take<Entry>(STEPS_PER_CALL * count * LANES);
    for (int64_t tile = 0; tile < count; ++tile)
      set_up(tiles[tile], seed, last, replica, int64_t{1} << 32, tile * LANES);
  }

  const Entry *at(const uint64_t step) {
    const int64_t wanted = static_cast<int64_t>(step / STEPS_PER_CALL);
    if (block != wanted) {
      block = wanted;
      for (int64_t tile = 0; tile < count; ++tile) {
        alignas(64) Entry four[STEPS_PER_CALL][LANES];
        for (int part = 0; part < STEPS_PER_CALL; ++part) draw(tiles[tile], static_cast<uint32_t>(wanted), part, four);
        for (int row = 0; row < STEPS_PER_CALL; ++row)
          __builtin_memcpy(rows + (row * count + tile) * LANES, four[row], sizeof four[row]);
      }
    }
    return rows + static_cast<int64_t>(step % STEPS_PER_CALL) * count * LANES;
  }
};

// The options of one vector. Its arrays follow the optimizer's in the state: the averages, then how far the optimum has
// moved.
template <class T>
struct Options {
  const ematheory_job &job;
  T *const first;         // the first of those arrays
  const int64_t between;  // numbers from one member of the state to the next
  const int64_t point, size;
  Drawn<uint32_t> words;
  Drawn<float> normals;

  Options(const ematheory_job &job, T *const first, const int64_t point)
      : job(job),
        first(first),
        between(job.points * job.replicas * job.coordinates),
        point(point),
        size(job.coordinates) {}

  static size_t needed(const ematheory_job &job) {
    return (is_stochastic(job) ? Drawn<uint32_t>::needed(tiles_of(job)) : 0) +
           (job.drift ? Drawn<float>::needed(tiles_of(job)) : 0);
  }

  static bool is_stochastic(const ematheory_job &job) { return job.rounding == EMATHEORY_STOCHASTIC; }

  static int64_t tiles_of(const ematheory_job &job) { return (job.coordinates + LANES - 1) / LANES; }

  void take(Scratch &scratch, const uint32_t replica_number) {
    const uint32_t number = job.point_numbers[point];
    if (is_stochastic(job))
      words.take(scratch, tiles_of(job), job.seed, last_word(number, ROUNDING_STREAM), replica_number);
    if (job.drift) normals.take(scratch, tiles_of(job), job.seed, last_word(number, DRIFT_STREAM), replica_number);
  }

  // How many of the vector's arrays are copied at a record, and where they are: the weight or its averages, and then
  // how far the optimum has moved.
  int64_t copies() const { return (job.averages ? job.averages : 1) + (job.drift ? 1 : 0); }
  const T *copied(const int64_t number, const T *weight) const {
    if (job.averages) return member(number);
    return number ? member(0) : weight;
  }

  T *member(const int64_t number) const { return first + number * between; }

  // As seen from the moved optimum.
  void shift(T *at) const {
    if (!job.drift) return;
    const T *moved = member(job.averages);
    for (int64_t i = 0; i < size; ++i) at[i] = at[i] - moved[i];
  }

  void round(const uint64_t step, T *weight) {
    if constexpr (sizeof(T) == sizeof(float)) {
      if (job.rounding == EMATHEORY_NEAREST)
        for (int64_t i = 0; i < size; ++i) weight[i] = nearest_bfloat16(weight[i]);
      if (is_stochastic(job)) {
        const uint32_t *row = words.at(step);
        for (int64_t i = 0; i < size; ++i) weight[i] = stochastic_bfloat16(weight[i], row[i]);
      }
    }
  }

  // `number` counts this call's steps.
  void average(const int64_t number, const T *weight) const {
    const T *shares = static_cast<const T *>(job.averaging) + 2 * number * job.averages;
    for (int64_t place = 0; place < job.averages; ++place) {
      T *mean = member(place);
      const T kept = shares[2 * place], taken = shares[2 * place + 1];
      for (int64_t i = 0; i < size; ++i) mean[i] = kept * mean[i] + taken * weight[i];
    }
  }

  void drift(const uint64_t step) {
    if (!job.drift) return;
    const T *kept = static_cast<const T *>(job.drift) + point * size, *scale = kept + job.points * size;
    const float *row = normals.at(step);
    T *moved = member(job.averages);
    for (int64_t i = 0; i < size; ++i) moved[i] = kept[i] * moved[i] + scale[i] * static_cast<T>(row[i]);
  }
};

}  // namespace
}  // namespace ematheory
