// float32 numbers rounded to those that bfloat16 holds, by their bits, as ematheory/simulation/bfloat16.py.
#pragma once

#include "portable.h"

namespace ematheory {
namespace {

constexpr uint32_t KEPT_BITS = 0xFFFF0000u, NAN_BITS = 0x7FC00000u;

EMATHEORY_FUNCTION float bfloat16_or_nan(const float x, const uint32_t bits) {
  return x == x ? float_of(bits & KEPT_BITS) : float_of(NAN_BITS);
}

// To the nearest, ties to even.
EMATHEORY_FUNCTION float nearest_bfloat16(const float x) {
  const uint32_t bits = bits_of(x);
  return bfloat16_or_nan(x, bits + 0x7FFFu + ((bits >> 16) & 1u));
}

// Away from zero with the probability that x is past its neighbour nearer to zero; `word` has 32 random bits.
EMATHEORY_FUNCTION float stochastic_bfloat16(const float x, const uint32_t word) {
  return bfloat16_or_nan(x, bits_of(x) + (word >> 16));
}

}  // namespace
}  // namespace ematheory
