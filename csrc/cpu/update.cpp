// One update of many vectors from gradients that are given, each vector with coefficients of its own.
//
// Compiled once per instruction set like engine.cpp, under the same rules: no STL and no inline externs here.
#include "update.h"

#include "../core/generated.h"

#define EMATHEORY_JOIN(level, name) ematheory_##level##_##name
#define EMATHEORY_NAME(level, name) EMATHEORY_JOIN(level, name)

EMATHEORY_UPDATE_ENGINE(EMATHEORY_LEVEL)

namespace ematheory {
namespace {

template <class T, class Optimizer>
void update_row(const ematheory_update_job &job, const int64_t row) {
  T *state[Optimizer::STATE], c[Optimizer::COEFFICIENTS];
  for (int member = 0; member < Optimizer::STATE; ++member)
    state[member] = static_cast<T *>(job.state[member]) + row * job.columns;
  for (int place = 0; place < Optimizer::COEFFICIENTS; ++place)
    c[place] = static_cast<const T *>(job.coefficients)[row * Optimizer::COEFFICIENTS + place];
  const T *gradient = static_cast<const T *>(job.gradient) + row * job.columns;
  // The arrays do not overlap. Loops within this one are unrolled, or it is no loop over vectors.
#pragma GCC ivdep
  for (int64_t column = 0; column < job.columns; ++column) {
    T own[Optimizer::STATE];
#pragma GCC unroll 128
    for (int member = 0; member < Optimizer::STATE; ++member) own[member] = state[member][column];
    Optimizer::update(own, gradient[column], c);
#pragma GCC unroll 128
    for (int member = 0; member < Optimizer::STATE; ++member) state[member][column] = own[member];
  }
}

using Update = void (*)(const ematheory_update_job &, int64_t);

template <class T>
Update for_optimizer(const int optimizer) {
#define EMATHEORY_ENTRY(name) update_row<T, optimizers::name>,
  static constexpr Update updates[] = {EMATHEORY_OPTIMIZERS(EMATHEORY_ENTRY)};
#undef EMATHEORY_ENTRY
  return updates[optimizer];
}

}  // namespace
}  // namespace ematheory

using namespace ematheory;

extern "C" void EMATHEORY_NAME(EMATHEORY_LEVEL, update)(const ematheory_update_job *job) {
  const Update update = job->is_double ? for_optimizer<double>(job->optimizer) : for_optimizer<float>(job->optimizer);
  for (int64_t row = 0; row < job->rows; ++row) update(*job, row);
}
