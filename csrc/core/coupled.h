// One step of a whole vector, whose coordinates are coupled by dot products: passes over them with sums between.
//
// A team shares one vector's coordinates: one CPU thread with 64 lanes, or the 64 threads of a GPU block. Either way
// coordinate i joins partial sum i mod 64 in increasing i, and the partials are joined by halving: the same bits.
#pragma once

#include "generated.h"

namespace ematheory {
namespace {

constexpr int PARTIALS = 64;

// A vector's arrays of one kind, `apart` from each other.
template <class T>
struct Members {
  T *first;
  int64_t apart;

  EMATHEORY_FUNCTION T *operator[](const int64_t member) const { return first + member * apart; }
};

// Calls terms(i, Pass<PASS>, terms) for each coordinate and adds up; then the next pass.
template <int PASS, class T, class Program, class Team, class Terms>
EMATHEORY_FUNCTION void sum_passes(const Team &team, const int64_t size, T *dots, const Terms &terms) {
  if constexpr (PASS < Program::PASSES) {
    team.template sum<PASS, T, Program>(size, dots, terms);
    sum_passes<PASS + 1, T, Program>(team, size, dots, terms);
  }
}

template <class T, int COUNT, class Entry>
EMATHEORY_FUNCTION void gather(const Members<Entry> &members, const int64_t i, T own[COUNT]) {
  for (int member = 0; member < COUNT; ++member) own[member] = members[member][i];
}

// The points where the gradient is taken, from the state's members.
template <class T, class Optimizer, class Team>
EMATHEORY_FUNCTION void points_of(const Team &team, const int64_t size, const Members<T> &state, const T *c, T *point) {
  team.each(size, [=](const int64_t i) {
    T own[Optimizer::STATE];
    gather<T, Optimizer::STATE>(state, i, own);
    point[i] = Optimizer::point(own, c);
  });
}

// A gradient at `point`, handed to take(i, value); of one sample, whose label's normal is `label`, where it has
// samples.
template <class T, class Problem, class Team, class Take>
EMATHEORY_FUNCTION void one_gradient(const Team &team, const int64_t size, const Members<const T> &of_problem,
                                     const T *point, const T *noise, const T label, const Take &take) {
  T of_dots[Problem::DOTS + 1];
  T *const dots = of_dots;
  if constexpr (Problem::PASSES > 0) {
    sum_passes<0, T, Problem>(team, size, dots, [=](const int64_t i, const auto pass, double *terms) {
      T of[Problem::COEFFICIENTS + 1];
      gather<T, Problem::COEFFICIENTS>(of_problem, i, of);
      of[Problem::COEFFICIENTS] = label;
      Problem::terms(pass, point[i], noise[i], of, dots, terms);
    });
  }
  team.each(size, [=](const int64_t i) {
    T of[Problem::COEFFICIENTS + 1];
    gather<T, Problem::COEFFICIENTS>(of_problem, i, of);
    of[Problem::COEFFICIENTS] = label;
    if constexpr (Problem::DOTS > 0)
      take(i, Problem::gradient(point[i], noise[i], of, dots));
    else
      take(i, Problem::gradient(point[i], noise[i], of));
  });
}

// The gradient at `point`. `noise` has a number for each coordinate; for samples those of each and its label's.
template <class T, class Problem, class Team>
EMATHEORY_FUNCTION void gradient_of(const Team &team, const int64_t size, const Members<const T> &of_problem,
                                    const T *point, const T *noise, T *gradient) {
  if constexpr (Problem::SAMPLES != 0) {
    team.each(size, [=](const int64_t i) { gradient[i] = T(0); });
    const int64_t samples = static_cast<int64_t>(of_problem[Problem::BATCH][0]);
    for (int64_t sample = 0; sample < samples; ++sample) {
      const T *drawn = noise + sample * (size + 1);
      one_gradient<T, Problem>(team, size, of_problem, point, drawn, drawn[size],
                               [=](const int64_t i, const T value) { gradient[i] = gradient[i] + value; });
    }
    team.each(size, [=](const int64_t i) {
      T of[Problem::COEFFICIENTS];
      gather<T, Problem::COEFFICIENTS>(of_problem, i, of);
      gradient[i] = Problem::mean(gradient[i], of);
    });
  } else {
    one_gradient<T, Problem>(team, size, of_problem, point, noise, T(0),
                             [=](const int64_t i, const T value) { gradient[i] = value; });
  }
}

// The state after a step.
template <class T, class Optimizer, class Team>
EMATHEORY_FUNCTION void update_of(const Team &team, const int64_t size, const Members<T> &state, const T *c,
                                  const T *gradient) {
  T of_dots[Optimizer::DOTS + 1];
  T *const dots = of_dots;
  if constexpr (Optimizer::PASSES > 0) {
    sum_passes<0, T, Optimizer>(team, size, dots, [=](const int64_t i, const auto pass, double *terms) {
      T own[Optimizer::STATE];
      gather<T, Optimizer::STATE>(state, i, own);
      Optimizer::terms(pass, own, gradient[i], c, dots, terms);
    });
  }
  team.each(size, [=](const int64_t i) {
    T own[Optimizer::STATE];
    gather<T, Optimizer::STATE>(state, i, own);
    if constexpr (Optimizer::DOTS > 0)
      Optimizer::update(own, gradient[i], c, dots);
    else
      Optimizer::update(own, gradient[i], c);
    for (int member = 0; member < Optimizer::STATE; ++member) state[member][i] = own[member];
  });
}

}  // namespace
}  // namespace ematheory
