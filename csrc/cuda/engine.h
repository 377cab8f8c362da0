// The C interface between the binding and the CUDA engine, which nvcc compiles.
#pragma once

#include "../core/job.h"

// A message of at most so many characters, with the final 0; empty where all went well.
#define EMATHEORY_MESSAGE 512

// What cudaGetDeviceProperties says of a device.
struct ematheory_device {
  char name[256];
  int major, minor, multiprocessors;
  uint64_t memory;
};

extern "C" {
// The number of devices; 0 with a message where there is no driver.
int ematheory_cuda_devices(char message[EMATHEORY_MESSAGE]);
void ematheory_cuda_device(int number, ematheory_device *device, char message[EMATHEORY_MESSAGE]);
// One call of `advance` on the current device, from and to arrays of the host.
void ematheory_cuda_advance(const ematheory_job *job, char message[EMATHEORY_MESSAGE]);
// The same work by the same source, compiled for the host: one GPU thread's work after another, those of a block that
// wait for each other in turns.
void ematheory_cuda_advance_on_host(const ematheory_job *job, char message[EMATHEORY_MESSAGE]);
// Whether the device rounds a·b + c twice; numbers as for the CPU engine's probe.
int ematheory_cuda_contraction_is_off(const float *singles, const double *doubles, int count,
                                      char message[EMATHEORY_MESSAGE]);
}
