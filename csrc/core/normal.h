// Four standard normals from four Philox words by Box–Muller, as ematheory/simulation/normal.py, which says how the
// terms were made and bounds the errors.
#pragma once

#include "philox.h"

namespace ematheory {
namespace {

// One call of Philox gives the normals of so many steps.
constexpr int STEPS_PER_CALL = 4;

// √(−2 log u), u = ((word >> 1) + 1)·2⁻³¹: u = 2^e·(1 + f) with 1 + f in [√½, √2), read off the bits.
EMATHEORY_FUNCTION float radius(const uint32_t word) {
  const float scaled = static_cast<float>(static_cast<int32_t>(word >> 1)) + 1.0f;
  const int32_t bits = static_cast<int32_t>(bits_of(scaled)) - (0x3F3504F3 + (31 << 23));
  const float exponent = static_cast<float>(bits >> 23);
  const float f = float_of(static_cast<uint32_t>((bits & 0x007FFFFF) + 0x3F3504F3)) - 1.0f;
  float sum = -0x1.5d8646p-3f;
  sum = sum * f + 0x1.243c02p-2f;
  sum = sum * f + -0x1.32bcb8p-2f;
  sum = sum * f + 0x1.53846ep-2f;
  sum = sum * f + -0x1.98b290p-2f;
  sum = sum * f + 0x1.00038cp-1f;
  sum = sum * f + -0x1.555796p-1f;
  sum = sum * f + 0x1.fffffep-1f;
  sum = sum * f + -0x1.000000p+1f;
  return root(exponent * -0x1.62e430p+0f + f * sum);
}

// cos and sin of 2π·word/2³²: the nearest quarter turn by integers, the rest in [−π/4, π/4).
EMATHEORY_FUNCTION void cosine_and_sine(const uint32_t word, float &cosine, float &sine) {
  const uint32_t turned = word + 0x20000000u;
  const float z = static_cast<float>(static_cast<int32_t>(word << 2)) * 0x1p-32f;
  const float square = z * z;
  float odd_sum = -0x1.2d9b40p-8f;
  odd_sum = odd_sum * square + 0x1.465ec4p-4f;
  odd_sum = odd_sum * square + -0x1.4abbbap-1f;
  odd_sum = odd_sum * square + 0x1.921fb6p+0f;
  float even_sum = 0x1.db6492p-11f;
  even_sum = even_sum * square + -0x1.55cb98p-6f;
  even_sum = even_sum * square + 0x1.03c1eap-2f;
  even_sum = even_sum * square + -0x1.3bd3ccp+0f;
  const uint32_t sine_bits = bits_of(z * odd_sum), cosine_bits = bits_of(1.0f + square * even_sum);
  // A mask in place of a choice keeps the loop over lanes free of branches.
  const uint32_t swap = 0u - ((turned >> 30) & 1u), difference = (sine_bits ^ cosine_bits) & swap;
  cosine = float_of((cosine_bits ^ difference) ^ ((turned + 0x40000000u) & 0x80000000u));
  sine = float_of((sine_bits ^ difference) ^ (turned & 0x80000000u));
}

// The normals of steps 4k … 4k+3: r₁cos, r₁sin, r₂cos, r₂sin.
EMATHEORY_FUNCTION void box_muller(const uint32_t words[4], float normals[4]) {
  const float first = radius(words[0]), second = radius(words[2]);
  float cosine, sine;
  cosine_and_sine(words[1], cosine, sine);
  normals[0] = first * cosine;
  normals[1] = first * sine;
  cosine_and_sine(words[3], cosine, sine);
  normals[2] = second * cosine;
  normals[3] = second * sine;
}

}  // namespace
}  // namespace ematheory
