// The C interface of the engine for coupled vectors, which is compiled once per instruction set.
#pragma once

#include "../core/job.h"

// Runs one replica of one point through a whole call; false where its scratch memory could not be had.
#define EMATHEORY_COUPLED_ENGINE(level)                                                             \
  extern "C" {                                                                                      \
  int ematheory_##level##_advance_vector(const ematheory_job *job, int64_t point, int64_t replica); \
  }
