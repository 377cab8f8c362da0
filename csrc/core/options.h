// What a step does besides the gradient and the update, where a call asks for it (job.h), as
// ematheory/simulation/altered_steps.py: clipped gradients, averages of the weights, weights in bfloat16, an optimum
// that moves.
#pragma once

#include "bfloat16.h"
#include "clipping.h"
#include "job.h"

namespace ematheory {
namespace {

// How many arrays of a vector follow the optimizer's in the state: the averages, then how far the optimum has moved.
EMATHEORY_FUNCTION int64_t held_of(const ematheory_job &job) { return job.averages + (job.drift ? 1 : 0); }

// How many are copied at a record: the weight or its averages, and then how far the optimum has moved.
EMATHEORY_FUNCTION int64_t copies_of(const ematheory_job &job) {
  return (job.averages ? job.averages : 1) + (job.drift ? 1 : 0);
}

EMATHEORY_FUNCTION bool is_stochastic(const ematheory_job &job) { return job.rounding == EMATHEORY_STOCHASTIC; }

EMATHEORY_FUNCTION bool has_options(const ematheory_job &job) {
  return job.clip_norm || job.averages || job.rounding || job.drift;
}

// The options of one vector, which an engine may know not to be there; its own arrays are `held`. Each thread of a team
// calls all of these alike.
template <class T, bool ARE_THERE>
struct Options {
  const ematheory_job &job;
  const Members<T> held;
  const int64_t point, size;

  EMATHEORY_FUNCTION bool drifts() const { return ARE_THERE && job.drift; }
  EMATHEORY_FUNCTION bool rounds_to(const ematheory_rounding kind) const { return ARE_THERE && job.rounding == kind; }
  EMATHEORY_FUNCTION int64_t averages() const { return ARE_THERE ? job.averages : 0; }
  EMATHEORY_FUNCTION int64_t copies() const { return ARE_THERE ? copies_of(job) : 1; }

  // The array that is copied as number `place`.
  EMATHEORY_FUNCTION const T *copied(const int64_t place, const T *weight) const {
    if (averages()) return held[place];
    return place ? moved() : weight;
  }

  // How far the optimum has moved.
  EMATHEORY_FUNCTION T *moved() const { return held[averages()]; }

  // As seen from the moved optimum.
  template <class Team>
  EMATHEORY_FUNCTION void shift(const Team &team, T *at) const {
    if (!drifts()) return;
    const T *const by = moved();
    team.each(size, [=](const int64_t i) { at[i] = at[i] - by[i]; });
  }

  template <class Team>
  EMATHEORY_FUNCTION void clip(const Team &team, T *gradient) const {
    if (ARE_THERE && job.clip_norm) clip_norm(team, size, job.clip_norm[point], gradient);
  }

  template <class Team>
  EMATHEORY_FUNCTION void round_to_nearest(const Team &team, T *weight) const {
    if constexpr (sizeof(T) == sizeof(float))
      team.each(size, [=](const int64_t i) { weight[i] = nearest_bfloat16(weight[i]); });
  }

  // `words` has 32 random bits for each coordinate.
  template <class Team>
  EMATHEORY_FUNCTION void round_stochastically(const Team &team, const uint32_t *words, T *weight) const {
    if constexpr (sizeof(T) == sizeof(float))
      team.each(size, [=](const int64_t i) { weight[i] = stochastic_bfloat16(weight[i], words[i]); });
  }

  // `number` counts this call's steps.
  template <class Team>
  EMATHEORY_FUNCTION void average(const Team &team, const int64_t number, const T *weight) const {
    const T *shares = static_cast<const T *>(job.averaging) + 2 * number * averages();
    for (int64_t place = 0; place < averages(); ++place) {
      T *const mean = held[place];
      const T kept = shares[2 * place], taken = shares[2 * place + 1];
      team.each(size, [=](const int64_t i) { mean[i] = kept * mean[i] + taken * weight[i]; });
    }
  }

  template <class Team>
  EMATHEORY_FUNCTION void drift(const Team &team, const float *normals) const {
    const T *const kept = static_cast<const T *>(job.drift) + point * size, *const scale = kept + job.points * size;
    T *const by = moved();
    team.each(size, [=](const int64_t i) { by[i] = kept[i] * by[i] + scale[i] * static_cast<T>(normals[i]); });
  }
};

}  // namespace
}  // namespace ematheory
