// The part of the CUDA engine that steps coupled vectors.
#pragma once

#include "device.h"

namespace ematheory {

// How much memory a block needs for its vector; the job's arrays are the host's.
size_t vector_memory(const ematheory_job &job);
// Runs a job whose arrays are on the device, to its end, with so much memory for each block.
void run_on_device(const ematheory_job &job, size_t memory, Attempt &attempt);
// Runs it on the host, one block after another and its threads in turns.
void run_on_host(const ematheory_job &job, char message[EMATHEORY_MESSAGE]);

}  // namespace ematheory
