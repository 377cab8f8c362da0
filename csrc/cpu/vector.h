// The widest vector of 32-bit words of the instruction set compiled for, and its 32×32-bit products.
//
// x86 multiplies every other word of a vector to 64 bits. So Philox's words stand in two vectors, those of even and of
// odd lanes, each in the lower half of 64 bits, whose upper half may hold anything: a product's lower word needs no
// move at all, its upper one a shift, and lanes are brought together once, after the last round.
#pragma once

#include "../core/philox.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace ematheory {
namespace {

#if defined(__AVX512F__)

typedef uint32_t Row __attribute__((vector_size(64)));
typedef __m512i Register;

EMATHEORY_FUNCTION Row product(const Row x, const Row y) {
  return reinterpret_cast<Row>(_mm512_mul_epu32(reinterpret_cast<Register>(x), reinterpret_cast<Register>(y)));
}
EMATHEORY_FUNCTION Row upper(const Row x) {
  return reinterpret_cast<Row>(_mm512_srli_epi64(reinterpret_cast<Register>(x), 32));
}
EMATHEORY_FUNCTION Row merged(const Row even_lanes, const Row odd_lanes) {
  const Register even = reinterpret_cast<Register>(even_lanes), odd = reinterpret_cast<Register>(odd_lanes);
  return reinterpret_cast<Row>(_mm512_mask_shuffle_epi32(even, 0xAAAA, odd, static_cast<_MM_PERM_ENUM>(0xA0)));
}

#elif defined(__AVX2__)

typedef uint32_t Row __attribute__((vector_size(32)));
typedef __m256i Register;

EMATHEORY_FUNCTION Row product(const Row x, const Row y) {
  return reinterpret_cast<Row>(_mm256_mul_epu32(reinterpret_cast<Register>(x), reinterpret_cast<Register>(y)));
}
EMATHEORY_FUNCTION Row upper(const Row x) {
  return reinterpret_cast<Row>(_mm256_srli_epi64(reinterpret_cast<Register>(x), 32));
}
EMATHEORY_FUNCTION Row merged(const Row even_lanes, const Row odd_lanes) {
  const Register even = reinterpret_cast<Register>(even_lanes), odd = reinterpret_cast<Register>(odd_lanes);
  return reinterpret_cast<Row>(_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA));
}

#elif defined(__SSE2__)

typedef uint32_t Row __attribute__((vector_size(16)));
typedef __m128i Register;

EMATHEORY_FUNCTION Row product(const Row x, const Row y) {
  return reinterpret_cast<Row>(_mm_mul_epu32(reinterpret_cast<Register>(x), reinterpret_cast<Register>(y)));
}
EMATHEORY_FUNCTION Row upper(const Row x) {
  return reinterpret_cast<Row>(_mm_srli_epi64(reinterpret_cast<Register>(x), 32));
}
EMATHEORY_FUNCTION Row merged(const Row even_lanes, const Row odd_lanes) {
  const Register even = reinterpret_cast<Register>(even_lanes), odd = reinterpret_cast<Register>(odd_lanes);
  return reinterpret_cast<Row>(
      _mm_or_si128(_mm_andnot_si128(_mm_set_epi32(-1, 0, -1, 0), even), _mm_slli_epi64(odd, 32)));
}

#endif

#if defined(__SSE2__)

// The words of a row of lanes, apart by even and odd ones.
struct Words {
  Row even, odd;

  EMATHEORY_FUNCTION Words operator^(const Words &other) const { return {even ^ other.even, odd ^ other.odd}; }
  EMATHEORY_FUNCTION Words operator^(const uint32_t word) const { return {even ^ word, odd ^ word}; }
};

template <>
struct Product<Words> {
  Words high, low;

  EMATHEORY_FUNCTION Product(const uint32_t multiplier, const Words &words) {
    const Row by = Row{} + multiplier;
    low = {product(words.even, by), product(words.odd, by)};
    high = {upper(low.even), upper(low.odd)};
  }
};

EMATHEORY_FUNCTION Words load(const uint32_t *from) {
  Row words;
  __builtin_memcpy(&words, from, sizeof words);
  return {words, upper(words)};
}

EMATHEORY_FUNCTION void store(const Words &words, uint32_t *to) {
  const Row row = merged(words.even, words.odd);
  __builtin_memcpy(to, &row, sizeof row);
}

#else

typedef uint32_t Row;
typedef uint32_t Words;

EMATHEORY_FUNCTION Words load(const uint32_t *from) { return *from; }
EMATHEORY_FUNCTION void store(const Words words, uint32_t *to) { *to = words; }

#endif

constexpr int WIDTH = sizeof(Row) / sizeof(uint32_t);

}  // namespace
}  // namespace ematheory
