// The widest vector of 32-bit words of the instruction set compiled for, and its 32×32-bit products, which compilers do
// not find by themselves below AVX-512.
#pragma once

#include "../core/philox.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace ematheory {
namespace {

#if defined(__AVX512F__)

typedef uint32_t Words __attribute__((vector_size(64)));

template <>
struct Product<Words> {
  Words high, low;

  EMATHEORY_FUNCTION Product(const uint32_t multiplier, const Words word) {
    const __m512i by = _mm512_set1_epi32(static_cast<int>(multiplier)), x = reinterpret_cast<__m512i>(word);
    const __m512i even = _mm512_mul_epu32(x, by), odd = _mm512_mul_epu32(_mm512_srli_epi64(x, 32), by);
    high = reinterpret_cast<Words>(_mm512_mask_shuffle_epi32(odd, 0x5555, even, static_cast<_MM_PERM_ENUM>(0xB1)));
    low = reinterpret_cast<Words>(_mm512_mask_shuffle_epi32(even, 0xAAAA, odd, static_cast<_MM_PERM_ENUM>(0xA0)));
  }
};

#elif defined(__AVX2__)

typedef uint32_t Words __attribute__((vector_size(32)));

template <>
struct Product<Words> {
  Words high, low;

  EMATHEORY_FUNCTION Product(const uint32_t multiplier, const Words word) {
    const __m256i by = _mm256_set1_epi32(static_cast<int>(multiplier)), x = reinterpret_cast<__m256i>(word);
    const __m256i even = _mm256_mul_epu32(x, by), odd = _mm256_mul_epu32(_mm256_srli_epi64(x, 32), by);
    high = reinterpret_cast<Words>(_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA));
    low = reinterpret_cast<Words>(_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA));
  }
};

#elif defined(__SSE2__)

typedef uint32_t Words __attribute__((vector_size(16)));

template <>
struct Product<Words> {
  Words high, low;

  EMATHEORY_FUNCTION Product(const uint32_t multiplier, const Words word) {
    const __m128i by = _mm_set1_epi32(static_cast<int>(multiplier)), x = reinterpret_cast<__m128i>(word);
    const __m128i even = _mm_mul_epu32(x, by), odd = _mm_mul_epu32(_mm_srli_epi64(x, 32), by);
    const __m128i upper = _mm_set_epi32(-1, 0, -1, 0);
    high = reinterpret_cast<Words>(_mm_or_si128(_mm_srli_epi64(even, 32), _mm_and_si128(odd, upper)));
    low = reinterpret_cast<Words>(_mm_or_si128(_mm_andnot_si128(upper, even), _mm_slli_epi64(odd, 32)));
  }
};

#else

typedef uint32_t Words;

#endif

constexpr int WIDTH = sizeof(Words) / sizeof(uint32_t);

}  // namespace
}  // namespace ematheory
