// What differs between a host compiler and nvcc; everything else in core/ is the same source, and gives the same bits.
#pragma once

#include <stdint.h>

// Everything in core/ stands in an unnamed namespace: the engine is compiled once per instruction set, and a shared
// (weak) symbol would let the linker keep a copy compiled for an instruction set that the CPU lacks.

#if defined(__CUDACC__)
#define EMATHEORY_FUNCTION __host__ __device__ __forceinline__
#else
#define EMATHEORY_FUNCTION inline __attribute__((always_inline))
#endif

namespace ematheory {
namespace {

// The square root, rounded as IEEE 754 says.
EMATHEORY_FUNCTION float root(const float x) {
#if defined(__CUDA_ARCH__)
  return __fsqrt_rn(x);
#else
  return __builtin_sqrtf(x);
#endif
}

EMATHEORY_FUNCTION double root(const double x) {
#if defined(__CUDA_ARCH__)
  return __dsqrt_rn(x);
#else
  return __builtin_sqrt(x);
#endif
}

EMATHEORY_FUNCTION uint32_t bits_of(const float x) {
#if defined(__CUDA_ARCH__)
  return __float_as_uint(x);
#else
  uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits;
#endif
}

EMATHEORY_FUNCTION float float_of(const uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return __uint_as_float(bits);
#else
  float x;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
#endif
}

}  // namespace
}  // namespace ematheory
