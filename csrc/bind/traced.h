// The names of the traced functions, for those who ask for one by name.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "../core/generated.h"

namespace ematheory {

// A traced function's name with the sizes of its members.
struct Traced {
  std::string name;
  int64_t state, coefficients;
};

// Those in EMATHEORY_PROBLEMS and EMATHEORY_OPTIMIZERS, in order.
inline const std::vector<Traced> &traced_problems() {
#define EMATHEORY_ENTRY(name) {#name, 0, problems::name::COEFFICIENTS},
  static const std::vector<Traced> all = {EMATHEORY_PROBLEMS(EMATHEORY_ENTRY)};
#undef EMATHEORY_ENTRY
  return all;
}

inline const std::vector<Traced> &traced_optimizers() {
#define EMATHEORY_ENTRY(name) {#name, optimizers::name::STATE, optimizers::name::COEFFICIENTS},
  static const std::vector<Traced> all = {EMATHEORY_OPTIMIZERS(EMATHEORY_ENTRY)};
#undef EMATHEORY_ENTRY
  return all;
}

}  // namespace ematheory
