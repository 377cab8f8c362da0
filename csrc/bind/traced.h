// The names of the traced functions, for those who ask for one by name.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "../core/generated.h"

namespace ematheory {

// A traced function's name with the sizes of its members. Of a problem also where its batch size stands among the
// coefficients (−1: nowhere), and whether each step draws samples.
struct Traced {
  std::string name;
  int64_t state, coefficients;
  int batch = -1;
  bool has_samples = false;
  // Of a step of moments, what it is given of each cell, and how many sums over the columns it takes.
  int64_t gradient = 0, sums = 0;
};

// How many of either kind take each coordinate by itself; they come first.
#define EMATHEORY_ENTRY(name) +1
constexpr int SEPARABLE_PROBLEMS = 0 EMATHEORY_PROBLEMS(EMATHEORY_ENTRY);
constexpr int SEPARABLE_OPTIMIZERS = 0 EMATHEORY_OPTIMIZERS(EMATHEORY_ENTRY);
#undef EMATHEORY_ENTRY

// Those in EMATHEORY_PROBLEMS, then those in EMATHEORY_COUPLED_PROBLEMS; likewise the optimizers.
inline const std::vector<Traced> &traced_problems() {
#define EMATHEORY_ENTRY(name) \
  {#name, 0, problems::name::COEFFICIENTS, problems::name::BATCH, problems::name::SAMPLES != 0},
  static const std::vector<Traced> all = {EMATHEORY_PROBLEMS(EMATHEORY_ENTRY)
                                              EMATHEORY_COUPLED_PROBLEMS(EMATHEORY_ENTRY)};
#undef EMATHEORY_ENTRY
  return all;
}

inline const std::vector<Traced> &traced_optimizers() {
#define EMATHEORY_ENTRY(name) {#name, optimizers::name::STATE, optimizers::name::COEFFICIENTS, -1, false},
  static const std::vector<Traced> all = {EMATHEORY_OPTIMIZERS(EMATHEORY_ENTRY)
                                              EMATHEORY_COUPLED_OPTIMIZERS(EMATHEORY_ENTRY)};
#undef EMATHEORY_ENTRY
  return all;
}

}  // namespace ematheory
