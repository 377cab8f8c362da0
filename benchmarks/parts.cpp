// The engine's kernel for float32 AdamW on the noisy quadratic, whole or with a part left out (EMATHEORY_DRAWS,
// EMATHEORY_UPDATES), on the calling thread; and what this CPU makes of the instructions that may bound it.
#include "../csrc/core/generated.h"

// One kernel compiles in seconds.
#undef EMATHEORY_OPTIMIZERS
#define EMATHEORY_OPTIMIZERS(X) X(adamw)
#undef EMATHEORY_PROBLEMS
#define EMATHEORY_PROBLEMS(X) X(noisy_quadratic)
#define EMATHEORY_LEVEL parts
#include "../csrc/cpu/engine.cpp"

#define EXPORTED extern "C" __attribute__((visibility("default")))

// `steps` updates of one replica: state (3, cells), of_problem (3, cells), coefficients (steps, 8).
EXPORTED void run_parts(const int64_t cells, const int64_t steps, float *state, const float *of_problem,
                        const float *coefficients) {
  const uint32_t point_number = 0;
  const int stop = 0;
  ematheory_job job{};
  job.points = job.replicas = 1;
  job.coordinates = cells;
  job.steps = steps;
  job.point_numbers = &point_number;
  job.state = state;
  job.problem_coefficients = of_problem;
  job.coefficients = coefficients;
  job.stop = &stop;
  for (int64_t tile = 0; tile * LANES < cells; ++tile) ematheory_parts_advance(&job, 0, tile);
}

EXPORTED int lanes_per_vector() { return WIDTH; }

#if defined(__x86_64__)
namespace {

typedef float Singles __attribute__((vector_size(sizeof(Row))));

// `times` of sixteen independent operations: of so many the throughput shows, and not how long each takes.
template <class Vector, class Operation>
EMATHEORY_FUNCTION void repeat(const int64_t times, const Operation operation) {
  Vector x[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) x[i] = Vector{} + 1;
  for (int64_t time = 0; time < times; ++time) {
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      x[i] = operation(x[i]);
#if defined(__AVX512F__)
      asm volatile("" : "+v"(x[i]));
#else
      asm volatile("" : "+x"(x[i]));
#endif
    }
  }
}

EMATHEORY_FUNCTION Singles roots(const Singles x) {
#if defined(__AVX512F__)
  return reinterpret_cast<Singles>(_mm512_sqrt_ps(reinterpret_cast<__m512>(x)));
#elif defined(__AVX2__)
  return reinterpret_cast<Singles>(_mm256_sqrt_ps(reinterpret_cast<__m256>(x)));
#else
  return reinterpret_cast<Singles>(_mm_sqrt_ps(reinterpret_cast<__m128>(x)));
#endif
}

}  // namespace

// A division and a root of a vector each time.
EXPORTED void divide_and_root(const int64_t times) {
  const Singles by = Singles{} + 1.0000001f;
  repeat<Singles>(times, [by](const Singles x) { return roots(x / by); });
}

EXPORTED void multiply(const int64_t times) {
  const Singles by = Singles{} + 1.0000001f;
  repeat<Singles>(times, [by](const Singles x) { return x * by; });
}

EXPORTED void exclude(const int64_t times) {
  const Row by = Row{} + 0x55555555u;
  repeat<Row>(times, [by](const Row x) { return x ^ by; });
}
#endif
