// A gradient scaled down to a norm, as ematheory/simulation/clipping.py.
#pragma once

#include "coupled.h"

namespace ematheory {
namespace {

constexpr double CLIPPING_MARGIN = 1e-6;

// The one sum that clipping takes.
struct SquaredNorm {
  static constexpr int DOTS = 1;
  EMATHEORY_FUNCTION static constexpr int pass_of(int) { return 0; }
};

// g·min(1, most/(‖g‖ + 1e-6)), the factor in float64.
template <class T, class Team>
EMATHEORY_FUNCTION void clip_norm(const Team &team, const int64_t size, const double most, T *gradient) {
  double square;
  team.template sum<0, double, SquaredNorm>(size, &square, [=](const int64_t i, const auto, double *terms) {
    terms[0] = static_cast<double>(gradient[i]) * static_cast<double>(gradient[i]);
  });
  const double share = most / (root(square) + CLIPPING_MARGIN);
  // NaN stays.
  const T factor = static_cast<T>(share > 1.0 ? 1.0 : share);
  team.each(size, [=](const int64_t i) { gradient[i] = gradient[i] * factor; });
}

}  // namespace
}  // namespace ematheory
