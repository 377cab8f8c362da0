// The C interface between the dispatcher and single updates, which are compiled once per instruction set.
#pragma once

#include <stdint.h>

// One call of `update`: arrays as ematheory/_native.pyi describes them, checked by the binding.
struct ematheory_update_job {
  int is_double;
  int optimizer;  // its place in EMATHEORY_OPTIMIZERS
  int64_t rows, columns;
  void *const *state;  // an array of its own for each member
  const void *gradient;
  const void *coefficients;
};

// Every level has this under its own name: ematheory_<level>_….
#define EMATHEORY_UPDATE_ENGINE(level)                              \
  extern "C" {                                                      \
  void ematheory_##level##_update(const ematheory_update_job *job); \
  }
