// Coupled vectors on a GPU: each block steps one vector after another through a whole call, its state in shared memory
// where enough blocks fit a multiprocessor so, and in the device's memory otherwise.
#include <cstdlib>

#include "block.h"
#include "vectors.h"

namespace ematheory {
namespace {

// Fewer blocks than this on a multiprocessor would leave it waiting for barriers and for memory.
constexpr size_t LEAST_BLOCKS = 3;

template <class T, bool OPTIONS>
__global__ void __launch_bounds__(PARTIALS)
    kernel(const ematheory_job job, const Records records, char *scratch, const size_t memory) {
  extern __shared__ __align__(16) char shared[];
  __shared__ Exchanged exchanged;
  char *const own = scratch ? scratch + blockIdx.x * memory : shared;
  run_vectors<T, OPTIONS>(job, records, Block(threadIdx.x, &exchanged), reinterpret_cast<uintptr_t>(own), blockIdx.x,
                          gridDim.x);
}

using Kernel = void (*)(ematheory_job, Records, char *, size_t);

int ask(Attempt &attempt, const cudaDeviceAttr attribute) {
  int device = 0, answer = 0;
  attempt(cudaGetDevice(&device), "no CUDA device");
  attempt(cudaDeviceGetAttribute(&answer, attribute, device), "cannot ask about the GPU");
  return answer;
}

// Whether the blocks' vectors go to shared memory, and leave to use as much of it.
bool fits_shared(Attempt &attempt, const Kernel kernel, const size_t memory) {
  const size_t all = ask(attempt, cudaDevAttrMaxSharedMemoryPerMultiprocessor);
  const size_t most = ask(attempt, cudaDevAttrMaxSharedMemoryPerBlockOptin);
  const size_t block = memory + sizeof(Exchanged);
  if (attempt.failed() || block > most || block * LEAST_BLOCKS > all) return false;
  return attempt(cudaFuncSetAttribute(reinterpret_cast<const void *>(kernel),
                                      cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(memory)),
                 "cannot have the GPU's shared memory");
}

// As many blocks as run at once, but no more than there are vectors, nor than half the free memory holds.
int64_t blocks_of(Attempt &attempt, const Kernel kernel, const int64_t vectors, const size_t memory,
                  const bool is_shared) {
  int per_multiprocessor = 0;
  attempt(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&per_multiprocessor, reinterpret_cast<const void *>(kernel),
                                                        PARTIALS, is_shared ? memory : 0),
          "cannot ask about the GPU");
  const int64_t at_once = int64_t{per_multiprocessor} * ask(attempt, cudaDevAttrMultiProcessorCount);
  const int64_t blocks = at_once < vectors ? at_once : vectors;
  size_t free = 0, total = 0;
  if (is_shared || !attempt(cudaMemGetInfo(&free, &total), "cannot ask about the GPU's memory")) return blocks;
  const int64_t held = static_cast<int64_t>(free / 2 / memory);
  return held < 1 ? 1 : held < blocks ? held : blocks;
}

template <class T, bool OPTIONS>
bool run_blocks(const ematheory_job &job) {
  const Records records = records_of(job.problem, job.optimizer);
  const size_t memory = memory_of<T>(job, records);
  void *const own = std::aligned_alloc(Arena::ALIGNMENT, memory);
  Exchanged exchanged;
  Turns<PARTIALS> turns;
  bool is_right = own && turns.is_there();
  // Two blocks, so that the tests see one go on to another vector.
  for (int64_t block = 0; block < 2 && is_right; ++block)
    is_right = turns.run([&](const int thread) {
      run_vectors<T, OPTIONS>(job, records, Block(thread, &exchanged), reinterpret_cast<uintptr_t>(own), block, 2);
    });
  std::free(own);
  return is_right;
}

// How a job is run: by the device, or by the host.
struct Kind {
  Kernel kernel;
  bool (*on_host)(const ematheory_job &);
};

template <class T>
Kind for_options(const ematheory_job &job) {
  return has_options(job) ? Kind{kernel<T, true>, run_blocks<T, true>} : Kind{kernel<T, false>, run_blocks<T, false>};
}

Kind kind_of(const ematheory_job &job) { return job.is_double ? for_options<double>(job) : for_options<float>(job); }

}  // namespace

size_t vector_memory(const ematheory_job &job) {
  const Records records = records_of(job.problem, job.optimizer);
  return job.is_double ? memory_of<double>(job, records) : memory_of<float>(job, records);
}

void run_on_device(const ematheory_job &job, const size_t memory, Attempt &attempt) {
  const Kernel chosen = kind_of(job).kernel;
  const bool is_shared = fits_shared(attempt, chosen, memory);
  const int64_t blocks = blocks_of(attempt, chosen, job.points * job.replicas, memory, is_shared);
  if (attempt.failed()) return;
  const Copy scratch(attempt, nullptr, is_shared ? 0 : static_cast<size_t>(blocks) * memory, false);
  if (attempt.failed()) return;
  chosen<<<static_cast<unsigned>(blocks), PARTIALS, is_shared ? memory : 0>>>(
      job, records_of(job.problem, job.optimizer), static_cast<char *>(scratch.device()), memory);
  attempt(cudaGetLastError(), "cannot start the GPU's work");
  attempt(cudaDeviceSynchronize(), "the GPU's work failed");
}

void run_on_host(const ematheory_job &job, char message[EMATHEORY_MESSAGE]) {
  if (!kind_of(job).on_host(job))
    std::snprintf(message, EMATHEORY_MESSAGE, "no memory, or a block's threads did not all come to a barrier");
}

}  // namespace ematheory
