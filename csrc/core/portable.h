// What differs between a host compiler and nvcc; everything else in core/ is the same source, and gives the same bits.
#pragma once

#include <stdint.h>

// Everything in core/ stands in an unnamed namespace: the engine is compiled once per instruction set, and a shared
// (weak) symbol would let the linker keep a copy compiled for an instruction set that the CPU lacks.

#if defined(__CUDACC__)
#define EMATHEORY_FUNCTION __host__ __device__ __forceinline__
#define EMATHEORY_UNROLL _Pragma("unroll")
#define EMATHEORY_ROLLED _Pragma("unroll 1")
#else
#define EMATHEORY_FUNCTION inline __attribute__((always_inline))
#define EMATHEORY_UNROLL
#define EMATHEORY_ROLLED
#endif

// The alignment that a device's memory has; that of a host's array is its entry's.
#if defined(__CUDA_ARCH__)
#define EMATHEORY_ALIGNED(bytes) alignas(bytes)
#else
#define EMATHEORY_ALIGNED(bytes)
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

EMATHEORY_FUNCTION uint64_t bits_of(const double x) {
#if defined(__CUDA_ARCH__)
  return static_cast<uint64_t>(__double_as_longlong(x));
#else
  uint64_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits;
#endif
}

EMATHEORY_FUNCTION double double_of(const uint64_t bits) {
#if defined(__CUDA_ARCH__)
  return __longlong_as_double(static_cast<long long>(bits));
#else
  double x;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
#endif
}

// All 64 bits of a product; nvcc adds a zero to the upper half of what C++ says here.
EMATHEORY_FUNCTION uint64_t wide_product(const uint32_t x, const uint32_t y) {
#if defined(__CUDA_ARCH__)
  uint64_t product;
  asm("mul.wide.u32 %0, %1, %2;" : "=l"(product) : "r"(x), "r"(y));
  return product;
#else
  return static_cast<uint64_t>(x) * y;
#endif
}

// 2^whole for whole numbers in −1022…1023: the sum holds the number in its lowest bits.
EMATHEORY_FUNCTION double two_to(const double whole) {
  return double_of((bits_of(whole + 0x1.8p52) << 52) + (uint64_t{1023} << 52));
}

// The whole number e with 2^e ≤ x < 2^(e+1) for normal x > 0; 2^52 with a number's bits below it is their sum.
EMATHEORY_FUNCTION double exponent(const double x) {
  return double_of((bits_of(x) >> 52) | (uint64_t{0x433} << 52)) - (0x1p52 + 1023.0);
}

}  // namespace
}  // namespace ematheory
