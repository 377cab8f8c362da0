// The CUDA engine: each thread runs a few cells of one point through a whole call, their state in registers. Coupled
// vectors are in vectors.cu.
//
// The same core headers as on a CPU, compiled without contraction and with IEEE division and roots: the same bits.
#include "../core/cell.h"
#include "../core/trajectory.h"
#include "vectors.h"

namespace ematheory {
namespace {

constexpr int THREADS = 128;
// Two cells per thread share the loads of a step's coefficients and a block's share of Philox; in float64 the registers
// that takes leave too few threads to hide latencies.
template <class T>
constexpr int PER_THREAD = sizeof(T) == sizeof(float) ? 2 : 1;

template <class T>
constexpr int64_t PER_BLOCK = int64_t{THREADS} * PER_THREAD<T>;

int64_t blocks_per_point(const ematheory_job &job) {
  const int64_t per_block = job.is_double ? PER_BLOCK<double> : PER_BLOCK<float>;
  return (job.replicas * job.coordinates + per_block - 1) / per_block;
}

// Thread t of a block takes the cells t, t + THREADS, … of it, so that neighbours read neighbouring numbers.
template <class T, class Problem, class Optimizer>
EMATHEORY_FUNCTION void run_thread(const ematheory_job &job, const int64_t block, const int64_t blocks,
                                   const int thread) {
  const int64_t first = (block % blocks) * PER_BLOCK<T> + thread;
  if (first >= job.replicas * job.coordinates) return;
  Cells<T, Problem, Optimizer, PER_THREAD<T>>(job, block / blocks, first, THREADS).run();
}

template <class T, class Problem, class Optimizer>
__global__ void __launch_bounds__(THREADS) kernel(const ematheory_job job, const int64_t blocks) {
  run_thread<T, Problem, Optimizer>(job, blockIdx.x, blocks, threadIdx.x);
}

// How one pair of records is run: by the device, or by the host.
struct Pair {
  void (*launch)(const ematheory_job &, int64_t blocks);
  void (*on_host)(const ematheory_job &, int64_t blocks);
};

template <class T, class Problem, class Optimizer>
void launch(const ematheory_job &job, const int64_t blocks) {
  kernel<T, Problem, Optimizer><<<static_cast<unsigned>(blocks * job.points), THREADS>>>(job, blocks);
}

template <class T, class Problem, class Optimizer>
void on_host(const ematheory_job &job, const int64_t blocks) {
  for (int64_t block = 0; block < blocks * job.points; ++block)
    for (int thread = 0; thread < THREADS; ++thread) run_thread<T, Problem, Optimizer>(job, block, blocks, thread);
}

template <class T, class Problem>
Pair for_optimizer(const int optimizer) {
#define EMATHEORY_ENTRY(name) {launch<T, Problem, optimizers::name>, on_host<T, Problem, optimizers::name>},
  static const Pair pairs[] = {EMATHEORY_OPTIMIZERS(EMATHEORY_ENTRY)};
#undef EMATHEORY_ENTRY
  return pairs[optimizer];
}

template <class T>
Pair for_problem(const int problem, const int optimizer) {
#define EMATHEORY_ENTRY(name) for_optimizer<T, problems::name>,
  static Pair (*const choices[])(int) = {EMATHEORY_PROBLEMS(EMATHEORY_ENTRY)};
#undef EMATHEORY_ENTRY
  return choices[problem](optimizer);
}

Pair pair_of(const ematheory_job &job) {
  return job.is_double ? for_problem<double>(job.problem, job.optimizer)
                       : for_problem<float>(job.problem, job.optimizer);
}

void run_cells(const ematheory_job &job, Attempt &attempt) {
  pair_of(job).launch(job, blocks_per_point(job));
  attempt(cudaGetLastError(), "cannot start the GPU's work");
  attempt(cudaDeviceSynchronize(), "the GPU's work failed");
}

template <class T>
__global__ void probe(const T *numbers, const int count, int *wrong) {
  const int i = threadIdx.x;
  if (i >= count) return;
  const T *n = numbers + 4 * i;
  const T fused_if_contracted = n[0] * n[1] + n[2];
  if (fused_if_contracted != n[3] + n[2]) atomicAdd(wrong, 1);
}

}  // namespace
}  // namespace ematheory

using namespace ematheory;

int ematheory_cuda_devices(char message[EMATHEORY_MESSAGE]) {
  Attempt attempt(message);
  int count = 0;
  return attempt(cudaGetDeviceCount(&count), "no CUDA device") ? count : 0;
}

void ematheory_cuda_device(const int number, ematheory_device *device, char message[EMATHEORY_MESSAGE]) {
  Attempt attempt(message);
  cudaDeviceProp found;
  if (!attempt(cudaGetDeviceProperties(&found, number), "cannot ask about the GPU")) return;
  std::snprintf(device->name, sizeof device->name, "%s", found.name);
  device->major = found.major;
  device->minor = found.minor;
  device->multiprocessors = found.multiProcessorCount;
  device->memory = found.totalGlobalMem;
}

void ematheory_cuda_advance(const ematheory_job *wanted, char message[EMATHEORY_MESSAGE]) {
  Attempt attempt(message);
  ematheory_job job = *wanted;
  const Records records = records_of(job.problem, job.optimizer);
  const size_t number = job.is_double ? sizeof(double) : sizeof(float);
  const size_t weights = static_cast<size_t>(job.points * job.replicas * job.coordinates) * number;
  const size_t state_size = weights * static_cast<size_t>(records.state + held_of(job));
  const size_t snapshots_size = weights * static_cast<size_t>(job.snapshot_count * copies_of(job));
  Copy state(attempt, job.state, state_size), snapshots(attempt, job.snapshots, snapshots_size, false);
  Copy of(attempt, job.problem_coefficients,
          static_cast<size_t>(records.of_problem * job.points * job.coordinates) * number);
  Copy coefficients(attempt, job.coefficients,
                    static_cast<size_t>(job.points * job.steps * records.coefficients) * number);
  Copy points(attempt, job.point_numbers, static_cast<size_t>(job.points) * sizeof(uint32_t));
  Copy at(attempt, job.snapshots_at, static_cast<size_t>(job.snapshot_count) * sizeof(int64_t));
  Copy clip(attempt, job.clip_norm, job.clip_norm ? static_cast<size_t>(job.points) * sizeof(double) : 0);
  Copy averaging(attempt, job.averaging, static_cast<size_t>(2 * job.steps * job.averages) * number);
  Copy drift(attempt, job.drift, job.drift ? static_cast<size_t>(2 * job.points * job.coordinates) * number : 0);
  if (attempt.failed() || weights == 0) return;
  job.state = state.device();
  job.snapshots = snapshots.device();
  job.problem_coefficients = of.device();
  job.coefficients = coefficients.device();
  job.point_numbers = static_cast<const uint32_t *>(points.device());
  job.snapshots_at = static_cast<const int64_t *>(at.device());
  job.clip_norm = static_cast<const double *>(clip.device());
  job.averaging = averaging.device();
  job.drift = drift.device();
  if (job.is_coupled)
    run_on_device(job, vector_memory(*wanted), attempt);
  else
    run_cells(job, attempt);
  state.back(wanted->state, state_size);
  snapshots.back(wanted->snapshots, snapshots_size);
}

void ematheory_cuda_advance_on_host(const ematheory_job *job, char message[EMATHEORY_MESSAGE]) {
  if (job->points * job->replicas * job->coordinates == 0) return;
  if (job->is_coupled)
    run_on_host(*job, message);
  else
    pair_of(*job).on_host(*job, blocks_per_point(*job));
}

int ematheory_cuda_contraction_is_off(const float *singles, const double *doubles, const int count,
                                      char message[EMATHEORY_MESSAGE]) {
  Attempt attempt(message);
  int wrong = 0;
  Copy of_singles(attempt, singles, 4 * count * sizeof(float)),
      of_doubles(attempt, doubles, 4 * count * sizeof(double));
  Copy counted(attempt, &wrong, sizeof wrong);
  if (attempt.failed()) return 0;
  probe<<<1, count>>>(static_cast<const float *>(of_singles.device()), count, static_cast<int *>(counted.device()));
  probe<<<1, count>>>(static_cast<const double *>(of_doubles.device()), count, static_cast<int *>(counted.device()));
  attempt(cudaDeviceSynchronize(), "the GPU's work failed");
  counted.back(&wrong, sizeof wrong);
  return !attempt.failed() && wrong == 0;
}
